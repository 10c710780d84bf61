"""`pyaga8` with component names and SI units of our own."""

from collections.abc import Mapping
from fractions import Fraction

from hostlink.errors import UsageError

_NAMES = {
    "n-hexane": "hexane",
    "n-heptane": "heptane",
    "n-octane": "octane",
    "n-nonane": "nonane",
    "n-decane": "decane",
}


class Detail:
    """AGA8 DETAIL by pyaga8 for one gas of mole fractions."""

    def __init__(self, fractions: Mapping[str, Fraction]) -> None:
        try:
            import pyaga8
        except ImportError:
            raise UsageError("pyaga8 is not installed: pip install 'tonne[profile]'") from None
        composition = pyaga8.Composition()
        for name, x in fractions.items():
            setattr(composition, _NAMES.get(name, name).replace(" ", "_").replace("-", "_"), float(x))
        self._detail = pyaga8.Detail()
        self._detail.set_composition(composition)

    def z(self, pressure: float, temperature: float) -> float:
        """Compressibility factor at Pa and K."""
        self._detail.pressure = pressure / 1000
        self._detail.temperature = temperature
        self._detail.calc_density()
        self._detail.calc_properties()
        return self._detail.z
