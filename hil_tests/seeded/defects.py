"""The list of seeded defects: read, checked, and chosen from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from needlepen.errors import UsageError

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
LIST = HERE / "defects.toml"
WHERE = ("firmware", "emulator", "link", "calibration", "harness")
RUNS = ("daily", "nightly")
ENGINES = ("auto", "python")
EVERY_REQUIREMENT = "all"
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REQUIREMENT = re.compile(r"(PR|SR|CR)-\d\d")
_TEST = re.compile(r"hil_tests/[\w/]+\.py::\w+(\[.+\])?")
_LEAST_WORDS = 8


@dataclass(frozen=True)
class Defect:
    """One mistake.

    id: also the name of its patch. where: one of WHERE. what: what is wrong and why it matters. requirement: the one
    that it endangers, "all" for a mistake that makes every result doubtful. test: node ID of the test that has to
    fail. run: every day or every night. engine: of the emulator; "python" where a compiled module is changed.
    patch: the file.
    """

    id: str
    where: str
    what: str
    requirement: str
    test: str
    run: str
    patch: Path
    engine: str = "auto"

    @property
    def files(self) -> list[str]:
        """The files that the patch changes, relative to the repository."""
        return re.findall(r"^\+\+\+ b/(.+)$", self.patch.read_text(encoding="utf-8"), re.MULTILINE)


_KEYS = {field.name for field in fields(Defect)} - {"patch"}


def load(path: Path = LIST) -> list[Defect]:
    """All defects of a list; patches lie beside it in patches/. Raises UsageError that names the entry."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}; without the list there is nothing to seed") from None
    entries = data.get("defect", [])
    found = [_defect(path, number, entry) for number, entry in enumerate(entries, 1)]
    ids = [defect.id for defect in found]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice or not found:
        raise UsageError(f"{path}: {twice[0] + ' is there twice' if twice else 'it holds no [[defect]]'}")
    return found


def _defect(path: Path, number: int, entry: dict[str, Any]) -> Defect:
    name = f"{path}: entry {number} ({entry.get('id', 'without id')})"
    strange, missing = entry.keys() - _KEYS, _KEYS - {"engine"} - entry.keys()
    if strange or missing:
        told = f"has {sorted(strange)[0]!r}" if strange else f"lacks {sorted(missing)[0]!r}"
        raise UsageError(f"{name} {told}; an entry has {', '.join(sorted(_KEYS))}")
    defect = Defect(**entry, patch=path.parent / "patches" / f"{entry['id']}.patch")
    for holds, says in (
        (_ID.fullmatch(defect.id), "id: small letters, digits and single hyphens"),
        (defect.where in WHERE, f"where: one of {', '.join(WHERE)}"),
        (defect.run in RUNS, f"run: one of {', '.join(RUNS)}"),
        (defect.engine in ENGINES, f"engine: one of {', '.join(ENGINES)}"),
        (
            len(defect.what.split()) >= _LEAST_WORDS,
            "what: a sentence that says what is wrong and why it matters",
        ),
        (_known(defect.requirement), "requirement: PR-, SR- or CR- and two digits, or all"),
        (_TEST.fullmatch(defect.test), "test: node ID of one test, from hil_tests/ on"),
        (defect.patch.is_file(), f"there is no {defect.patch.name} in {defect.patch.parent}"),
    ):
        if not holds:
            raise UsageError(f"{name}: {says}")
    return defect


def _known(requirement: str) -> bool:
    return requirement == EVERY_REQUIREMENT or bool(_REQUIREMENT.fullmatch(requirement))


def chosen(defects: Sequence[Defect], ids: Iterable[str], run: str | None = None) -> list[Defect]:
    """Those with these IDs, or of a run, in the order of the list; all without either. Raises UsageError."""
    wanted = set(ids)
    unknown = sorted(wanted - {defect.id for defect in defects})
    if unknown:
        raise UsageError(f"{unknown[0]}: no such defect; `python -m seeded list` shows all")
    return [
        defect
        for defect in defects
        if (not wanted or defect.id in wanted) and (run is None or defect.run == run)
    ]
