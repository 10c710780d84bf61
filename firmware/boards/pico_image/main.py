"""main.py of a Pico, in the meter's image or on its files: starts the firmware that `slots` chooses. No update replaces it.

The image's prompt is open only until the unit has its board.json (`tonne flash`); with the firmware as files it stays open.
No interrupt may end this program before it is known which of the two it is: its end is the prompt.
"""

import micropython

micropython.kbd_intr(-1)

import gc  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

import machine  # noqa: E402

UPDATES = "/updates"
WATCHDOG_MS = 8000

try:
    import frozen_digest

    FACTORY = frozen_digest.DIGEST[:8].hex()
except ImportError:
    FACTORY = ""
    micropython.kbd_intr(3)

CLOSED = bool(FACTORY)


def start():
    """Serve for ever. What was there at the factory is started as it is; a slot has a watchdog from here on."""
    import slots  # type: ignore[import-not-found]

    slot = slots.choose(UPDATES, FACTORY)
    if slot:
        machine.WDT(timeout=WATCHDOG_MS)
        sys.path.insert(0, UPDATES + "/" + slot)
    gc.threshold(16384)
    try:
        from firmware.boards import pico

        pico.main(CLOSED, slot)
    except Exception as error:
        if not CLOSED and not slot:
            raise
        sys.print_exception(error)
        machine.reset()


if "board.json" in os.listdir():
    try:
        start()
    finally:
        if CLOSED:
            machine.reset()
