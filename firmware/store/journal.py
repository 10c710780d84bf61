"""A journal: the newest payload, atomic under power cuts, over two sectors or more so that they wear alike."""

from .log import NO_LABEL, Log


class Journal(Log):
    """`latest` is the newest payload that is whole, as bytes, or None; `append(payload)` makes another the latest.

    `found`, if given, is the `faults.Faults` that flash faults are reported to.
    """

    def __init__(self, nor, first_sector, sectors, payload_size, found=None):
        self._latest = None
        super().__init__(nor, first_sector, sectors, payload_size, NO_LABEL, found)

    @property
    def latest(self):
        return None if self._latest is None else bytes(self._latest)

    def _newest(self, payload):
        if self._latest is None or len(self._latest) != len(payload):
            self._latest = bytearray(len(payload))
        self._latest[:] = payload
