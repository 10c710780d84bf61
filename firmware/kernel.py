"""The arithmetic of the meter, in 16-bit limbs held in `array('H')`, lowest first. Plain twin of `kernel_viper`.

Everything is exact; an accumulator that would pass its width is filled with ones, stays so, and is reported. No step here
makes a number above 2**32 - 1; on a 32-bit port the plain twin leaves the heap alone only below 2**30.

A plan is one group for each channel, in order, and a zero: the number of the group's rows, then the rows, ROW halfwords each:
    at, width, limbs, e0 … e7
A row says `state[at : at + width] += e * count`, where `count` is its channel's and `e` the first `limbs` limbs: one of
FACTOR_SIZES, less than `width`.
"""

ROW = 11
FACTOR_AT = 3
FACTOR_LIMBS = 8
FACTOR_SIZES = (1, 4, 5, 7)


def accumulate(state, plan, counts):
    """Take the channels' counts, two limbs each, and add them by `plan`. Returns 1 if an accumulator was too full, else 0."""
    failed = 0
    group = 0
    at_count = 0
    while plan[group]:
        behind = group + 1 + ROW * plan[group]
        for limb in range(2):
            count = counts[at_count]
            if count:
                counts[at_count] = 0
                for base in range(group + 1, behind, ROW):
                    start = plan[base]
                    end = start + plan[base + 1]
                    at = start + limb
                    carry = 0
                    for i in range(base + FACTOR_AT, base + FACTOR_AT + plan[base + 2]):
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
                        failed = 1
                        for at in range(start, end):
                            state[at] = 0xFFFF
            at_count += 1
        group = behind
    return failed


def load(plan, at, factor):
    """`plan[at : at + 8] = factor`; a slice would allocate."""
    for i in range(FACTOR_LIMBS):
        plan[at + i] = factor[i]


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


def equal(a, b, size):
    """Whether `a[:size]` and `b[:size]`, both that long at least, are the same, in a time that does not tell where not."""
    different = 0
    for n in range(size):
        different |= a[n] ^ b[n]
    return not different


def total(data, size):
    """Sum of the bytes `data[:size]`, modulo 65536."""
    return sum(data[:size]) & 0xFFFF
