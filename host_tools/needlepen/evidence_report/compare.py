"""What moved between two runs: verdicts, values, tests that appeared or vanished."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from needlepen.evidence_report import reading
from needlepen.evidence_report.model import UNKNOWN_BOARD
from needlepen.evidence_report.verdicts import PASSED

MOVED_PCT = 5.0
"""A value that moved by more than this share of its limit is told."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """A measured value; `value` is None when it was never seen or not measured, `shown` says which."""

    verdict: str
    value: float | None
    shown: str
    limit: float
    lower: float | None
    unit: str


@dataclass(frozen=True)
class Run:
    """One side: verdicts of tests, and values of measurements, each by its names."""

    source: str
    identity: dict[str, str]
    tests: dict[Key, str]
    values: dict[Key, Value]


@dataclass(frozen=True)
class VerdictChange:
    """Another verdict. `lost`: it passed and does not any more. None: not there."""

    what: str
    before: str | None
    after: str | None

    @property
    def lost(self) -> bool:
        return self.before in PASSED and self.after not in PASSED


@dataclass(frozen=True)
class Move:
    """A value that moved. `share_pct`: of the limit; None where one of the two is no number, or the limit is 0."""

    what: str
    before: str
    after: str
    limit: str
    share_pct: float | None


@dataclass
class Comparison:
    """From run A to run B."""

    before: Run
    after: Run
    tests: list[VerdictChange] = field(default_factory=list)
    measurements: list[VerdictChange] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)

    @property
    def lost(self) -> list[VerdictChange]:
        """What passed and does not any more: failed, skipped, in trouble, or gone."""
        return [change for change in (*self.tests, *self.measurements) if change.lost]

    @property
    def exit_code(self) -> int:
        """1 if something that passed does not any more."""
        return 1 if self.lost else 0

    @property
    def identity(self) -> list[tuple[str, str, str]]:
        """(what, before, after) for whatever differs between the two benches."""
        names = dict.fromkeys([*self.before.identity, *self.after.identity])
        rows = [(n, self.before.identity.get(n, ""), self.after.identity.get(n, "")) for n in names]
        return [row for row in rows if row[1] != row[2]]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "before": self.before.source,
            "after": self.after.source,
            "identity": [dict(zip(("what", "before", "after"), row, strict=True)) for row in self.identity],
            "tests": [asdict(change) | {"lost": change.lost} for change in self.tests],
            "measurements": [asdict(change) | {"lost": change.lost} for change in self.measurements],
            "moved": [asdict(move) for move in self.moves],
            "exit_code": self.exit_code,
        }


def compare(before: Run, after: Run, moved_pct: float = MOVED_PCT) -> Comparison:
    """From one run to another; values that moved by more than `moved_pct` of their limit are told."""
    found = Comparison(before, after)
    found.tests = _changes(before.tests, after.tests)
    verdicts = ({key: v.verdict for key, v in run.values.items()} for run in (before, after))
    found.measurements = _changes(*verdicts)
    both = [key for key in before.values if key in after.values]
    moves = (_move(_name(key), before.values[key], after.values[key], moved_pct) for key in both)
    found.moves = [move for move in moves if move is not None]
    return found


def _changes(before: dict[Key, str], after: dict[Key, str]) -> list[VerdictChange]:
    keys = dict.fromkeys([*before, *after])
    pairs = ((key, before.get(key), after.get(key)) for key in keys)
    return [VerdictChange(_name(key), old, new) for key, old, new in pairs if old != new]


def _name(key: Key) -> str:
    return " ".join(part for part in key if part)


def _move(what: str, old: Value, new: Value, moved_pct: float) -> Move | None:
    """The move, if it is worth telling: far enough, to or from nothing, or with another limit."""
    limit = _limit(new) if _limit(old) == _limit(new) else f"{_limit(old)} -> {_limit(new)}"
    scale = abs(new.limit) if new.lower is None else (new.limit - new.lower) / 2
    share = None
    if old.value is not None and new.value is not None:
        share = 100 * (new.value - old.value) / scale if scale else None
        far = old.value != new.value if share is None else abs(share) > moved_pct
    else:
        far = old.shown != new.shown
    if not far and _limit(old) == _limit(new):
        return None
    return Move(what, old.shown, new.shown, limit, None if share is None else round(share, 2))


def _limit(v: Value) -> str:
    low = "" if v.lower is None else f"{v.lower:g} to "
    return f"{low}{v.limit:g} {v.unit}".rstrip()


# ---------------------------------------------------------------------- reading
def load(before: Path, after: Path) -> tuple[Run, Run]:
    """Two of an evidence folder, its evidence.json, or a file of `pytest --measurements`.

    Where one of them is of several boards, each board is compared with itself; else two boards are with each other.
    Raises UsageError if one is none of them, Refused if a folder is not as it was written.
    """
    read = [(path, reading.read(path)) for path in (before, after)]
    by_board = False
    for path, data in read:
        with reading.whole(path):
            by_board |= len(_boards(data)) > 1
    runs = []
    for path, data in read:
        with reading.whole(path):
            runs.append(_run(str(path), data, by_board))
    return runs[0], runs[1]


def _boards(data: dict[str, Any]) -> set[str]:
    """Those that tests ran on. A test that took its worker with it may not know its board."""
    return {str(test["board"]) for test in data.get("tests", ())} - {UNKNOWN_BOARD}


def _run(source: str, data: dict[str, Any], by_board: bool) -> Run:
    rows = data["measurements"]
    tests = data.get("tests") or [{"test": row["test"], "verdict": row["verdict"]} for row in rows]
    verdicts: dict[Key, str] = {}
    for test in tests:  # of a file that only has measurements, the worst of a test's counts
        key = (test["test"], _on(test, by_board))
        if verdicts.get(key, "pass") in PASSED:
            verdicts[key] = str(test["verdict"])
    return Run(source, _identity(data), verdicts, _values(rows, by_board))


def _on(row: dict[str, Any], by_board: bool) -> str:
    return f"on {row['board']}" if by_board and "board" in row else ""


def _values(rows: list[dict[str, Any]], by_board: bool) -> dict[Key, Value]:
    """Each measurement by test, requirement and name; the second of the same name in a test is #2."""
    met: Counter[Key] = Counter()
    found: dict[Key, Value] = {}
    for row in rows:
        key = (row["test"], row["requirement"], row["name"], _on(row, by_board))
        met[key] += 1
        number = f"#{met[key]}" if met[key] > 1 else ""
        value = None if row["value"] is None else float(row["value"])
        verdict = "marginal" if row["verdict"] == "pass" and row.get("marginal") else str(row["verdict"])
        shown = f"{value:.6g} {row['unit']}".rstrip() if value is not None else row.get("shown", "no value")
        limit, lower = float(row["limit"]), row.get("lower")
        found[*key, number] = Value(verdict, value, shown, limit, lower, row["unit"])
    return found


def _identity(data: dict[str, Any]) -> dict[str, str]:
    """What was tested on what."""
    found: dict[str, str] = {}
    for board in data.get("boards", []):
        for name in ("firmware_build", "runtime_version", "runtime_sha256", "emulator_version"):
            known = found.get(name)
            found[name] = f"{known}, {board[name]}" if known else str(board[name])
        found["board"] = ", ".join(filter(None, [found.get("board"), board["identity"]]))
    return found | {name: str(text) for name, text in data.get("environment", {}).items()}
