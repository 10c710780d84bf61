"""Profiles and tables to a meter over its link, in blocks that go on where they stopped."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from hostlink.errors import DataError, Refused
from hostlink.meter import Meter
from hostlink.tables import values
from hostlink.values import Time, utc
from protocol import frame, messages, session
from protocol import status as codes

BLOCK = frame.MAX_BODY - session.TRAILER - messages.BLOB_BLOCK_REQUEST.size
"""Bytes of a blob in one request, a MAC included."""
NAMES = {messages.PROFILE: "profile", messages.INTENSITIES: "table of intensities"}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pushed:
    """What a meter has taken: from when on it holds, and how many bytes were already there when the push began."""

    digest: bytes
    effective: Time
    resumed: int


def push(meter: Meter, kind: int, data: bytes, progress: Progress | None = None) -> Pushed:
    """Push a blob and let it take effect at the end of the meter's running interval.

    A push that broke off goes on where it stopped. Raises Refused, in words that say what of the blob the meter refuses,
    and every other LinkError.
    """
    digest = hashlib.sha256(data).digest()
    begin = messages.BLOB_BEGIN_REQUEST.pack(kind, len(data), digest)
    at = resumed = _received(meter.ask(messages.BLOB_BEGIN, begin), digest)
    while at < len(data):
        block = messages.BLOB_BLOCK_REQUEST.pack(kind, at) + data[at : at + BLOCK]
        before, at = at, _received(meter.ask(messages.BLOB_BLOCK, block), digest)
        if at <= before:
            raise DataError(f"expected the meter to go on from byte {before}, it wants byte {at}; push again")
        if progress:
            progress(at, len(data))
    try:
        # No retry: a second commit of a blob that has taken effect would be refused.
        reply = meter.ask(messages.BLOB_COMMIT, messages.BLOB_COMMIT_REQUEST.pack(kind, digest), retries=0)
    except Refused as error:
        raise Refused(_reason(error, kind), error.code, error.detail) from None
    return Pushed(digest, Time(utc(values(messages.BLOB_COMMIT_REPLY, reply)["effective"]), True), resumed)


def _received(reply: bytes, digest: bytes) -> int:
    state = values(messages.BLOB_STATE, reply)
    if state["digest"] != digest:
        raise DataError("expected the meter to receive this blob, it receives another: somebody else is pushing")
    return state["received"]


def _reason(error: Refused, kind: int) -> str:
    name = NAMES.get(kind, "blob")
    reasons = {
        codes.BAD_DIGEST: f"the {name} was altered on its way: its digest does not match; push it again",
        codes.WRONG_VERSION: f"the meter's firmware cannot run this {name}: it is of another format or not whole",
        codes.NOT_ALLOWED: f"the {name} does not fit this meter: register, channel or condition {error.detail} of the present"
        " profile would be lost or changed",
        codes.NOT_READY: f"the meter has {error.detail} bytes of the {name}, not all of it; push it again",
    }
    return reasons.get(error.code, str(error))
