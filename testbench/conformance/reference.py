"""The reference standard of a laboratory's bench: what it measured of an amount that passed it and the device alike."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from hostlink.calibrate.reference import printed
from hostlink.errors import DataError
from testbench.conformance.figures import exact_text
from testbench.conformance.operator import Operator
from testbench.errors import TestbenchError


class ReferenceFailed(TestbenchError):
    """The reference gave no amount."""

    exit_code = 3


@dataclass(frozen=True)
class Dose:
    """What is to pass: the setting in words ("Q = 0.4 m³/h"), about how much of what unit, in about how many seconds."""

    setting: str
    amount: Fraction
    unit: str
    seconds: Fraction


_NUMBER = r"\d{1,15}(\.\d{1,15})?"

Reference = Callable[[Dose], Fraction]
"""Has a dose pass and gives what the reference measured, in the dose's unit. Raises NobodyThere, ReferenceFailed."""


def by_person(operator: Operator) -> Reference:
    """A person sets the bench up and reads the reference; what is no amount is asked for again."""

    def measure(dose: Dose) -> Fraction:
        text = (
            f"{dose.setting}: let about {float(dose.amount):.4g} {dose.unit} ({float(dose.seconds):.0f} s) pass the reference and"
            f" the device, then enter what the reference measured, in {dose.unit}."
        )
        wrong = ""
        while True:
            answer = operator.ask(wrong + text)
            if re.fullmatch(_NUMBER, answer) and (measured := Fraction(answer)):
                return measured
            wrong = f"Expected a number above 0 such as 0.3012, got {answer!r}. "

    return measure


def by_program(command: Sequence[str], url: str) -> Reference:
    """A program does both: `command… URL SETTING AMOUNT UNIT SECONDS` prints what the reference measured in its last line."""

    def measure(dose: Dose) -> Fraction:
        words = (url, dose.setting, exact_text(dose.amount), dose.unit, exact_text(dose.seconds))
        try:
            measured = printed([*command, *words])
        except DataError as error:
            raise ReferenceFailed(f"{dose.setting}: {error}") from None
        if measured <= 0:
            raise ReferenceFailed(f"{dose.setting}: expected an amount above 0 from {command[0]}, got {measured}")
        return measured

    return measure


def kept(reference: Reference, keep: Callable[[str], None]) -> Reference:
    """`reference`, each of whose amounts is passed to `keep` as text."""

    def measure(dose: Dose) -> Fraction:
        measured = reference(dose)
        keep(str(measured))
        return measured

    return measure
