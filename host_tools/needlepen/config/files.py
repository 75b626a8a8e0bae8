"""Settings in a file, with the pen they come from: TOML, or JSON for a name that ends in .json."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from needlepen.config.model import NAMES, Settings, known_name
from needlepen.errors import UsageError
from needlepen.files import write_whole

FORMAT = 1


@dataclass(frozen=True)
class SettingsFile:
    """What a file of settings says. `pen`: unique ID in hexadecimal, empty if the file names none."""

    settings: Settings
    pen: str = ""
    firmware: str = ""
    exported: str = ""
    """When, ISO 8601."""


def save(path: Path, settings: Mapping[str, int], pen: str, firmware: str) -> SettingsFile:
    """Write a file. Raises InfrastructureError if that fails; an older file is then as it was."""
    exported = datetime.now(UTC).isoformat(timespec="seconds")
    content = SettingsFile({name: settings[name] for name in NAMES}, pen, firmware, exported)
    write_whole(path, _json(content) if path.suffix == ".json" else _toml(content))
    return content


def load(path: Path) -> SettingsFile:
    """Read a file; it may hold some of the settings only. Raises UsageError that says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:  # both parsers raise a ValueError, and so does text that is none
        reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise UsageError(
            f"{path}: cannot be read ({reason}); `needlepen config export FILE` writes such files"
        ) from None
    return _checked(data, path)


def _checked(data: Any, path: Path) -> SettingsFile:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(
            f"{path}: not a file of settings of format {FORMAT}; `needlepen config export` writes them"
        )
    settings = data.get("settings")
    if not isinstance(settings, dict) or not settings:
        raise UsageError(f"{path}: holds no settings; possible: {', '.join(NAMES)}")
    for name, value in settings.items():
        known_name(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(f"{path}: {name} = {value!r} is not a whole number; mend the file")
    texts = {name: data.get(name, "") for name in ("pen", "firmware", "exported")}
    return SettingsFile(settings, **{name: str(text) for name, text in texts.items()})


def _json(content: SettingsFile) -> str:
    return json.dumps({"format": FORMAT, **_facts(content), "settings": content.settings}, indent=2) + "\n"


def _toml(content: SettingsFile) -> str:
    # json.dumps writes such plain texts as TOML does
    facts = "".join(f"{name} = {json.dumps(text)}\n" for name, text in _facts(content).items())
    settings = "".join(f"{name} = {value}\n" for name, value in content.settings.items())
    head = "# Settings of a pen; `needlepen config import FILE` takes them back.\n"
    return f"{head}format = {FORMAT}\n{facts}\n[settings]\n{settings}"


def _facts(content: SettingsFile) -> dict[str, str]:
    return {"pen": content.pen, "firmware": content.firmware, "exported": content.exported}
