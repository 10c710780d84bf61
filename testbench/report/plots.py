"""Plots of a result: error curves with their MPE band, difference against the certificate over time, conversion, line noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Points = list[dict[str, Any]]
BAND = "#4c78a8"
LINE = "#1f3d5c"
BAD = "#c0392b"


def write(result: dict[str, Any], folder: Path) -> list[Path]:
    """SVG files in `folder`, one for each plot that the result has points for."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    written = []
    with mpl.rc_context({"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "svg.hashsalt": "tonne"}):
        for name, (check, draw) in PLOTS.items():
            points = [p for p in result["points"] if p["check"] == check and p["measured"]]
            if len(points) < 2:
                continue
            figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
            draw(axes, points)
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None})
            plt.close(figure)
            written.append(path)
    return written


def _condition(point: dict[str, Any], name: str) -> str:
    return next(value for key, value, _ in point["conditions"] if key == name)


def _series(axes: Any, points: Points, along: str, label: str, colour: str = LINE, band: bool = True) -> None:
    points = sorted(points, key=lambda p: float(_condition(p, along)))
    x = [float(_condition(p, along)) for p in points]
    y = [float(p["measured"]) for p in points]
    u = [float(p["expanded"]) for p in points]
    if band:
        low, high = ([float(p[side]) for p in points] for side in ("low", "high"))
        axes.fill_between(x, low, high, step="post", color=BAND, alpha=0.15, label="limits")
    axes.errorbar(
        x, y, yerr=u if any(u) else None, marker="o", markersize=3, linewidth=1, capsize=2, color=colour, label=label
    )


def flow(axes: Any, points: Points) -> None:
    """Error of indication over flow rate."""
    _series(axes, points, "Q", "error, U")
    axes.set(xscale="log", xlabel="flow rate / m³/h", ylabel="error / %", title="Error of indication with MPE")
    axes.legend(loc="upper right")


def load(axes: Any, points: Points) -> None:
    """Error of energy over current, a curve for each power factor."""
    factors = list(dict.fromkeys(_condition(p, "PF") for p in points))
    shades = [LINE, "#e07b39", "#3a7d44", "#8e44ad", "#7f8c8d"]
    for factor, colour in zip(factors, shades, strict=False):
        members = [p for p in points if _condition(p, "PF") == factor]
        _series(axes, members, "I", f"PF {factor}", colour, band=factor == "1")
    axes.set(xscale="log", xlabel="current / A", ylabel="error / %", title="Error of active energy with MPE at PF 1")
    axes.legend(loc="upper right", ncols=3)


def endurance(axes: Any, points: Points) -> None:
    """CO2 register less exact sum over the years, with the certificate's bound."""
    _series(axes, points, "years", "register less exact sum")
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set(
        xlabel="years of virtual time",
        ylabel="difference / mg",
        title="Difference against the certificate's bound over time",
    )
    axes.legend(loc="upper left")


def conversion(axes: Any, points: Points) -> None:
    """Error of conversion over pressure, a curve for each temperature."""
    temperatures = sorted({float(_condition(p, "T")) for p in points})
    for n, temperature in enumerate(temperatures):
        members = [p for p in points if float(_condition(p, "T")) == temperature]
        shade = n / max(len(temperatures) - 1, 1)
        _series(axes, members, "p", f"{temperature:g} K", (0.1 + 0.8 * shade, 0.25, 0.9 - 0.8 * shade), band=not n)  # type: ignore[arg-type]
    axes.set(
        xlabel="pressure / bar", ylabel="error / %", title="Conversion against AGA8 DETAIL, with the profile's limit"
    )
    axes.legend(loc="upper right", ncols=3, fontsize=7)


def noise(axes: Any, points: Points) -> None:
    """Requests that a readout needs over the bit error rate: the waterfall of the line."""
    points = sorted(points, key=lambda p: float(_condition(p, "BER")))
    rates = [float(_condition(p, "BER")) for p in points]
    axes.loglog(rates, [max(float(p["measured"]), 1) for p in points], "o-", color=LINE, label="measured")
    axes.loglog(rates, [float(p["high"]) for p in points], "--", color=BAD, label="limit")
    axes.set(
        xlabel="bit error rate",
        ylabel="requests a readout",
        title="Readouts through a noisy line: none wrong, none lost",
    )
    axes.legend(loc="upper left")


PLOTS: dict[str, tuple[str, Callable[[Any, Points], None]]] = {
    "error-over-flow": ("flow.error", flow),
    "error-over-load": ("load.error", load),
    "conversion": ("conversion.detail", conversion),
    "endurance": ("endurance.emission", endurance),
    "noise": ("protocol.noise_tries", noise),
}
