"""The suites. A test takes `bench`, opens a device, measures, and puts points on record; `cases` come from the plan."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testbench.conformance.plan import SUITES, Plan


def cases(function: Callable[[Plan], list[Any]]) -> pytest.MarkDecorator:
    """One case for each value of `function(plan)`; none: the test does not apply to the plan."""
    return pytest.mark.cases.with_args(function)


def order(name: str) -> int:
    """Where a suite stands among the others; within it, items keep the order of the file."""
    return SUITES.index(name.split(".")[0])


def suites() -> set[str]:
    """The names of the suites that there are."""
    return {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
