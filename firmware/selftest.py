"""The meter's check of itself, for the end of the line and for whoever doubts it later."""

import gc
from array import array

from protocol import messages
from protocol import selftest as checks
from protocol import status as flags
from protocol.registers import INTENSITY

from . import native


class SelfTest:
    """Handler for `link.Server`. `chips` are the drivers that ask chips: they have `errors` and `healthy`."""

    def __init__(self, meter, chips):
        self._meter = meter
        self._chips = chips

    def table(self):
        """`{message: (request size, handler)}`."""
        return {messages.SELF_TEST: (0, self.check)}

    def check(self, body, out):
        meter = self._meter
        meter.sample()
        done = checks.ARITHMETIC | checks.CLOCK | checks.STORAGE | checks.TAMPER
        failed = 0 if _arithmetic() else checks.ARITHMETIC
        if not meter.clock.uptime and not meter.clock.millisecond:
            failed |= checks.CLOCK
        if meter.status & flags.STORAGE_FAULT:
            failed |= checks.STORAGE
        if meter.status & flags.TAMPER:
            failed |= checks.TAMPER
        if self._chips:
            done |= checks.INPUTS
            if not all([chip.healthy for chip in self._chips]):
                failed |= checks.INPUTS
        live = [n for n, spec in enumerate(meter.image.conditions) if spec[0] != INTENSITY]
        if live:
            done |= checks.CONDITIONS
            meter.conditions.refresh()
            if any([meter.conditions.wrong[n] for n in live]):
                failed |= checks.CONDITIONS
        errors = sum([chip.errors for chip in self._chips])
        gc.collect()
        return messages.SELF_TEST_REPLY.pack_into(out, 0, done, failed, errors, gc.mem_alloc(), gc.mem_free())


def _arithmetic():
    """One multiplication of eight limbs by the kernel: 0xFFFF in four of them, by 0xFFFE8001."""
    plan = array("H", [0xFFFF] * 4 + [0] * 4)
    return not native.scale(plan, 0, 0x8001, 0xFFFE) and bytes(plan) == _PRODUCT


_PRODUCT = (0xFFFE8001 * (2**64 - 1)).to_bytes(16, "little")
