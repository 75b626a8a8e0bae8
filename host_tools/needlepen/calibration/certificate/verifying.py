"""Is a certificate genuine? Field by field: number, database, code, the record in the pen, and the PDF itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

from needlepen.calibration.certificate.blocks import texts
from needlepen.calibration.certificate.code import CodeKey, code as make_code, find_key, printed, same
from needlepen.calibration.certificate.content import document
from needlepen.calibration.database.numbers import read_number
from needlepen.calibration.database.store import Database
from needlepen.calibration.model import Calibration, Phase
from needlepen.errors import Refused, UsageError
from needlepen.records import making
from needlepen.records.calibration import ACCEPTED, WITHDRAWN

_EPOCH = date(2000, 1, 1)
_HEAD_BYTES, _CRC_BYTES = 20, 4
"""Of the wrapping of a record (pen.store.envelope)."""


@dataclass(frozen=True)
class FieldCheck:
    """One comparison. `agrees` None: it could not be made, `found` says why."""

    name: str
    agrees: bool | None
    expected: str
    found: str


class AskedPen(Protocol):
    """What a pen has to offer: `needlepen.Pen`."""

    @property
    def identity(self) -> Any:
        """With `unique_id`."""
        ...

    def read_calibration(self) -> bytes | None:
        """The record that it stores."""
        ...


@dataclass(frozen=True)
class Paper:
    """What a PDF says of itself, and all its text."""

    number: str
    code: str
    text: str


def read_pdf(path: Path) -> Paper:
    """Number, code and text of a certificate. Raises UsageError if the file is none."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(path)
        words = str(reader.metadata.get("/Keywords", "")) if reader.metadata else ""
        told = dict(part.strip().split("=", 1) for part in words.split(";") if "=" in part)
        text = "".join(page.extract_text() for page in reader.pages)
        return Paper(told["number"], told["code"], text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (PyPdfError, KeyError, ValueError):
        raise UsageError(f"{path}: no certificate of needlepen; give its PDF as it was made") from None


def verify(
    number: str,
    given_code: str | None,
    database: Database,
    pen: AskedPen | None = None,
    *,
    paper: Paper | None = None,
    key: CodeKey | None = None,
) -> list[FieldCheck]:
    """Compare everything that is known of a certificate.

    `given_code`: the code on it, None if it is not at hand; `key`: of the pen's technicians, without it the one that
    this computer keeps. Raises UsageError for a number that was mistyped or is not in the database.
    """
    made = database.get(read_number(number))
    found_key = key or find_key(made)
    checks = [*_database(database, made), *_code(made, given_code, found_key), *_record(made, found_key)]
    if pen is not None:
        checks += _pen(made, pen, found_key)
    if paper is not None:
        checks += _paper(made, paper, found_key)
    return checks


def _database(database: Database, made: Calibration) -> Iterator[FieldCheck]:
    problems = database.verify_record(made.number)
    for problem in problems:
        yield FieldCheck("database", False, "as it was stored", problem)
    if not problems:
        yield FieldCheck("database", True, "as it was stored", "as it was stored, chain of hashes unbroken")
    withdrawn = database.withdrawal(made.number)
    text = f"{withdrawn.at:%Y-%m-%d}, {withdrawn.operator}: {withdrawn.reason}" if withdrawn else "no"
    yield FieldCheck("withdrawn", withdrawn is None, "no", text)
    found = "accepted" if made.decision.accepted else "refused: there is a refusal report, and no certificate"
    yield FieldCheck("verdict", made.decision.accepted, "accepted", found)


def _code(made: Calibration, given: str | None, key: CodeKey | None) -> Iterator[FieldCheck]:
    if key is None:
        yield FieldCheck(
            "code", None, given or "", "not checked: this computer keeps no technicians' key of the pen"
        )
        return
    right = make_code(made, key.secret)
    if given is None:
        yield FieldCheck("code", None, right, "not checked: give the code that is on the certificate")
        return
    note = " (published key of a development pen: it protects nothing)" if key.published else ""
    yield FieldCheck(
        "code", same(given, right), right if same(given, right) else "another one", f"{given}{note}"
    )


# ---------------------------------------------------------------------- records
def _record(made: Calibration, key: CodeKey | None) -> Iterator[FieldCheck]:
    """The record that was written to the pen, against the results."""
    if not made.record_hex:
        yield FieldCheck("record", True, "none was written", "none was written")
        return
    if key is None:
        yield FieldCheck("record", None, "authentic", "not checked: no key")
        return
    yield from _read(made, made.record_hex, key, "record")


def _pen(made: Calibration, pen: AskedPen, key: CodeKey | None) -> Iterator[FieldCheck]:
    """What is in the pen now."""
    unique_id = str(pen.identity.unique_id)
    yield FieldCheck("pen: unique ID", unique_id == made.pen.unique_id, made.pen.unique_id, unique_id)
    stored = pen.read_calibration()
    if stored is None:
        yield FieldCheck("pen: record", False, "a record", "none")
        return
    if key is None:
        yield FieldCheck("pen: record", None, "authentic", "not checked: no key")
        return
    yield from _read(made, stored.hex(), key, "pen")
    same_bytes = _payload(stored.hex()) == _payload(made.record_hex)
    yield FieldCheck(
        "pen: whole record", same_bytes, "that of the database", "the same" if same_bytes else "another"
    )


def _read(made: Calibration, record: str, key: CodeKey, name: str) -> Iterator[FieldCheck]:
    """Each field of a record against what the calibration says."""
    try:
        read = making.read_calibration(bytes.fromhex(record), key.secret, bytes.fromhex(made.pen.unique_id))
    except (
        Refused,
        ValueError,
    ) as error:  # ValueError: a text of the database that is not hexadecimal any more
        yield FieldCheck(f"{name}: authentic", False, "signed by the pen's technicians", str(error))
        return
    yield FieldCheck(
        f"{name}: authentic", True, "signed by the pen's technicians", "signed by the pen's technicians"
    )
    wanted = _wanted(made)
    for field in fields(read):
        if field.name in wanted:
            expected, found = wanted[field.name], getattr(read, field.name)
            label = f"{name}: {field.name.replace('_', ' ')}"
            yield FieldCheck(
                label, expected == found, _shown(field.name, expected), _shown(field.name, found)
            )


def _payload(record: str) -> str:
    """A record in hexadecimal without its wrapping, which the pen makes anew when it stores one."""
    return record[2 * _HEAD_BYTES : -2 * _CRC_BYTES]


def _wanted(made: Calibration) -> dict[str, Any]:
    """What the record of a calibration holds, by the names of its fields."""
    found: dict[str, Any] = {
        "status": ACCEPTED if made.decision.accepted else WITHDRAWN,
        "certificate": made.number,
        "day": (made.day - _EPOCH).days,
        "run_s": made.pen.run_s,
    }
    if made.decision.accepted:
        found |= {
            "points": tuple(tuple(point) for point in made.fit.points_um),
            "hall_uv_per_mm": made.fit.hall_uv_per_mm,
            "uncertainty_um": round(made.budget.expanded),
            "as_found": tuple((taken.point.set_um, round(taken.value_um)) for taken in made.taken
                              if taken.point.phase is Phase.AS_FOUND),
        }  # fmt: skip
    return found


def _shown(name: str, value: Any) -> str:
    if name == "status":
        return {ACCEPTED: "accepted", WITHDRAWN: "withdrawn"}.get(value, str(value))
    if name == "day":
        return str(_EPOCH + timedelta(days=value))
    if name in ("points", "as_found"):
        return " ".join(f"{at}:{um}" for at, um in value) or "none"
    return str(value) or "none"


# ---------------------------------------------------------------------- paper
def _paper(made: Calibration, paper: Paper, key: CodeKey | None) -> Iterator[FieldCheck]:
    """Each text that belongs on the paper, in its order. What the database knows besides is not looked for."""
    yield FieldCheck("PDF: number", paper.number == made.number, made.number, paper.number)
    content = document(made, printed(made, key))
    rest = _packed(paper.text)
    for title, parts in [("head", content.head()), *((one.title, texts(one)) for one in content.sections)]:
        missing, rest = _follow(parts, rest)
        yield FieldCheck(f"PDF: {title}", missing is None, missing or "as in the database",
                         "missing" if missing else "as in the database")  # fmt: skip


def _follow(parts: list[str], rest: str) -> tuple[str | None, str]:
    """The first of the texts that does not follow the ones before, and what comes after those."""
    for part in parts:
        at = rest.find(_packed(part))
        if at < 0:
            return part, rest
        rest = rest[at + len(_packed(part)) :]
    return None, rest


def _packed(text: str) -> str:
    """Without blanks: lines are broken, and cells put beside each other, where the paper ends."""
    return "".join(text.split())
