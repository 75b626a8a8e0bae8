"""The flash of an emulated board in a file, so that it outlives the process that emulates it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from needlepen.emulator.chip import FLASH_SIZE, Chip
from needlepen.errors import InfrastructureError, UsageError

SETTLED_NS = 1e9
"""Device time without a change after which the content is written."""


def read_flash(path: Path) -> bytes | None:
    """The content of a flash file, None if there is no such file. Raises UsageError for a file of another size."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give another --flash file.") from None
    if len(content) != FLASH_SIZE:
        raise UsageError(
            f"{path} has {len(content)} bytes, but the flash has {FLASH_SIZE}: it is no flash file of an emulated "
            "board, so it is left as it is; give another --flash file."
        )
    return content


class FlashFile:
    """Keeps a file like the flash of a chip: written when a change has settled, and by `save`."""

    def __init__(self, chip: Chip, path: Path) -> None:
        self._chip = chip
        self.path = path
        self._stored = read_flash(path)
        self._alarm = chip.create_alarm(self.save)
        chip.on_flash_write(lambda *_: self._alarm.schedule(SETTLED_NS))

    def save(self) -> None:
        """Write the content if it has changed: a new file, then renamed.

        Raises InfrastructureError if that is impossible, a full disk for example; the old file is then untouched.
        """
        content = self._chip.flash
        if content == self._stored:
            return
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise InfrastructureError(
                f"{self.path}: cannot be written ({error.strerror}), so that what the pen has stored since is lost: "
                "make room, or give another --flash file."
            ) from None
        self._stored = content
