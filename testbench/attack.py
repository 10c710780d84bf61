"""An attacker on the line: mutated, replayed, reordered and forged privileged frames against the real firmware.

    python -m testbench.attack [FRAMES]

Nothing may be accepted, nothing may stop, no register may move; at the end the honest session must still work.
"""

import binascii
import random
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import serial

from hostlink.meter import Meter, connect
from hostlink.session import Key, Session, open_session
from protocol import frame, messages, session
from protocol import status as codes
from protocol.deframer import Deframer
from testbench.demo import gas_profile
from testbench.rigs.unix import UnixRig

BATCH = 32
START = 1_767_225_600
ANSWER_SECONDS = 30.0
SECRETS = {role: bytes((role,)) * session.KEY_SIZE for role in (1, 2, 3)}


@dataclass
class Outcome:
    """What became of the frames: `accepted` names each that should not have been."""

    sent: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    silent: int = 0
    accepted: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Nothing was accepted and nothing changed."""
        return not self.accepted and not self.changed


def wire(plain: bytes) -> bytes:
    """A frame for the wire of any header and body, well formed or not, with a good CRC."""
    whole = plain + struct.pack("<I", binascii.crc32(plain))
    target = bytearray(frame.wire_size(len(plain)))
    return bytes(target[: frame.stuff(whole, len(whole), target)])


class Attacker:
    """Makes frames out of what was heard: `old` of a session that has ended, `heard` of the one that is open."""

    def __init__(self, old: list[bytes], heard: list[bytes], seed: int) -> None:
        self._old = old
        self._heard = heard
        self._random = random.Random(seed)
        self._privileged = [message for message, role in session.NEEDS.items() if role] + [0x2F, 0x3F]
        self.kinds = (
            self.replayed,
            self.of_an_old_session,
            self.bits_flipped,
            self.counter_moved,
            self.body_changed,
            self.forged,
            self.cut,
            self.without_mac,
            self.proof_guessed,
        )

    def replayed(self) -> bytes:
        return self._random.choice(self._heard)

    def of_an_old_session(self) -> bytes:
        return self._random.choice(self._old)

    def bits_flipped(self) -> bytes:
        data = bytearray(self._random.choice(self._heard))
        for _ in range(self._random.randint(1, 4)):
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        return bytes(data)

    def counter_moved(self) -> bytes:
        data = bytearray(self._random.choice(self._heard))
        struct.pack_into("<I", data, len(data) - session.TRAILER, self._random.choice((0, 99, 2**31, 2**32 - 1)))
        return bytes(data)

    def body_changed(self) -> bytes:
        data = self._random.choice(self._heard)
        size = len(data) - session.TRAILER - frame.HEADER_SIZE
        return data[: frame.HEADER_SIZE] + self._random.randbytes(size) + data[-session.TRAILER :]

    def forged(self) -> bytes:
        message = self._random.choice(self._privileged)
        body = self._random.randbytes(self._random.choice((0, 4, 36, 37, 60, 200)))
        counter = struct.pack("<I", self._random.randrange(1 << 32))
        head = bytes((1, frame.VERSION | frame.CONTROL_MAC, self._random.randrange(256), message))
        return head + body + counter + self._random.randbytes(session.MAC_SIZE)

    def cut(self) -> bytes:
        data = self._random.choice(self._heard)
        return data[: self._random.randrange(frame.HEADER_SIZE, len(data))]

    def without_mac(self) -> bytes:
        data = bytearray(self._random.choice(self._heard))
        data[1] &= ~frame.CONTROL_MAC
        return bytes(data[: len(data) - self._random.choice((0, session.MAC_SIZE, session.TRAILER))])

    def proof_guessed(self) -> bytes:
        role = self._random.randrange(5)
        body = messages.SESSION_PROVE_REQUEST.pack(role, self._random.randbytes(session.MAC_SIZE))
        if self._random.random() < 0.5:
            body = messages.SESSION_OPEN_REQUEST.pack(role, self._random.randbytes(session.NONCE_SIZE))
            return bytes((1, frame.VERSION, 0, messages.SESSION_OPEN)) + body
        return bytes((1, frame.VERSION, 0, messages.SESSION_PROVE)) + body


def run(frames: int, seed: int = 1) -> Outcome:
    """Attack a meter on the unix rig with so many frames."""
    outcome = Outcome()
    image, _ = gas_profile(Decimal(10))
    with UnixRig(image, time=START) as rig:
        rig.stimulus.pulses(0, 12_345)
        rig.clock.settle()
        with connect(rig.url, address=1) as meter:
            meter.provision(*(SECRETS[role] for role in (1, 2, 3)))
            while not any(meter.trust().public):
                time.sleep(0.01)
            old, _ = _listen(meter, close=True)
            heard, honest = _listen(meter, close=False)
            before = _state(meter)
        _attack(rig.url, Attacker(old, heard, seed), frames, outcome)
        with connect(rig.url, address=1) as meter:
            after = _state(meter)
            outcome.changed += [
                f"{name}: {before[name]} became {after[name]}" for name in before if before[name] != after[name]
            ]
            meter.session = honest
            if meter.set_clock(START + 77).utc.timestamp() != START + 77:
                outcome.changed.append("the honest session does not work any more")
    return outcome


def _listen(meter: Meter, close: bool) -> tuple[list[bytes], Session]:
    """Privileged frames of an honest manufacturer's session, as somebody on the line hears them."""
    heard: list[bytes] = []
    deframer = Deframer()
    exchange = meter.transport.link.request

    def request(*arguments, **named):
        data = exchange(*arguments, **named)
        heard.extend(bytes(view) for view in deframer.feed(data) if view[1] & frame.CONTROL_MAC)
        return data

    meter.transport.link.request = request  # type: ignore[method-assign]
    meter.session = honest = open_session(meter, Key(session.MANUFACTURER, SECRETS[session.MANUFACTURER]))
    for n in range(8):
        meter.set_clock(START + 10)
        meter.rotate_key(session.INSTALLER, SECRETS[session.INSTALLER])
        meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(messages.PROFILE, 100 + n, bytes(32)))
    if close:
        meter.ask(messages.SESSION_CLOSE)
    meter.session = None
    meter.transport.link.request = exchange  # type: ignore[method-assign]
    return heard, honest


def _state(meter: Meter) -> dict[str, object]:
    now = meter.registers()
    trust = meter.trust()
    return {
        "registers": now.registers,
        "clock": now.time,
        "status": now.status,
        "profile": now.profile,
        "keys": (trust.provisioned, trust.public, trust.signatures_left),
        "seal": (trust.sealed, trust.seal_counter),
        "session": trust.role,
    }


def _attack(url: str, attacker: Attacker, frames: int, outcome: Outcome) -> None:
    started = time.monotonic()
    port = serial.serial_for_url(url, timeout=0.2)
    replies = Deframer()
    try:
        for first in range(0, frames, BATCH):
            names = []
            data = b""
            for n in range(first, min(first + BATCH, frames)):
                make = attacker.kinds[n % len(attacker.kinds)]
                names.append(make.__name__.replace("_", " "))
                data += wire(make())
            outcome.sent.update(names)
            mark = first // BATCH & 0xFF
            port.write(data + wire(bytes((1, frame.VERSION, mark, messages.CLOCK_GET))))
            answered = _collect(port, replies, mark, outcome)
            outcome.silent += len(names) - answered
    finally:
        port.close()
    outcome.seconds = time.monotonic() - started


def _collect(port: serial.SerialBase, replies: Deframer, mark: int, outcome: Outcome) -> int:
    """Take in the replies of a batch until that to the clock request `mark` behind it; how many there were."""
    answered = 0
    limit = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < limit:
        for view in replies.feed(port.read(max(1, port.in_waiting))):
            control, sequence, message = view[1], view[2], view[3]
            if message == messages.CLOCK_GET and sequence == mark:
                return answered
            answered += 1
            if control & frame.CONTROL_REFUSED:
                code = view[frame.HEADER_SIZE]
                outcome.refused[codes.REFUSALS.get(code, f"code {code}")] += 1
            elif session.needed(message) or message == messages.SESSION_PROVE:
                outcome.accepted.append(f"message 0x{message:02x}: {bytes(view).hex()}")
            else:
                outcome.refused["(open to everybody)"] += 1
    outcome.changed.append(f"the meter fell silent for {ANSWER_SECONDS} s")
    return answered


def main() -> None:
    """Print what became of the frames; exit code 1 if one was accepted."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    outcome = run(frames)
    print(f"{sum(outcome.sent.values()):,} frames in {outcome.seconds:.0f} s")
    print(f"  accepted: {len(outcome.accepted)}, changed: {len(outcome.changed)}")
    for title, counts in (("sent", outcome.sent), ("refused as", outcome.refused)):
        for name, count in counts.most_common():
            print(f"  {title} {name}: {count:,}")
    print(f"  silent (another address, a reply bit): {outcome.silent:,}")
    for line in outcome.accepted[:10] + outcome.changed:
        print(f"  FAILED {line}")
    sys.exit(0 if outcome.held else 1)


if __name__ == "__main__":
    main()
