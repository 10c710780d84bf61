"""Flash that loses power: it does so many whole operations, part of one more, and raises PowerCut. Runs on MicroPython."""

from firmware.store.nor import RamNor


class PowerCut(Exception):
    """Power is gone. The flash keeps what it has."""


def scramble(seed):
    """The next number of a repeatable sequence of 30 bits (Park and Miller)."""
    return seed * 16807 % 2147483647


class CuttingNor(RamNor):
    """Counts operations, one a page programmed or sector erased, in `operations`; `log`, if a list, keeps each.

    With `cut_at(operation, byte, seed)` the operation of that number stops at that byte: bytes before it are done, the
    byte itself is half done bit by bit, those behind it are untouched; with `byte` -1 every byte is done or half done at random.
    """

    def __init__(self, size, sector_size=4096, page_size=256, buffer=None):
        super().__init__(size, sector_size, page_size, buffer)
        self.operations = 0
        self.log = None
        self._cut = -1

    def cut_at(self, operation, byte, seed):
        """Have power go away in an operation to come."""
        self._cut, self._byte, self._seed = operation, byte, seed

    def _write(self, at, data):
        page = self.page_size
        if len(data) == self.sector_size:
            self._one(at, data)
            return
        done = 0
        while done < len(data):
            part = min(len(data) - done, page - (at + done) % page)
            self._one(at + done, data[done : done + part])
            done += part

    def _one(self, at, data):
        if self.log is not None:
            self.log.append((at, bytes(data)))
        if self.operations == self._cut:
            torn(self.data, at, data, min(self._byte, len(data) - 1), self._seed)
            raise PowerCut()
        self.operations += 1
        super()._write(at, data)


def torn(flash, at, data, byte, seed):
    """Leave in `flash` what remains of writing `data` at `at` when it stops at `byte` (see CuttingNor.cut_at)."""
    seed = seed % 2147483646 + 1
    if byte < 0:
        for n in range(len(data)):
            seed = scramble(seed)
            pick = seed >> 8
            mask = 0xFF if pick & 0x700 else pick & 0xFF
            if pick & 0x800:
                mask = 0
            flash[at + n] ^= (flash[at + n] ^ data[n]) & mask
        return
    flash[at : at + byte] = data[:byte]
    flash[at + byte] ^= (flash[at + byte] ^ data[byte]) & scramble(seed) >> 8 & 0xFF
