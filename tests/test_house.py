"""The house: imports go one way, and every room has its folder of tests."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "protocol": {"protocol"},
    "firmware": {"firmware", "protocol"},
    "hostlink": {"hostlink", "protocol"},
    "testbench": {"testbench", "hostlink", "protocol"},
}
TOP_LEVEL = {"firmware", "hostlink", "protocol", "testbench", "tests", "docs"}
ON_A_BOARD = "Runs on MicroPython"
"""In the docstring of the bench's own code for a board: the second board's firmware, flash that loses power."""


def imported(path: Path) -> set[str]:
    """Top-level names that a module imports, relative imports as their own package, and paths given to import_module."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(path.relative_to(ROOT).parts[0] if node.level else (node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            names |= {str(a.value).split(".")[0] for a in node.args if isinstance(a, ast.Constant)}
    return names


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_go_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if package != "testbench" or ON_A_BOARD not in path.read_text()
        for name in sorted(imported(path) & (set(MAY_IMPORT) | {"tests"}) - MAY_IMPORT[package])
    ]
    assert not wrong


def test_the_check_sees_what_it_forbids() -> None:
    assert imported(ROOT / "hostlink" / "link.py") >= {"hostlink", "protocol"}
    assert "firmware" in imported(ROOT / "firmware/meter.py")
    assert "protocol" in imported(ROOT / "protocol/deframer.py")  # from . import frame


def test_every_folder_of_code_has_one_of_tests() -> None:
    assert all((ROOT / "tests" / package).is_dir() for package in MAY_IMPORT)


def test_the_top_level_is_the_house_and_nothing_else() -> None:
    folders = {path.parent for path in ROOT.glob("*/**/*.py") if not path.is_relative_to(ROOT / ".venv")}
    tops = {path.relative_to(ROOT).parts[0] for path in folders} - {"build", "out", "dist"}
    assert {name for name in tops if not name.startswith((".", "tonne.egg"))} <= TOP_LEVEL


def test_every_file_of_a_package_is_in_the_wheel() -> None:
    """`tonne conformance` from a wheel once lacked the settings of its own pytest."""
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    for package in MAY_IMPORT:
        files = [path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix != ".py"]
        files = [path for path in files if "__pycache__" not in path.parts]
        left_out = [path for path in files if not any(path.match(pattern) for pattern in shipped)]
        assert not [str(path.relative_to(ROOT)) for path in left_out]
