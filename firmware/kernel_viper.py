"""The arithmetic of the meter, compiled: the same bits as `kernel`, which explains it. Leaf functions, nothing allocated.

A viper function keeps its first two locals in registers and indexes by a constant in one instruction: pointers move
instead of indices, and limbs are written out (`make bench-device`).
"""

import micropython


@micropython.viper
def accumulate(state: ptr16, plan: ptr16, counts: ptr16) -> int:
    bottom = uint(state)
    failed = 0
    while plan[0]:
        group = uint(plan) + uint(2)
        behind = group + uint(22 * plan[0])
        count = uint(counts[0])
        later = uint(counts[1])
        first = bottom
        while count | later:
            plan = ptr16(group)
            while uint(plan) != behind:
                state = ptr16(first + uint(plan[0] << 1))
                total = uint(plan[3]) * count + uint(state[0])
                state[0] = total
                limbs = plan[2]
                if limbs > 1:
                    total = uint(plan[4]) * count + uint(state[1]) + (total >> 16)
                    state[1] = total
                    total = uint(plan[5]) * count + uint(state[2]) + (total >> 16)
                    state[2] = total
                    total = uint(plan[6]) * count + uint(state[3]) + (total >> 16)
                    state[3] = total
                    if limbs > 4:
                        total = uint(plan[7]) * count + uint(state[4]) + (total >> 16)
                        state[4] = total
                        if limbs > 5:
                            total = uint(plan[8]) * count + uint(state[5]) + (total >> 16)
                            state[5] = total
                            total = uint(plan[9]) * count + uint(state[6]) + (total >> 16)
                            state[6] = total
                    else:
                        total = (total >> 16) + uint(state[4])
                        state[4] = total
                        limbs = 5
                total = total >> 16
                if total:
                    state = ptr16(uint(state) + uint(limbs << 1))
                    end = bottom + uint((plan[0] + plan[1]) << 1)
                    while total:
                        if uint(state) == end:
                            failed = 1
                            limbs = plan[1]
                            while limbs:
                                limbs -= 1
                                state = ptr16(uint(state) - uint(2))
                                state[0] = 0xFFFF
                            break
                        total = uint(state[0]) + total
                        state[0] = total
                        total = total >> 16
                        state = ptr16(uint(state) + uint(2))
                plan = ptr16(uint(plan) + uint(22))
            count = later
            later = uint(0)
            first += uint(2)
            counts[0] = 0
            counts[1] = 0
        counts = ptr16(uint(counts) + uint(4))
        plan = ptr16(behind)
    return failed


@micropython.viper
def load(plan: ptr16, at: int, factor: ptr16):
    i = 0
    while i < 8:
        plan[at + i] = factor[i]
        i += 1


@micropython.viper
def scale(plan: ptr16, at: int, low: uint, high: uint) -> int:
    carry = uint(0)
    below = uint(0)
    carry_high = uint(0)
    end = at + 8
    while at < end:
        limb = uint(plan[at])
        total = limb * low + carry
        carry = total >> 16
        shifted = below * high + carry_high
        carry_high = shifted >> 16
        total = (total & 0xFFFF) + (shifted & 0xFFFF)
        plan[at] = total
        carry += total >> 16
        below = limb
        at += 1
    lost = carry | carry_high
    if below * high:
        lost |= 1
    return int(lost)


@micropython.viper
def stuff(source: ptr8, size: int, target: ptr8) -> int:
    """`protocol.frame.stuff`, compiled."""
    target[0] = 0
    code_at = 1
    at = 2
    i = 0
    while i < size:
        byte = source[i] ^ 0xA5
        i += 1
        if byte:
            target[at] = byte
            at += 1
            if at - code_at == 255 and i < size:
                target[code_at] = 255
                code_at = at
                at += 1
        else:
            target[code_at] = at - code_at
            code_at = at
            at += 1
    target[code_at] = at - code_at
    target[at] = 0
    return at + 1


@micropython.viper
def unstuff(buffer: ptr8, size: int) -> int:
    """`protocol.frame.unstuff`, compiled."""
    read = 0
    write = 0
    while read < size:
        code = buffer[read]
        end = read + code
        if code == 0 or end > size:
            return -1
        read += 1
        while read < end:
            byte = buffer[read]
            if byte == 0:
                return -1
            buffer[write] = byte ^ 0xA5
            read += 1
            write += 1
        if code < 255 and read < size:
            buffer[write] = 0xA5
            write += 1
    return write


@micropython.viper
def equal(a: ptr8, b: ptr8, size: int) -> bool:
    different = 0
    n = 0
    while n < size:
        different |= a[n] ^ b[n]
        n += 1
    return different == 0


@micropython.viper
def total(data: ptr8, size: int) -> int:
    found = 0
    n = 0
    while n < size:
        found += data[n]
        n += 1
    return found & 0xFFFF
