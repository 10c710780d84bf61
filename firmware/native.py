"""The compiled twins where the port has a native emitter, the plain ones elsewhere. Import the functions from here."""

from protocol import frame

try:
    from .kernel_viper import accumulate, equal, load, scale, stuff, total, unstuff

    frame.stuff = stuff
    frame.unstuff = unstuff
except (SyntaxError, ImportError, ValueError):  # no emitter; or .mpy files for another architecture
    from .kernel import accumulate, equal, load, scale, total

__all__ = ("accumulate", "equal", "load", "scale", "total")
