"""One frame to a typed message: as the deframer and the field tables have it, on good frames and on any others."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostlink import tables
from hostlink.decode import LISTS, Message, decode
from hostlink.errors import DataError
from protocol import frame, messages
from protocol.deframer import Deframer


def by_deframer(encoded: bytes) -> bytes | None:
    got = [bytes(view) for view in Deframer().feed(encoded + b"\0")]
    return got[0] if len(got) == 1 else None


@pytest.mark.parametrize("code", messages.CATALOGUE)
@pytest.mark.parametrize("control", [0, frame.CONTROL_REPLY, frame.CONTROL_REPLY | frame.CONTROL_REFUSED])
def test_every_message_of_the_catalogue(code: int, control: int) -> None:
    _, request, reply, entry = messages.CATALOGUE[code]
    layout = {0: request, frame.CONTROL_REPLY: reply}.get(control, messages.REFUSAL)
    random_ = random.Random(code)
    for _ in range(300):
        body = random_.choice([random_.randbytes(layout.size), bytes(layout.size), b"\xa5" * layout.size])
        got = decode(frame.encode(3, control, 9, code, body)[1:-1])
        assert got[:4] == (3, control | frame.VERSION, 9, code)
        listed = control == frame.CONTROL_REPLY and (entry or code in LISTS)
        if listed or (control == 0 and code == messages.PARAMETER_SET):
            assert got.values == body
        else:
            assert got.values._asdict() == tables.values(layout, body)


@given(st.binary(max_size=1100), st.binary(max_size=40), st.integers(0, 1100))
def test_takes_what_the_deframer_takes(body: bytes, noise: bytes, at: int) -> None:
    """A raw message 0x7f with any body, then bytes put in: the same frames are taken, all others are a DataError."""
    encoded = frame.encode(1, 0, 0, 0x7F, body)[1:-1]
    encoded = encoded[:at] + noise.replace(b"\0", b"\1") + encoded[at:]
    expected = by_deframer(encoded)
    if expected is None:
        with pytest.raises(DataError):
            decode(encoded)
    else:
        assert decode(encoded) == Message(*expected[:4], expected[4:])


@given(st.binary(max_size=200))
def test_any_bytes(encoded: bytes) -> None:
    if by_deframer(encoded) is None or 0 in encoded:
        with pytest.raises(DataError):
            decode(encoded)


def test_a_body_of_another_size() -> None:
    with pytest.raises(DataError, match="another body of message 0x02, got 3 bytes"):
        decode(frame.encode(1, frame.CONTROL_REPLY, 0, messages.READING, b"abc")[1:-1])
