"""What a meter checks of itself when it is asked to: bits of SELF_TEST's reply."""

ARITHMETIC = 0x0001
"""The kernel gives the right bits of a known example."""
CLOCK = 0x0002
"""Time passes."""
INPUTS = 0x0004
"""Every chip behind an input has answered since power-up, and its last answer was good."""
CONDITIONS = 0x0008
"""Every live condition of the profile has a value within its limits."""
STORAGE = 0x0010
"""No fault of the flash is known."""
TAMPER = 0x0020
"""The case is closed."""

CHECKS = {
    ARITHMETIC: "arithmetic",
    CLOCK: "clock",
    INPUTS: "inputs",
    CONDITIONS: "conditions",
    STORAGE: "storage",
    TAMPER: "tamper",
}


def names(bits):
    """The names of the checks in `bits`."""
    return [name for bit, name in CHECKS.items() if bits & bit]
