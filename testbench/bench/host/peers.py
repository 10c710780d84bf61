"""Other decoders, each on a frame of its own protocol of about a reading's size. Installed by the extra `bench` only.

gurux-dlms is under GPL-2.0: a peer in this measurement and nowhere else.
"""

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import construct
import numpy as np

from hostlink.tables import description, dtype
from protocol import messages
from testbench.bench.host import libmbus

COUNT = 500
MANY = 100_000
MBUS = bytes.fromhex("681b1b680801727856341224232807000000000c1427048502042e000000000916")
"""A heat meter's reply with two records."""
DLT645 = bytes.fromhex("6861010000000068910833333433593333338A16")


def candidates() -> tuple[dict[str, tuple[Callable[[], object], int]], dict[str, str]]:
    """What to time and how many frames it decodes; and why a peer is not here."""
    absent: dict[str, str] = {}
    found: dict[str, tuple[Callable[[], object], int]] = {}
    body = messages.READING_REPLY.pack(1_767_225_600, 0, 123_456, (1 << 48) - 1, 7_777_777)
    plain = bytes((1, 0x81, 0, messages.READING)) + body
    framed = plain + struct.pack("<I", crc32(plain))
    table = construct.Struct(
        "head" / construct.Bytes(4), "body" / description(messages.READING_REPLY), "crc" / construct.Int32ul
    )

    def by_construct() -> None:
        for _ in range(COUNT):
            assert table.parse(framed).crc == crc32(framed[:-4])

    found["construct, no COBS"] = by_construct, COUNT
    unpack = struct.Struct("<BBBBIHIHIHQI").unpack
    many = [framed] * 20_000

    def by_struct() -> None:
        for each in many:
            if crc32(each[:-4]) != unpack(each)[-1]:
                raise AssertionError

    found["struct + zlib.crc32, no COBS, no types"] = by_struct, len(many)
    kind = np.dtype([("head", "V4"), ("body", dtype(messages.READING_REPLY)), ("crc", "<u4")])
    joined = b"".join(many)

    def by_numpy() -> None:
        rows = np.frombuffer(joined, kind)
        crcs = np.fromiter(
            map(crc32, (joined[at : at + len(plain)] for at in range(0, len(joined), len(framed)))), "u4"
        )
        assert (crcs == rows["crc"]).all()

    found["NumPy + zlib.crc32, no COBS, frames of one size"] = by_numpy, len(many)
    for name, make in {"pymodbus": _pymodbus, "pyMeterBus": _meterbus, "dlt645": _dlt645, "gurux-dlms": _gurux}.items():
        try:
            found[name] = make(), COUNT
        except ImportError as error:
            absent[name] = str(error)
    try:
        found["libmbus, C"] = _libmbus(), MANY
    except OSError as error:
        absent["libmbus, C"] = str(error)
    return found, absent


def _pymodbus() -> Callable[[], object]:
    from pymodbus.framer import FramerRTU
    from pymodbus.pdu import DecodePDU

    framer = FramerRTU(DecodePDU(False))
    data = bytes((1, 3, 24)) + bytes(range(24))
    data += FramerRTU.compute_CRC(data).to_bytes(2, "big")

    def run() -> None:
        for _ in range(COUNT):
            used, pdu = framer.handleFrame(data, 0, 0)
            assert used == len(data) and pdu is not None

    run()
    return run


def _meterbus() -> Callable[[], object]:
    import meterbus

    def run() -> None:
        for _ in range(COUNT):
            assert len(meterbus.load(MBUS).records) == 2

    run()
    return run


def _libmbus() -> Callable[[], object]:
    with tempfile.TemporaryDirectory(prefix="tonne-libmbus-") as folder:
        decode = libmbus.build(Path(folder))

    def run() -> None:
        assert decode(MBUS, MANY) == 2 * MANY

    return run


def _dlt645() -> Callable[[], object]:
    from dlt645.protocol.protocol import DLT645Protocol

    def run() -> None:
        for _ in range(COUNT):
            assert DLT645Protocol.deserialize(DLT645) is not None

    run()
    return run


def _gurux() -> Callable[[], object]:
    from gurux_dlms import GXByteBuffer, GXDLMSClient, GXReplyData
    from gurux_dlms._GXFCS16 import _GXFCS16

    def checked(data: bytes) -> bytes:
        return data + _GXFCS16.countFCS16(bytearray(data), 0, len(data)).to_bytes(2, "big")

    expected = [1_767_225_600, 0, 123_456, (1 << 48) - 1, 7_777_777]
    values = struct.pack(">BIBHBIBQBQ", 6, expected[0], 18, 0, 6, expected[2], 21, expected[3], 21, expected[4])
    response = bytes.fromhex("e6e700 c401c100 0205") + values
    size = 9 + len(response)
    framed = b"\x7e" + checked(checked(bytes((0xA0, size, 0x21, 0x03, 0x30))) + response) + b"\x7e"
    client = GXDLMSClient(True, 16, 1)

    def run() -> None:
        for _ in range(COUNT):
            client.settings.resetFrameSequence()
            reply = GXReplyData()
            assert client.getData(GXByteBuffer(framed), reply) and reply.value == expected

    run()
    return run
