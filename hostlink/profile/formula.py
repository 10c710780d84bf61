"""Formulas: sums of products of channels, conditions, tables and factors, evaluated exactly with their units.

A symbol is a quantity times a product of live inputs. The result is `{live inputs: quantity}`: one monomial for each
product of inputs that the device will form.
"""

import ast
from fractions import Fraction
from typing import Any

from hostlink.errors import UsageError
from hostlink.profile.units import dimension, registry

Monomials = dict[tuple[str, ...], Any]
"""`{inputs in the order of the formula: coefficient}`."""


def evaluate(text: str, symbols: dict[str, tuple[tuple[str, ...], Any]]) -> tuple[Monomials, set[str]]:
    """The monomials of a formula, and the symbols that it uses. `symbols`: `{name: (inputs, quantity)}`.

    Raises UsageError for what is no formula, an unknown symbol, a sum of unlike dimensions, division by a live input.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise UsageError(f"expected a formula such as gas * factor, got {text!r} ({error.msg})") from None
    used: set[str] = set()
    return _Evaluation(text.strip(), symbols, used).of(tree.body), used


class _Evaluation:
    def __init__(self, text: str, symbols: dict[str, tuple[tuple[str, ...], Any]], used: set[str]) -> None:
        self.text = text
        self.symbols = symbols
        self.used = used

    def of(self, node: ast.expr) -> Monomials:
        match node:
            case ast.Constant(value=int() | float()):
                return {(): registry().Quantity(Fraction(ast.get_source_segment(self.text, node) or ""), "")}
            case ast.Name(id=name):
                if name not in self.symbols:
                    raise UsageError(f"unknown name {name!r}; known here: {', '.join(sorted(self.symbols))}")
                self.used.add(name)
                inputs, amount = self.symbols[name]
                return {inputs: amount}
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return {inputs: -amount for inputs, amount in self.of(operand).items()}
            case ast.BinOp(left=left, op=operator, right=right):
                return self.combine(node, self.of(left), operator, self.of(right))
        raise UsageError(f"expected names, numbers, + - * / ( ), got {ast.get_source_segment(self.text, node)!r}")

    def combine(self, node: ast.expr, a: Monomials, operator: ast.operator, b: Monomials) -> Monomials:
        match operator:
            case ast.Add():
                return self.add(node, a, b)
            case ast.Sub():
                return self.add(node, a, {inputs: -amount for inputs, amount in b.items()})
            case ast.Mult():
                product: Monomials = {}
                for first, x in a.items():
                    for second, y in b.items():
                        product = self.add(node, product, {first + second: x * y})
                return product
            case ast.Div():
                if set(b) != {()}:
                    raise UsageError(
                        f"expected constants below the line in {ast.get_source_segment(self.text, node)!r}:"
                        " the device multiplies only; a conversion surface divides by temperature"
                    )
                if not b[()].magnitude:
                    raise UsageError(f"division by zero in {ast.get_source_segment(self.text, node)!r}")
                return {inputs: amount / b[()] for inputs, amount in a.items()}
        raise UsageError(f"expected + - * /, got {ast.get_source_segment(self.text, node)!r}")

    def add(self, node: ast.expr, a: Monomials, b: Monomials) -> Monomials:
        total = dict(a)
        for inputs, amount in b.items():
            like = next((key for key in total if sorted(key) == sorted(inputs)), inputs)
            other = next(iter(total.values()), amount)
            if other.dimensionality != amount.dimensionality:
                raise UsageError(
                    f"cannot add {dimension(other)} and {dimension(amount)} in {ast.get_source_segment(self.text, node)!r}"
                )
            total[like] = total[like] + amount if like in total else amount
        return total
