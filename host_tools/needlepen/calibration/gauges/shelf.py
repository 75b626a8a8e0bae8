"""The user's own gauges, in gauges.toml of the configuration folder: how each is reached, and what its papers say.

[left-bench]
kind = "mitutoyo"
port = "/dev/ttyUSB0"
model = "543-790B"
serial = "21004533"
resolution_um = 1.0
error_um = 3.0
repeatability_um = 2.0
certificate = "D-K-15143 2026-03"
due = 2027-03-31
"""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from needlepen import paths
from needlepen.calibration.gauges.interface import Gauge, Unit
from needlepen.calibration.gauges.kinds import kinds, open_gauge, plugin
from needlepen.calibration.model import GaugeIdentity
from needlepen.errors import InfrastructureError, UsageError
from needlepen.files import write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


class OwnGauge(BaseModel):
    """One gauge of the file. Lengths in um: `resolution_um` its last digit, `error_um` half width, `repeatability_um`
    standard deviation of a reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    port: str | None = None
    unit: Unit = "mm"
    """What its display shows, for kinds whose text does not say."""
    model: str = Field(default="", max_length=64)
    serial: str = Field(default="", max_length=64)
    resolution_um: float = Field(default=1.0, gt=0, le=100, allow_inf_nan=False)
    error_um: float = Field(default=3.0, ge=0, le=1000, allow_inf_nan=False)
    repeatability_um: float = Field(default=3.0, ge=0, le=1000, allow_inf_nan=False)
    certificate: str = Field(default="", max_length=128)
    due: date | None = None

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in kinds():
            raise ValueError(f"{kind!r} is no kind of gauge; there are: {', '.join(kinds())}")
        return kind

    @field_validator("due", mode="before")
    @classmethod
    def _day(cls, due: Any) -> Any:
        if isinstance(due, datetime) or not isinstance(due, date | str | None):
            raise ValueError("give a day as 2027-03-31")
        return due

    @property
    def identity(self) -> GaugeIdentity:
        """What goes with its readings."""
        return GaugeIdentity(**self.model_dump(exclude={"port", "unit"}))

    def is_overdue(self, day: date) -> bool:
        """Whether its own calibration was due before that day."""
        return self.due is not None and self.due < day

    def open(self, port: str | None = None) -> Gauge:
        """Open it, at another port if one is given. Raises what `open_gauge` raises."""
        return open_gauge(self.kind, port or self.port, self.identity, self.unit)


def file_path() -> Path:
    """Where the gauges are."""
    return paths.config_dir() / "gauges.toml"


def load_gauges(path: Path | None = None) -> dict[str, OwnGauge]:
    """The gauges of the file, by name; none if there is no file.

    Raises UsageError with one line for each mistake in it.
    """
    path = path or file_path()
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error}), so no gauge is known; mend or remove it."
        ) from None
    return _parsed(text, path)


def load_identity(name: str, path: Path | None = None) -> GaugeIdentity:
    """What the papers of a gauge of the file say. Raises UsageError if it is not there."""
    return known(name, load_gauges(path)).identity


def open_named(name: str, port: str | None = None) -> Gauge:
    """Open a gauge of the file by its name, or one without papers by its kind. `port` goes before the file's.

    Raises UsageError for a name that is neither, and what `open_gauge` raises.
    """
    own = load_gauges()
    if name in own:
        return own[name].open(port)
    if name in kinds():
        return open_gauge(name, port)
    raise UsageError(
        f"{name!r} is neither a gauge of {file_path()} ({', '.join(own) or 'it has none'}) nor a kind of gauge "
        f"({', '.join(kinds())})."
    )


def known(name: str, own: dict[str, OwnGauge]) -> OwnGauge:
    """A gauge by its name. Raises UsageError with those that there are."""
    if name not in own:
        there = ", ".join(own) or "none yet; `needlepen gauge add` adds one"
        raise UsageError(f"No gauge is called {name!r} in {file_path()}; there are: {there}.")
    return own[name]


def add(name: str, values: dict[str, Any]) -> OwnGauge:
    """Append a gauge to the file, which keeps what else is in it, comments too. `values`: fields of OwnGauge.

    Raises UsageError for an impossible or known name or value, InfrastructureError if the file cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a gauge: use 1 to 32 letters, digits, - and _.")
    if name in load_gauges():
        raise UsageError(f"A gauge is called {name!r} already; take another name, or remove that one first.")
    if name in kinds():
        raise UsageError(f"{name!r} is a kind of gauge; call the gauge by another name.")
    given = {key: value for key, value in values.items() if value is not None}
    lines = [f"{key} = {_toml(value)}" for key, value in given.items()]
    section = "\n".join([f"[{name}]", *lines, ""])
    made = _parsed(section, Path(name))[name]
    if plugin(made.kind).needs_port and not made.port:
        raise UsageError(f"A gauge of kind {made.kind!r} is at a serial port: say which with --port.")
    text = _text()
    write_whole(file_path(), f"{text.rstrip()}\n\n{section}" if text.strip() else section)
    return made


def remove(name: str) -> None:
    """Take a gauge out of the file, which keeps what else is in it. Raises UsageError if it is not there."""
    own = load_gauges()
    known(name, own)
    kept: list[str] = []
    inside = False
    for line in _text().splitlines(keepends=True):
        header = re.fullmatch(r"""\s*\[\s*["']?([^\]"']*?)["']?\s*\]\s*(#.*)?""", line.rstrip())
        inside = header[1] == name if header else inside
        if not inside:
            kept.append(line)
    text = "".join(kept)
    if _parsed(text, file_path()) != {other: gauge for other, gauge in own.items() if other != name}:
        raise InfrastructureError(f"{file_path()}: {name!r} cannot be cut out; remove it by hand.")
    write_whole(file_path(), text)


def _text() -> str:
    return file_path().read_text(encoding="utf-8") if file_path().exists() else ""


def _toml(value: Any) -> str:
    """As TOML writes it; a text as JSON does, whose escapes TOML knows too."""
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)


def _parsed(text: str, path: Path) -> dict[str, OwnGauge]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}; correct the syntax there") from None
    found: dict[str, OwnGauge] = {}
    mistakes: list[str] = []
    for name, values in data.items():
        if not isinstance(values, dict):
            mistakes.append(f"{path}: {name}: begin each gauge with its name in brackets, [left-bench]")
            continue
        try:
            found[name] = OwnGauge.model_validate(values)
        except ValidationError as error:
            mistakes += [f"{path}: [{name}] {_said(problem)}" for problem in error.errors()]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return found


def _said(problem: Any) -> str:
    """One mistake that pydantic found, in words."""
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: there is no such key; possible: {', '.join(OwnGauge.model_fields)}"
    if problem["type"] == "missing":
        return f"{place}: is missing; one of {', '.join(kinds())}"
    reason = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["msg"]
    return f"{place}: {reason}, not {problem['input']!r}"
