"""Certificates: every field on the paper, the same bytes each time, and what was tampered with is found."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from pypdf import PdfReader
from sqlalchemy import text
from support import calibrations as factory
from support.board_process import environment
from support.calibrating import ROOM, BenchPen, finish

from needlepen.access import Key, KeyStore, Role
from needlepen.access.keystore import KeyFile, pen_entry, role_entry
from needlepen.calibration.certificate import making
from needlepen.calibration.certificate.blocks import texts
from needlepen.calibration.certificate.code import (
    DEVELOPMENT_NOTE,
    NO_KEY_NOTE,
    CodeKey,
    code,
    find_key,
    printed,
    same,
)
from needlepen.calibration.certificate.content import document
from needlepen.calibration.certificate.paper import read_pdf
from needlepen.calibration.certificate.verifying import FieldCheck, verify
from needlepen.calibration.database import open_database
from needlepen.calibration.database.store import Database
from needlepen.calibration.decision import accept_um
from needlepen.calibration.gauges import SimulatedGauge
from needlepen.calibration.model import Calibration, Phase
from needlepen.calibration.procedure import Procedure
from needlepen.cli import main
from needlepen.errors import UsageError
from needlepen.records import making as records

OTHER = "e660000000000002"
SECRET = bytes(range(32))
OWN = records.technician_key(SECRET)
"""Of a production pen: nobody published it."""


@cache
def accepted() -> Calibration:
    return factory.calibration(1, key=OWN)


@cache
def refused() -> Calibration:
    return factory.calibration(2, seed=2, pen=OTHER, bent_after_um=150.0)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """A computer of a technician: it keeps the key of that role alone."""
    kept = KeyStore(KeyFile(tmp_path / "keys.json"))
    kept.set(role_entry(factory.PEN, Role.TECHNICIAN), Key(OWN))
    return kept


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "c.db")) as opened:
        opened.add(accepted())
        opened.add(refused())
        yield opened


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, making.Paths]:
    folder = tmp_path_factory.mktemp("papers")
    former = [
        factory.calibration(9, day=date(2025, 1, 10)),
        accepted(),
        factory.calibration(8, day=date(2027, 1, 10)),
    ]
    return {
        "accepted": making.make(accepted(), folder, former, key=CodeKey(OWN, False)),
        "refused": making.make(refused(), folder, key=find_key(refused())),
    }


def _pdf_text(path: Path) -> str:
    return "".join("".join(page.extract_text() for page in PdfReader(path).pages).split())


def _html_text(path: Path) -> str:
    body = path.read_text().partition("<body>")[2]
    body = re.sub(r"<svg.*?</svg>", "", body, flags=re.S)
    return "".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def _fields(made: Calibration) -> dict[str, str]:
    """What CR-04 asks for, and more, as it is to be read; worked out here, not by the program that prints it."""
    found = [t for t in made.taken if t.point.phase is Phase.AS_FOUND]
    left = [t for t in made.taken if t.point.phase is Phase.VERIFICATION]

    def mm(um: float, sign: str = "") -> str:
        rounded = math.copysign(math.floor(abs(um) + 0.5), um) / 1000
        plain = f"{abs(rounded):.3f}"
        return ("−" if rounded < 0 else "+" if sign and rounded > 0 else "±" if sign else "") + plain

    fields = {
        "number": made.number, "pen": made.pen.unique_id, "pen's name": made.pen.name, "board": made.pen.board,
        "firmware": made.pen.version, "hash": made.pen.application_hash, "gauge": made.gauge.model,
        "gauge's serial": made.gauge.serial, "gauge's certificate": made.gauge.certificate,
        "gauge's due": "2027-01-31", "operator": made.operator, "begun": "2026-01-15 09:12:05 UTC",
        "ended": f"{made.ended:%Y-%m-%d %H:%M:%S} UTC", "room": "22.1 °C", "humidity": "45 %", "cell": "3.98 V",
        "note": "bench 2", "date": "Date of calibration2026-01-15", "due": "Calibration due2027-01-15",
        "U": f"U = {made.budget.expanded / 1000:.3f} mm", "k": "coverage factor k = 2,", "rule": made.decision.rule,
        "software": f"needlepen {made.software}", "readings": "137, 1 repeated",
        "protrusion": "needle protrusion",
        "accreditation": "It was not done under an accreditation, and this document claims none",
        "signature": "Signature", "reviewer": "Reviewed by",
    }  # fmt: skip
    for t in found:
        row = (f"{t.point.set_um / 1000:.2f}", t.reading.raw, mm(t.value_um), mm(t.error_um, "+"))
        fields[f"as found {t.point.set_um}"] = "".join(row)
    for set_um in sorted({t.point.set_um for t in left}):
        runs = [t for t in left if t.point.set_um == set_um]
        fields[f"as left {set_um}"] = f"{set_um / 1000:.2f}" + "".join(mm(t.value_um) for t in runs)
    for check in made.decision.checks:
        value = mm(check.value) + " mm" if check.unit == "um" else f"{check.value:.3g}"
        fields[check.name] = f"{check.name}{check.requirement}{value}"
        fields[f"reason of {check.name}"] = check.reason
    for line in made.budget.contributions:
        fields[f"u {line.name}"] = (
            f"{line.name}{line.source}{line.distribution}{line.value:.2f}{line.divisor:.3f}"
        )
    points = made.fit.points_um
    fields["travel"] = "travel mm" + "".join(mm(travel) for travel, _ in points)
    fields["curve"] = "protrusion mm" + "".join(mm(true) for _, true in points)
    return fields


# ---------------------------------------------------------------------- what is on it
@pytest.mark.parametrize("which", ["accepted", "refused"])
@pytest.mark.parametrize("kind", ["pdf", "html"])
def test_every_field_is_on_the_paper(papers: dict[str, making.Paths], which: str, kind: str) -> None:
    """CR-04."""
    made = accepted() if which == "accepted" else refused()
    shown = _pdf_text(papers[which].pdf) if kind == "pdf" else _html_text(papers[which].html)
    missing = {name: text for name, text in _fields(made).items() if "".join(text.split()) not in shown}
    assert not missing


def test_both_forms_say_the_same(papers: dict[str, making.Paths]) -> None:
    content = document(accepted(), printed(accepted(), CodeKey(OWN, False)))
    for shown in (_pdf_text(papers["accepted"].pdf), _html_text(papers["accepted"].html)):
        for part in [*content.head(), *(t for section in content.sections for t in texts(section))]:
            assert "".join(part.split()) in shown, part


def test_former_calibrations_are_listed_and_later_ones_are_not(papers: dict[str, making.Paths]) -> None:
    shown = _html_text(papers["accepted"].html)
    assert factory.number(9, date(2025, 1, 10)) in shown and factory.number(8, date(2027, 1, 10)) not in shown


@pytest.mark.parametrize("kind", ["pdf", "html"])
def test_a_refusal_cannot_be_taken_for_a_certificate(papers: dict[str, making.Paths], kind: str) -> None:
    path = getattr(papers["refused"], kind)
    shown = _pdf_text(path) if kind == "pdf" else _html_text(path)
    assert path.name == f"{refused().number}_refusal.{kind}"
    assert "Refusalreport" in shown and "REFUSED" in shown and "Notacertificate" in shown
    assert "Calibrationcertificate" not in shown and "ACCEPTED" not in shown
    if kind == "pdf":  # across each page, over all that is on it
        pages = PdfReader(path).pages
        assert all("NOT A CERTIFICATE" in " ".join(page.extract_text().split()) for page in pages)
    else:
        assert "NOT A CERTIFICATE" in path.read_text()
    assert "NOTACERTIFICATE" not in _pdf_text(papers["accepted"].pdf)
    assert "NOT A CERTIFICATE" not in papers["accepted"].html.read_text()


def test_a_simulated_gauge_is_told(tmp_path: Path) -> None:
    """The certificate of an emulated pen is not to be taken for that of a real one."""
    gauge = factory.GAUGE.model_copy(update={"kind": "simulated"})
    paths = making.make(accepted().model_copy(update={"gauge": gauge}), tmp_path, key=CodeKey(OWN, False))
    for page in PdfReader(paths.pdf).pages:
        assert "SIMULATED" in page.extract_text()
    for shown in (_pdf_text(paths.pdf), _html_text(paths.html)):
        assert "nothingwasmeasured" in shown and "Simulated:needleprotrusion" in shown


def test_accreditation_is_claimed_nowhere(papers: dict[str, making.Paths]) -> None:
    for path in papers.values():
        shown = _html_text(path.html).lower()
        claims = [shown[at.start() - 25 : at.end() + 30] for at in re.finditer("accredit", shown)]
        assert len(claims) == 1 and "notdoneunderan" in claims[0]


def test_pages_are_counted(papers: dict[str, making.Paths]) -> None:
    pages = PdfReader(papers["accepted"].pdf).pages
    for place, page in enumerate(pages, start=1):
        assert f"page {place} of {len(pages)}" in page.extract_text()
        assert accepted().number in page.extract_text()


def test_the_html_needs_nothing_else(papers: dict[str, making.Paths]) -> None:
    shown = papers["accepted"].html.read_text()
    loaded = re.findall(r"""(?:src|href)=["'](?!#|data:)([^"']+)|url\(["']?(?!data:|#)([^)"']+)""", shown)
    assert not loaded and "<script" not in shown and "<link" not in shown


def test_a_text_cannot_break_out_of_the_html(tmp_path: Path) -> None:
    made = accepted().model_copy(update={"operator": "<script>alert(1)</script>"})
    shown = making.make(made, tmp_path, key=CodeKey(OWN, False)).html.read_text()
    assert "<script>" not in shown and "&lt;script&gt;" in shown


def test_the_same_calibration_gives_the_same_bytes(papers: dict[str, making.Paths], tmp_path: Path) -> None:
    """Also in another process, on another day."""
    again = making.make(refused(), tmp_path / "here", key=find_key(refused()))
    program = (
        "import sys; from pathlib import Path; from needlepen.calibration.model import Calibration\n"
        "from needlepen.calibration.certificate import make\n"
        "make(Calibration.model_validate_json(sys.stdin.read()), Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "there")], input=refused().model_dump_json(),
                   text=True, check=True, timeout=100, env=environment(tmp_path) | {"TZ": "Asia/Tokyo"})  # fmt: skip
    for kind in ("pdf", "html"):
        first = getattr(papers["refused"], kind)
        there = tmp_path / "there" / first.name
        assert first.read_bytes() == getattr(again, kind).read_bytes() == there.read_bytes(), kind


def test_long_and_odd_texts_stay_on_the_paper(tmp_path: Path) -> None:
    long = "Ω" * 60 + " " + "a very long word " * 12
    gauge = factory.GAUGE.model_copy(update={"model": long, "certificate": "", "due": None})
    made = accepted().model_copy(update={"operator": long, "gauge": gauge})
    paths = making.make(made, tmp_path, key=CodeKey(OWN, False))
    shown = _pdf_text(paths.pdf)
    assert "".join(long.split()) in shown and "nottraceabletoastandard" in shown


def test_what_the_procedure_makes_agrees_with_itself(tmp_path: Path) -> None:
    """From the first reading to the paper, of pens that are accepted and pens that are refused."""
    seen = set()
    with open_database(str(tmp_path / "c.db")) as database:
        for seed, worn in ((3, {}), (4, {"tip_offset_um": 150.0}), (5, {"screw_periodic_um": 90.0})):
            pen = BenchPen(seed, worn=worn)
            gauge = SimulatedGauge(lambda pen=pen: pen.protrusion_mm, seed=seed)  # type: ignore[misc]
            made = finish(Procedure.begin(pen, gauge, "A. Technician", ROOM, tmp_path / str(seed)))
            database.add(made)
            paper = read_pdf(making.make(made, tmp_path, key=find_key(made)).pdf)
            checks = verify(made.number, paper.code, database, paper=paper)
            assert _differs(checks) == ([] if made.decision.accepted else ["verdict"]), seed
            assert all(check.agrees is not None for check in checks)
            seen.add((made.decision.accepted, bool(made.record_hex)))
    print("accepted, record written:", sorted(seen))
    assert {(True, True), (False, True)} <= seen


# ---------------------------------------------------------------------- the code
def test_the_code_depends_on_every_field_and_on_the_key() -> None:
    made = accepted()
    right = code(made, OWN)
    assert re.fullmatch(r"(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}", right) and code(made, OWN) == right
    assert code(made, SECRET) != right
    seen = {right}
    for path, changed in _changed(made):
        other = code(Calibration.model_validate(changed), OWN)
        assert other not in seen, path
        seen.add(other)


def test_a_code_may_be_typed_as_people_do() -> None:
    right = "K7QF-2M5X-OA4I-ZQ3B"
    assert same(right, "k7qf2m5xoa4izq3b") and same(right, " K7QF 2M5X 0A41 ZQ38 ")
    assert not same(right, "K7QF-2M5X-OA4I-ZQ3C") and not same(right, "") and not same(right, right[:-1])


def test_which_key_makes_the_code(store: KeyStore, tmp_path: Path) -> None:
    """The one by which the pen's record is authentic."""
    assert find_key(accepted(), store) == CodeKey(OWN, False)
    development = find_key(refused(), store)
    assert development is not None and development.published
    assert printed(refused(), development).note == DEVELOPMENT_NOTE
    maker = KeyStore(KeyFile(tmp_path / "maker.json"))
    maker.set(pen_entry(factory.PEN), Key(SECRET))
    assert find_key(accepted(), maker) == CodeKey(OWN, False)
    stranger = KeyStore(KeyFile(tmp_path / "stranger.json"))
    assert find_key(accepted(), stranger) is None
    assert printed(accepted(), None).text == "" and printed(accepted(), None).note == NO_KEY_NOTE
    stranger.set(role_entry(factory.PEN, Role.TECHNICIAN), Key(bytes(range(1, 33))))
    assert find_key(accepted(), stranger) is None


# ---------------------------------------------------------------------- verification
def _differs(checks: list[FieldCheck]) -> list[str]:
    return [check.name for check in checks if check.agrees is False]


def test_a_genuine_certificate_agrees_in_every_field(
    database: Database, papers: dict[str, making.Paths], store: KeyStore
) -> None:
    key = find_key(accepted(), store)
    paper = read_pdf(papers["accepted"].pdf)
    checks = verify(paper.number, paper.code, database, paper=paper, key=key)
    assert _differs(checks) == [] and {check.name for check in checks if check.agrees is None} == {
        "PDF: nothing else on it",
        "PDF: as drawn",
    }, "a former calibration on it is in another database"
    database.add(factory.calibration(9, day=date(2025, 1, 10)))
    database.add(factory.calibration(7, day=date(2024, 1, 10)))  # which its maker did not know
    checks = verify(paper.number, paper.code, database, paper=paper, key=key)
    assert all(check.agrees for check in checks), [check for check in checks if not check.agrees]
    assert {
        "database",
        "code",
        "record: authentic",
        "record: points",
        "record: certificate",
        "PDF: Decision",
    } <= {check.name for check in checks}


def test_a_wrong_code_and_none_are_told(database: Database) -> None:
    key = CodeKey(OWN, False)
    right = code(accepted(), OWN)
    wrong = right.translate(str.maketrans("ABCDEFGH", "BCDEFGHA"))
    assert _differs(verify(accepted().number, wrong, database, key=key)) == ["code"]
    unknown = [c for c in verify(accepted().number, None, database, key=key) if c.agrees is None]
    assert [check.name for check in unknown] == ["code"]
    with pytest.raises(UsageError, match="no such calibration"):
        verify(factory.number(77), right, database, key=key)
    with pytest.raises(UsageError, match="mistyped"):
        verify(accepted().number[:-1] + "0", right, database, key=key)


def test_a_refused_or_withdrawn_one_is_no_certificate(database: Database) -> None:
    assert _differs(verify(refused().number, code(refused(), _published()), database)) == ["verdict"]
    database.withdraw(accepted().number, "gauge was dropped")
    checks = verify(accepted().number, code(accepted(), OWN), database, key=CodeKey(OWN, False))
    assert _differs(checks) == ["withdrawn"]


def _published() -> bytes:
    return records.technician_key(records.development_keys(bytes.fromhex(OTHER)).pen)


def _changed(made: Calibration) -> Iterator[tuple[str, dict[str, Any]]]:
    """The calibration with one value changed: each of its own, and one of each kind within the long lists."""
    plain = made.model_dump(mode="json")

    def walk(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, (*path, key))
        elif isinstance(value, list):
            for place in sorted({0, len(value) // 2, len(value) - 1}) if value else []:
                yield from walk(value[place], (*path, place))
        else:
            yield path

    for path in walk(plain, ()):
        copy = json.loads(json.dumps(plain))
        inner = copy
        for step in path[:-1]:
            inner = inner[step]
        other = _other(inner[path[-1]], str(path[-1]))
        if other is not None:
            inner[path[-1]] = other
            yield ".".join(map(str, path)), copy


def _other(value: Any, name: str) -> Any:
    """Another value that fits there; None where there is no other."""
    choices = {"phase": "drift", "direction": "down", "unit": "inch", "relation": ">=", "distribution": "u-shaped",
               "severity": "note"}  # fmt: skip
    if name in choices and isinstance(value, str):
        return choices[name] if value not in (choices[name], "um", "") else None
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if value is None:
        return 3.5 if name in ("degrees_of_freedom", "effective_dof", "humidity_pct") else None
    if re.fullmatch(r"\d{4}-\d\d-\d\d.*", value):
        return value.replace("2026", "2025").replace("2027", "2028")
    if name == "record_hex":
        return value[:100] + ("0" if value[100] != "0" else "1") + value[101:]
    return value + "x"


@pytest.mark.nightly
def test_a_change_of_any_field_of_the_stored_json_is_found(tmp_path: Path) -> None:
    """Past the triggers, with all hashes and columns made to fit: only who has the key could make the code fit."""
    right, key = code(accepted(), OWN), CodeKey(OWN, False)
    empty, forgery = tmp_path / "empty.db", tmp_path / "forged.db"
    open_database(str(empty)).close()
    count = 0
    for path, changed in _changed(accepted()):
        if path == "number" or re.search(r"\.[1-9]", path):
            continue  # it is looked up by its number; of lists the first will do, the code was tried with others
        other = Calibration.model_validate(changed)
        shutil.copyfile(empty, forgery)
        with open_database(str(forgery)) as forged:
            forged.add(other)
            assert "code" in _differs(verify(other.number, right, forged, key=key)), path
        count += 1
    print(f"{count} fields changed, all found")
    assert count > 60


COLUMNS = ("operator", "day", "due", "begun", "ended", "accepted", "expanded_um", "as_found_um", "as_left_um", "run_s",
           "firmware", "software", "pen_name", "written", "content")  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_row_is_found(database: Database, column: str) -> None:
    changes = {"day": "'2025-01-01'", "due": "'2030-01-01'", "begun": "'2025-01-01 00:00:00'",
               "ended": "'2025-01-01 00:00:00'", "accepted": "NOT accepted", "written": "NOT written",
               "content": "replace(content, 'bench 2', 'bench 3')"}  # fmt: skip
    number = column.endswith(("_um", "_s"))
    value = changes.get(column, f"{column} + 1" if number else f"{column} || 'x'")
    engine = sqlalchemy.create_engine(database.url)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER calibrations_no_update"))
        connection.execute(text(f"UPDATE calibrations SET {column} = {value}"))
    engine.dispose()
    checks = verify(accepted().number, code(accepted(), OWN), database, key=CodeKey(OWN, False))
    assert "database" in _differs(checks)


def test_a_pdf_with_another_value_is_found(database: Database, tmp_path: Path) -> None:
    """A forger who prints the certificate of other results, with the number and the code of a genuine one."""
    made, key = accepted(), CodeKey(OWN, False)
    genuine = printed(made, key)
    worse = [t.model_copy(update={"reading": t.reading.model_copy(update={"value_mm": t.reading.value_mm + 0.001})})
             if t.point.phase is Phase.VERIFICATION and t.point.number == 124 else t for t in made.taken]  # fmt: skip
    forgeries = {
        "Procedure and conditions": made.model_copy(update={"operator": "Kim"}),
        "Pen": made.model_copy(update={"pen": factory.pen_identity("e660000000000009")}),
        "head": made.model_copy(update={"due": date(2030, 1, 15)}),
        "As left, fresh verification": made.model_copy(update={"taken": worse}),
    }
    from needlepen.calibration.certificate.pdf import render
    from needlepen.calibration.certificate.plots import draw

    for title, forged in forgeries.items():
        path = tmp_path / "forged.pdf"
        path.write_bytes(render(document(forged, genuine), {"error": draw(forged, "png")}, forged.ended))
        paper = read_pdf(path)
        found = _differs(verify(paper.number, paper.code, database, paper=paper, key=key))
        assert f"PDF: {title}" in found, (title, found)


def test_another_number_on_the_pdf_is_found(database: Database, tmp_path: Path) -> None:
    """The genuine paper of one pen, shown with the number of another."""
    key = CodeKey(OWN, False)
    wrong = accepted().model_copy(update={"number": refused().number})
    paper = read_pdf(making.make(wrong, tmp_path, key=key).pdf)
    assert {"code", "PDF: head", "PDF: Pen"} <= set(
        _differs(verify(paper.number, paper.code, database, paper=paper))
    )
    with pytest.raises(UsageError, match="no certificate of needlepen"):
        (tmp_path / "x.pdf").write_bytes(b"%PDF-1.4 nothing")
        read_pdf(tmp_path / "x.pdf")


def test_the_limits_on_it_are_those_of_the_decision(papers: dict[str, making.Paths]) -> None:
    assert f"±{accept_um(accepted().budget) / 1000:.3f}mm" in _pdf_text(papers["accepted"].pdf)


# ---------------------------------------------------------------------- commands
def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the database to the paper and back."""
    made = factory.calibration(1)  # of a development pen: no key is needed
    monkeypatch.setenv("NEEDLEPEN_DATABASE", str(tmp_path / "c.db"))
    monkeypatch.setenv("NEEDLEPEN_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.delenv("NEEDLEPEN_DEVICE", raising=False)
    with open_database() as opened:
        opened.add(made)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["certificate", *arguments])
        return int(ended.value.code or 0), *capsys.readouterr()

    paths = json.loads(run("make", made.number, "--out", str(tmp_path / "out"), "--json")[1])
    assert Path(paths["pdf"]).exists() and Path(paths["html"]).exists() and paths["accepted"]
    status, out, _ = run("verify", paths["pdf"], "--json")
    assert status == 0 and json.loads(out)["agrees"], out
    status, out, _ = run("verify", made.number, "AAAA-AAAA-AAAA-AAAA")
    assert status == 1 and "DIFFERS     code" in out and "1 of" in out
    _, out, _ = run("show", made.number)
    assert "Calibration certificate" in out and made.operator in out
    status, _, err = run("make", factory.number(5))
    assert status == 4 and err.strip().count("\n") == 0
