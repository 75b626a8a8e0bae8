"""`needlepen gauge-study`: a file from elsewhere, and a study that is measured on an emulated pen."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.line import Emulation

from needlepen.calibration import gauge_study_file as files
from needlepen.cli import cli
from needlepen.errors import UsageError

SEED = 21
OPERATORS = ("ana", "bo", "cem")


@pytest.fixture
def run() -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(cli, ["gauge-study", *map(str, words)], standalone_mode=False)


def _study(path: Path, scatter_um: float, leave_out: Mapping[str, int] | None = None) -> None:
    """Readings of all operators, less the last ones of some, with a scatter; seeded."""
    draw = random.Random(SEED)
    for operator in OPERATORS:
        wanted = list(files.missing_of({}, operator))
        for part, trial in wanted[: len(wanted) - (leave_out or {}).get(operator, 0)]:
            files.append(path, part, operator, trial, 1000 * float(part) + draw.gauss(0.0, scatter_um))


def test_good_and_bad_gauge(tmp_path: Path, run: Callable[..., Result]) -> None:
    """2 um of scatter are 6 % of 0.2 mm, 5 um 15 %, 12 um 36 %."""
    for scatter_um, verdict, exit_code in (
        (2.0, "capable", 0),
        (5.0, "conditional", 0),
        (12.0, "refused", 1),
    ):
        path = tmp_path / f"{verdict}.csv"
        _study(path, scatter_um)
        result = run(path, "--json")
        found = json.loads(result.stdout)
        print(
            f"seed {SEED}, scatter {scatter_um} um: {found['tolerance_pct']:.1f} % of the tolerance, {found['verdict']}"
        )
        assert (found["verdict"], result.return_value) == (verdict, exit_code)
        said = run(path)
        assert verdict in said.stdout and "components of variation" in said.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("part,operator,value\n", "first line"),
        ("part,operator,trial,value_um\n1,a,1,one\n", "line 2"),
        ("part,operator,trial,value_um\n1,a,1,1\n1,a,1,2\n", "line 3"),
        ("part,operator,trial,value_um\n1,a,1,nan\n", "line 2"),
        ("part,operator,trial,value_um\n1,a,1,1\n2,a,1,2\n2,b,1,2\n", "1 of 4 readings are missing"),
        ("part,operator,trial,value_um\n1,a,1,1\n", "at least 2 parts"),
        ("part,operator,trial,value_um\n1,a,1,1\n1,a,2,2", "last line '1,a,2,2' does not end"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, run: Callable[..., Result], text: str, said: str) -> None:
    path = tmp_path / "study.csv"
    path.write_text(text)
    result = run(path)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception), result.exception


def test_torn_line_is_no_reading(tmp_path: Path) -> None:
    """A program that died while it wrote: what was whole counts, and the next reading stands in its own line."""
    path = tmp_path / "study.csv"
    files.append(path, "0.25", "ana", 1, 251.0)
    whole = path.read_bytes()
    for cut in range(1, 12):
        path.write_bytes(whole + b"0.50,ana,1,4"[:cut])
        assert files.load(path) == {("0.25", "ana", 1): 251.0}
        files.append(path, "0.50", "ana", 1, 502.0)
        assert files.load(path) == {("0.25", "ana", 1): 251.0, ("0.50", "ana", 1): 502.0}


def test_order_is_mixed_and_complete() -> None:
    wanted = list(files.missing_of({}, "ana"))
    assert len(wanted) == 30 and {part for part, _ in wanted} == set(files.PARTS_MM)
    assert [part for part, trial in wanted if trial == 1] not in (
        list(files.PARTS_MM),
        list(files.PARTS_MM[::-1]),
    )
    assert wanted == list(files.missing_of({}, "ana")), "going on later does not change it"


@pytest.mark.nightly
def test_measured_on_a_pen(tmp_path: Path, emulate: Callable[..., Emulation]) -> None:
    """The last five readings of the third operator are missing: they are measured, and no others."""
    emulate("study", "--seed", str(SEED), "--cartridge", "dummy")
    path = tmp_path / "study.csv"
    _study(path, 2.0, {"cem": 5})
    before = path.read_bytes()
    words = ["gauge-study", str(path), "--operator", "cem", "--device", "study", "--json"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert path.read_bytes().startswith(before)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 90
    for row in rows[-5:]:
        off_um = float(row["value_um"]) - 1000 * float(row["part"])
        print(f"seed {SEED}: {row['part']} mm {off_um:+.0f} um")
        assert abs(off_um) < 100.0
    found = json.loads(result.stdout)
    assert (found["parts"], found["operators"], found["trials"]) == (10, 3, 3)
    again = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert again.exit_code == result.exit_code and json.loads(again.stdout) == found
