"""The errors of `testbench`:

TestbenchError
├── ImageUnavailable    no MicroPython image for an emulator, and what to do about it
├── EmulatorError       an emulator is missing, ended or fell silent
├── NobodyThere         a person at a bench was asked and did not answer (conformance.operator)
└── DeviceError         code on the device raised; the message is its traceback
"""

from hostlink.errors import TonneError


class TestbenchError(TonneError):
    """Root of all errors raised by this package; its message is for the person at the bench."""

    __test__ = False  # not a test class, whatever pytest reads into the name


class ImageUnavailable(TestbenchError):
    """No image here: not built yet, not buildable on this machine, or the named file is missing."""


class EmulatorError(TestbenchError):
    """The emulator is missing, ended or fell silent."""


class DeviceError(TestbenchError):
    """Code on the device raised an exception."""
