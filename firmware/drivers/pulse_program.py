"""The PIO program of `pulse`, which explains it. Names are those of MicroPython's PIO assembler."""

import rp2


@rp2.asm_pio(autopush=True, push_thresh=32)
def count_pulses():
    label("open")
    set(y, 31)
    label("opening")
    jmp(pin, "opened")
    jmp("open")
    label("opened")
    jmp(y_dec, "opening")
    label("closed")
    set(y, 31)
    label("closing")
    jmp(pin, "closed")
    jmp(y_dec, "closing")
    jmp(x_dec, "open")
