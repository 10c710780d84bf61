"""HMAC against RFC 4231 and the standard library; the pieces that both sides of a session lean on."""

import hashlib
import hmac
import random

import pytest

from protocol import messages, session

RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
]
"""Test cases 1 to 4: key, data, HMAC-SHA256."""


@pytest.mark.parametrize(("key", "data", "expected"), RFC_4231)
def test_hmac_is_that_of_the_rfc(key: bytes, data: bytes, expected: str) -> None:
    assert session.Mac(key).digest(data).hex() == expected


def test_hmac_is_that_of_the_standard_library() -> None:
    for n in range(20):
        key, data = random.Random(n).randbytes(32), random.Random(-n).randbytes(n * 7)
        assert session.Mac(key).digest(data) == hmac.digest(key, data, hashlib.sha256)


def test_waiting_doubles_from_the_third_failure_up_to_an_hour() -> None:
    assert [session.wait(n) for n in (0, 1, 2, 3, 4, 5, 12, 13, 14, 65535)] == [
        0,
        0,
        0,
        2,
        4,
        8,
        1024,
        2048,
        3600,
        3600,
    ]


def test_what_no_table_names_is_shut() -> None:
    assert session.needed(messages.READING) == session.NOBODY
    assert session.needed(messages.CLOCK_SET) == session.INSTALLER
    assert session.needed(0x3F) == session.needed(0xFF) == session.MANUFACTURER
    assert {code for code in messages.CATALOGUE if code >= 0x10} <= set(session.NEEDS)


def test_a_covered_key_comes_back_and_never_looks_the_same() -> None:
    mac = session.Mac(b"k" * 32)
    key = bytes(range(32))
    hidden = {session.cover(mac, counter, role, key) for counter in range(1, 9) for role in (1, 2, 3)}
    assert len(hidden) == 24
    assert key not in hidden
    assert session.cover(mac, 5, 2, session.cover(mac, 5, 2, key)) == key
