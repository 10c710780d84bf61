"""What a meter answers: one handler a message of `protocol.messages`."""

from micropython import const

from protocol import frame, messages, records
from protocol import status as codes
from protocol.registers import NO_REGISTER

from .integrator import ACCUMULATOR_LIMBS, INDEX_LIMBS
from .refusal import Refusal

_U48_NONE = const(0xFFFFFFFFFFFF)
_U64_NONE = const(0xFFFFFFFFFFFFFFFF)


class MeterService:
    """Reading: open to everybody, changes nothing (but the clock)."""

    def __init__(self, meter):
        self._meter = meter
        self.server = None

    def table(self):
        """`{message: (request size, handler)}` for `link.Server`."""
        return {
            messages.IDENTIFY: (0, self.identify),
            messages.READING: (0, self.reading),
            messages.REGISTERS: (0, self.registers),
            messages.RECORDS: (messages.RECORDS_REQUEST.size, self.records),
            messages.CLOCK_GET: (0, self.clock_get),
            messages.CLOCK_SET: (messages.CLOCK_SET_REQUEST.size, self.clock_set),
            messages.STATUS: (0, self.status),
        }

    def identify(self, body, out):
        meter = self._meter
        image = meter.image
        shape = meter.records.shape
        values = (frame.VERSION,) + meter.identity + (image.fingerprint,) + shape + (image.interval,)
        return messages.IDENTITY.pack_into(out, 0, *values)

    def reading(self, body, out):
        meter = self._meter
        meter.sample()
        status = meter.status
        values = []
        for number, none in zip(meter.image.header[9:12], (_U48_NONE, _U48_NONE, _U64_NONE)):
            value = none
            if number != NO_REGISTER:
                value = self._whole(number)
                if value >= none:
                    value = none
                    status |= codes.OVERRANGE
            values.append(value)
        return messages.READING_REPLY.pack_into(out, 0, meter.clock.time(), status, *values)

    def registers(self, body, out):
        meter = self._meter
        meter.sample()
        image = meter.image
        channels = len(image.channels)
        count = channels + len(image.registers)
        tag = image.fingerprint[: records.TAG_SIZE]
        at = messages.REGISTERS_REPLY.pack_into(out, 0, meter.clock.time(), meter.status, tag, count)
        entry = messages.REGISTER_ENTRY
        for number in range(count):
            if number < channels:
                quantity, direction, unit, exponent, mantissa, _ = image.channels[number]
                value = bytes(8) + bytes(self._raw(number))
            else:
                quantity, direction, unit, exponent = image.registers[number - channels]
                mantissa = 1
                value = bytes(self._raw(number))
            at = entry.pack_into(out, at, number, quantity, direction, unit, exponent, mantissa, value)
        return at

    def records(self, body, out):
        first, count = messages.RECORDS_REQUEST.unpack_from(body)
        meter = self._meter
        meter.sample()
        ring = meter.records.ring
        shape = ring.shape_of(first)
        if shape is None:
            raise Refusal(codes.NOT_FOUND, ring.next if first >= ring.next else ring.oldest)
        size, label, end = shape
        head = at = messages.RECORDS_REPLY.size
        for sequence in range(first, min(first + count, ring.next, first + (len(out) - head) // size)):
            if sequence == end:
                shape = ring.shape_of(sequence)
                if shape is None or shape[:2] != (size, label):
                    break
                end = shape[2]
            if not ring.read_into(sequence, out[at : at + size]):
                break
            at += size
        if at == head:
            raise Refusal(codes.STORAGE if count else codes.BAD_VALUE, first if count else 0)
        messages.RECORDS_REPLY.pack_into(out, 0, first, ring.oldest, ring.next, (at - head) // size, *label[:3])
        return at

    def clock_get(self, body, out):
        clock = self._meter.clock
        clock.tick()
        return messages.CLOCK.pack_into(out, 0, clock.time(), clock.millisecond, clock.valid)

    def clock_set(self, body, out):
        (time,) = messages.CLOCK_SET_REQUEST.unpack_from(body)
        if not messages.CLOCK_EARLIEST <= time <= messages.CLOCK_LATEST:
            raise Refusal(codes.BAD_VALUE, time)
        self._meter.set_clock(time)
        return self.clock_get(body, out)

    def status(self, body, out):
        meter = self._meter
        meter.sample()
        server = self.server
        refused = server.deframer.refused
        return messages.STATUS_REPLY.pack_into(
            out,
            0,
            meter.clock.time(),
            meter.status,
            meter.clock.uptime,
            meter.reset,
            server.deframer.good,
            refused["short"],
            refused["oversize"],
            refused["stuffing"],
            refused["crc"],
            server.refused,
            server.other_address,
            meter.records.ring.next,
            meter.events.count if meter.events else 0,
        )

    def _raw(self, number):
        integrator = self._meter.integrator
        channels = integrator.channels
        if number < channels:
            at = 2 * INDEX_LIMBS * number
            return memoryview(integrator.bytes)[at : at + 2 * INDEX_LIMBS]
        at = 2 * (integrator.accumulators_at + ACCUMULATOR_LIMBS * (number - channels))
        return memoryview(integrator.bytes)[at : at + 2 * ACCUMULATOR_LIMBS]

    def _whole(self, number):
        return int.from_bytes(bytes(self._raw(number))[-8:], "little")
