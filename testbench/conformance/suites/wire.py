"""Raw frames to a device: what it answers to any bytes, without waiting for silence."""

from collections.abc import Iterator

from hostlink.errors import NoReply
from protocol import frame, messages
from protocol.deframer import Deframer
from testbench.conformance.bench import Device

ANSWER_SECONDS = 2.0
MARK = 0xA7
"""Sequence number of the reading that ends an exchange; suites use others."""


def request(
    device: Device, message: int, body: bytes = b"", *, sequence: int = 1, control: int = 0, address: int | None = None
) -> bytes:
    """A good request's frame."""
    return frame.encode(device.meter.address if address is None else address, control, sequence, message, body)


def answers(device: Device, data: bytes) -> list[bytes]:
    """Every frame, without CRC, that the device sends for `data`.

    A reading is asked for behind `data`; the device answers in order, so whatever comes before its reply belongs to `data`.
    Raises NoReply if not even that comes: the device did not survive `data`, or has not resynchronized.
    """
    mark = request(device, messages.READING, sequence=MARK)
    found: list[bytes] = []
    for got in exchange(device, data + mark):
        if got[2:4] == bytes((MARK, messages.READING)):
            return found
        found.append(got)
    raise NoReply(f"no answer to a good request behind {data.hex()[:60]}")


def take(device: Device, data: bytes, count: int) -> list[bytes]:
    """The first `count` frames that the device sends for `data`, or as many as come."""
    found: list[bytes] = []
    for got in exchange(device, data):
        found.append(got)
        if len(found) == count:
            break
    return found


def exchange(device: Device, data: bytes) -> Iterator[bytes]:
    """Send `data` and yield the frames that come, until none came for a while."""
    deframer = Deframer()
    line = device.line
    line.send(data)
    deadline = line.now + ANSWER_SECONDS
    while line.now < deadline:
        for view in deframer.feed(line.receive(0.2)):
            yield bytes(view)


def refusal(got: list[bytes]) -> tuple[int, int] | None:
    """Code and detail of the one frame in `got` if it is a refusal."""
    if (
        len(got) != 1
        or not got[0][1] & frame.CONTROL_REFUSED
        or len(got[0]) != frame.HEADER_SIZE + messages.REFUSAL.size
    ):
        return None
    code, detail = messages.REFUSAL.unpack_from(got[0], frame.HEADER_SIZE)
    return code, detail
