"""HSS/LMS verification against the RFC's test cases, and against everything that is not quite one of them."""

import random
from pathlib import Path

import pytest

from protocol import lms

VECTORS = Path(__file__).parent / "rfc8554"


def case(number: int) -> tuple[bytes, bytes, bytes]:
    """Public key, message and signature of a test case of RFC 8554, Appendix F."""
    names = ("pubkey", "message", "signature")
    public, message, signature = ((VECTORS / f"test_case_{number}_{name}.bin").read_bytes() for name in names)
    return public, message, signature


@pytest.mark.parametrize("number", [1, 2])
def test_the_rfc_signatures_hold(number: int) -> None:
    assert lms.verify(*case(number))


@pytest.mark.parametrize("number", [1, 2])
def test_one_bit_anywhere_and_nothing_holds(number: int) -> None:
    chosen = random.Random(number)
    for _ in range(150):
        parts = [bytearray(part) for part in case(number)]
        part = chosen.choice(parts)
        part[chosen.randrange(len(part))] ^= 1 << chosen.randrange(8)
        assert not lms.verify(*map(bytes, parts))


@pytest.mark.parametrize("number", [1, 2])
def test_any_other_length_is_refused(number: int) -> None:
    public, message, signature = case(number)
    for size in [*range(0, len(signature), 97), len(signature) - 1]:
        assert not lms.verify(public, message, signature[:size])
    assert not lms.verify(public, message, signature + b"\0")
    for size in range(len(public)):
        assert not lms.verify(public[:size], message, signature)


def test_digits_of_every_width_carry_their_checksum() -> None:
    for w, p, ls in lms.OTS.values():
        digits = lms.digits(bytes(range(32)), w, p, ls)
        last = (1 << w) - 1
        data = digits[: 256 // w]
        checksum = 0
        for digit in digits[256 // w :]:
            checksum = checksum << w | digit
        assert len(digits) == p
        assert sum(last - digit for digit in data) << ls == checksum << 16 - w * (p - 256 // w)
