"""The linker: what a program does stays the same, whatever its scopes and classes are; what it cannot follow is refused."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from hostlink.errors import LinkingError
from hostlink.flash.compile import DRIVERS, RTC, compile_packages, pico_application, pico_sources
from hostlink.flash.linker import link
from hostlink.flash.linker.shorten import known
from testbench.micropython import interpreter

PROGRAM = {
    "protocol/layout.py": """
import struct
PARSES = True
def struct_code(text):
    return "<" + "".join({"u8": "B", "u32": "I"}[field.split("/")[1]] for field in text.split()), ()
class Layout:
    def __init__(self, text):
        self.code = text
        if PARSES:
            self.code = struct_code(text)[0]
        self.size = struct.calcsize(self.code)
    def pack(self, *values):
        return struct.pack(self.code, *values)
""",
    "protocol/words.py": '''
"""Text that goes."""
from micropython import const
from .layout import Layout
FIRST = 3
SECOND = const(3 << 4 | 1)
_LOW, _HIGH = -7, 40
LETTERS_A, LETTERS_B = b"xy"
NAMES = {FIRST: "one_of_many", SECOND: "another_one"}
TABLE = tuple(number for number in sorted(NAMES) if NAMES[number] != "nothing")
ENTRY = Layout("alpha/u8 beta/u32")
UNUSED = Layout("gamma/u8 delta/u8")
def stuffing(value):
    return value + _LOW
def range_of(low=_LOW, high=_HIGH):
    return high - low
def names(bits):
    return [name for bit, name in NAMES.items() if bits & bit]
''',
    "firmware/kernel_fast.py": "def stuffing_fast(value):\n    return value + 1000\n",
    "firmware/kernel_slow.py": "raise ValueError\n",
    "firmware/native.py": """
from protocol import words
try:
    from .kernel_fast import stuffing_fast
    words.stuffing = stuffing_fast
except (ImportError, SyntaxError):
    from .kernel_slow import stuffing_fast
""",
    "firmware/shapes.py": """
from protocol import words as w
from protocol.words import FIRST
class Shape:
    sides = 0
    def __init__(self, first_value, second_value=2):
        self._hidden = first_value
        self._other = second_value
        self.children = []
    @property
    def area_of_it(self):
        return self._hidden * self._other
    def grow_by(self, amount, *, factor_of_growth=1):
        self._hidden += amount * factor_of_growth
        return self
    def never_asked(self):
        return w.UNUSED
class Square(Shape):
    sides = 4
    def __init__(self, first_value):
        super().__init__(first_value, first_value)
        self._own_thing = "kept_by_name"
    def total_of(self):
        FIRST_ = [FIRST for FIRST in [FIRST] * 3]
        return sum([child.area_of_it for child in self.children]) + len(FIRST_) + FIRST
class Holder:
    def __init__(self, **settings):
        for setting in settings:
            setattr(self, setting, settings[setting])
        self.text_of_it = getattr(self, "kept_by_name", "missing")
""",
    "firmware/drivers/__init__.py": "",
    "firmware/drivers/round.py": """
from ..shapes import Shape
class Round(Shape):
    def area_twice(self):
        return 2 * self.area_of_it
""",
    "firmware/boards/__init__.py": "",
    "firmware/boards/toy.py": """
import json
from firmware import native, shapes
from protocol import words
from struct import calcsize as sized
import binascii as coded
def settings_of(calcsize, **chosen_ones):
    return sorted(chosen_ones), sized(calcsize), coded.crc32(b"x")
class Failed(Exception):
    def __init__(self, reason_given):
        self.reason_given = reason_given
def outer_function(shape_given, words_given=words.SECOND):
    def inner_function(extra_words):
        return [extra_words, words_given, words.LETTERS_A, words.LETTERS_B]
    chosen_one = lambda shape_given, extra=5: shape_given.grow_by(extra, factor_of_growth=words.FIRST)
    return inner_function(chosen_one(shape_given)._hidden)
def main(closed=False):
    result_list = []
    square = shapes.Square(6)
    square.children.append(square)
    result_list.append((square.area_of_it, square.total_of(), square.sides))
    result_list.append(outer_function(square))
    result_list.append([words.stuffing(1), words.range_of(), words.range_of(high=3), words.ENTRY.size, len(words.TABLE)])
    result_list.append(list(words.ENTRY.pack(1, 2)))
    result_list.append(sized("<I") + (closed and 100))
    result_list.append(settings_of("<H", shape_given=1, extra_words=2))
    holder = shapes.Holder(kept_by_name="yes", width=2)
    holder.added_outside = 9
    result_list.append([holder.text_of_it, holder.kept_by_name, holder.width, holder.added_outside])
    try:
        raise Failed("for_this_reason")
    except Failed as failed_one:
        result_list.append(failed_one.reason_given)
    from firmware.drivers.round import Round
    result_list.append(Round(3, second_value=4).grow_by(1).area_twice())
    return json.dumps(result_list)
""",
}


def lay_out(folder: Path, program: dict[str, str]) -> Path:
    for path, text in program.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def run(folder: Path) -> str:
    """What the program in `folder` says on MicroPython."""
    code = "import sys\nsys.path.insert(0, '.')\nfrom firmware.boards import toy\nprint(toy.main(closed=True))"
    done = subprocess.run([*interpreter(), "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_linked_program_does_the_same_from_fewer_files(tmp_path: Path) -> None:
    source = lay_out(tmp_path / "source", PROGRAM)
    files = link(source, "firmware.boards.toy", ["main", "closed"])
    assert set(files) == {"firmware/boards/toy.py", "firmware/drivers/round.py"}
    assert run(lay_out(tmp_path / "linked", files)) == run(source) != ""


def test_what_is_not_asked_for_is_left_out_and_what_is_ours_is_short(tmp_path: Path) -> None:
    files = link(lay_out(tmp_path, PROGRAM), "firmware.boards.toy", ["main", "closed"])
    text = "\n".join(files.values())
    for gone in (
        "never_asked",
        "UNUSED",
        "alpha",
        "Text that goes",
        "kernel_slow",
        "FIRST",
        "const",
        "area_of_it",
        "_hidden",
    ):
        assert gone not in text, gone
    for kept in ("kept_by_name", "another_one", "main", "closed"):
        assert kept in text, kept


def test_attributes_share_a_name_only_where_no_object_has_both(tmp_path: Path) -> None:
    program = {
        "firmware/boards/toy.py": """
class One:
    def __init__(self):
        self.first_of_one = 1
        self.second_of_one = 2
class Two(One):
    def third_of_two(self):
        return self.first_of_one + self.second_of_one
class Alone:
    def __init__(self):
        self.only_of_alone = 4
def main(closed=False):
    class Within(Two):
        def fourth_of_two(self):
            return 6
    within = Within()
    alone, two = Alone(), Two()
    two.set_from_outside = 5
    one = (two.first_of_one, two.second_of_one, two.third_of_two(), within.fourth_of_two())
    return (*one, alone.only_of_alone, two.set_from_outside)
"""
    }
    tree = ast.parse(
        link(lay_out(tmp_path, program), "firmware.boards.toy", ["main", "closed"])["firmware/boards/toy.py"]
    )
    tuples = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple) and isinstance(node.elts[0], ast.Attribute | ast.Starred)
    ]
    shown = [
        node.attr for one in tuples for part in one.elts for node in ast.walk(part) if isinstance(node, ast.Attribute)
    ]
    only, outside, first, second, third, fourth = (
        shown if isinstance(tuples[0].elts[0], ast.Starred) else shown[4:] + shown[:4]
    )
    assert len({first, second, third, fourth, outside}) == 5
    assert only in {first, second, third, fourth}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "from protocol import words\nkept = [words]\ndef main(): return kept",
            "module protocol.words used as a value",
        ),
        ("from protocol.words import *\ndef main(): return FIRST", "star import"),
        ("from protocol import words\ndef main(): return words.nowhere", "protocol.words has no nowhere"),
        ("from protocol import words\ndef main():\n    words.FIRST = 2", "protocol.words.FIRST is bound from outside"),
        ("count = 0\ndef main():\n    global count\n    count = 1", "global or nonlocal"),
        ("def main():\n    try: return 1 .x\n    except AttributeError: return 2", "AttributeError is caught"),
        ("class A:\n    one = 1\n    two = one + 1\ndef main(): return A", "a class's own name one"),
        ("import firmware.native\ndef main(): return firmware", "expected `from"),
        ("from firmware import missing\ndef main(): return missing", "firmware"),
        ("def main(:", "cannot read module firmware.boards.toy"),
        ("def main(one='a'): return getattr(main, 'b' + one)", "by a name that is put together"),
        ("def main(): return globals()", "toy.py:1: the linker cannot follow globals"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_place(tmp_path: Path, text: str, expected: str) -> None:
    source = lay_out(tmp_path, PROGRAM | {"firmware/boards/toy.py": text})
    with pytest.raises(LinkingError, match=expected):
        link(source, "firmware.boards.toy", ["main"])


def test_the_application_is_the_same_each_time_and_small() -> None:
    first = pico_application()
    assert pico_application() == first
    wired = {"channels": [{"driver": "pulse"}], "inputs": [{"driver": "bmp280.pressure"}]}
    chosen = pico_application(wired)
    assert set(chosen) == {"firmware/boards/pico.mpy", f"{DRIVERS}bmp280.mpy"}
    assert all(first[path] == data for path, data in chosen.items())
    energy = pico_application({"channels": [{"driver": "bl0942"}], "rtc": {"i2c": 0}})
    assert set(energy) == {
        "firmware/boards/pico.mpy",
        *(f"{DRIVERS}{name}.mpy" for name in ("bl0942", "counter", "ds3231")),
    }
    assert sum(map(len, chosen.values())) <= 48 * 1024


def test_every_driver_that_board_json_may_name_comes_with_its_file() -> None:
    """Their names stand in `firmware.boards.wiring.driver`, and begin with the file's."""
    wiring = ast.parse((Path(__file__).parents[2] / "firmware/boards/wiring.py").read_text())
    (function,) = [node for node in wiring.body if isinstance(node, ast.FunctionDef) and node.name == "driver"]
    compared = [node for node in ast.walk(function) if isinstance(node, ast.Compare)]
    texts = [node.value for one in compared for node in ast.walk(one) if isinstance(node, ast.Constant)]
    drivers = {str(text) for text in texts}
    files = {Path(path).stem for path in pico_sources() if path.startswith(DRIVERS)} - {RTC, "counter"}
    assert {name for name in files if not any(driver.startswith(name) for driver in drivers)} == set()
    assert {driver for driver in drivers if not any(driver.startswith(name) for name in files)} == set()
    assert len(drivers) > len(files) > 4


def test_identifiers_of_micropython_stay() -> None:
    for name in ("append", "from_bytes", "feed", "any", "poll", "readblocks", "unpack_from", "asm_pio"):
        assert name in known(), name


def test_linked_modules_compile(tmp_path: Path) -> None:
    lay_out(tmp_path, pico_sources())
    assert len(compile_packages([tmp_path / "firmware"], "armv6m")) == len(pico_sources())
