"""All records as one JSON file, and back into any database without a loss.

The file ends with the SHA-256 of its records: one that was changed or cut on the way, or by somebody who thought little
of it, is refused. It is no signature: who makes a file anew can make its sum. What no one can make without the key of a
pen's technicians is the code on each certificate, and the record in the pen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import needlepen
from needlepen.calibration.database.content import KINDS, Content, kind_of, sha256
from needlepen.calibration.database.store import Database
from needlepen.errors import Refused, UsageError
from needlepen.files import write_whole

FORMAT = 2
"""1 had no sum."""
_WHAT = "needlepen calibrations"


@dataclass(frozen=True)
class Imported:
    """How many records were new, and how many were there already."""

    new: int
    known: int


def export(database: Database, path: Path, at: datetime) -> int:
    """Write everything to a new file; returns how many records. Raises UsageError if there is a file.

    Raises Refused if the database was changed: in another one, its records would look as good as all others.
    """
    if path.exists():
        raise UsageError(f"{path}: is there already; give a new file")
    if problems := database.verify().problems:
        raise Refused(
            f"{database.shown}: was changed past this program ({problems[0]}), and an export would hide that; "
            "'needlepen calibration verify-database' tells all of it: keep this database as it is, and ask who keeps it"
        )
    records = [
        {"kind": kind_of(content).name, "note": note, "content": content.model_dump(mode="json")}
        for content, note in database.contents()
    ]
    head = {"what": _WHAT, "format": FORMAT, "software": needlepen.__version__, "at": at.isoformat()}
    whole = {**head, "records": records, "sha256": _sum(records)}
    write_whole(path, json.dumps(whole, indent=1) + "\n")
    return len(records)


def _sum(records: Any) -> str:
    """Of the records, however the file is laid out."""
    return sha256(json.dumps(records, sort_keys=True, separators=(",", ":")))


def read(path: Path) -> list[tuple[Content, str]]:
    """The records of an exported file, each with its note. Raises UsageError, Refused for a newer format."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["what"] != _WHAT:
            raise ValueError
        if data["format"] > FORMAT:
            raise Refused(
                f"{path}: written by a newer needlepen ({data['software']}); it would be misread: update needlepen"
            )
        records = data["records"]
        if not isinstance(records, list):
            raise ValueError
        if data["format"] > 1 and data["sha256"] != _sum(records):
            raise UsageError(
                f"{path}: its records are not those that were exported (their sum differs), so that none can be "
                "trusted; nothing was imported: get the file anew"
            )
        return list(_records(path, records))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{path}: not a file that 'needlepen calibration export' wrote; give one of those"
        ) from None


def _records(path: Path, records: list[dict[str, Any]]) -> Iterable[tuple[Content, str]]:
    for place, record in enumerate(records, start=1):
        try:
            content = KINDS[record["kind"]].model.model_validate(record["content"])
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"{path}: record {place} is no {record['kind']} ({where}: {first['msg']}); nothing was imported: the "
                "file was changed after the export, get it anew"
            ) from None
        yield content, str(record["note"])


def import_file(database: Database, path: Path, who: str) -> Imported:
    """Add what is new, all or nothing. Raises Refused if a record differs from the one with its number."""
    records = read(path)
    notes = [(content, f"imported: {note.partition('; imported: ')[0]}") for content, note in records]
    added = database.add_all(notes, who)
    return Imported(sum(added), len(added) - sum(added))
