"""What the flash did that it should not. A log reports here; the meter makes status and events of it."""

DAMAGED = 1
"""A bit had flipped; the slot was put right from its check sum, or the header read from its other copy."""
LOST = 2
"""A slot could not be read any more."""
WORN = 3
"""A sector did not take what was programmed, or did not erase. It was skipped."""
FULL = 4
"""No sector took what had to be kept."""

WAITING = 16


class Faults:
    """Each (code, sector) is told once a power-up: `waiting` holds what nobody has taken yet, `count` counts all."""

    def __init__(self):
        self.count = 0
        self.waiting = []
        self._known = set()

    def report(self, code, sector):
        """Sector number `sector` of the flash showed `code`."""
        fault = (code, sector)
        if fault not in self._known:
            self._known.add(fault)
            self.count += 1
            if len(self.waiting) < WAITING:
                self.waiting.append(fault)
