"""The arithmetic of the meter, compiled: the same bits as `kernel`, which explains it. Leaf functions, nothing allocated."""

import micropython


@micropython.viper
def accumulate(state: ptr16, plan: ptr16, counts: ptr16, rows: int) -> int:
    failed = 0
    base = 0
    row = 0
    while row < rows:
        row += 1
        start = plan[base]
        end = start + plan[base + 1]
        count_at = 2 * plan[base + 2]
        limb = 0
        while limb < 2:
            count = uint(counts[count_at + limb])
            if count:
                at = start + limb
                i = base + 4
                stop = i + plan[base + 3]
                carry = uint(0)
                while i < stop:
                    carry = uint(state[at]) + uint(plan[i]) * count + carry
                    state[at] = carry
                    carry = carry >> 16
                    i += 1
                    at += 1
                while carry:
                    if at == end:
                        failed = row
                        while at > start:
                            at -= 1
                            state[at] = 0xFFFF
                        break
                    carry = uint(state[at]) + carry
                    state[at] = carry
                    carry = carry >> 16
                    at += 1
            limb += 1
        base += 12
    return failed


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
