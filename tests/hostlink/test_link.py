"""The sans-io conversation: only the reply to the newest request is an answer; everything else is counted by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostlink.errors import Refused, UsageError
from hostlink.link import Link, Reply
from protocol import frame, messages
from protocol import status as codes


def answer(wire: bytes, body: bytes = b"ok", control: int = 0, **changed: int) -> bytes:
    """A meter's reply to the request `wire`, with header fields changed by name."""
    plain = frame_of(wire)
    header = {"address": plain[0], "sequence": plain[2], "message": plain[3]} | changed
    return frame.encode(header["address"], frame.CONTROL_REPLY | control, header["sequence"], header["message"], body)


def frame_of(wire: bytes) -> bytes:
    buffer = bytearray(wire[1:-1])
    return bytes(buffer[: frame.unstuff(buffer, len(buffer)) - frame.CRC_SIZE])


def test_a_reply_is_taken_once() -> None:
    link = Link()
    reply = answer(link.request(3, messages.READING))
    assert link.receive(reply[:7]) is None
    assert link.receive(reply[7:]) == Reply(3, messages.READING, b"ok")
    assert link.receive(reply) is None
    assert link.counts == {"requests": 1, "replies": 1, "other address": 1}


def test_the_reply_to_the_request_before_is_stale() -> None:
    link = Link()
    late = answer(link.request(3, messages.READING), b"old")
    wire = link.request(3, messages.READING)
    assert link.receive(late) is None
    assert link.counts["stale"] == 1
    assert link.receive(late + answer(wire, b"new")) == Reply(3, messages.READING, b"new")


@pytest.mark.parametrize(
    ("changed", "counted"),
    [
        ({"sequence": 77}, "stale"),
        ({"message": messages.STATUS}, "stale"),
        ({"address": 4}, "other address"),
    ],
)
def test_what_is_not_the_reply_is_refused_and_named(changed: dict[str, int], counted: str) -> None:
    link = Link()
    wire = link.request(3, messages.READING)
    assert link.receive(answer(wire, **changed)) is None
    assert link.counts[counted] == 1
    assert link.receive(answer(wire)) is not None


def test_the_echo_is_named_and_the_reply_behind_it_taken() -> None:
    link = Link()
    wire = link.request(3, messages.READING)
    assert link.receive(wire + answer(wire)) == Reply(3, messages.READING, b"ok")
    assert link.counts["echo"] == 1
    assert link.receive(frame.encode(9, 0, 1, messages.READING)) is None
    assert link.counts["foreign request"] == 1


def test_any_meter_may_answer_the_common_address() -> None:
    link = Link()
    wire = link.request(frame.ADDRESS_ANY, messages.READING)
    assert link.receive(answer(wire, address=17)) == Reply(17, messages.READING, b"ok")


def test_a_refusal_names_message_reason_and_detail() -> None:
    link = Link()
    wire = link.request(3, messages.RECORDS, bytes(5))
    body = messages.REFUSAL.pack(codes.NOT_FOUND, 1234)
    with pytest.raises(Refused, match=r"refused 'records': not found \(1234\)") as caught:
        link.receive(answer(wire, body, frame.CONTROL_REFUSED))
    assert (caught.value.code, caught.value.detail) == (codes.NOT_FOUND, 1234)
    wire = link.request(3, 0xEE)
    with pytest.raises(Refused, match="message 0xee"):
        link.receive(answer(wire, b"", frame.CONTROL_REFUSED))


def test_sequence_numbers_go_round() -> None:
    link = Link()
    seen = [frame_of(link.request(3, messages.READING))[2] for _ in range(300)]
    assert seen == [(n + 1) & 0xFF for n in range(300)]


@pytest.mark.parametrize(("address", "body"), [(256, b""), (-1, b""), (1, bytes(frame.MAX_BODY + 1))])
def test_a_request_that_no_frame_holds_is_a_usage_error(address: int, body: bytes) -> None:
    with pytest.raises(UsageError, match="expected"):
        Link().request(address, messages.READING, body)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_noise_is_never_an_answer(noise: list[bytes]) -> None:
    link = Link()
    wire = link.request(3, messages.READING)
    for data in noise:
        assert link.receive(data) is None
    assert link.receive(answer(wire)) == Reply(3, messages.READING, b"ok")
