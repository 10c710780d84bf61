"""The wire: framing, addressing, refusals, limits, resynchronization, noise at given bit error rates, stale replies."""

import binascii
import random
from collections.abc import Callable

from hostlink.errors import NoReply
from protocol import frame, messages
from protocol import status as codes
from testbench.conformance.bench import Bench, Device
from testbench.conformance.plan import Plan
from testbench.conformance.suites import cases
from testbench.conformance.suites.wire import answers, refusal, request, take
from testbench.faults import BitErrors

WIRE, MESSAGES, TRANSMITTED = "tonne-wire", "tonne-messages", "welmec-t"
READINGS = (messages.IDENTIFY, messages.READING, messages.REGISTERS, messages.CLOCK_GET, messages.STATUS)


def spoilt_crc(device: Device, flip: int) -> bytes:
    """A CLOCK_SET whose bit `flip`, of body or CRC, is wrong, stuffed anew: only the CRC can tell."""
    plain = bytes((device.meter.address, frame.VERSION, 9, messages.CLOCK_SET)) + (1).to_bytes(4, "little")
    plain += binascii.crc32(plain).to_bytes(4, "little")
    spoilt = bytearray(plain)
    spoilt[4 + flip // 8] ^= 1 << flip % 8
    wire = bytearray(frame.wire_size(4))
    return bytes(wire[: frame.stuff(spoilt, len(spoilt), wire)])


def test_crc(bench: Bench) -> None:
    """Every single-bit error in body or CRC of a request that would set the clock."""
    with bench.device(bench.profile.image) as device:
        before = device.meter.status()["refused_crc"]
        wrong = []
        for bit in range(64):
            got = answers(device, spoilt_crc(device, bit))
            if got:
                wrong.append(f"bit {bit} flipped: answered {got[0].hex()}")
        counted = device.meter.status()["refused_crc"] - before
        clock = device.meter.clock().utc.timestamp()
    bench.none("protocol.crc", WIRE, wrong, "of 64 requests with one wrong bit, answered")
    bench.point("protocol.crc_counted", WIRE, counted, low=64, high=64, what="of 64 spoilt requests, counted in STATUS")
    bench.point(
        "protocol.crc_effect", "welmec-p4", int(clock < 10**9), high=0, what="of 64 spoilt requests, had an effect"
    )


def answers_or_none(device: Device, data: bytes) -> list[bytes]:
    """`answers`; nothing if the device does not even answer a good request behind `data`."""
    try:
        return answers(device, data)
    except NoReply:
        return []


def test_framing(bench: Bench) -> None:
    """Runs of bytes that are no frame, before and between good ones."""
    with bench.device(bench.profile.image) as device:
        good = request(device, messages.READING, sequence=5)
        noise = bench.random.randbytes(300)
        kinds: dict[str, tuple[bytes, int]] = {
            "nothing before": (good, 1),
            "zeros before": (b"\0" * 50 + good, 1),
            "0xFF before": (b"\xff" * 50 + good, 1),
            "noise before": (noise + good, 1),
            "half a frame before": (good[: len(good) // 2] + good, 1),
            "frame without its end before": (good[:-1] + good, 2),
            "two frames": (good + request(device, messages.STATUS, sequence=6), 2),
            "oversize before": (b"\0" + b"\x55" * 3000 + good, 1),
            "one byte between zeros": (b"\0\x01\0" + good, 1),
            "code past the end": (b"\0\xf0ab\0" + good, 1),
            "largest body refused": (request(device, messages.READING, bytes(frame.MAX_BODY), sequence=5), 1),
        }
        for name, (data, expected) in kinds.items():
            got = answers_or_none(device, data)
            what = "replies more or fewer than good requests"
            bench.point(
                "protocol.framing", WIRE, len(got) - expected, low=0, high=0, what=what, conditions=[("line", name, "")]
            )
        for byte in good:
            device.line.send(bytes((byte,)))
        pieces = answers_or_none(device, b"")
        bench.point("protocol.framing", WIRE, len(pieces) - 1, low=0, high=0, conditions=[("line", "byte by byte", "")])


def test_counters(bench: Bench) -> None:
    """What is discarded is counted in STATUS, by its reason."""
    with bench.device(bench.profile.image) as device:
        kinds = {
            "refused_short": b"\0\x03\x11\x22\0",
            "refused_oversize": b"\0" + b"\x55" * 3000 + b"\0",
            "refused_stuffing": b"\0\xf0ab\0",
            "refused_crc": spoilt_crc(device, 3),
            "other_address": request(device, messages.READING, address=77),
            "refused_requests": request(device, 0x7E),
        }
        for name, data in kinds.items():
            before = device.meter.status()[name]
            answers(device, data * 3)
            gained = device.meter.status()[name] - before
            bench.point(
                "protocol.counted", WIRE, gained, low=3, high=3, what="counted of 3", conditions=[("counter", name, "")]
            )
        first = device.meter.status()["frames"]
        second = device.meter.status()["frames"]
        bench.point("protocol.counted", WIRE, second - first, low=1, high=1, conditions=[("counter", "frames", "")])


def test_addressing(bench: Bench) -> None:
    with bench.device(bench.profile.image) as device:
        own = device.meter.address
        others = [a for a in range(256) if a not in (own, frame.ADDRESS_ANY)]
        got = answers(device, b"".join(request(device, messages.READING, address=a) for a in others))
        bench.none("protocol.address", WIRE, got, f"of {len(others)} other addresses, answered")
        for address, name in ((own, "own"), (frame.ADDRESS_ANY, "any")):
            replies = answers(device, request(device, messages.READING, address=address))
            right = len(replies) == 1 and replies[0][0] == own
            bench.point(
                "protocol.address",
                WIRE,
                int(right),
                low=1,
                what="answered with its own",
                conditions=[("address", name, "")],
            )
        control = request(device, messages.READING, control=frame.CONTROL_REPLY)
        bench.none("protocol.reply_bit", WIRE, answers(device, control), "frames that claim to be replies, answered")


def test_unknown_messages(bench: Bench) -> None:
    """All 256 message codes: those that are not in the catalogue are refused as unknown, and change nothing."""
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 7)
        before = device.raw()
        wrong = []
        known = set(messages.CATALOGUE)
        for message in range(256):
            if message not in known:
                got = refusal(answers(device, request(device, message, bench.random.randbytes(message % 9))))
                if got is None or got[0] not in (codes.UNKNOWN_MESSAGE, codes.NOT_ALLOWED):
                    wrong.append(f"message 0x{message:02x}: {got}")
        after = device.raw()
    bench.none("protocol.unknown", MESSAGES, wrong, f"of {256 - len(known)} unknown codes, not refused as unknown")
    bench.point("protocol.unknown_effect", "welmec-p4", int(after != before), high=0, what="registers changed by them")


def known_messages(plan: Plan) -> list[int]:
    return [m for m in messages.CATALOGUE if m <= messages.STATUS]


@cases(known_messages)
def test_lengths(bench: Bench, case: int) -> None:
    """A body one byte too long, one too short, or of the greatest size is refused with the length expected."""
    name, layout, _, _ = messages.CATALOGUE[case]
    with bench.device(bench.profile.image) as device:
        wrong = []
        for size in {layout.size + 1, layout.size - 1, frame.MAX_BODY} - {-1}:
            got = refusal(answers(device, request(device, case, bytes(size))))
            if got != (codes.WRONG_LENGTH, layout.size):
                wrong.append(f"{size} bytes: {got}, expected wrong length ({layout.size})")
    bench.none("protocol.length", MESSAGES, wrong, "of wrong lengths, not refused", [("message", name, "")])


def test_versions(bench: Bench) -> None:
    """Frames of all 16 protocol versions: every other than ours is refused as such."""
    with bench.device(bench.profile.image) as device:
        wrong = []
        for version in range(16):
            head = bytes((device.meter.address, version, 3, messages.READING))
            plain = head + binascii.crc32(head).to_bytes(4, "little")
            wire = bytearray(frame.wire_size(0))
            got = refusal(answers(device, bytes(wire[: frame.stuff(plain, len(plain), wire)])))
            if got != (None if version == frame.VERSION else (codes.WRONG_VERSION, frame.VERSION)):
                wrong.append(f"version {version}: {got}")
    bench.none("protocol.version", WIRE, wrong, "of 16 protocol versions, taken wrongly")


@cases(lambda plan: list(READINGS))
def test_sequence(bench: Bench, case: int) -> None:
    """A reply carries its own request's sequence number and message code: all 256, out of order, pipelined."""
    with bench.device(bench.profile.image) as device:
        order = list(range(256))
        bench.random.shuffle(order)
        wrong = []
        for at in range(0, len(order), 32):
            asked = order[at : at + 32]
            got = take(device, b"".join(request(device, case, sequence=s) for s in asked), len(asked))
            if [g[2] for g in got] != asked or any(g[3] != case for g in got):
                wrong.append(f"asked {asked[:4]}…, answered {[g[2] for g in got][:4]}…")
    bench.none(
        "protocol.stale",
        WIRE,
        wrong,
        "blocks of 32 whose replies are not their own",
        [("message", messages.CATALOGUE[case][0], "")],
    )


def test_stale_replies(bench: Bench) -> None:
    """Requests that nobody waited for: the next answer taken is the one to the newest request."""
    with bench.device(bench.profile.image) as device:
        wrong = []
        for n in range(50):
            device.line.send(
                b"".join(device.line.link.request(device.meter.address, messages.READING) for _ in range(n % 4))
            )
            device.pulses(0, 1)
            device.settle()
            reading = bench.profile.counted(device.meter.ask(messages.READING))
            if reading != n + 1:
                wrong.append(f"after {n + 1} pulses: {reading}")
    bench.none("protocol.stale_reply", WIRE, wrong, "of 50 readings behind abandoned requests, old")


def test_limits(bench: Bench) -> None:
    """Requests with field values at and beyond their limits."""
    ask = messages.RECORDS_REQUEST.pack
    with bench.device(bench.profile.image) as device:
        device.advance(900 * 5 + 1)
        device.settle()
        held = device.meter.status()["records"]
        kinds: dict[str, tuple[int, bytes, Callable[[tuple[int, int] | None], bool]]] = {
            "record beyond the newest": (messages.RECORDS, ask(held, 1), lambda r: r == (codes.NOT_FOUND, held)),
            "record 2^32 - 1": (messages.RECORDS, ask(0xFFFFFFFF, 1), lambda r: r == (codes.NOT_FOUND, held)),
            "no records": (messages.RECORDS, ask(0, 0), lambda r: r is not None and r[0] == codes.BAD_VALUE),
            "blob of an unknown kind": (
                messages.BLOB_BEGIN,
                messages.BLOB_BEGIN_REQUEST.pack(99, 100, bytes(32)),
                lambda r: r is not None and r[0] in (codes.BAD_VALUE, codes.NOT_ALLOWED),
            ),
            "blob of 4 GiB": (
                messages.BLOB_BEGIN,
                messages.BLOB_BEGIN_REQUEST.pack(messages.PROFILE, 0xFFFFFFFF, bytes(32)),
                lambda r: r is not None and r[0] in (codes.BAD_VALUE, codes.NOT_ALLOWED),
            ),
            "blob read past its end": (
                messages.BLOB_READ,
                messages.BLOB_READ_REQUEST.pack(messages.PROFILE, bytes(8), 0xFFFFFFFF, 16),
                lambda r: r is not None and r[0] == codes.BAD_VALUE,
            ),
            "blob that is not there": (
                messages.BLOB_READ,
                messages.BLOB_READ_REQUEST.pack(messages.PROFILE, b"nowhere!", 0, 16),
                lambda r: r is not None and r[0] == codes.NOT_FOUND,
            ),
        }
        for name, (message, body, good) in kinds.items():
            got = refusal(answers(device, request(device, message, body)))
            bench.point("protocol.limit", MESSAGES, int(not good(got)), high=0, what="not refused as specified",
                        conditions=[("request", name, "")], note="" if good(got) else f"answered {got}")  # fmt: skip


def bodies(random_: random.Random, count: int) -> list[bytes]:
    return [random_.randbytes(random_.randrange(60)) for _ in range(count)]


def test_random_requests(bench: Bench) -> None:
    """Good frames with random bodies for every reading message, and random frames: one answer each, nothing changed."""
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 3)
        before = device.raw()
        wrong = []
        harmless = [m for m in messages.CATALOGUE if m not in (messages.CLOCK_SET, messages.BLOB_COMMIT)]
        for message in harmless:
            for body in bodies(bench.random, 8):
                got = answers(device, request(device, message, body))
                if len(got) != 1 or got[0][3] != message or not got[0][1] & frame.CONTROL_REPLY:
                    wrong.append(f"message 0x{message:02x} with {body.hex()}: {len(got)} replies")
        after = device.raw()
    bench.none("protocol.random", WIRE, wrong, f"of {8 * len(harmless)} requests, without exactly one reply")
    bench.point("protocol.random_effect", "welmec-p4", int(after != before), high=0, what="registers changed by them")


@cases(lambda plan: list(plan.bit_errors))
def test_noise(bench: Bench, case: str) -> None:
    """Readouts through a line that flips bits both ways: each completes, none is wrong, and the device loses no good frame."""
    rate = float(case)
    readouts = max(3, round(bench.plan.readouts * min(1.0, 2e-3 / rate)))
    noise = BitErrors(rate, random.Random(bench.random.random()))
    wrong, lost = [], 0
    with bench.device(bench.profile.image, noise=noise) as device:
        device.meter.timeout = 0.05
        for n in range(readouts):
            device.pulses(0, 1 + n)
            device.settle()
            try:
                body = device.meter.ask(messages.READING, retries=2000)
            except NoReply:
                lost += 1
                continue
            counted = bench.profile.counted(body)
            expected = (n + 1) * (n + 2) // 2
            if counted != expected:
                wrong.append(f"after {expected} pulses the reading says {counted}")
        sent = device.line.link.counts["requests"]
    rates = [("BER", case, "")]
    bits = 8 * (len(request(device, messages.READING)) - 2 + frame.wire_size(messages.READING_REPLY.size) - 2)
    expected_tries = 1 / (1 - rate) ** bits
    bench.none("protocol.noise_wrong", TRANSMITTED, wrong, f"of {readouts} readouts, wrong", rates)
    bench.point(
        "protocol.noise_lost",
        TRANSMITTED,
        lost,
        high=0,
        what=f"of {readouts} readouts, not completed",
        conditions=rates,
    )
    limit = round(4 * expected_tries + 2 + 8 * expected_tries / readouts**0.5)
    bench.point(
        "protocol.noise_tries",
        TRANSMITTED,
        round(sent / readouts),
        high=limit,
        what="requests a readout",
        conditions=rates,
    )


def test_commands_under_noise(bench: Bench) -> None:
    """CLOCK_SET with bit errors: the clock is never set to a time that nobody sent."""
    noise = BitErrors(2e-3, random.Random(bench.random.random()))
    with bench.device(bench.profile.image, noise=noise) as device:
        sent = [bench.random.randrange(1_700_000_000, 1_800_000_000) for _ in range(300)]
        for time in sent:
            device.line.send(request(device, messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(time)))
        device.line.noise = None
        answers(device, b"")
        clock = int(device.meter.clock().utc.timestamp())
    bench.point("protocol.noise_command", TRANSMITTED, int(clock not in sent), high=0, what="times that nobody sent")
