"""Every error of Tonne's host side, under one root. Each message says what was expected, what came, and what to do.

TonneError                     exit code of the command
├── UsageError            2    an argument, a file or a configuration that cannot be used as given
├── LinkError             3    no frame could be exchanged
│   ├── PortError              the port does not exist, is busy, or went away
│   ├── NoReply                silence, only noise, or only our own echo
│   └── Refused                the meter answered that it will not
├── FlashError            5    a board could not be made a meter, or a meter not calibrated: at which step and why
│   ├── CalibrationError       a reading is not plausible, or stays outside its limit
│   ├── CompileError           the firmware does not compile for the board
│   │   └── LinkingError       its sources do something that the linker cannot follow
│   └── BoardError             the board is not one that can be flashed, or fell silent
├── DataError             4    bytes that are not what they claim: frame, record, image, capture
└── ProofError            1    a register, chain or signature does not prove
"""


class TonneError(Exception):
    """Root of the tree. `exit_code` is what the command ends with."""

    exit_code = 1


class UsageError(TonneError):
    """What the user gave cannot be used."""

    exit_code = 2


class LinkError(TonneError):
    """No frame could be exchanged with the meter."""

    exit_code = 3


class PortError(LinkError):
    """The port cannot be opened, or failed while open."""


class NoReply(LinkError):
    """The meter did not answer in time, retries included."""


class Refused(LinkError):
    """The meter refused the request. `code` is of `protocol.status`, `detail` as the message defines."""

    def __init__(self, message: str, code: int, detail: int) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class FlashError(TonneError):
    """A board could not be made a meter."""

    exit_code = 5


class CalibrationError(FlashError):
    """The meter's reading is not plausible beside the reference, or cannot be brought within its limit."""


class CompileError(FlashError):
    """The firmware does not compile for the board's architecture."""


class LinkingError(CompileError):
    """The firmware's sources do something that the linker cannot follow."""


class BoardError(FlashError):
    """The board is not one that can be flashed, went away, or said something else than expected."""


class DataError(TonneError):
    """Bytes that are not what they claim to be."""

    exit_code = 4


class ProofError(TonneError):
    """Something that had to be proved was found false."""

    exit_code = 1
