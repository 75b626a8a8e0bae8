"""Is a certificate genuine? Field by field: number, database, code, the record in the pen, and the PDF itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any, Protocol

from needlepen.calibration.certificate import paper as papers
from needlepen.calibration.certificate.blocks import texts
from needlepen.calibration.certificate.code import (
    Code,
    CodeKey,
    code as make_code,
    expected,
    find_key,
    same,
)
from needlepen.calibration.certificate.content import document
from needlepen.calibration.certificate.making import pdf
from needlepen.calibration.certificate.paper import Paper, packed
from needlepen.calibration.database.numbers import find_numbers, read_number
from needlepen.calibration.database.store import Database
from needlepen.calibration.model import Calibration, Phase
from needlepen.errors import Refused
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
        history = database.history(made.pen.unique_id)
        code = expected(made, paper.code, found_key)
        checks += [*_paper(made, paper, code), *_drawn(made, paper, code, history)]
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
def _paper(made: Calibration, given: Paper, code: Code) -> Iterator[FieldCheck]:
    """Each text that belongs on the paper, in its order."""
    yield FieldCheck("PDF: number", given.number == made.number, made.number, given.number)
    content = document(made, code)
    rest = packed(given.text)
    for title, parts in [("head", content.head()), *((one.title, texts(one)) for one in content.sections)]:
        missing, rest = _follow(parts, rest)
        yield FieldCheck(f"PDF: {title}", missing is None, missing or "as in the database",
                         "missing" if missing else "as in the database")  # fmt: skip


def _follow(parts: list[str], rest: str) -> tuple[str | None, str]:
    """The first of the texts that does not follow the ones before, and what comes after those."""
    for part in parts:
        at = rest.find(packed(part))
        if at < 0:
            return part, rest
        rest = rest[at + len(packed(part)) :]
    return None, rest


def _drawn(
    made: Calibration, given: Paper, code: Code, history: Sequence[Calibration]
) -> Iterator[FieldCheck]:
    """That nothing else is on it. Its maker may have known other former calibrations than this database does."""
    listed = find_numbers(packed(given.text)) - {made.number}
    anew = papers.parse(pdf(made, code, [one for one in history if one.number in listed]))
    unknown = ", ".join(sorted(listed - {one.number for one in history}))
    for one in papers.compare(given, anew):
        if unknown and not one.agrees:
            text = (
                f"not checked: it names calibrations of the pen that this database does not know ({unknown})"
            )
            one = replace(one, agrees=None, found=text)
        yield FieldCheck(f"PDF: {one.name}", one.agrees, "as it is made", one.found)
