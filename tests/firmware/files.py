"""A filesystem that loses power: it does so many operations, half of one more if that can be, and raises PowerCut.

As littlefs has it a file is what it was until `flush` or `close`, and a rename is atomic; as POSIX has it (`synced` False) every
write shows at once, and a cut one leaves its first half.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.torture.cutting import PowerCut


class Files:
    """Stands in for `os` and `open`; `data` are the files by path, `folders` the folders. Operation `cut` is not done."""

    def __init__(self, synced: bool) -> None:
        self.synced = synced
        self.data: dict[str, bytes] = {}
        self.folders = {""}
        self.operations = 0
        self.cut = -1
        self.room = 1 << 30
        """Bytes that all files together may have."""

    def step(self) -> None:
        """One operation that changes the flash."""
        if self.operations == self.cut:
            self.cut = -1
            raise PowerCut
        self.operations += 1

    def open(self, path: str, mode: str = "r") -> File:
        if "r" in mode:
            if path not in self.data:
                raise OSError(2)
            return File(self, path, mode, self.data[path])
        assert path.rpartition("/")[0] in self.folders, f"{path}: no such folder"
        self.step()
        if "w" in mode and not self.synced:
            self.data[path] = b""
        before = self.data.setdefault(path, b"")
        return File(self, path, mode, before if "a" in mode else b"")

    def remove(self, path: str) -> None:
        if path not in self.data:
            raise OSError(2)
        self.step()
        del self.data[path]

    def rename(self, old: str, new: str) -> None:
        self.step()
        self.data[new] = self.data.pop(old)

    def mkdir(self, path: str) -> None:
        if path in self.folders:
            raise OSError(17)
        self.step()
        self.folders.add(path)

    def rmdir(self, path: str) -> None:
        assert not self.listdir(path), f"{path} is not empty"
        self.step()
        self.folders.remove(path)

    def listdir(self, path: str) -> list[str]:
        if path not in self.folders:
            raise OSError(2)
        head = path + "/"
        inside = [name[len(head) :] for name in (*self.data, *self.folders) if name.startswith(head)]
        return sorted({name for name in inside if "/" not in name})

    def stat(self, path: str) -> tuple[int, ...]:
        if path in self.folders:
            return (0x4000, *[0] * 9)
        if path not in self.data:
            raise OSError(2)
        return (0x8000, 0, 0, 0, 0, 0, len(self.data[path]), 0, 0, 0)


class File:
    """An open file."""

    def __init__(self, files: Files, path: str, mode: str, content: bytes) -> None:
        self._files, self._path, self._mode = files, path, mode
        self._content = bytearray(content)
        self._at = 0

    def __enter__(self) -> File:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not PowerCut:
            self.close()

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def read(self, size: int = -1) -> bytes | str:
        end = len(self._content) if size < 0 else self._at + size
        data = bytes(self._content[self._at : end])
        self._at = min(end, len(self._content))
        return data if "b" in self._mode else data.decode()

    def seek(self, at: int) -> None:
        self._at = at

    def write(self, data: bytes | str) -> int:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        if not self._files.synced:
            self._cut_in_half(raw)
        self._content += raw
        return len(raw)

    def flush(self) -> None:
        if "r" not in self._mode and self._files.data.get(self._path) != self._content:
            self._files.step()
            self._keep(bytes(self._content))

    def close(self) -> None:
        self.flush()

    def _cut_in_half(self, raw: bytes) -> None:
        try:
            self._files.step()
        except PowerCut:
            self._keep(bytes(self._content) + raw[: len(raw) // 2])
            raise
        self._keep(bytes(self._content) + raw)

    def _keep(self, content: bytes) -> None:
        files = self._files
        if sum(len(data) for path, data in files.data.items() if path != self._path) + len(content) > files.room:
            raise OSError(28)
        files.data[self._path] = content
