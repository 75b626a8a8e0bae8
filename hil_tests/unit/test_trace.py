"""`needlepen trace`: the project has no gap, every kind of gap is found, and links lead both ways."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.measuring import Measure, write
from support.smoke import names_of, smoke_set

from needlepen.cli.trace import trace as command
from needlepen.errors import UsageError
from needlepen.evidence import Measurement
from needlepen.trace import Project, Trace, gaps, read
from needlepen.trace.calls import facts
from needlepen.trace.gaps import KINDS
from needlepen.trace.ids import ids, leading_ids
from needlepen.trace.model import SHOWING
from needlepen.trace.results import verdict
from needlepen.trace.rows import rows
from needlepen.trace.upwards import steps

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project() -> Trace:
    return read(PROJECT)


# ---------------------------------------------------------------- the project itself
def test_the_project_has_no_gap(project: Trace) -> None:
    assert [str(gap) for gap in gaps(project)] == []


def test_every_hazard_leads_down_to_limits_firmware_and_tests(project: Trace) -> None:
    assert project.hazards()
    for row in rows(project):
        assert row.code and row.evidence, row.requirement.id
        assert all(limit.links for limit in row.limits), row.requirement.id


def test_a_known_chain_is_found_link_by_link(project: Trace) -> None:
    """A limit that the firmware uses in two modules, a fault, a measurement, a threshold."""
    code = {(c.place.file, c.place.symbol, c.how) for c in project.code_of("SR-06", "threshold_hz")}
    assert ("firmware/pen/drive.py", "window_counts", "constant") in code
    assert any(c.place.symbol == "OVERSPEED" and c.how == "table" for c in project.code_of("SR-06"))
    file = "hil_tests/requirements/test_overspeed.py"
    how = {(link.test.removeprefix(f"{file}::"), link.how) for link in project.links_of("SR-06", "trip_ms")}
    assert (
        "test_a_stuck_bridge_is_cut_off_in_time_supply_first",
        "measures",
    ) in how  # by a function of the file
    read_by = {link.test for link in project.links_of("SR-06", "threshold_hz") if link.how == "reads"}
    assert f"{file}::test_just_below_the_threshold_nothing_trips" in read_by  # by a constant of the file


def test_each_section_of_a_file_is_about_its_own_requirement(project: Trace) -> None:
    file = "hil_tests/requirements/test_depth_watch.py"
    claimed = [{link.requirement for link in project.links if link.test == test} for test in project.tests
               if test.startswith(file)]  # fmt: skip
    assert {"SR-02"} in claimed and {"SR-04"} in claimed and not any({"SR-03", "SR-04"} <= c for c in claimed)


def test_each_test_of_the_smoke_set_shows_the_requirement_that_it_stands_for(project: Trace) -> None:
    for name, entries in smoke_set().requirements.items():
        showing = {link.test for link in project.links_of(name) if link.how in SHOWING}
        found = {entry for test in showing for entry in names_of(test.removeprefix("hil_tests/"))}
        assert not {entry.partition("[")[0] for entry in entries} - found, name


def test_marks_are_known(project: Trace) -> None:
    marked = {mark for test in project.tests.values() for mark in test.marks}
    assert {"nightly", "xfail"} <= marked


# ---------------------------------------------------------------- a small project, and its gaps
SMALL = {
    "firmware/requirements.toml": """
[SR-01]
title = "Overspeed"
hazard = "The motor runs away"
text = "Trips."
reason = "Fast."
status = "implemented"
limits = { threshold_hz = 165, trip_ms = 5 }
[SR-02]
title = "Tested clock"
hazard = "A wrong clock"
text = "Tested."
reason = "It counts."
status = "implemented"
[PR-01]
title = "Current"
text = "Little."
reason = "Heat."
status = "implemented"
limits = { current_a = 2 }
[CR-01]
title = "Points"
text = "Points."
reason = "Enough."
status = "implemented"
limits = { points = 11 }
""",
    "firmware/faults.toml": '[OVERSPEED]\nnumber = 1\nrequirement = "SR-01"\n',
    "firmware/pen/control.py": '''"""Control."""
from pen.limits import SR01_THRESHOLD_HZ

_LEAST_US = 1_000_000 // SR01_THRESHOLD_HZ


class Clock:
    def test(self):
        # SR-02: against the ring oscillator
        return "PR-99 in a text is no link"


def regulate(error):
    return error
''',
    "host_tools/needlepen/points.py": """from needlepen import requirements

POINTS = requirements.load().limit("CR-01", "points")
""",
    "hil_tests/requirements/test_motor.py": '''"""SR-01, PR-01: the motor."""
from support.rig import judge

LIMIT = None
STOP_HZ = LIMIT("SR-01", "threshold_hz")


def test_it_trips(measure):
    judge(measure, STOP_HZ)


def test_it_draws_little(measure):
    for name in ("current_a", "other"):
        measure("PR-01", name, 1.0, "current")


# ---------------------------------------------------------------- PR-01: the current
def test_it_stays_cool():
    """Not SR-01: an ID that is not in front is no claim."""
''',
    "hil_tests/requirements/test_clock.py": '''"""SR-02: the clock."""


def test_the_clock():
    text = """
# ---------------------------------------------------------------- PR-01: no section, but data
"""
''',
    "hil_tests/support/rig.py": """def judge(measure, limit):
    measure.worst("SR-01", "trip_ms", {1: 4.0}, "trip")
""",
    "hil_tests/unit/test_points.py": '''def test_points(measure):
    """CR-01."""
    measure("CR-01", "points", 11, "points", relation="==")
''',
    "hil_tests/reviewed_trace.toml": """
[code."PR-01"]
place = "firmware/pen/control.py:regulate"
reason = "the regulator, to be named there"
""",
}  # fmt: skip
REQUIREMENTS, CONTROL, MOTOR, CLOCK, REVIEWED, POINTS, RIG = (
    next(name for name in SMALL if name.endswith(end))
    for end in (
        "requirements.toml",
        "control.py",
        "motor.py",
        "clock.py",
        "reviewed_trace.toml",
        "test_points.py",
        "rig.py",
    )
)
SR01_LIMITS = "threshold_hz = 165, trip_ms = 5"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name, text in SMALL.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def change(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert text.count(old) >= 1, f"{old!r} is not in {file}: this seeds nothing"
    (folder / file).write_text(text.replace(old, new))


def found(folder: Path, *results: Path) -> list[tuple[str, str]]:
    return [(gap.kind, gap.subject) for gap in gaps(read(folder, results))]


def test_the_small_project_has_no_gap(small: Path) -> None:
    assert found(small) == []


SEEDS: list[tuple[str, str, str, str, str]] = [
    ("untested", "SR-02", CLOCK, "SR-02", "PR-01"),
    ("untested", "CR-01", POINTS, "CR-01", "PR-01"),
    ("uncontrolled", "A wrong clock", REQUIREMENTS, 'reason = "It counts."\nstatus = "implemented"',
     'reason = "It counts."\nstatus = "planned"'),
    ("no code", "SR-02", CONTROL, "SR-02", "SR-01"),
    ("no code", "PR-01", REVIEWED, SMALL[REVIEWED], "\n"),
    ("untested limit", "SR-01.trip_ms", RIG, "measure.worst", "print"),
    ("loose limit", "SR-01.trip_ms", RIG, "measure.worst", "LIMIT"),
    ("loose limit", "SR-01.more_ms", REQUIREMENTS, SR01_LIMITS, f"{SR01_LIMITS}, more_ms = 1"),
    ("unused constant", "SR01_MORE_MS", REQUIREMENTS, SR01_LIMITS, f"{SR01_LIMITS}, more_ms = 1"),
    ("unused constant", "SR01_TRIP_MS", CONTROL, "import SR01_THRESHOLD_HZ",
     "import SR01_THRESHOLD_HZ, SR01_TRIP_MS"),
    ("test of nothing", f"{CLOCK}::test_the_clock", CLOCK, "SR-02", "something"),
    ("unknown ID", "SR-77", "firmware/faults.toml", "SR-01", "SR-77"),
    ("unknown ID", "SR-77", CONTROL, "# SR-02", "# SR-02 and SR-77"),
    ("unknown ID", "SR-77", MOTOR, '"""SR-01,', '"""SR-01, SR-77,'),
    ("unknown ID", "SR-77", MOTOR, "judge(measure, STOP_HZ)", 'measure("SR-77", "trip_ms", 1, "")'),
    ("unknown ID", "SR-77", MOTOR, "def test_it_trips", '@pytest.mark.shows("SR-77")\ndef test_it_trips'),
    ("unknown ID", "SR-77", "host_tools/needlepen/points.py", '"CR-01", "points"', '"SR-77", "points"'),
    ("unknown limit", "SR01_TRIP_US", CONTROL, "SR01_THRESHOLD_HZ", "SR01_TRIP_US"),
    ("unknown limit", "SR-01.trip_us", RIG, "trip_ms", "trip_us"),
    ("unknown limit", "SR-01.stop_hz", MOTOR, "threshold_hz", "stop_hz"),
    ("unknown limit", "SR-01.held_s", "firmware/faults.toml", "number = 1", 'latched_s = "SR-01.held_s"'),
    ("unknown limit", "CR-01.dots", "host_tools/needlepen/points.py", '"points"', '"dots"'),
    ("unknown place", "PR-01", REVIEWED, ":regulate", ":govern"),
    ("not needed", "PR-01", CONTROL, "def regulate", "# PR-01\ndef regulate"),
    ("not needed", "SR-01.trip_ms", REVIEWED, "[code", '[limits]\n"SR-01.trip_ms" = "no test can measure this"\n[code'),
    ("not needed", "SR-01.gone_ms", REVIEWED, "[code", '[limits]\n"SR-01.gone_ms" = "no test can measure this"\n[code'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "subject", "file", "old", "new"), SEEDS, ids=[f"{s[0]}-{s[1]}" for s in SEEDS]
)
def test_a_seeded_gap_is_found_and_fails_the_check(
    small: Path, kind: str, subject: str, file: str, old: str, new: str
) -> None:
    change(small, file, old, new)
    assert (kind, subject) in found(small)
    done = CliRunner().invoke(command, ["--check", "--project", str(small)], standalone_mode=False)
    assert done.return_value == 1 and subject in done.output and kind in done.output


def test_gaps_of_every_kind_are_seeded_here() -> None:
    with_results = {"no result", "result of no test", "other limit"}
    assert {seed[0] for seed in SEEDS} | with_results == set(KINDS)


def test_gaps_are_found_in_a_copy_of_the_project_too(tmp_path: Path) -> None:
    """Many at once, since one reading takes seconds."""
    for name in ("firmware", "boards", "hil_tests"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "host_tools").symlink_to(PROJECT / "host_tools")
    overspeed, stall = (f"hil_tests/requirements/test_{name}.py" for name in ("overspeed", "stall"))
    change(tmp_path, "firmware/requirements.toml", "threshold_hz = 165,", "threshold_hz = 165, odd_ms = 7,")
    change(tmp_path, "firmware/faults.toml", 'requirement = "SR-06"', 'requirement = "SR-66"')
    change(tmp_path, overspeed, "peak_hz", "peek_hz")
    change(tmp_path, stall, '"""SR-08: ', '"""')
    change(tmp_path, "firmware/pen/contact.py", "SR13_NO_CONTACT_S", "SR13_NO_CONTACT_MIN")
    for path in (tmp_path / "hil_tests").rglob("test_*.py"):
        path.write_text(re.sub(r"\bSR-24\b", "SR-23", path.read_text()))
    expected = {
        ("loose limit", "SR-06.odd_ms"), ("unused constant", "SR06_ODD_MS"), ("unknown ID", "SR-66"),
        ("unknown limit", "SR-06.peek_hz"), ("unknown limit", "SR13_NO_CONTACT_MIN"), ("untested", "SR-24"),
        ("test of nothing", f"{stall}::test_a_motor_that_cannot_start_is_braked"),
    }  # fmt: skip
    assert expected <= set(found(tmp_path))


# ---------------------------------------------------------------- finding links
def test_a_test_has_what_the_functions_and_constants_that_it_comes_by_have(small: Path) -> None:
    links = {(x.requirement, x.limit, x.how) for x in read(small).links if x.test.endswith("::test_it_trips")}
    assert links == {("SR-01", "trip_ms", "measures"), ("SR-01", "threshold_hz", "reads")}


def test_a_section_and_a_file_say_what_their_tests_are_about(small: Path) -> None:
    claims = {(x.test.partition("::")[2], x.requirement) for x in read(small).links if x.how == "claims"}
    assert claims == {("test_it_stays_cool", "PR-01"), ("test_the_clock", "SR-02"), ("test_points", "CR-01")}


def test_a_variable_stands_for_the_limits_that_are_named(small: Path) -> None:
    links = {(x.requirement, x.limit, x.how) for x in read(small).links if "draws_little" in x.test}
    assert links == {("PR-01", "current_a", "measures")}


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ('measure("SR-01", f"rate_{n}_hz", x, "")', [("measures", "SR-01", ("rate_.*_hz",))]),
        ('measure("SR-01", "a" if b else "c", x, "")', [("measures", "SR-01", ("a", "c"))]),
        ('measure.figure("SR-01", "goal_ns", x, "")', [("figure", "SR-01", ("goal_ns",))]),
        ("measure(requirement, limit, x, '')", [("measures", None, None)]),
        ('float(_limit("SR-01", "trip_ms"))', [("reads", "SR-01", ("trip_ms",))]),
        ('requirements.load().limit("SR-01", name)', [("reads", "SR-01", None)]),
        ("words.limit(measurement)", []),
        ("quantities.limit(text, suffix)", []),
        ('with pytest.raises(UsageError):\n    limit("SR-01", "nonsense")', []),
        ('# measure("SR-01", "trip_ms")\nx = \'measure("SR-01", "trip_ms", 1, "")\'', []),
    ],
)
def test_calls_are_read_as_they_are_meant(source: str, calls: list[Any]) -> None:
    import ast

    assert [(c.how, c.requirement, c.limits) for c in facts(ast.parse(source)).calls] == calls


def test_ids_in_text() -> None:
    assert ids("SR-02 to SR-04, CR-01; not SR-1, XSR-02 or SR06") == ("SR-02", "SR-03", "SR-04", "CR-01")
    assert leading_ids("SR-01 to SR-02, PR-05 on the whole pen (SR-09)") == ("SR-01", "SR-02", "PR-05")
    assert leading_ids("In runs shorter than SR-13 allows") == ()


# ---------------------------------------------------------------- results
CASE = '<testcase classname="hil_tests.{}" name="{}">{}</testcase>'
PASSED = [("requirements.test_motor", "test_it_trips", ""), ("requirements.test_clock", "test_the_clock[1]", ""),
          ("requirements.test_motor", "test_it_draws_little", ""), ("unit.test_points", "test_points", "")]  # fmt: skip


def junit(folder: Path, cases: list[tuple[str, str, str]]) -> Path:
    text = "".join(CASE.format(*case) for case in cases)
    path = folder / "junit.xml"
    path.write_text(f'<testsuites><testsuite timestamp="2026-11-23T09:17:04">{text}</testsuite></testsuites>')
    return path


def taken(value: float | None, limit: float = 5.0, name: str = "trip_ms: trip") -> Measurement:
    return Measurement(name, value, "ms", limit, "<=", "SR-01")


def as_property(m: Measurement) -> str:
    text = (
        str({key: getattr(m, key) for key in m.__dataclass_fields__})
        .replace("<", "&lt;")
        .replace('"', "&quot;")
    )
    return f'<properties><property name="measurement" value="{text}"/></properties>'


def json_file(folder: Path, *found: Measurement, test: str = f"{MOTOR}::test_it_trips[a]") -> Path:
    path = folder / "measurements.json"
    write(path, [(test, m) for m in found])
    return path


def test_without_results_nothing_has_run(small: Path) -> None:
    read_once = read(small)
    assert {verdict(read_once, name) for name in read_once.requirements} == {"not run"}


def test_results_of_all_tests_close_the_chain(small: Path) -> None:
    file = junit(small, PASSED)
    assert found(small, file) == []
    once = read(small, [file])
    assert {verdict(once, name) for name in once.requirements} == {"pass"}
    assert once.results is not None and once.results.files[0].when.startswith("2026-11-23")


def test_an_implemented_requirement_that_did_not_run_is_a_gap(small: Path) -> None:
    without_clock = [case for case in PASSED if "clock" not in case[1]]
    assert found(small, junit(small, without_clock)) == [("no result", "SR-02")]
    skipped = ("requirements.test_clock", "test_the_clock", '<skipped type="pytest.skip" message="no chip"/>')
    assert found(small, junit(small, [*without_clock, skipped])) == [("no result", "SR-02")]


def test_a_result_of_a_test_that_is_gone_is_a_gap(small: Path) -> None:
    gone = ("requirements.test_motor", "test_gone", "")
    assert found(small, junit(small, [*PASSED, gone])) == [("result of no test", f"{MOTOR}::test_gone")]


def test_a_result_against_another_limit_is_a_gap(small: Path) -> None:
    files = [junit(small, PASSED), json_file(small, taken(4.0, limit=6.0))]
    assert found(small, *files) == [("other limit", "SR-01.trip_ms")]


@pytest.mark.parametrize("of", [json_file, None], ids=["measurements", "junit"])
def test_the_worst_value_of_a_limit_is_the_one_with_the_least_margin(
    small: Path, of: Callable[..., Path] | None
) -> None:
    values = [taken(1.0), taken(4.8), taken(2.0)]
    case = ("requirements.test_motor", "test_it_trips[a]", "".join(as_property(m) for m in values))
    once = read(small, [of(small, *values) if of else junit(small, [case])])
    limit = next(limit for limit in rows(once, ["SR-01"])[0].limits if limit.name == "trip_ms")
    assert limit.worst is not None and limit.worst.count == 3 and limit.worst.taken.measurement.value == 4.8
    assert (limit.verdict, limit.worst.taken.case) == ("marginal", f"{MOTOR}::test_it_trips[a]")
    assert verdict(once, "SR-01") == "pass"


def test_what_is_in_both_files_counts_once(small: Path) -> None:
    case = ("requirements.test_motor", "test_it_trips[a]", as_property(taken(4.0)))
    once = read(small, [junit(small, [case]), json_file(small, taken(4.0))])
    assert once.results is not None and len(once.results.taken) == 1


@pytest.mark.parametrize(
    ("content", "value", "expected"),
    [
        ("", 6.0, "fail"),
        ("", float("inf"), "fail"),
        ("", None, "fail"),
        ("<failure/>", 4.0, "fail"),
        ("<error/>", 4.0, "error"),
        ('<skipped type="pytest.xfail" message="known"/>', 6.0, "known failure"),
        ("", 4.0, "pass"),
    ],
)
def test_the_verdict_of_a_requirement(small: Path, content: str, value: float | None, expected: str) -> None:
    case = ("requirements.test_motor", "test_it_trips", as_property(taken(value)) + content)
    assert verdict(read(small, [junit(small, [case])]), "SR-01") == expected


def test_a_known_failure_hides_no_other_one(small: Path) -> None:
    known = as_property(taken(9.0)) + '<skipped type="pytest.xfail" message="known"/>'
    cases = [("requirements.test_motor", "test_it_trips[a]", known),
             ("requirements.test_motor", "test_it_trips[b]", as_property(taken(6.0)))]  # fmt: skip
    once = read(small, [junit(small, cases)])
    limit = next(limit for limit in rows(once, ["SR-01"])[0].limits if limit.name == "trip_ms")
    assert (verdict(once, "SR-01"), limit.verdict) == ("fail", "fail")


def test_a_value_that_never_came_is_a_failure_in_the_json_too(small: Path) -> None:
    assert verdict(read(small, [json_file(small, taken(float("inf")))]), "SR-01") == "fail"


def test_what_the_plugin_writes_is_what_is_read(tmp_path: Path, project: Trace) -> None:
    """With the fixture's own names of measurements, on the project's own requirements."""
    made: list[Measurement] = []
    Measure(made)("SR-06", "trip_ms", 4.0, "made here")
    test = "hil_tests/requirements/test_overspeed.py::test_just_above_the_threshold_trips"
    write(tmp_path / "m.json", [(test, m) for m in made])
    from needlepen.trace import results

    found = results.read([tmp_path / "m.json"], project)
    worst = found.worst("SR-06", "trip_ms")
    assert worst is not None and worst.taken.test == test and worst.taken.measurement == made[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{}", "no 'format'"), ('{"format": 2}', "format 2"), ("<a", "no results"), ("value, 3", "no results"),
     ('{"format": 1, "measurements": [{"test": "x"}]}', "no 'value'")],
)  # fmt: skip
def test_a_file_that_holds_no_results_is_refused(small: Path, content: str, reason: str) -> None:
    path = small / "results"
    path.write_text(content)
    with pytest.raises(
        UsageError, match=f"{re.escape(str(path))}: no results .*{re.escape(reason)}|{reason}"
    ):
        read(small, [path])
    with pytest.raises(UsageError, match="cannot be read"):
        read(small, [small / "none.xml"])


# ---------------------------------------------------------------- the command
def run(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(command, [*words, "--project", str(folder)], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.output


def test_down_from_a_requirement_a_limit_a_constant_or_words_of_a_hazard(small: Path) -> None:
    for what in ("SR-01", "sr-01", "SR-01.trip_ms", "SR01_TRIP_MS", "runs away"):
        text = run(small, what)
        for part in ("SR-01 Overspeed", "The motor runs away", "limit trip_ms = 5 ms", "SR01_THRESHOLD_HZ",
                     "firmware/pen/control.py:4 _LEAST_US", "test_it_trips", "measures trip_ms"):  # fmt: skip
            assert part in text, (what, part)


@pytest.mark.parametrize(
    ("what", "requirements"),
    [
        ("firmware/pen/control.py", {"SR-01", "SR-02", "PR-01"}),
        ("pen/control.py", {"SR-01", "SR-02", "PR-01"}),
        ("control.py:Clock", {"SR-02"}),
        ("firmware", {"SR-01", "SR-02", "PR-01"}),
        ("firmware/faults.toml", {"SR-01"}),
        (MOTOR, {"SR-01", "PR-01"}),
        (f"{MOTOR}::test_it_trips", {"SR-01"}),
    ],
)
def test_up_from_a_file_a_symbol_or_a_test(small: Path, what: str, requirements: set[str]) -> None:
    found = json.loads(run(small, what, "--json"))
    assert {step["requirement"] for step in found} == requirements
    assert {step["hazard"] for step in found if step["requirement"] == "SR-01"} <= {"The motor runs away"}
    text = run(small, what)
    assert all(name in text for name in requirements)


def test_what_names_nothing_is_refused_with_a_hint(small: Path) -> None:
    once = read(small)
    assert steps(once, "nonsense.py") == []
    for what, hint in (("SR-99", "SR-99"), ("firmware/pen/contrl.py", "did you mean firmware/pen/control.py"),
                       ("xyzzy", "words of a hazard"), ("test_motor.py::test_none", "nothing leads up")):  # fmt: skip
        done = CliRunner().invoke(command, [what, "--project", str(small)], standalone_mode=False)
        assert isinstance(done.exception, UsageError) and hint in str(done.exception), (what, done.exception)


def test_a_folder_without_a_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--project"):
        Project(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        (REVIEWED, "the regulator, to be named there", "why", "code.PR-01.reason"),
        (REVIEWED, "[code", '[limit]\n"SR-01.trip_ms" = "because"\n[code', "limit: Extra inputs"),
        (CONTROL, "def regulate", "def def", "mend the file"),
        (REQUIREMENTS, 'hazard = "A wrong clock"', "", "SR-02.hazard: missing"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    small: Path, file: str, old: str, new: str, reason: str
) -> None:
    change(small, file, old, new)
    with pytest.raises(UsageError, match=f"{re.escape(file)}: .*{re.escape(reason)}"):
        read(small)


def test_json_csv_and_page_hold_the_same(small: Path) -> None:
    file = junit(small, [*PASSED[1:], ("requirements.test_motor", "test_it_trips", as_property(taken(4.0)))])
    page, sheet = small / "trace.html", small / "trace.csv"
    text = run(small, "--results", str(file), "--html", str(page), "--csv", str(sheet), "--json")
    content = json.loads(text)
    assert content["gaps"] == [] and content["results"][0]["kind"] == "JUnit XML"
    assert content["hazards"] == {"The motor runs away": ["SR-01"], "A wrong clock": ["SR-02"]}
    trip = next(x for x in content["requirements"][0]["limits"] if x["name"] == "trip_ms")
    assert (trip["constant"], trip["worst"]["value"], trip["worst"]["verdict"]) == (
        "SR01_TRIP_MS",
        4.0,
        "pass",
    )
    with sheet.open() as lines:
        found = list(csv.DictReader(lines))
    assert {row["requirement"] for row in found} == {r["id"] for r in content["requirements"]}
    measured = [row for row in found if row["limit"] == "trip_ms"]
    assert [(r["worst"], r["link"], r["symbol"], r["outcome"]) for r in measured] == [
        ("4.0", "test", "test_it_trips", "passed")
    ]
    html = page.read_text()
    for part in ("The motor runs away", 'id="SR-01"', "SR01_TRIP_MS", "test_it_trips", "no gaps", "regulate"):
        assert part in html, part
    assert not re.findall(r'(?:src|href)="(?!#|data:)', html), "the page loads nothing"


def test_the_page_says_what_is_missing(small: Path) -> None:
    change(small, CLOCK, "SR-02", "something")
    run(small, "--html", str(small / "trace.html"))
    html = (small / "trace.html").read_text()
    listed = html.partition('id="gaps"')[2].partition("</section>")[0]
    assert "test of nothing" in listed and "test_the_clock" in listed and "2 gaps<" in html


def test_an_argument_and_a_whole_report_exclude_each_other(small: Path) -> None:
    done = CliRunner().invoke(command, ["SR-01", "--check", "--project", str(small)], standalone_mode=False)
    assert isinstance(done.exception, UsageError)
