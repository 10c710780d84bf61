"""The plan: what is to be tested, how often, against which limits and by which rule. TOML, every key known and checked."""

import hashlib
import itertools
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

from hostlink.profile import ready
from testbench.conformance import limits
from testbench.conformance.decision import RULES, SIMPLE
from testbench.conformance.section import PlanError, Section

SHIPPED = "testbench.conformance.plans"


def interpolate(curve: tuple[tuple[Fraction, Fraction], ...], at: Fraction) -> Fraction:
    """`curve` at `at`, linear between its points and level beyond them; zero if there are none."""
    if not curve or at <= curve[0][0]:
        return curve[0][1] if curve else Fraction(0)
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return curve[-1][1]


@dataclass(frozen=True)
class Flow:
    """Accuracy over flow: a gas meter's class and rated flow rates, m³/h."""

    accuracy: str
    minimum: Fraction
    transitional: Fraction
    maximum: Fraction
    profile: str
    element: tuple[tuple[Fraction, Fraction], ...]
    """Errors in percent of the simulated measuring element, by flow rate."""


@dataclass(frozen=True)
class Load:
    """Accuracy over load: an electricity meter's class, rated currents (A), voltage (V), phases and constant (imp/kWh)."""

    accuracy: str
    starting: Fraction
    minimum: Fraction
    transitional: Fraction
    maximum: Fraction
    voltage: Fraction
    elements: int
    connection: str
    profile: str
    element: tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True)
class Instrument:
    """What the bench measures or stimulates with, and its calibration. `expanded` is U in percent with its k."""

    name: str
    serial: str
    quantity: str
    low: Fraction | None
    high: Fraction | None
    unit: str
    expanded: Fraction
    k: Fraction
    calibrated: str
    due: str
    certificate: str


@dataclass(frozen=True)
class Plant:
    """A stimulator on the bench (`testbench.rigs.serial`): its port, its GPIO by channel and of the device's supply, if any."""

    port: str
    channels: tuple[int, ...]
    power_pin: int | None
    start: Fraction
    """Seconds that the device needs from power to serving."""


@dataclass(frozen=True)
class Expected:
    """What the device must be for the run to begin; empty text: not checked."""

    serial: str = ""
    firmware: str = ""
    software: str = ""
    profile: str = ""


@dataclass(frozen=True)
class Plan:
    """A whole plan. `text` is the file as read, `report` the laboratory's fields as written."""

    name: str
    title: str
    seed: int
    suites: tuple[str, ...]
    items: tuple[str, ...]
    repetitions: int
    rule: str
    ratio: Fraction
    flow: Flow | None
    load: Load | None
    profile: str
    pulse: str
    profiles: tuple[str, ...]
    bit_errors: tuple[str, ...]
    readouts: int
    years: int
    quanta: int
    cuts: int
    instruments: tuple[Instrument, ...]
    plant: Plant | None
    reference: tuple[str, ...] | None
    """The program that gives what the bench's reference measured; empty: a person does; None: stimuli are exact."""
    expected: Expected
    report: dict[str, Any]
    text: str = field(repr=False)
    folder: Path = field(default=Path())

    @property
    def digest(self) -> str:
        """SHA-256 of the plan's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def measured(self) -> list[tuple[str, str]]:
        """Profiles with one constant factor and their pulses: the plan's own first, then those of accuracy over flow and load."""
        own = (self.profile, self.pulse)
        return [own, *((part.profile, "") for part in (self.flow, self.load) if part)]

    def instrument(self, quantity: str) -> Instrument | None:
        """The bench's instrument for "volume", "energy", "time", "pressure" …; None: exact by construction."""
        return next((i for i in self.instruments if i.quantity == quantity), None)


SUITES = (
    "identity", "flow", "load", "emissions", "conversion", "registers", "records", "clock", "profile", "protocol",
    "power", "security", "download", "evidence", "endurance",
)  # fmt: skip


def find(name: str) -> Path:
    """A plan's path: a file, or the name of a shipped one."""
    path = Path(name)
    if path.exists():
        return path
    shipped = Path(str(resources.files(SHIPPED) / f"{name}.toml"))
    if shipped.exists():
        return shipped
    names = sorted(p.stem for p in Path(str(resources.files(SHIPPED))).glob("*.toml"))
    raise PlanError(f"plan {name}: no such file, nor one of the shipped plans: {', '.join(names)}")


def read(name: str) -> Plan:
    """The plan in the file or of the shipped name `name`. Raises PlanError with one line."""
    path = find(name)
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"plan {path.name}: expected TOML: {error}") from None
    return parse(raw, text, path)


def parse(raw: dict[str, Any], text: str, path: Path) -> Plan:
    """The plan from its TOML. Raises PlanError."""
    top = Section(path.name, "", raw)
    suites = tuple(top.strings("suites", list(SUITES)))
    top.check("suites", not set(suites) - set(SUITES), f"suites of {', '.join(SUITES)}", ", ".join(suites))
    rule = top.text("decision", SIMPLE)
    top.check("decision", rule in RULES, " or ".join(f'"{r}"' for r in RULES), rule)
    protocol = top.section("protocol")
    rates = tuple(protocol.strings("bit_errors", ["1e-5", "1e-4", "1e-3", "1e-2"]))
    for rate in rates:
        protocol.check(
            "bit_errors", 0 < protocol.fraction_of("bit_errors", rate) <= Fraction(1, 50), "rates in 0 … 2e-2", rate
        )
    plan = Plan(
        name=path.stem,
        title=top.text("title", "Conformance of an emissions meter"),
        seed=top.integer("seed", 1, 0, 2**63),
        suites=suites,
        items=tuple(top.strings("items", [])),
        repetitions=top.integer("repetitions", 3, 1, 100),
        rule=rule,
        ratio=top.fraction("ratio", 3),
        flow=_flow(top.section("flow")) if top.has("flow") else None,
        load=_load(top.section("load")) if top.has("load") else None,
        profile=top.text("profile", "natural-gas"),
        pulse=top.text("pulse", ""),
        profiles=tuple(top.strings("profiles", ready.names())),
        bit_errors=rates,
        readouts=protocol.integer("readouts", 25, 1, 10**6),
        quanta=top.section("registers").integer("quanta", 100, 1, 10_000),
        years=top.section("endurance").integer("years", 20, 1, 50),
        cuts=top.section("power").integer("cuts", 20, 1, 500),
        instruments=tuple(
            _instrument(top.within("instrument", n, row)) for n, row in enumerate(top.rows("instrument"))
        ),
        plant=_plant(top.section("stimulator")) if top.has("stimulator") else None,
        reference=tuple(top.section("reference").strings("command", [])) if top.has("reference") else None,
        expected=_expected(top.section("expected")),
        report=_report(top.section("report")),
        text=text,
        folder=path.parent,
    )
    top.finish()
    return plan


def _flow(section: Section) -> Flow:
    flow = Flow(
        section.text("class"),
        section.fraction("Qmin"),
        section.fraction("Qt"),
        section.fraction("Qmax"),
        section.text("profile", "natural-gas"),
        section.curve("element", "flow rate, error %"),
    )
    section.check("class", flow.accuracy in limits.GAS, f"one of {', '.join(limits.GAS)}", flow.accuracy)
    section.ascending(("Qmin", flow.minimum), ("Qt", flow.transitional), ("Qmax", flow.maximum))
    return flow


def _load(section: Section) -> Load:
    load = Load(
        section.text("class"),
        section.fraction("Ist"),
        section.fraction("Imin"),
        section.fraction("Itr"),
        section.fraction("Imax"),
        section.fraction("U", 230),
        section.integer("elements", 1, 1, 3),
        section.text("connection", "direct"),
        section.text("profile", "electricity"),
        section.curve("element", "current, error %"),
    )
    section.check("class", load.accuracy in ("A", "B", "C", "D", "E"), "one of A, B, C, D, E", load.accuracy)
    section.check("connection", load.connection in limits.STARTING, '"direct" or "transformer"', load.connection)
    section.check(
        "class",
        load.accuracy in limits.STARTING[load.connection],
        f"a class for {load.connection} connection",
        load.accuracy,
    )
    section.ascending(
        ("Ist", load.starting), ("Imin", load.minimum), ("Itr", load.transitional), ("Imax", load.maximum)
    )
    return load


def _instrument(section: Section) -> Instrument:
    span = section.curve("range", "low, high", flat=True)
    if span and span[0][0] >= span[0][1]:
        section.fail("range", "low below high", f"{float(span[0][0]):g}, {float(span[0][1]):g}")
    return Instrument(
        section.text("name"),
        section.text("serial"),
        section.text("quantity"),
        span[0][0] if span else None,
        span[0][1] if span else None,
        section.text("unit", ""),
        section.fraction("expanded", 0),
        section.fraction("k", 2),
        section.day("calibrated"),
        section.day("due"),
        section.text("certificate", ""),
    )


def _plant(section: Section) -> Plant:
    pins = section.integers("channels", 0, 29)
    power = section.integer("power_pin", -1, -1, 29)
    section.check("channels", len(pins) > 0, "a GPIO for each channel", pins)
    return Plant(section.text("port"), tuple(pins), None if power < 0 else power, section.fraction("start", 2))


def _expected(section: Section) -> Expected:
    return Expected(*(section.text(key, "") for key in ("serial", "firmware", "software", "profile")))


REPORT_KEYS = (
    "identification", "laboratory", "address", "email", "location", "customer", "contact", "customer_email", "item",
    "manufacturer", "model", "condition", "received", "method", "deviations", "authorized", "position", "externals",
    "ambient", "humidity", "pressure", "traceability", "country",
)  # fmt: skip


def _report(section: Section) -> dict[str, Any]:
    return {key: section.text(key, "") for key in REPORT_KEYS}


Cases = Callable[[Plan], list[Any]]
