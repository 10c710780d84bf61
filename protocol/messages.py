"""The message catalogue: what a host may ask and what a meter answers, each body declared once.

A reply carries the request's address, sequence and message code and `CONTROL_REPLY`; a refusal also `CONTROL_REFUSED`,
with the body `REFUSAL`. A message that asks for a list is answered with a head and then `count` entries.
"""

from . import events
from .layout import Layout

IDENTIFY = 0x01
READING = 0x02
REGISTERS = 0x03
RECORDS = 0x04
CLOCK_GET = 0x05
CLOCK_SET = 0x06
STATUS = 0x07
EVENTS = 0x08
STATEMENTS = 0x09
BLOB_READ = 0x10
BLOB_BEGIN = 0x11
BLOB_BLOCK = 0x12
BLOB_COMMIT = 0x13
SESSION_OPEN = 0x20
SESSION_PROVE = 0x21
SESSION_CLOSE = 0x22
KEYS_PROVISION = 0x23
KEY_ROTATE = 0x24
TRUST = 0x25
PARAMETER_GET = 0x26
PARAMETER_SET = 0x27
SEAL_CLOSE = 0x28
SEAL_BREAK = 0x29

EMPTY = Layout("")

REFUSAL = Layout("code/u8 detail/u32")
"""`code` of `protocol.status`; `detail` is the value or size refused, or what was expected, as the message says."""

IDENTITY = Layout(
    "protocol/u8 serial/b16 hardware/b12 major/u8 minor/u8 patch/u8 software/b32 fingerprint/b32"
    " channels/u8 conditions/u8 registers/u8 interval/u16/s"
)
"""`software` is the SHA-256 over what runs, `fingerprint` that of the active profile. Text is UTF-8, padded with zeros."""

READING_REPLY = Layout("time/u32/s status/u16 volume/u48 energy/u48 emissions/u64")
"""One reading, short: the whole units of the profile's three headline registers; all ones where it has none, or where the
value needs more bits (then `status` has OVERRANGE, and REGISTERS has the value)."""

REGISTER_ENTRY = Layout("number/u8 quantity/u8 direction/u8 unit/u8 exponent/i8 mantissa/u64 value/fx128")
REGISTERS_REPLY = Layout("time/u32/s status/u16 profile/b8 count/u8")
"""Channel indices first, then accumulators, numbered through. An index has no fraction."""

RECORDS_REQUEST = Layout("first/u32 count/u8")
RECORDS_REPLY = Layout("first/u32 oldest/u32 next/u32 count/u8 channels/u8 conditions/u8 registers/u8")
"""A block of interval records `first .. first + count - 1`, all of one shape (`protocol.records`). The meter may send
fewer than were asked for; `oldest` and `next` bound what it holds. `NOT_FOUND` if it does not hold `first`."""

CLOCK = Layout("time/u32/s millisecond/u16/ms valid/u8")
CLOCK_SET_REQUEST = Layout("time/u32/s")
CLOCK_EARLIEST = 946684800
CLOCK_LATEST = 4102444799
"""A meter takes no time before 2000-01-01 or after 2099-12-31: a host's clock that was not set is no time to bill by."""

STATUS_REPLY = Layout(
    "time/u32/s status/u16 uptime/u32/s reset/u8 frames/u32 refused_short/u32 refused_oversize/u32"
    " refused_stuffing/u32 refused_crc/u32 refused_requests/u32 other_address/u32 records/u32 events/u32"
)

EVENTS_REQUEST = Layout("log/u8 first/u32 count/u8")
EVENTS_REPLY = Layout("log/u8 first/u32 oldest/u32 next/u32 count/u8")
"""A block of `protocol.events.ENTRY` from a log. `oldest` is also how many the log has lost. The meter may send fewer than were
asked for; NOT_FOUND as with RECORDS, STORAGE if it holds `first` and cannot read it any more."""

STATEMENTS_REQUEST = Layout("sequence/u32 offset/u16")
STATEMENTS_REPLY = Layout("sequence/u32 oldest/u32 next/u32 size/u16 offset/u16")
"""Then bytes of statement `sequence` (`protocol.statements`) from `offset` of its `size` on, as many as fit."""

# Blobs: profile images, and later tables and updates, moved in blocks that can be resumed.
PROFILE = 1
INTENSITIES = 2
UPDATE = 3
STATEMENT = 4
BLOB_READ_REQUEST = Layout("kind/u8 tag/b8 offset/u32 size/u16")
"""`tag` is the first 8 bytes of the blob's SHA-256, or zeros for the active one. Answered with `BLOB_READ_REPLY` and bytes."""
BLOB_READ_REPLY = Layout("size/u32 offset/u32")
BLOB_BEGIN_REQUEST = Layout("kind/u8 size/u32 digest/b32")
BLOB_BLOCK_REQUEST = Layout("kind/u8 offset/u32")
BLOB_STATE = Layout("kind/u8 size/u32 received/u32 digest/b32")
"""Answer to begin and block: `received` is the offset the meter wants next. Beginning the same digest again resumes."""
BLOB_COMMIT_REQUEST = Layout("kind/u8 digest/b32")
BLOB_COMMIT_REPLY = Layout("kind/u8 effective/u32/s")

# Sessions and keys: `protocol.session`.
SESSION_OPEN_REQUEST = Layout("role/u8 nonce/b16")
SESSION_OPEN_REPLY = Layout("nonce/b16")
SESSION_PROVE_REQUEST = Layout("role/u8 proof/b16")
SESSION_PROVE_REPLY = Layout("proof/b16 idle/u16/s")
"""The session ends after `idle` seconds without a privileged frame."""
KEYS_PROVISION_REQUEST = Layout("installer/b32 laboratory/b32 manufacturer/b32 update/b60 entropy/b32")
"""Taken once, by a meter that has no keys. `update` is the HSS public key that update packages are verified with, zeros for
none; `entropy` goes into the meter's own signing key beside what the meter draws itself."""
KEY_ROTATE_REQUEST = Layout("role/u8 key/b32")
"""`key` as `protocol.session.cover` hides it."""
TRUST_REPLY = Layout(
    "provisioned/u8 role/u8 failures/u16 locked/u32/s refused_macs/u32 sealed/u8 seal_counter/u32"
    " levels/u8 signatures_left/u32 public/b60"
)
"""`role` of the open session, `locked` seconds until a proof is listened to again; `public` is the key that statements are
verified with, zeros until it is made."""

PARAMETER_REQUEST = Layout("number/u8")
"""PARAMETER_SET: then the value, as `protocol.parameters.TABLE` lays it out."""
PARAMETER_REPLY = Layout("number/u8 kind/u8")
"""`kind` is its class; then the value, as it now is."""
SEAL_REPLY = Layout("sealed/u8 counter/u32")
"""`counter` is how often the seal was broken."""

SELF_TEST = 0x30
SELF_TEST_REPLY = Layout("done/u16 failed/u16 errors/u32 heap_used/u32 heap_free/u32")
"""`done` and `failed` are checks of `protocol.selftest`; `errors` counts bad answers of chips; the heap in bytes, collected."""

INPUTS = 0x31
INPUT_ENTRY = Layout("raw/i32 value/i32")
"""What a board's input measures now and what calibration makes of it, in the unit of its condition; -1: missing."""
INPUTS_REPLY = Layout("time/u32/s count/u8")
"""Every input of the board, in order."""

CATALOGUE = {
    IDENTIFY: ("identify", EMPTY, IDENTITY, None),
    READING: ("reading", EMPTY, READING_REPLY, None),
    REGISTERS: ("registers", EMPTY, REGISTERS_REPLY, REGISTER_ENTRY),
    RECORDS: ("records", RECORDS_REQUEST, RECORDS_REPLY, None),
    CLOCK_GET: ("clock", EMPTY, CLOCK, None),
    CLOCK_SET: ("set clock", CLOCK_SET_REQUEST, CLOCK, None),
    STATUS: ("status", EMPTY, STATUS_REPLY, None),
    EVENTS: ("events", EVENTS_REQUEST, EVENTS_REPLY, events.ENTRY),
    BLOB_READ: ("read blob", BLOB_READ_REQUEST, BLOB_READ_REPLY, None),
    BLOB_BEGIN: ("begin blob", BLOB_BEGIN_REQUEST, BLOB_STATE, None),
    BLOB_BLOCK: ("blob block", BLOB_BLOCK_REQUEST, BLOB_STATE, None),
    BLOB_COMMIT: ("commit blob", BLOB_COMMIT_REQUEST, BLOB_COMMIT_REPLY, None),
    STATEMENTS: ("statements", STATEMENTS_REQUEST, STATEMENTS_REPLY, None),
    SESSION_OPEN: ("open session", SESSION_OPEN_REQUEST, SESSION_OPEN_REPLY, None),
    SESSION_PROVE: ("prove key", SESSION_PROVE_REQUEST, SESSION_PROVE_REPLY, None),
    SESSION_CLOSE: ("close session", EMPTY, EMPTY, None),
    KEYS_PROVISION: ("provision keys", KEYS_PROVISION_REQUEST, TRUST_REPLY, None),
    KEY_ROTATE: ("rotate key", KEY_ROTATE_REQUEST, EMPTY, None),
    TRUST: ("trust", EMPTY, TRUST_REPLY, None),
    PARAMETER_GET: ("get parameter", PARAMETER_REQUEST, PARAMETER_REPLY, None),
    PARAMETER_SET: ("set parameter", PARAMETER_REQUEST, PARAMETER_REPLY, None),
    SEAL_CLOSE: ("close seal", EMPTY, SEAL_REPLY, None),
    SEAL_BREAK: ("break seal", EMPTY, SEAL_REPLY, None),
    SELF_TEST: ("self test", EMPTY, SELF_TEST_REPLY, None),
    INPUTS: ("inputs", EMPTY, INPUTS_REPLY, INPUT_ENTRY),
}
"""Message code: name, request, reply, entry of the reply's list (None: no list, or a list of another shape)."""
