"""Recordings of a pen: CSV with units in the names of the columns, and what was recorded in front of them.

    # needlepen recording 1
    # pen: e660000000000001
    # started: 2026-11-23T07:00:00+00:00
    host_s,time_ms,state,fault,set_rate_hz,...

Each row goes to the operating system as soon as it is written, so that a program that is killed leaves all of them;
what a power cut tears is at most the end of the file, and the reader leaves a torn last line out.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from needlepen.errors import InfrastructureError, UsageError
from needlepen.monitor.frame import BACK, COLUMNS, EVENT, LOST, TEXTS, Frame, Gap

TITLE = "needlepen recording 1"
_SYNC_S = 1.0
"""How often the rows are sent on to the disk: a power cut of this computer costs no more."""
_BACKWARDS_MS = 1000


class Recorder:
    """Writes a recording; a context manager. `rows` counts what is written.

    Raises UsageError if the file exists already, InfrastructureError if it cannot be written.
    """

    def __init__(self, path: Path, metadata: Mapping[str, str]) -> None:
        self.path = path
        self.rows = 0
        self._synced_s = time.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("x", encoding="utf-8", newline="")
        except FileExistsError:
            raise UsageError(
                f"{path} exists already, and a recording is not overwritten; give another name"
            ) from None
        except OSError as error:
            raise self._failure(error) from None
        head = [TITLE, *(f"{name}: {_one_line(text)}" for name, text in metadata.items())]
        self._put("".join(f"# {line}\n" for line in head) + ",".join(COLUMNS) + "\n")

    def write(self, moment: Frame | Gap) -> None:
        """Add a row."""
        values = moment.values()
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([_text(values.get(name)) for name in COLUMNS])
        self._put(line.getvalue())
        self.rows += 1

    def _put(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
            if time.monotonic() - self._synced_s >= _SYNC_S:
                self._synced_s = time.monotonic()
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> InfrastructureError:
        reason = error.strerror or str(error)
        return InfrastructureError(
            f"{self.path}: the recording cannot be written ({reason}); give another place"
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


@dataclass(frozen=True)
class Recording:
    """A recording as it was read. `columns` are all equally long; a number that is not there is NaN.

    `time_s` counts from the first row, by the pen's own clock where it runs on, by the host's across gaps and
    restarts. `gaps`: from when to when the pen was lost, and why. `torn`: whether a torn last line was left out.
    """

    path: Path
    metadata: Mapping[str, str]
    columns: Mapping[str, list[float]]
    texts: Mapping[str, list[str]]
    time_s: list[float]
    gaps: list[tuple[float, float, str]] = field(default_factory=list)
    torn: bool = False

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def duration_s(self) -> float:
        """From the first row to the last."""
        return self.time_s[-1] if self.time_s else 0.0


def load(path: Path) -> Recording:
    """Read a recording. Raises UsageError that names the line if it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a recording") from None
    whole, torn = data[: data.rfind(b"\n") + 1], not data.endswith(b"\n")
    lines = whole.decode("utf-8", errors="replace").splitlines()
    if not lines or lines[0] != f"# {TITLE}":
        raise UsageError(
            f"{path}: no recording (line 1 is not '# {TITLE}'); `needlepen monitor --record` makes them"
        )
    head = [line for line in lines if line.startswith("# ")][1:]
    metadata = {name: text for name, _, text in (line[2:].partition(": ") for line in head)}
    rows = lines[1 + len(head) :]
    if not rows:
        raise UsageError(f"{path}: the recording ended before its first row; record again")
    names = rows[0].split(",")
    needed = {"host_s", "time_ms", "state", "fault", EVENT}
    if not needed <= set(names):
        raise UsageError(f"{path}: has no column {', '.join(sorted(needed - set(names)))}; record again")
    return _assembled(path, metadata, names, rows[1:], 2 + len(head), torn)


def _assembled(
    path: Path, metadata: Mapping[str, str], names: list[str], lines: list[str], first_line: int, torn: bool
) -> Recording:
    texts: dict[str, list[str]] = {name: [] for name in names if name in TEXTS}
    columns: dict[str, list[float]] = {name: [] for name in names if name not in TEXTS}
    for place, row in enumerate(csv.reader(lines)):
        try:
            numbers = {
                n: float(v) if v else float("nan") for n, v in zip(names, row, strict=True) if n in columns
            }
        except ValueError:
            if place == len(lines) - 1:  # the end of a file after a power cut
                torn = True
                break
            raise UsageError(
                f"{path}, line {first_line + 1 + place}: not a row of a recording; remove it"
            ) from None
        for name, number in numbers.items():
            columns[name].append(number)
        for name, text in zip(names, row, strict=True):
            if name in texts:
                texts[name].append(text)
    time_s = _times_s(columns["host_s"], columns["time_ms"])
    return Recording(path, metadata, columns, texts, time_s, _gaps(time_s, texts[EVENT]), torn)


def _times_s(host_s: list[float], time_ms: list[float]) -> list[float]:
    """The pen's clock is exact, but begins anew with each start: what follows a break is placed by the host's."""
    times: list[float] = []
    offset_s: float | None = None
    last_ms = 0.0
    for host, pen_ms in zip(host_s, time_ms, strict=True):
        if pen_ms != pen_ms:  # a row without the pen's time: lost or back
            offset_s = None
            times.append(max(host, times[-1]) if times else host)
            continue
        if offset_s is None or pen_ms < last_ms - _BACKWARDS_MS:
            offset_s = max(host, times[-1] if times else host) - pen_ms / 1e3
        last_ms = pen_ms
        times.append(max(offset_s + pen_ms / 1e3, times[-1] if times else 0.0))
    begun_s = times[0] if times else 0.0
    return [t - begun_s for t in times]


def _gaps(time_s: list[float], events: Iterable[str]) -> list[tuple[float, float, str]]:
    found: list[tuple[float, float, str]] = []
    begun: tuple[float, str] | None = None
    for t, event in zip(time_s, events, strict=True):
        kind, _, text = event.partition(": ")
        if kind == LOST and begun is None:
            begun = (t, text)
        elif kind == BACK and begun is not None:
            found.append((begun[0], t, begun[1]))
            begun = None
    if begun is not None:
        found.append((begun[0], time_s[-1], begun[1]))
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
