"""`python -m testbench.bench.profiles`: the numbers of emission profiles, each beside the limit that it has."""

import csv
import sys
import time
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hostlink.errors import UsageError
from hostlink.factors import composition, compositions
from hostlink.profile import ready
from hostlink.profile.certificate import bounds, certificate
from hostlink.profile.compiler import compile_profile
from hostlink.profile.detail import Gas, components
from hostlink.profile.sources import base, gas_property
from hostlink.profile.surface import LARGEST, Axis, gas_conversion
from hostlink.profile.units import registry

PRESSURE = Axis(0, 80_000, 1_000_000, Fraction(1))
TEMPERATURE = Axis(1, 24_815, 32_815, Fraction(1, 100))
BASE = Fraction(101_325), Fraction("293.15")
CONVERSION = Fraction(2, 10_000)
COMPILE_SECONDS = 2.0
GOLDEN = Path(__file__).parents[2] / "tests/hostlink/profile/data/co2_per_m3_golden.csv"
GASES = {"Gulf Coast": "gulf-coast", "Amarillo": "amarillo", "High N2": "high-n2"}


def main() -> int:
    """Print all tables; 1 if a limit is not kept."""
    console = Console(width=120)
    kept = [_conversions(console), _profiles(console), _golden(console), _default(console)]
    return 0 if all(kept) else 1


def _conversions(console: Console) -> bool:
    table = Table(title="p,T conversion, −25…55 °C, 0.8…10 bar, to 20 °C and 101.325 kPa", title_justify="left")
    for column in (
        "gas",
        "nodes",
        "bytes",
        "interpolation ppm",
        "rounding ppm",
        "bound / 0.02 %",
        f"bytes / {LARGEST}",
    ):
        table.add_column(column, justify="right" if column != "gas" else "left")
    kept = True
    for name, gas in compositions().items():
        if not set(gas.fractions) <= set(components()):
            continue
        try:
            made = gas_conversion(Gas(gas.fractions), BASE, PRESSURE, TEMPERATURE)
        except UsageError as error:
            console.print(f"{name}: refused: {error}")
            continue
        kept &= made.bound <= CONVERSION and len(made.data) <= LARGEST
        table.add_row(
            name,
            f"{made.nodes[0]} × {made.nodes[1]}",
            str(len(made.data)),
            f"{float(made.interpolation) * 1e6:.1f}",
            f"{float(made.rounding) * 1e6:.1f}",
            f"{float(made.bound / CONVERSION):.2f}",
            f"{len(made.data) / LARGEST:.2f}",
        )
    console.print(table)
    return kept


def _profiles(console: Console) -> bool:
    registry()  # Pint's units are read once a process.
    table = Table(title="ready profiles", title_justify="left")
    for column in (
        "profile",
        "image bytes",
        "compile s",
        f"/ {COMPILE_SECONDS:g} s",
        "with certificate s",
        "a (worst), unit",
        "b ppm",
    ):
        table.add_column(column, justify="right" if column != "profile" else "left")
    kept = True
    for name in ready.names():
        started = time.process_time()
        made = compile_profile(ready.load(name))
        compiled = time.process_time() - started
        for one in made:
            certificate(one)
        certified = time.process_time() - started
        found = [bounds(one) for one in made]
        a = max(pair[0] for one in found for pair in one.values())
        b = max(pair[1] for one in found for pair in one.values())
        kept &= compiled < COMPILE_SECONDS
        table.add_row(
            name, str(len(made[0].data)), f"{compiled:.2f}", f"{compiled / COMPILE_SECONDS:.2f}", f"{certified:.2f}",
            f"{float(a):.3g}", f"{float(b) * 1e6:.3g}",
        )  # fmt: skip
    console.print(table)
    return kept


def _golden(console: Console) -> bool:
    worst = 0.0
    with GOLDEN.open(newline="") as file:
        for row in csv.DictReader(file):
            state = base(row["base_condition"].replace(" C,", " °C,"))
            got = gas_property(Gas(composition(GASES[row["gas"]]).fractions), "co2 per volume", state)
            worst = max(worst, abs(float(got) / float(row["kgCO2_per_m3_full_oxidation"]) - 1))
    console.print(
        f"co2_per_m3_golden.csv: largest relative difference {worst:.1e}, {worst / 1e-5:.1e} of the limit 1e-5"
    )
    return worst <= 1e-5


def _default(console: Console) -> bool:
    (made,) = compile_profile(ready.load("natural-gas", gas="1 m³"))
    value = made.rows[0].exact / 10**6
    console.print(
        f"GB/T natural gas default: {float(value):.7f} kg CO2 a m³, to four places {round(float(value), 4)} (2.1622)"
    )
    return round(float(value), 4) == 2.1622


if __name__ == "__main__":
    sys.exit(main())
