"""Events: what happened to a meter beside metering, who did it, and what was before and after.

Two logs. In the ordinary one a new event takes the place of the oldest, and the sequence number of the oldest tells how
many were lost. The legal one holds what is legally relevant and loses nothing: when it is full, what would have to be
logged there is refused. Each log is a chain: `link` is the SHA-256 of the link before and the event without its link.
"""

import hashlib

from .layout import Layout

ORDINARY = 0
LEGAL = 1
LOGS = {ORDINARY: "ordinary", LEGAL: "legal"}

ENTRY = Layout("sequence/u32 order/u32 time/u32/s kind/u8 actor/u8 status/u16 subject/u16 old/b8 new/b8 link/b32")
"""`sequence` counts within the log, `order` through both; `status` are the meter's flags at that moment."""
LINK_SIZE = 32
CHAIN_START = bytes(LINK_SIZE)

ACTORS = {0: "meter", 1: "installer", 2: "laboratory", 3: "manufacturer"}
"""The numbers of `protocol.session.ROLES`; 0 is the meter by itself, or nobody who had to prove a key."""

POWER_UP = 1
POWER_DOWN = 2
BROWN_OUT = 3
CLOCK_SET = 4
PROFILE_ACCEPTED = 5
PROFILE_CHANGED = 6
INTENSITIES = 7
CONFIGURATION = 8
SEAL_OPENED = 9
SEAL_CLOSED = 10
AUTHENTICATION_FAILED = 11
KEY_CHANGED = 12
TAMPER = 13
COUNTER_JUMP = 15
STORAGE_FAULT = 16
WATCHDOG = 17
UPDATE_ACCEPTED = 18
UPDATE_COMMITTED = 19
UPDATE_ROLLED_BACK = 20
UPDATE_REFUSED = 21
SELF_CHECK_FAILED = 22
EXHAUSTED = 23
FAILURE = 24

LEGAL_KINDS = (
    PROFILE_ACCEPTED,
    PROFILE_CHANGED,
    CONFIGURATION,
    SEAL_OPENED,
    SEAL_CLOSED,
    KEY_CHANGED,
    UPDATE_ACCEPTED,
    UPDATE_COMMITTED,
    UPDATE_ROLLED_BACK,
)
"""What is logged in the legal log; all else in the ordinary one."""

NUMBER = "number"
TIME = "time"
TAG = "tag"
NOTHING = ""

KINDS = {
    POWER_UP: ("power up", "reset cause", TIME, "last known before", NUMBER, "power-ups"),
    POWER_DOWN: ("power down", "", NOTHING, "", NOTHING, ""),
    BROWN_OUT: ("brown-out", "", NOTHING, "", NUMBER, "seconds until it was good again"),
    CLOCK_SET: ("clock set", "", TIME, "old", TIME, "new"),
    PROFILE_ACCEPTED: ("profile accepted", "", TAG, "active", TAG, "next"),
    PROFILE_CHANGED: ("profile changed", "", TAG, "old", TAG, "new"),
    INTENSITIES: ("intensities", "condition", TAG, "", TAG, "new"),
    CONFIGURATION: ("configuration", "parameter", NUMBER, "old", NUMBER, "new"),
    SEAL_OPENED: ("seal opened", "", NUMBER, "counter", NUMBER, "counter"),
    SEAL_CLOSED: ("seal closed", "", NUMBER, "counter", NUMBER, "counter"),
    AUTHENTICATION_FAILED: ("authentication failed", "role", NUMBER, "failures before", NUMBER, "failures"),
    KEY_CHANGED: ("key changed", "role", NOTHING, "", NOTHING, ""),
    TAMPER: ("tamper", "input", NUMBER, "before", NUMBER, "now"),
    COUNTER_JUMP: ("counter reset or jump", "channel", NUMBER, "times before", NUMBER, "times since power-up"),
    STORAGE_FAULT: ("storage fault", "fault", NOTHING, "", NUMBER, "sector"),
    WATCHDOG: ("watchdog", "", NOTHING, "", NOTHING, ""),
    UPDATE_ACCEPTED: ("update accepted", "", TAG, "running", TAG, "new"),
    UPDATE_COMMITTED: ("update committed", "", TAG, "before", TAG, "running"),
    UPDATE_ROLLED_BACK: ("update rolled back", "", TAG, "tried", TAG, "running"),
    UPDATE_REFUSED: ("update refused", "reason", TAG, "running", TAG, "offered"),
    SELF_CHECK_FAILED: ("self-check failed", "check", NUMBER, "expected", NUMBER, "found"),
    EXHAUSTED: ("signing key exhausted", "", NOTHING, "", NUMBER, "signatures"),
    FAILURE: ("program failure", "", NOTHING, "", NUMBER, "failures"),
}
"""Kind: name, what `subject` numbers, then for `old` and for `new` how its 8 bytes are read and what they are.
NUMBER and TIME (UNIX seconds) are little-endian, TAG the first 8 bytes of a SHA-256."""

RESET_POWER = 0
RESET_WATCHDOG = 1
RESET_SOFTWARE = 2
RESETS = {RESET_POWER: "power", RESET_WATCHDOG: "watchdog", RESET_SOFTWARE: "software"}
FAULTS = {1: "a flipped bit, put right", 2: "cannot be read", 3: "worn", 4: "no room"}
CHECKS = {1: "no registers kept", 2: "no profile for the registers", 3: "records do not chain", 4: "a register went down"}
"""What the `subject` of POWER_UP, STORAGE_FAULT (`firmware.store.faults`) and SELF_CHECK_FAILED (`firmware.keeper`) means."""


def log_of(kind):
    """The log that events of `kind` go into."""
    return LEGAL if kind in LEGAL_KINDS else ORDINARY


def chain(link, entry):
    """The link of `entry` (its bytes; the link in them does not count) behind an event with `link`."""
    digest = hashlib.sha256(link)
    digest.update(memoryview(entry)[: ENTRY.size - LINK_SIZE])
    return digest.digest()
