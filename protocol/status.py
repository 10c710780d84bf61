"""Status flags of a meter and its records, and the codes with which it refuses a request."""

# Flags, 16 bits, in every reading and interval record.
CLOCK_INVALID = 0x0001
"""The clock was not set since power-up: times are not to be trusted."""
CLOCK_CHANGED = 0x0002
"""The clock was set within this interval."""
POWER_CUT = 0x0004
"""Power was away within this interval."""
NOT_VALID = 0x0008
"""The self-check at start has not ended, or failed."""
RATE_HIGH = 0x0010
"""A channel counted more than the profile's highest rate. The quanta are counted all the same."""
CONDITION_ERROR = 0x0020
"""A condition (pressure, temperature, concentration) was out of range or missing: its quanta are in the in-error registers."""
FALLBACK_FACTOR = 0x0040
"""No dated intensity was at hand: the profile's fallback was used."""
PROFILE_CHANGED = 0x0080
"""Another profile took over at the end of this interval."""
COUNTER_JUMP = 0x0100
"""An external counter was reset or jumped; nothing was guessed."""
TAMPER = 0x0200
STORAGE_FAULT = 0x0400
SEAL_OPEN = 0x0800
SATURATED = 0x1000
"""A register reached its end and stays there."""
OVERRANGE = 0x2000
"""In a short reading: a value needs more bits than its field has. Nothing is lost: REGISTERS has it."""

FLAGS = {
    CLOCK_INVALID: "clock invalid",
    CLOCK_CHANGED: "clock changed",
    POWER_CUT: "power cut",
    NOT_VALID: "not yet valid",
    RATE_HIGH: "rate too high",
    CONDITION_ERROR: "condition in error",
    FALLBACK_FACTOR: "fallback factor",
    PROFILE_CHANGED: "profile changed",
    COUNTER_JUMP: "counter jump",
    TAMPER: "tamper",
    STORAGE_FAULT: "storage fault",
    SEAL_OPEN: "seal open",
    SATURATED: "register saturated",
    OVERRANGE: "too large for a short reading",
}

# Codes of a refusal.
UNKNOWN_MESSAGE = 1
WRONG_LENGTH = 2
BAD_VALUE = 3
NOT_FOUND = 4
NOT_ALLOWED = 5
NOT_READY = 6
STORAGE = 7
WRONG_VERSION = 8
BAD_DIGEST = 9
EXHAUSTED = 10
NO_SESSION = 11
"""Detail: the role it takes."""
BAD_MAC = 12
REPLAYED = 13
"""Detail: the counter that was used last."""
LOCKED = 14
"""Detail: seconds until a proof is listened to again."""
SEALED = 15

REFUSALS = {
    UNKNOWN_MESSAGE: "unknown message",
    WRONG_LENGTH: "wrong length",
    BAD_VALUE: "bad field value",
    NOT_FOUND: "not found",
    NOT_ALLOWED: "not allowed",
    NOT_READY: "not ready",
    STORAGE: "storage fault",
    WRONG_VERSION: "wrong version",
    BAD_DIGEST: "digest does not match",
    EXHAUSTED: "exhausted",
    NO_SESSION: "no session with the role it takes",
    BAD_MAC: "the key or the MAC does not prove",
    REPLAYED: "replayed or out of order",
    LOCKED: "shut after failed proofs, seconds left",
    SEALED: "sealed",
}


def names(flags):
    """The names of the flags set in `flags`, lowest bit first."""
    return [FLAGS.get(1 << bit, "flag %d" % bit) for bit in range(16) if flags & 1 << bit]
