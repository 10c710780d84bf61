"""NOR flash as `size, sector_size, page_size, read_into(at, buffer), program(at, data), erase(sector)`, and two without a chip.

Programming turns ones into zeros, page by page in ascending order; only erasing a whole sector turns them back into ones.
Whoever programs a one over a zero has a bug: the two without a chip refuse it.
"""

SECTOR = 4096
PAGE = 256


class NorError(Exception):
    """An operation that flash cannot do."""


class Nor:
    """The rules. `read_into` and `_write(at, data)` come from the class below."""

    def __init__(self, size, sector_size=SECTOR, page_size=PAGE):
        if size % sector_size or sector_size % page_size:
            raise NorError("flash of %d bytes is not a whole number of sectors of %d" % (size, sector_size))
        self.size = size
        self.sector_size = sector_size
        self.page_size = page_size
        self.scratch = tuple([memoryview(bytearray(page_size)), memoryview(bytearray(page_size)), memoryview(b"\xff" * page_size)])
        """What all logs on this flash write from, read into, and hold beside a blank slot: none works while another does."""
        self._blank = bytes(b"\xff") * sector_size

    def read_into(self, at, buffer):
        """Copy flash from `at` on into the whole of `buffer`."""
        raise NotImplementedError

    def _write(self, at, data):
        raise NotImplementedError

    def program(self, at, data):
        """Turn the ones at `at` into `data`, whose zeros are to be; where flash has a zero it stays."""
        self._reach(at, len(data))
        self._write(at, data)

    def _reach(self, at, size):
        if at < 0 or at + size > self.size:
            raise NorError("program of %d bytes at %d, flash has %d" % (size, at, self.size))

    def erase(self, sector):
        """Turn every bit of sector number `sector` into a one."""
        if not 0 <= sector < self.size // self.sector_size:
            raise NorError("erase of sector %d, flash has %d" % (sector, self.size // self.sector_size))
        self._write(sector * self.sector_size, self._blank)


class CheckedNor(Nor):
    """Refuses what would turn a zero into a one: a chip would keep the zero and say nothing."""

    def program(self, at, data):
        """As Nor. Raises NorError where `data` has a one and flash a zero."""
        self._reach(at, len(data))
        old = bytearray(len(data))
        self.read_into(at, old)
        new = int.from_bytes(bytes(data), "little")
        if int.from_bytes(old, "little") & new != new:
            raise NorError("program at %d would turn a zero into a one" % at)
        self._write(at, data)


class RamNor(CheckedNor):
    """Flash in memory; `data` holds its bytes. `buffer`, if given, is taken for `data` and not copied."""

    def __init__(self, size, sector_size=SECTOR, page_size=PAGE, buffer=None):
        super().__init__(size, sector_size, page_size)
        self.data = bytearray(b"\xff" * size) if buffer is None else buffer
        self._view = memoryview(self.data)

    def read_into(self, at, buffer):
        buffer[:] = self._view[at : at + len(buffer)]

    def _write(self, at, data):
        self._view[at : at + len(data)][:] = data  # at once, MicroPython also moves all that is behind


class FileNor(CheckedNor):
    """Flash in a file that is there; every operation is on its way to the file when it returns."""

    def __init__(self, path, sector_size=SECTOR, page_size=PAGE):
        self._file = open(path, "r+b", buffering=0)
        super().__init__(self._file.seek(0, 2), sector_size, page_size)

    def read_into(self, at, buffer):
        self._file.seek(at)
        self._file.readinto(buffer)

    def _write(self, at, data):
        self._file.seek(at)
        self._file.write(data)
