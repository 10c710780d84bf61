"""The arithmetic of the meter, in 16-bit limbs held in `array('H')`, lowest first. Plain twin of `kernel_viper`.

Everything is exact; an accumulator that would pass its width is filled with ones, stays so, and is reported. No step here
makes a number above 2**32 - 1; on a 32-bit port the plain twin leaves the heap alone only below 2**30.

A plan row says what one channel adds to one accumulator: ROW halfwords
    at, width, channel, limbs, e0 … e7
`state[at : at + width] += e * count[channel]`, where `e` has `limbs` limbs and `limbs + 1 <= width` or e is 1.
"""

from micropython import const

ROW = const(12)
FACTOR_AT = const(4)
FACTOR_LIMBS = const(8)


def accumulate(state, plan, counts, rows):
    """Run `rows` rows of `plan` with `counts`, two limbs a channel. Returns 0, or 1 + the last row that overflowed."""
    failed = 0
    for row in range(rows):
        base = row * ROW
        start = plan[base]
        end = start + plan[base + 1]
        count_at = 2 * plan[base + 2]
        for limb in range(2):
            count = counts[count_at + limb]
            if count:
                at = start + limb
                carry = 0
                for i in range(base + FACTOR_AT, base + FACTOR_AT + plan[base + 3]):
                    total = state[at] + plan[i] * count + carry
                    state[at] = total & 0xFFFF
                    carry = total >> 16
                    at += 1
                while carry and at < end:
                    total = state[at] + carry
                    state[at] = total & 0xFFFF
                    carry = total >> 16
                    at += 1
                if carry:
                    failed = row + 1
                    for at in range(start, end):
                        state[at] = 0xFFFF
    return failed


def scale(plan, at, low, high):
    """`plan[at : at + 8] *= low + 65536 * high`, both below 65536. Returns what overflowed: 0 if nothing did."""
    lost = 0
    carry = 0
    below = 0
    carry_high = 0
    for i in range(at, at + FACTOR_LIMBS):
        limb = plan[i]
        total = limb * low + carry
        carry = total >> 16
        shifted = below * high + carry_high
        carry_high = shifted >> 16
        total = (total & 0xFFFF) + (shifted & 0xFFFF)
        plan[i] = total & 0xFFFF
        carry += total >> 16
        below = limb
    lost = carry | carry_high
    if below and high:
        lost |= 1
    return lost
