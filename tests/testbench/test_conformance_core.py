"""Plans, decisions, budgets and journals of the conformance suite, without a device."""

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbench.conformance import decision, figures, limits, noise, plan, requirements, results, uncertainty
from testbench.conformance.decision import FAIL, GUARD, INCONCLUSIVE, PASS, SIMPLE
from testbench.conformance.section import PlanError

GOOD = plan.find("demo").read_text()


def parsed(text: str, tmp_path: Path) -> plan.Plan:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    return plan.read(str(path))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = 20261125", "sed = 1", "plan lab.toml: unknown key sed"),
        ("class = 1.5", "clas = 1.5", r"\[flow\]: class is missing"),
        ("class = 1.5", "class = 3", r"class: expected one of 0.5, 1, 1.5, got 3"),
        ("Qt = 0.6", "Qt = 9", r"\[flow\]: Qmax: expected above Qt \(9\), got 6"),
        ("Qmin = 0.04", "Qmin = 0", r"Qmin: expected above 0, got 0"),
        ("Qmin = 0.04", "Qmin = 'a'", "Qmin: expected a number, got 'a'"),
        ("Ist = 0.02", "Ist = 0.3", r"\[load\]: Imin: expected above Ist"),
        ('decision = "simple acceptance"', 'decision = "luck"', "decision: expected .*guard band.*, got luck"),
        ("repetitions = 3", "repetitions = 0", "repetitions: expected a whole number 1 … 100, got 0"),
        ("repetitions = 3", 'suites = ["flaw"]', "suites of .*, got flaw"),
        ("repetitions = 3", 'protocol = {bit_errors = ["0.5"]}', "bit_errors: expected rates"),
        ("range = [0.01, 10]", "range = [10, 0.01]", r"\[instrument 1\]: range: expected low below high"),
        ("due = 2027-11-01", "due = 7", r"due: expected a date"),
        ("element = [[0.04, -1.4]", "element = [[0.04]", r"\[flow\]: element: expected pairs of numbers"),
        ("ratio = 3", "ratio = ", "expected TOML"),
        ("repetitions = 3", "stimulator = {port = '/dev/ttyACM1'}", r"\[stimulator\]: channels: expected a GPIO for each channel"),
        ("repetitions = 3", "stimulator = {port = 'a', channels = [40]}", "whole numbers 0 … 29 in a list"),
        ('location = "this computer"', 'place = "x"', r"\[report\]: unknown key place; known here: address"),
    ],
)
def test_a_bad_plan_is_one_clear_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(PlanError, match=says) as error:
        parsed(GOOD.replace(old, new, 1), tmp_path)
    assert "\n" not in str(error.value)


def test_a_plan_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(PlanError, match=r"no such file.*demo"):
        plan.read("nowhere.toml")


def test_numbers_of_a_plan_are_exact(tmp_path: Path) -> None:
    flow = parsed(GOOD, tmp_path).flow
    assert flow is not None and flow.minimum == Fraction(4, 100) and flow.accuracy == "1.5"


@given(st.fractions(-10, 10), st.fractions(0, 3), st.fractions(Fraction(1, 10), 5))
def test_decisions_hold_what_they_promise(measured: Fraction, expanded: Fraction, mpe: Fraction) -> None:
    guard = decision.decide(GUARD, measured, expanded, -mpe, mpe, Fraction(3))
    simple = decision.decide(SIMPLE, measured, expanded, -mpe, mpe, Fraction(3))
    assert (guard == PASS) == (abs(measured) + expanded <= mpe)
    assert (guard == FAIL) == (abs(measured) - expanded > mpe)
    assert (simple == INCONCLUSIVE) == (expanded > mpe / 3)
    if simple != INCONCLUSIVE:
        assert simple == (PASS if abs(measured) <= mpe else FAIL)
        assert {simple, guard} != {PASS, FAIL}


def test_one_sided_and_exact_decisions() -> None:
    assert decision.decide(SIMPLE, Fraction(0), Fraction(0), None, Fraction(0), Fraction(3)) == PASS
    assert decision.decide(SIMPLE, Fraction(1), Fraction(0), None, Fraction(0), Fraction(3)) == FAIL
    assert decision.decide(GUARD, Fraction(150), Fraction(0), Fraction(150), None, Fraction(3)) == PASS


def test_student_table_is_the_distribution() -> None:
    for freedom, t in uncertainty.STUDENT[:-1]:
        x = np.linspace(0, t, 20001)
        density = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
        inside = 2 * np.trapezoid(density * (1 + x * x / freedom) ** (-(freedom + 1) / 2), x)
        assert inside == pytest.approx(0.9545, abs=0.0012), freedom


def test_budget_against_hand_calculation() -> None:
    inputs = [
        uncertainty.Input("a", 10.0, 0.3, "m", uncertainty.RECTANGULAR),
        uncertainty.Input("b", 5.0, 0.1, "s", uncertainty.NORMAL, 2.0, 9),
    ]
    budget = uncertainty.evaluate(lambda a, b: 2 * a / b, inputs)
    ua, ub = 2 / 5 * 0.3 / math.sqrt(3), 20 / 25 * 0.05
    assert budget.combined == pytest.approx(math.hypot(ua, ub))
    assert budget.freedom == pytest.approx(budget.combined**4 / (ub**4 / 9))
    assert budget.k == 2.025 if budget.freedom > 100 else budget.k > 2.025
    assert float(budget.expanded) == pytest.approx(budget.k * budget.combined)
    assert uncertainty.coverage_factor(9.9) == 2.32 and uncertainty.coverage_factor(math.inf) == 2.0


@pytest.mark.parametrize(
    ("value", "expanded", "shown", "u"),
    [
        ("1.23456", "0.0312", "1.235", "0.032"),
        ("-0.0004", "0.034", "0.000", "0.034"),
        ("123456", "780", "123456", "780"),
        ("0.5", "0.0996", "0.500", "0.100"),
        ("7", "0", "7", "0"),
        ("0.33333333333", "0", "0.333333", "0"),
        ("-0.000000000000574285123", "0", "-5.74285e-13", "0"),
        ("0.0001", "0", "0.0001", "0"),
    ],
)
def test_figures(value: str, expanded: str, shown: str, u: str) -> None:
    assert figures.measured_text(Fraction(value), Fraction(expanded)) == shown
    assert figures.expanded_text(Fraction(expanded)) == u


def test_limits_of_electricity_as_read() -> None:
    low, tr = Fraction(1, 4), Fraction(1, 2)
    assert limits.energy("B", "1", Fraction(60), low, tr) == 1
    assert limits.energy("B", "1", Fraction(1, 8), low, tr) == 3
    assert limits.energy("A", "0.25L", Fraction(60), low, tr) is None
    assert limits.energy("C", "0.5L", Fraction(3, 10), low, tr) == 1


def test_memory_may_warn_but_never_certifies() -> None:
    table = requirements.table()
    assert {r.status for r in table.values()} == {"verified", "secondary", "memory"}
    point = {"certifies": True, "verdict": "pass"}
    warning = {"certifies": False, "verdict": "fail"}
    assert results.overall([point, warning], [], "") == "pass"
    assert results.overall([warning | {"verdict": "pass"}], [], "") == "incomplete"
    assert results.overall([point], ["an item"], "") == "incomplete"
    assert results.overall([point], [], "disk full") == "incomplete"
    assert results.overall([point, point | {"verdict": "inconclusive"}], [], "") == "inconclusive"
    assert results.overall([point, point | {"verdict": "fail"}], [], "") == "fail"


HEAD = {"plan": "a", "suite": "b", "seed": 1, "rig": "unix", "item": {"serial": "x"}}
POINT = results.Point("i", "s", "c", "w", "mid-gas-mpe", [("Q", "1", "m³/h")], "1", "1", "", "2", "0", "", "pass", True)


def test_a_journal_goes_on_and_drops_a_torn_line(tmp_path: Path) -> None:
    journal = results.Journal(tmp_path, HEAD)
    journal.add(results.Item("one", "done", "", 1.0, [POINT]))
    journal.add(results.Item("two", "stopped", "dead", 1.0, []))
    journal.close()
    with (tmp_path / results.JOURNAL).open("a") as file:
        file.write('{"name": "thr')
    again = results.Journal(tmp_path, HEAD)
    assert list(again.items) == ["one"] and again.items["one"].points == [POINT]
    again.close()
    with pytest.raises(PlanError, match="another seed"):
        results.Journal(tmp_path, {**HEAD, "seed": 2})


def test_results_are_whole_or_not_there(tmp_path: Path) -> None:
    result = results.assemble(HEAD, ["one", "two"], {"one": results.Item("one", "done", "", 1.0, [POINT])}, {})
    assert result["verdict"] == "incomplete" and result["missing"] == ["two"]
    path = results.save(tmp_path, result)
    assert json.loads(path.read_text())["points"][0]["id"] == "i" and not list(tmp_path.glob("*.part"))
    assert replace(POINT, verdict="fail").verdict == "fail"


def test_frames_with_bit_errors_are_never_taken_for_good_ones() -> None:
    """A sample of `make noise`."""
    tally = noise.run(6400, 1e-3, seed=3)
    assert tally.sent >= 6400 and 0.5 < tally.accepted / tally.sent < 0.8
    assert not tally.wrong and not tally.incomplete and tally.readouts
