"""A cartridge chip's content as a file, and the key that signs records."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlepen.cartridges.records import MEMORY_BYTES
from needlepen.errors import UsageError

FORMAT = 1
KEY_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]*")


@dataclass(frozen=True)
class ChipImage:
    """ID and memory of one chip."""

    rom: bytes
    memory: bytes


def write_image(image: ChipImage, path: Path) -> None:
    """Write a chip's content as JSON, whole or not at all. Raises UsageError if the file exists, or cannot be made."""
    if path.exists():
        raise UsageError(f"{path}: exists already, and a record holds for one chip only; give another name")
    text = json.dumps({"format": FORMAT, "rom": image.rom.hex(), "memory": image.memory.hex()}, indent=1)
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); give another file") from None


def read_image(path: Path) -> ChipImage:
    """Read a chip's content. Raises UsageError, one line, for everything that is no such file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error}); give a file of `needlepen cartridge make`"
        ) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error}); give a file of `needlepen cartridge make`") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f"{path}: not a cartridge file of format {FORMAT}; make one with this version")
    return ChipImage(_bytes(data, "rom", 8, path), _bytes(data, "memory", MEMORY_BYTES, path))


def _bytes(data: dict[str, Any], name: str, size: int, path: Path) -> bytes:
    text = data.get(name)
    if not isinstance(text, str) or len(text) != 2 * size or not _HEX.fullmatch(text):
        raise UsageError(f"{path}: {name} has to be {2 * size} hexadecimal digits; the file is damaged")
    return bytes.fromhex(text)


def read_key(path: Path) -> bytes:
    """A cartridge key: 64 hexadecimal digits in a file. Raises UsageError that does not show what is in it."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path}: cannot be read as text; a key file holds 64 hexadecimal digits") from None
    if len(text) != 2 * KEY_BYTES or not _HEX.fullmatch(text):
        raise UsageError(f"{path}: not 64 hexadecimal digits, which a cartridge key is; give the right file")
    return bytes.fromhex(text)
