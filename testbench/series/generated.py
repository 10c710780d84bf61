"""Makes the series that are not measured, and those that mix measured counts with generated conditions.

    python -m testbench.series.generated FOLDER [ampds2_Electricity_B1E-11.csv]

The same numbers on every run. Each file's first line says what of it is generated. The electricity series is made from the
AMPds2 file, which is not shipped as such; without it only the others are made.
"""

import csv
import lzma
import math
import random
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

from testbench.series import CUBIC_FOOT, furnace_gas

START = 1_772_323_200
"""2026-03-01T00:00:00Z"""
STEP = 300
DAYS = 7
WEEKS_LATER = 470
"""The electricity of 2014 is shown as of 2023, the same day of the week, for a factor that holds in 2023."""

Row = list[object]


def _wave(time: int, hour: float) -> float:
    """Between -1 and 1 over a day, highest at `hour` UTC."""
    return math.cos(2 * math.pi * (time / 86400 - hour / 24))


def _rows(make: Callable[[random.Random, int, int], Row], seed: int) -> Iterator[Row]:
    source = random.Random(seed)
    for n in range(DAYS * 86400 // STEP):
        time = START + n * STEP
        yield [time, *make(source, time, n)]


def coal_boiler(source: random.Random, time: int, n: int) -> Row:
    """A boiler that follows the day's demand: kg a row."""
    return [max(0, round(900 + 400 * _wave(time, 9) + source.gauss(0, 60)))]


def steel_plant(source: random.Random, time: int, n: int) -> Row:
    """Charges every half hour, a cast every hour, slag after it: kg a row."""
    return [
        round(source.gauss(22_000, 900)) if n % 6 == 0 else 0,
        round(source.gauss(9_000, 400)) if n % 6 == 3 else 0,
        round(source.gauss(78_000, 2_500)) if n % 12 == 8 else 0,
        round(source.gauss(21_000, 1_200)) if n % 12 == 10 else 0,
    ]


def _fills(litres: float, busy: float) -> Callable[[random.Random, int, int], Row]:
    def make(source: random.Random, time: int, n: int) -> Row:
        open_now = _wave(time, 12) > -0.5
        return [round(100 * max(5.0, source.gauss(litres, litres / 3))) if open_now and source.random() < busy else 0]

    return make


def stack(source: random.Random, time: int, n: int) -> Row:
    """A stack with an analyser that is calibrated once a day, twelve minutes of no value."""
    load = 0.75 + 0.2 * _wave(time, 10) + source.gauss(0, 0.02)
    calibrating = n % (86400 // STEP) in (36, 37, 38)
    return [
        round(12_000 * load),
        "" if calibrating else f"{180 + 40 * load + source.gauss(0, 2):.3f}",
        f"{101.0 + 0.8 * _wave(time, 4) + source.gauss(0, 0.05):.3f}",
        f"{130 + 40 * load + source.gauss(0, 1.5):.1f}",
    ]


def co2_capture(source: random.Random, time: int, n: int) -> Row:
    """A compressor that runs in blocks; purity dips when it starts."""
    running = n % 48 >= 4
    purity = 0.9955 + source.gauss(0, 0.0008) - (0.03 if n % 48 == 4 else 0)
    return [round(source.gauss(3_200, 40)) if running else 0, 120 if n % 48 == 3 else 0, f"{min(purity, 1):.6f}"]


def methane_slip(source: random.Random, time: int, n: int) -> Row:
    """An engine that runs from six to twenty-two: 0.1 m³ a row."""
    return [max(0, round(source.gauss(310, 15))) if 6 <= time % 86400 // 3600 < 22 else 0]


def solar(source: random.Random, time: int, n: int) -> Row:
    """A house and its roof: Wh consumed, Wh exported."""
    sun = max(0.0, _wave(time, 4)) * source.uniform(0.4, 1.0)
    return [round(source.expovariate(1 / 45)), round(380 * sun)]


GENERATED: dict[str, tuple[str, Callable[[random.Random, int, int], Row]]] = {
    "coal-boiler": ("coal", coal_boiler),
    "steel-plant": ("coke,limestone,steel,slag", steel_plant),
    "transport-diesel": ("diesel", _fills(60, 0.25)),
    "transport-petrol": ("petrol", _fills(38, 0.4)),
    "transport-lng": ("lng", _fills(180, 0.08)),
    "stack": ("flow,concentration,pressure [kPa],temperature [°C]", stack),
    "co2-capture": ("stream,vented,purity", co2_capture),
    "methane-slip": ("gas", methane_slip),
    "electricity-time-of-use": ("energy,export", solar),
}


def furnace_with_conditions() -> Iterator[Row]:
    """The measured furnace in pulses of 10 dm³, under generated pressure and temperature; some readings fail."""
    source = random.Random(11)
    volume = Decimal(0)
    counted = 0
    for time, pulses in furnace_gas():
        volume += pulses * CUBIC_FOOT
        count = int(volume // 10) - counted
        counted += count
        if count or time % 3600 == 0:
            pressure = 2.0 + 0.15 * _wave(time, 15) + source.gauss(0, 0.01)
            celsius = 4 + 8 * _wave(time, 22) + source.gauss(0, 0.5)
            failed = source.random()
            shown = "" if failed < 0.002 else "0.75" if failed < 0.004 else f"{pressure:.5f}"
            yield [time, count, shown, f"{celsius:.2f}"]


def electricity(path: Path, dated: bool) -> Iterator[Row]:
    """Measured Wh of a bedroom, nine years later; with the hour's generated intensity where `dated`, some hours without."""
    source = random.Random(12)
    before = None
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            total = int(row["Pt"])
            count = 0 if before is None else total - before
            before = total
            time = int(row["unix_ts"]) + WEEKS_LATER * 7 * 86400
            on_hour = time % 3600 == 0
            if count or on_hour:
                intensity = (
                    f"{0.55 + 0.12 * _wave(time, 3) + source.gauss(0, 0.02):.6f}" if source.random() > 0.05 else ""
                )
                yield [time, count, *([intensity if on_hour else ""] if dated else [])]


def write(path: Path, label: str, heading: str, rows: Iterator[Row]) -> None:
    """One compressed file: what it is, its heading, its rows."""
    with lzma.open(path, "wt", newline="", preset=9) as file:
        file.write(f"# {label}\nunix_ts,{heading}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)


def main(folder: Path, measured: Path | None) -> None:
    """Make all series into `folder`."""
    for seed, (name, (heading, make)) in enumerate(GENERATED.items(), 1):
        write(folder / f"{name}.csv.xz", "generated, not measured", heading, _rows(make, seed))
    label = "counts measured (AMPds2 FRG, CC BY 4.0), pressure and temperature generated"
    write(folder / "natural-gas-pt.csv.xz", label, "gas,pressure [bar],temperature [°C]", furnace_with_conditions())
    if measured:
        label = "measured (AMPds2 B1E, CC BY 4.0), shown 470 weeks later"
        write(folder / "electricity.csv.xz", label, "energy", electricity(measured, False))
        label += "; intensity generated"
        write(folder / "electricity-hourly.csv.xz", label, "energy,intensity [kg/kWh]", electricity(measured, True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
