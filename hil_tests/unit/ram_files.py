"""The pen's files as a dictionary: quick, and each call can be told to fail."""

from __future__ import annotations


class OpenFile:
    """A file that is written; what it holds is there when it is closed."""

    def __init__(self, files: RamFiles, path: str) -> None:
        self._files, self._path, self._data = files, path, b""

    def write(self, data: bytes) -> None:
        self._files._do("write part", self._path)
        self._data += bytes(data)

    def close(self) -> None:
        self._files._do("close", self._path)
        self._files.held[self._path] = self._data


class RamFiles:
    """As pen.store.device.Device. `held`: contents by path; `refused`: calls that raise OSError; `calls`: every change.

    `depth`: how many begin() wait for their end().
    """

    def __init__(self, **held: bytes) -> None:
        self.held: dict[str, bytes] = dict(held)
        self.refused: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.may_write = True
        self.blocked = 0
        self.depth = self.begun = 0

    def _do(self, call: str, path: str = "") -> None:
        if call in self.refused:
            raise OSError(5, "told to fail", path)
        if call != "read":
            self.calls.append((call, path))

    def read(self, path: str, size: int = -1) -> bytes | None:
        self._do("read", path)
        data = self.held.get(path)
        return data if data is None or size < 0 else data[:size]

    def write(self, path: str, data: bytes) -> None:
        self._do("write", path)
        self.held[path] = bytes(data)

    def create(self, path: str) -> OpenFile:
        self._do("create", path)
        return OpenFile(self, path)

    def append(self, path: str, data: bytes) -> None:
        self._do("append", path)
        self.held[path] = self.held.get(path, b"") + data

    def rename(self, old: str, new: str) -> None:
        self._do("rename", old)
        self.held[new] = self.held.pop(old)

    def remove(self, path: str) -> None:
        self._do("remove", path)
        del self.held[path]

    def names(self, folder: str) -> list[str]:
        return sorted(path.rsplit("/", 1)[1] for path in self.held if path.rsplit("/", 1)[0] == folder)

    def make_folder(self, path: str) -> None:
        self._do("make_folder", path)

    def recover(self) -> None:
        self._do("recover")
        self.blocked = 0

    def begin(self) -> None:
        self.depth += 1
        self.begun += 1

    def end(self) -> None:
        self.depth -= 1
