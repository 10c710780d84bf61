"""The pytest plugin: options, cases from the plan, the fixture `bench`, and every item's points into the run's journal.

pytest --pyargs testbench.conformance.suites --tonne-plan demo --tonne-rig unix --tonne-out out/conformance
"""

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hostlink.errors import DataError, LinkError, ProofError, Refused, TonneError

FOLDER = Path(__file__).with_name("suites")
"""What is collected from elsewhere is none of this plugin's business, whatever its fixtures are called."""
STOPS_IN_A_ROW = 3
"""So many items in a row that the device did not survive end the run."""

_PLAN = pytest.StashKey[Any]()
_RUN = pytest.StashKey[Any]()


class PointsFailed(Exception):
    """The item's verdict: which of its points failed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tonne", "conformance of a meter")
    group.addoption("--tonne-plan", default="demo", help="plan: a TOML file, or the name of a shipped one")
    group.addoption("--tonne-rig", default="unix", help="unix, pico or serial:URL")
    group.addoption("--tonne-out", default="out/conformance", help="folder for journal, results and captures")
    group.addoption(
        "--tonne-root", default=None, help="folder with the packages firmware and protocol that the rig runs"
    )
    group.addoption(
        "--tonne-items", default="", help="only items that begin so, comma between; the run stays incomplete"
    )
    group.addoption("--tonne-fresh", action="store_true", help="overwrite an earlier run in the same folder")
    group.addoption("--tonne-events", type=int, default=None, help="file descriptor for progress events")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cases(function): one case for each value of function(plan)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("cases")
    if marker is None or "case" not in metafunc.fixturenames:
        return
    values = marker.args[0](_plan(metafunc.config))
    metafunc.parametrize("case", values, ids=[_id(value) for value in values])


def _id(value: Any) -> str:
    return str(getattr(value, "id", value)).replace("::", ":")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if _is_ours(item)]
    if not ours or config.option.collectonly:
        return
    from testbench.conformance.suites import order, suites

    plan = _plan(config)
    wanted = [item for item in ours if _name(item).split(".")[0] in plan.suites and "NOTSET" not in item.name]
    wanted = [item for item in wanted if not plan.items or _name(item).startswith(plan.items)]
    chosen = tuple(filter(None, config.option.tonne_items.split(",")))
    wanted = [item for item in wanted if not chosen or _name(item).startswith(chosen)]
    wanted.sort(key=lambda item: order(_name(item)))
    collected = {_name(item).split(".")[0] for item in ours}
    run = _begin(config, [_name(item) for item in wanted])
    left_out = sorted(set(plan.suites) & suites() - collected)
    if left_out or chosen or config.option.keyword or config.option.markexpr:
        run.reason = f"only a part of the plan was run; not selected: {', '.join(left_out) or 'some items'}"
    done = [item for item in wanted if run.is_done(_name(item))]
    config.hook.pytest_deselected(items=[item for item in ours if item not in wanted or item in done])
    items[:] = [item for item in items if item not in ours] + [item for item in wanted if item not in done]


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The bench of this item (`testbench.conformance.bench.Bench`)."""
    from testbench.conformance.bench import Bench

    run, recorder, open_ = request.config.stash[_RUN]
    name = _name(request.node)
    recorder.begin(name)
    root = request.config.option.tonne_root
    yield Bench(run.plan, name, open_, run.earlier, Path(root) if root else None)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    bench: Any = pyfuncitem.funcargs.get("bench") if _is_ours(pyfuncitem) else None
    if bench is None:
        return (yield)
    from testbench.conformance.bench import Inapplicable

    result = None
    try:
        result = yield
    except Inapplicable as why:
        bench.inapplicable(f"{bench.suite}.applicable", "tonne-messages", str(why), [("test", bench.name, "")])
    except (DataError, ProofError, Refused) as error:
        bench.none(
            f"{bench.suite}.answers",
            "tonne-messages",
            [f"{type(error).__name__}: {error}"],
            "what the meter says can be read",
            [("test", bench.name, "")],
        )
    failed = [p for p in bench.points if p.verdict == "fail"]
    if failed:
        raise PointsFailed("; ".join(f"{p.id}: {p.measured} {p.unit} {p.note}" for p in failed))
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    bench: Any = getattr(item, "funcargs", {}).get("bench")
    if not _is_ours(item) or call.when == "teardown":
        return report
    if call.when == "setup" and call.excinfo is None:
        return report
    from testbench.conformance.results import Item

    error = call.excinfo.value if call.excinfo else None
    stopped = error is not None and not isinstance(error, PointsFailed)
    if isinstance(error, (PointsFailed, TonneError)):
        report.longrepr = str(error)
    reason = f"{type(error).__name__}: {error}" if stopped else ""
    run = item.config.stash[_RUN][0]
    try:
        run.add(
            Item(_name(item), "stopped" if stopped else "done", reason[:500], round(call.duration, 3), bench.points)
        )
    except OSError as full:
        run.reason = f"the result could not be written: {full}"
        raise pytest.exit.Exception(f"{run.reason}; what was written stands, marked incomplete", 2) from None
    _give_up(item, run, isinstance(error, LinkError) or (stopped and getattr(error, "exit_code", 0) == 3), reason)
    return report


def _give_up(item: pytest.Item, run: Any, lost: bool, reason: str) -> None:
    run.lost = run.lost + 1 if lost else 0
    if run.lost >= STOPS_IN_A_ROW:
        run.reason = f"the device did not survive {STOPS_IN_A_ROW} items in a row; last: {reason}"
        raise pytest.exit.Exception(run.reason, 3)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _RUN in session.config.stash:
        run, recorder, _ = session.config.stash[_RUN]
        if exitstatus == pytest.ExitCode.INTERRUPTED and not run.reason:
            run.reason = "interrupted; the same command goes on with it"
        try:
            run.digests["capture"] = recorder.digest()
            run.close()
        except OSError as full:
            session.shouldfail = f"the result could not be written: {full}"
        recorder.close()


def _plan(config: pytest.Config) -> Any:
    if _PLAN not in config.stash:
        from testbench.conformance.plan import read

        try:
            config.stash[_PLAN] = read(config.option.tonne_plan)
        except TonneError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[_PLAN]


def _begin(config: pytest.Config, planned: list[str]) -> Any:
    from testbench.conformance import profiles, rigs
    from testbench.conformance.line import Script
    from testbench.conformance.operator import Operator
    from testbench.conformance.recorder import CAPTURE, Recorder, scripts
    from testbench.conformance.reference import by_person, by_program, kept
    from testbench.conformance.replay import earlier
    from testbench.conformance.results import JOURNAL
    from testbench.conformance.run import REPLAY, Run

    option = config.option
    folder = Path(option.tonne_out)
    plan = _plan(config)
    if option.tonne_fresh:
        for name in (JOURNAL, CAPTURE):
            (folder / name).unlink(missing_ok=True)
    events = os.fdopen(option.tonne_events, "w") if option.tonne_events is not None else None
    run = Run(plan, option.tonne_rig, folder, events)
    try:
        recorder = Recorder(folder, option.tonne_rig)
        root = Path(option.tonne_root) if option.tonne_root else None
        kind, _, where = option.tonne_rig.partition(":")
        held: dict[str, Script] = {}
        wanted = option.tonne_rig
        if kind == REPLAY:
            held = scripts(Path(where))
            kind = earlier(Path(where).parent)["rig"]
            wanted = f"{REPLAY}:{kind}"
        operator = Operator(events, lambda: _uncapture(config))
        measured = None
        if plan.reference is not None and not held:
            measured = by_program(plan.reference, where) if plan.reference else by_person(operator)
            measured = kept(measured, recorder.reading)
        open_ = rigs.opener(
            wanted, recorder.tap, lambda: held.get(recorder.item, Script(())), root, operator, plan.plant, measured
        )
        recorder.begin("identify")
        image, *_ = [profiles.named(name, pulse).image for name, pulse in plan.measured]
        run.begin(planned, open_, image, loaded=kind != "serial")
    except (TonneError, OSError) as error:
        run.reason = f"the run could not be written: {error}" if isinstance(error, OSError) else str(error)
        with suppress(OSError):
            run.close()
        raise pytest.exit.Exception(str(error), getattr(error, "exit_code", 2)) from None
    config.stash[_RUN] = (run, recorder, open_)
    return run


def _is_ours(item: pytest.Item) -> bool:
    return item.path.parent == FOLDER and "bench" in getattr(item, "fixturenames", ())


def _name(item: pytest.Item) -> str:
    module = Path(item.path).stem.removeprefix("test_")
    return f"{module}.{item.name.removeprefix('test_')}"


def _uncapture(config: pytest.Config) -> None:
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:
        capture.suspend_global_capture(in_=True)
