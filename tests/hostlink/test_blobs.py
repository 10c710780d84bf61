"""Profiles over the link: resumed, altered, of other firmware, unfit; the meter keeps counting under what it has."""

import hashlib
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from hostlink import blobs
from hostlink.blobs import push
from hostlink.cli import app
from hostlink.errors import Refused
from hostlink.meter import Meter, connect
from hostlink.profile import ready
from hostlink.profile.compiler import compile_profile
from hostlink.profile.language import parse
from protocol import messages
from protocol import status as codes
from testbench.rigs.unix import UnixRig

START = 1_767_225_600
FIRST = compile_profile(ready.load("natural-gas-pt"))[0]


def other() -> bytes:
    """The same channels and registers under another carbon content."""
    text = ready.text("natural-gas-pt").replace('library = "gulf-coast"', 'library = "amarillo"')
    return compile_profile(parse(text))[0].data


@pytest.fixture
def rig() -> Iterator[UnixRig]:
    with UnixRig(FIRST.data, time=START) as made:
        yield made


@pytest.fixture
def meter(rig: UnixRig) -> Iterator[Meter]:
    with connect(rig.url, address=1) as made:
        yield made


def test_a_push_goes_on_where_it_stopped(rig: UnixRig, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "BLOCK", 100)
    data = other()
    seen: list[int] = []

    class Cut(Exception):
        pass

    def cut(done: int, total: int) -> None:
        seen.append(done)
        if done >= 300:
            raise Cut

    with pytest.raises(Cut):
        push(meter, messages.PROFILE, data, cut)
    pushed = push(meter, messages.PROFILE, data)
    assert pushed.resumed == 300 == seen[-1]
    assert pushed.digest == hashlib.sha256(data).digest()
    rig.advance(900_000)
    rig.settle()
    assert meter.identify().fingerprint == pushed.digest


def test_an_altered_profile_is_refused(meter: Meter) -> None:
    data = bytearray(other())
    digest = hashlib.sha256(data).digest()
    data[-1] ^= 1
    meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(messages.PROFILE, len(data), digest))
    for at in range(0, len(data), 500):
        head = messages.BLOB_BLOCK_REQUEST.pack(messages.PROFILE, at)
        meter.ask(messages.BLOB_BLOCK, head + bytes(data[at : at + 500]))
    with pytest.raises(Refused) as caught:
        meter.ask(messages.BLOB_COMMIT, messages.BLOB_COMMIT_REQUEST.pack(messages.PROFILE, digest))
    assert caught.value.code == codes.BAD_DIGEST
    assert meter.identify().fingerprint == FIRST.image.fingerprint


def test_a_truncated_profile_and_one_of_other_firmware_are_refused(rig: UnixRig, meter: Meter) -> None:
    for data in (other()[:-10], other()[:4] + b"\x09\x00" + other()[6:], b"no profile at all"):
        with pytest.raises(Refused, match="cannot run this profile") as caught:
            push(meter, messages.PROFILE, data)
        assert caught.value.code == codes.WRONG_VERSION
    rig.advance(900_000)
    rig.settle()
    assert meter.identify().fingerprint == FIRST.image.fingerprint


def test_a_profile_that_would_lose_a_register_is_refused(rig: UnixRig, meter: Meter) -> None:
    rig.pulses(0, 10)
    rig.settle()
    with pytest.raises(Refused, match="does not fit this meter"):
        push(meter, messages.PROFILE, compile_profile(ready.load("natural-gas-composition-20c"))[0].data)


def test_the_command_pushes(rig: UnixRig) -> None:
    done = CliRunner().invoke(app(), ["profile", "push", "natural-gas-pt", "--port", rig.url, "--address", "1"])
    assert done.exit_code == 0, done.output
    assert FIRST.image.fingerprint.hex()[:16] in done.output
