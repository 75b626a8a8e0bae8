"""Putting the application into the file system of a board at its prompt. The records of a pen stay as they are.

Only files that differ are written. The files that MicroPython starts by name go first and come last, so that a board
on which this was interrupted starts nothing, shows its prompt, and takes the same again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from needlepen.board.model import Flash
from needlepen.build import code_set, integrity
from needlepen.build.firmware_uf2 import RECORD_FOLDERS
from needlepen.errors import InfrastructureError
from needlepen.flashing.prompt import HEAD_BYTES, Prompt

_CODE, _LISTS = f"/{code_set.CODE}/", f"/{code_set.SETS}/"
STARTED_BY_NAME = ("/boot.py", "/main.py")
Listing = Mapping[str, tuple[int, int] | None]


@dataclass(frozen=True)
class Changes:
    """What has to be done to a board's files, in this order: remove, make folders, write."""

    remove: tuple[str, ...]
    folders: tuple[str, ...]
    write: tuple[str, ...]

    @property
    def none(self) -> bool:
        """True if the board has it all already."""
        return not (self.remove or self.folders or self.write)


def is_record(path: str) -> bool:
    """Whether a path belongs to what a pen keeps about itself: calibration, keys, settings, counters, log."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in RECORD_FOLDERS)


def has_records(there: Listing) -> bool:
    """Whether any record is among the files of a board."""
    return any(is_record(path) and facts is not None for path, facts in there.items())


def _facts(data: bytes) -> tuple[int, int]:
    return len(data), zlib.crc32(data)


def changes(wanted: Mapping[str, bytes], there: Listing) -> Changes:
    """From what is there to what is wanted, records aside."""
    differing = {
        path for path, data in wanted.items() if there.get(path) != _facts(data) and not is_record(path)
    }
    folders = {
        str(parent) for path in wanted if not is_record(path) for parent in PurePosixPath(path).parents
    } - {"/"}
    stale = {path for path in there if path not in wanted and path not in folders and not is_record(path)}
    if not differing and not stale:
        return Changes((), (), ())
    entry_points = tuple(path for path in STARTED_BY_NAME if path in there and path not in stale)
    last = tuple(path for path in STARTED_BY_NAME if path in wanted)
    return Changes(
        (
            *entry_points,
            *sorted(stale, key=lambda path: (path not in STARTED_BY_NAME, -path.count("/"), path)),
        ),
        tuple(sorted(folders - there.keys())),
        (*sorted(differing - set(last), key=lambda path: (path.startswith(_LISTS), path)), *last),
    )


def without_places(path: str, data: bytes) -> bytes:
    """A list of files without the places at which they lie in the image that it was built into.

    Other data come back as they are.
    """
    if path == f"/{integrity.MANIFEST}":
        return integrity.without_places(data)
    return code_set.with_places(data, {}) if code_set.is_sound(data) else data


def portable(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of an image, fit to be written to a board one by one."""
    return {path: without_places(path, data) for path, data in files.items()}


def places(
    wanted: Mapping[str, bytes], starts: Mapping[int, int], is_there: Callable[[int, bytes], bool]
) -> dict[str, int]:
    """Where the modules lie in one piece on a board: offset in the file system by name below /code.

    `starts`: CRC-32 of the first 512 bytes of each block, by offset; `is_there`: whether these data are at an offset. A
    module that is found twice gets no place: the other one may be an old copy, which littlefs writes over some day.
    """
    found = {}
    for path, data in wanted.items():
        if path.startswith(_CODE) and len(data) > HEAD_BYTES:
            head = zlib.crc32(data[:HEAD_BYTES])
            fitting = [place for place, crc in starts.items() if crc == head and is_there(place, data)]
            if len(fitting) == 1:
                found[path.removeprefix(_CODE)] = fitting[0]
    return found


def install(
    board: Prompt,
    wanted: Mapping[str, bytes],
    flash: Flash,
    progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> int:
    """Bring the files of a board to `wanted` (see `portable`); returns the number of files written.

    Raises InfrastructureError if the board does not hold them afterwards.
    """
    there = board.files()
    todo = changes(wanted, there)
    same = {
        path: _facts(wanted[path])
        for path in todo.write
        if _differs_in_places_only(board, path, wanted, there)
    }
    if changes(wanted, {**there, **same}).none:  # nothing has moved, so its places hold
        return 0
    for path in todo.remove:
        board.remove(path)
    for path in todo.folders:
        board.make_folder(path)
    written = dict(wanted)
    total = sum(len(wanted[path]) for path in todo.write)
    done = 0
    for path in todo.write:
        if code_set.is_sound(wanted[path]):  # its modules are written by now
            written[path] = code_set.with_places(
                wanted[path], places(wanted, board.block_heads(flash), board.holds(flash))
            )
        board.write(path, written[path])
        done += len(written[path])
        progress(done, total)
    left = changes(written, board.files())
    if not left.none:
        raise InfrastructureError(
            f"{(left.write or left.remove)[0]} is not on the board as it was written; its flash may be worn: run this "
            "again, and take another board if it comes back."
        )
    return len(todo.write)


def _differs_in_places_only(board: Prompt, path: str, wanted: Mapping[str, bytes], there: Listing) -> bool:
    facts = there.get(path)
    return (
        facts is not None
        and facts[0] == len(wanted[path])
        and without_places(path, board.read(path)) == wanted[path]
    )
