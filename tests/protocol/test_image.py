"""The profile image: what was packed is read back, and no cut or changed byte makes more than a clear refusal."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Table, Term
from protocol import frame, messages, records
from protocol import image as layout
from protocol import registers as r
from protocol.image import Image, ImageError
from testbench import micropython
from tests.firmware.test_terms import every_kind

EVERY_KIND = bytes(every_kind(1).data)
CHANNEL = Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 1000)
CO2 = Register(r.CO2, r.EMITTED, r.GRAM, -3)
TERM = Term(0, 0, 475 << 32, 0)


def read(data: bytes) -> Image | None:
    """The image, or None if it is refused as it should be; any other exception is the test's failure."""
    try:
        return Image(data)
    except ImageError as error:
        assert str(error)
        return None


def test_it_reads_back_what_was_packed() -> None:
    parts = ProfileImage("grid, 2026", [CHANNEL], [CO2], [TERM], volume=255, energy=0, emissions=1, utc_offset=-300)
    got = Image(parts.pack())
    assert got.interval == 900
    assert got.channels == [(r.ENERGY, r.CONSUMED, r.WATT_HOUR, 0, 1, 1000)]
    assert got.registers == [(r.CO2, r.EMITTED, r.GRAM, -3)]
    assert got.terms == [(0, 0, r.NO_REGISTER, 0, 475 << 32, 255, 255, 255)]
    assert got.header[9:12] == (255, 0, 1)
    assert got.header[16] == -300
    assert bytes(got.header[-1]).rstrip(b"\0") == b"grid, 2026"


@pytest.mark.parametrize("size", range(0, len(EVERY_KIND), 7))
def test_a_cut_image_is_refused(size: int) -> None:
    assert read(EVERY_KIND[:size]) is None


def test_bytes_too_many_are_refused() -> None:
    assert read(EVERY_KIND + b"\0") is None


@settings(max_examples=300)
@given(st.integers(0, len(EVERY_KIND) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_shows_in_the_fingerprint(at: int, change: int) -> None:
    data = bytearray(EVERY_KIND)
    data[at] ^= change
    got = read(bytes(data))
    assert got is None or got.fingerprint != Image(EVERY_KIND).fingerprint


@settings(max_examples=200)
@given(st.binary(max_size=400))
@example(b"")
@example(EVERY_KIND[: layout.HEADER.size])
def test_any_bytes_are_refused(data: bytes) -> None:
    assert read(data) is None


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_behind_a_good_header_are_refused(data: bytes) -> None:
    head = list(layout.HEADER.unpack_from(EVERY_KIND))
    head[2] = layout.HEADER.size + len(data)
    read(layout.HEADER.pack(*head) + data)


def test_micropython_refuses_the_same_images() -> None:
    """600 changed or cut images on the real thing: the same verdict as here, and no other exception."""
    random_ = random.Random(5)
    images = []
    for _ in range(600):
        data = bytearray(EVERY_KIND)
        for _ in range(random_.randrange(1, 4)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        images.append(bytes(data[: random_.choice((len(data), len(data), random_.randrange(len(data)))) ]))
    code = """
import binascii
from protocol.image import Image, ImageError
result = []
for text in given:
    try:
        Image(binascii.unhexlify(text))
        result.append(True)
    except ImageError:
        result.append(False)
"""
    verdicts = micropython.evaluate(code, [data.hex() for data in images])
    assert verdicts == [read(data) is not None for data in images]
    assert any(verdicts) and not all(verdicts)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"channels": []}, "no channel"),
        ({"interval": 0}, "interval"),
        ({"interval": 7201}, "interval"),
        ({"interval": 700}, "interval"),
        ({"volume": 2}, "register 2"),
        ({"terms": [Term(1, 0, 1, 0)]}, "term for a channel or register"),
        ({"terms": [Term(0, 1, 1, 0)]}, "term for a channel or register"),
        ({"terms": [Term(0, 0, 1, 2)]}, "term for a channel or register"),
        ({"terms": [Term(0, 0, 1, 0, (0,))]}, "factor"),
        ({"terms": [Term(0, 0, 1, 0, (layout.TABLE_BASE,))]}, "factor"),
        ({"conditions": [Condition(r.PRESSURE, r.PASCAL, 0, 0, 2, 1, 1)]}, "condition 0"),
        ({"conditions": [Condition(r.PRESSURE, r.PASCAL, 0, 0, 0, 1 << 30, 1)]}, "condition 0"),
        ({"tables": [Table(9, b"")]}, "table 0"),
        ({"tables": [Table(layout.SURFACE, b"")]}, "table 0"),
        ({"tables": [Table(layout.TIME_OF_USE, bytes(8))]}, "table 0"),
        # Each of these would be found out only on the meter, by a frame that is too small or a row that is too narrow.
        ({"registers": [CO2] * 40}, "registers"),
        ({"conditions": [Condition(r.PRESSURE, r.PASCAL, 0, 0, 0, 9, 1)] * 60, "registers": [CO2] * 33}, "record"),
        ({"terms": [Term(0, 0, 1 << 63, 1, (0, 0, 0))],
          "conditions": [Condition(r.PRESSURE, r.PASCAL, 0, 0, 0, (1 << 30) - 1, 1)]}, "too large"),
    ],
)  # fmt: skip
def test_an_impossible_profile_is_refused_with_its_reason(changed: dict, said: str) -> None:
    parts = {"name": "x", "channels": [CHANNEL], "registers": [CO2], "terms": [TERM]} | changed
    with pytest.raises(ImageError, match=said):
        ProfileImage(**parts).pack()


def test_the_largest_shapes_fit_their_replies() -> None:
    most = (frame.MAX_BODY - messages.REGISTERS_REPLY.size) // messages.REGISTER_ENTRY.size
    parts = ProfileImage("x", [CHANNEL], [CO2] * (most - 1), [TERM])
    shape = Image(parts.pack())
    assert records.size(1, 0, len(shape.registers)) <= frame.MAX_BODY - messages.RECORDS_REPLY.size
