"""Targets: what `--target` may say, which bench is refused, what a plan says, when a board counts as lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.targets import bench_check, opening, plugin, session, session_plan, shown, sources, specification
from support.targets.protocols import CAPABILITIES, IN_PROCESS, BoardIdentity, Lost
from support.targets.session_plan import Planned
from support.targets.shown import Outcome

from needlepen.devices import locks
from needlepen.devices.model import Holder
from needlepen.errors import InfrastructureError, Refused, UsageError
from needlepen.link.client import kinds
from needlepen.link.values import About, Identity, Status, Telemetry

ID, OTHER = "e660000000000001", "e660000000000002"
BOARD = specification.parse(f"serial:{ID}")


# ---------------------------------------------------------------------- what may be said
@pytest.mark.parametrize(
    ("text", "kind", "where"),
    [
        ("emulated", "emulated", ""),
        (f"serial:{ID}", "serial", ID),
        ("serial:left", "serial", "left"),
        ("serial:/dev/ttyACM0", "serial", "/dev/ttyACM0"),
        ("tcp:127.0.0.1:5000", "tcp", "127.0.0.1:5000"),
        ("tcp:bench-3.lab:65535", "tcp", "bench-3.lab:65535"),
        ("tcp:[::1]:5000", "tcp", "[::1]:5000"),
        ("labgrid:pen-rack-1", "labgrid", "pen-rack-1"),
    ],
)
def test_a_target_is_what_it_says(text: str, kind: str, where: str) -> None:
    found = specification.parse(text)
    assert (found.kind, found.where, str(found)) == (kind, where, text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "x",
            "emulated:",
            "emulated:1",
            "Serial:x",
            "serial",
            "serial:",
            "serial:a b",
            "labgrid:",
            "labgrid",
        ),
        *(
            "tcp:",
            "tcp:host",
            "tcp:host:",
            "tcp::5000",
            "tcp:host:0",
            "tcp:host:65536",
            "tcp:host:5e3",
            "tcp:a b:5",
        ),
    ],
)
def test_anything_else_is_refused_in_one_line_that_says_what_is_possible(text: str) -> None:
    with pytest.raises(UsageError, match=r"use .*(emulated|serial:ID|tcp:HOST:PORT|labgrid:PLACE)") as error:
        specification.parse(text)
    assert "\n" not in str(error.value) and error.value.exit_code == 4


def test_the_emulated_pen_offers_everything_and_a_board_its_port() -> None:
    assert specification.parse("emulated").offers == {*CAPABILITIES, IN_PROCESS}
    for text in (f"serial:{ID}", "tcp:h:1", "labgrid:p"):
        target = specification.parse(text)
        assert target.offers == {"link", "console"}
        assert target.offers | target.missing.keys() == {*CAPABILITIES, IN_PROCESS} and all(
            target.missing.values()
        )


@pytest.mark.parametrize("capability", [*CAPABILITIES, IN_PROCESS])
def test_what_a_target_lacks_skips_with_the_reason(capability: str) -> None:
    plugin._skip_if_missing(specification.parse("emulated"), capability)
    if capability in BOARD.offers:
        plugin._skip_if_missing(BOARD, capability)
        return
    with pytest.raises(pytest.skip.Exception) as skipped:
        plugin._skip_if_missing(BOARD, capability)
    assert capability in str(skipped.value) and BOARD.missing[capability] in str(skipped.value)


# ---------------------------------------------------------------------- workers
def _config(*targets: str, workers: int = 0, dist: str = "no", plan: bool = False, worker: str = "") -> Any:
    option = SimpleNamespace(tx=["popen"] * workers, dist=dist, plan=plan)
    config = SimpleNamespace(
        option=option, stash={plugin.TARGETS: [specification.parse(text) for text in targets]}
    )
    if worker:
        config.workerinput = {"workerid": worker}
    return config


@pytest.mark.parametrize(
    ("targets", "options"),
    [
        (("emulated",), {}),
        (("emulated",), {"workers": 2, "dist": "loadfile"}),
        (("serial:a",), {}),
        (("serial:a",), {"workers": 1, "dist": "load"}),
        (("serial:a", "serial:b"), {"workers": 2, "dist": "each"}),
        (("serial:a", "serial:b"), {"plan": True}),
    ],
)
def test_a_board_has_one_worker(targets: tuple[str, ...], options: dict[str, Any]) -> None:
    config = _config(*targets, **options)
    plugin._check_workers(config, config.stash[plugin.TARGETS])


@pytest.mark.parametrize(
    ("targets", "options", "text"),
    [
        (("serial:a",), {"workers": 2, "dist": "load"}, "leave -n out"),
        (("serial:a", "serial:b"), {}, "add -n 2 --dist each"),
        (("serial:a", "serial:b"), {"workers": 2, "dist": "load"}, "add -n 2 --dist each"),
        (("serial:a", "serial:b"), {"workers": 3, "dist": "each"}, "add -n 2 --dist each"),
        (("serial:a", "serial:a"), {"workers": 2, "dist": "each"}, "given twice"),
    ],
)
def test_boards_and_workers_that_do_not_fit_are_refused(
    targets: tuple[str, ...], options: dict[str, Any], text: str
) -> None:
    config = _config(*targets, **options)
    with pytest.raises(UsageError, match=text):
        plugin._check_workers(config, config.stash[plugin.TARGETS])


def test_each_worker_has_its_own_board() -> None:
    for worker, meant in (("gw0", "serial:a"), ("gw1", "serial:b")):
        assert str(plugin.mine(_config("serial:a", "serial:b", worker=worker))) == meant
    assert all(plugin.mine(_config("emulated", worker=f"gw{n}")).is_emulated for n in range(3))


# ---------------------------------------------------------------------- the check of a bench
MEANT = bench_check.Wanted("pico_pen", "development", "0123456789ab" + 52 * "0", "1.25.0")
SOUND = bench_check.Seen(
    Identity(ID, "pico_pen", "0.1.0", "0123456789ab", True, kinds.PROTOCOL_VERSION),
    About("1.25.0", "", "engineer", "valid", "", True, True, 10, 3),
    "armed",
    "none",
    Telemetry(0, "armed", "none", 0, 100.0, 0.0, 0.0, 0.0, 3.7, 0.0, 0.0, 0.0),
    Status(0, (), (), "", 0, 25.0, 25.0, 1.5, 24, 3600, 3600, False),
)


def _but(what: str, **changes: Any) -> bench_check.Seen:
    return replace(SOUND, **{what: replace(getattr(SOUND, what), **changes)})


def test_a_sound_bench_is_taken() -> None:
    bench_check.check(SOUND, MEANT, ID)
    bench_check.check(SOUND, MEANT)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (_but("identity", unique_id=OTHER), f"not {ID}"),
        (_but("identity", board="other_pen"), "board other_pen.*take another one"),
        (
            _but("identity", application_hash="ba9876543210"),
            "build ba9876543210.*0123456789ab.*needlepen flash",
        ),
        (_but("identity", development=False), "production build.*development build.*needlepen flash"),
        (_but("about", micropython="1.24.1"), "MicroPython 1.24.1.*1.25.0.*needlepen flash"),
        (_but("latest", cell_v=bench_check.CELL_V[0] - 0.01), "cell is at 3.49 V.*charge it"),
        (_but("latest", cell_v=bench_check.CELL_V[1] + 0.01), "cell is at 4.31 V"),
        (_but("status", nose_c=bench_check.NOSE_C[0] - 0.1), "nose is at 4.90 C"),
        (_but("status", nose_c=bench_check.NOSE_C[1] + 0.1), "nose is at 41.10 C.*let it cool"),
        (_but("status", winding_c=bench_check.WINDING_C[1] + 0.1), "winding is at 85.10 C"),
        (replace(SOUND, state="running"), "motor turns"),
        (replace(SOUND, state="safe", fault="stall"), "safe with the fault stall.*needlepen explain stall"),
        (replace(SOUND, state="locked_out", fault="ram"), "locked out"),
    ],
)
def test_a_wrong_bench_is_refused_with_what_to_do(seen: bench_check.Seen, text: str) -> None:
    with pytest.raises(Refused, match=text) as error:
        bench_check.check(seen, MEANT, ID)
    assert "\n" not in str(error.value) and error.value.exit_code == 3


@pytest.mark.parametrize("edge", [0, 1])
def test_the_limits_themselves_are_sound(edge: int) -> None:
    bench_check.check(_but("latest", cell_v=bench_check.CELL_V[edge]), MEANT, ID)
    bench_check.check(
        _but("status", nose_c=bench_check.NOSE_C[edge], winding_c=bench_check.WINDING_C[edge]), MEANT
    )


def test_everything_that_is_wrong_is_said_at_once() -> None:
    seen = replace(_but("latest", cell_v=1.0), state="safe", fault="stall")
    assert len(list(bench_check.problems_of(seen, MEANT))) == 2


def test_of_another_pen_nothing_but_that_is_said() -> None:
    seen = replace(_but("identity", unique_id=OTHER), state="safe", fault="stall")
    assert len(list(bench_check.problems_of(seen, MEANT, ID))) == 1


# ---------------------------------------------------------------------- lost
class _Board:
    """A target whose board is there, or is not."""

    name = "serial:left"
    identity = BoardIdentity(
        "serial:left", ID, "pico_pen", "0.1.0", "development", "0123456789ab", "MicroPython 1.25.0"
    )
    offers = frozenset({"link"})

    def __init__(self, there: bool) -> None:
        self.lost: str | None = None
        self._there = there
        self.asked = 0
        self.said: str | None = None

    @contextlib.contextmanager
    def use(self, capability: str) -> Iterator[Any]:
        yield capability

    def is_there(self) -> bool:
        self.asked += 1
        if self._there:
            return True
        raise InfrastructureError("nothing answers")

    def noticed(self) -> str | None:
        return self.said

    def close(self) -> None:
        pass


def test_a_board_that_is_gone_is_lost_once_and_named() -> None:
    board = _Board(False)
    lost = opening.look_whether_lost(board, InfrastructureError("the port has gone."))
    assert isinstance(lost, Lost) and lost.exit_code == 2
    assert (
        board.lost == str(lost)
        and ID in str(lost)
        and "the port has gone." in str(lost)
        and "\n" not in str(lost)
    )
    assert opening.look_whether_lost(board, lost) is None, "the same loss is not told twice"
    assert opening.look_whether_lost(board, InfrastructureError("again")) is None and board.asked == 1


def test_an_error_of_a_board_that_is_there_stays_what_it_was() -> None:
    board = _Board(True)
    assert opening.look_whether_lost(board, InfrastructureError("late")) is None and board.lost is None


def test_a_board_that_was_taken_away_is_lost_once() -> None:
    board = _Board(True)
    assert opening.taken_away(board) is None and board.lost is None
    board.said = "Place rack was taken away from this session"
    lost = opening.taken_away(board)
    assert isinstance(lost, Lost) and "Place rack was taken away" in str(lost) and ID in str(lost)
    assert board.lost == str(lost) and opening.taken_away(board) is None


# ---------------------------------------------------------------------- leases
def test_a_lease_says_until_when_and_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLEPEN_STATE", str(tmp_path))
    with locks.held(ID, "HIL tests", 60.0):
        first = locks.holder(ID)
        assert first is not None and first.until is not None and first.program.endswith("HIL tests")
        left = datetime.fromisoformat(first.until) - datetime.now().astimezone()
        assert timedelta(seconds=50) < left <= timedelta(seconds=61)
        locks.renew(ID, 600.0)
        second = locks.holder(ID)
        assert second is not None and second.until is not None and second.since == first.since
        assert datetime.fromisoformat(second.until) > datetime.fromisoformat(first.until) + timedelta(
            seconds=500
        )
        assert f"until {second.until}" in str(second)
    assert locks.holder(ID) is None
    locks.renew(ID, 600.0)
    assert locks.holder(ID) is None, "nothing is renewed that is not held"


def test_a_lease_that_is_over_is_told_and_one_without_an_end_is_not() -> None:
    held = Holder(7, "pytest HIL tests", "ann", "2026-01-01T10:00:00+00:00", "2026-01-01T10:15:00+00:00")
    assert "its lease ended at 2026-01-01T10:15:00+00:00, so it may hang" in str(held)
    assert "lease" not in str(replace(held, until=None)) and "until" not in str(replace(held, until=None))


# ---------------------------------------------------------------------- what was shown
def _outcome(test: str, outcome: Any, *names: str) -> Outcome:
    return Outcome(test, names, outcome)


def test_a_requirement_is_shown_by_a_test_that_passed_alone() -> None:
    found = [
        _outcome("a", "passed", "SR-01"),
        _outcome("b", "failed", "SR-02"),
        _outcome("c", "skipped", "SR-03"),
    ]
    assert shown.shown(found) == {"SR-01"}
    assert shown.not_shown(["SR-03", "SR-02", "SR-01", "PR-01"], found) == ["SR-03", "SR-02", "PR-01"]
    assert shown.skipped([*found, _outcome("d", "passed", "SR-03")]) == []


# ---------------------------------------------------------------------- what a test says in its source
MODULE = '''"""SR-20: about batteries."""
@pytest.mark.parametrize("kind", ["open", "short"])
def test_one(faults, kind):
    """SR-18"""
    faults.inject(Fault("nose_temperature", kind))
    _more(faults)

def _more(faults):
    measure("PR-07", "cost_us", 1)
    faults.inject(Fault("battery", "open"))

def test_two(pen):
    run("motor:stuck@2.5", "nothing:here")

def test_three(faults, fault):
    faults.inject(Fault(*fault))
'''


def test_a_test_names_requirements_by_itself_or_by_its_module() -> None:
    source = sources.Source(MODULE)
    assert source.requirements("test_one") == ["PR-07", "SR-18"], "its own and those of what it calls"
    assert source.requirements("test_two") == ["SR-20"]
    assert source.requirements("unknown") == ["SR-20"]


def test_the_faults_of_a_test_are_found_without_running_it() -> None:
    source = sources.Source(MODULE)
    assert source.faults("test_one", {"kind": "short"}) == ["battery:open", "nose_temperature:short"]
    assert source.faults("test_one", {}) == ["battery:open", "nose_temperature:?"]
    assert source.faults("test_two", {}) == ["motor:stuck"] and source.faults("test_three", {}) == ["?:?"]


def test_this_file_can_be_read_too() -> None:
    assert sources.of(Path(__file__)).faults("test_the_faults_of_a_test_are_found_without_running_it", {})


# ---------------------------------------------------------------------- plan
def _planned(test: str, file: str, needs: set[str], *faults: str, **durations_s: float) -> Planned:
    return Planned(test, file, frozenset(needs), ("SR-18",) if needs else (), faults, durations_s)


PLANNED = [
    _planned("a", "t/one.py", {"link"}, emulated=2.0, serial=5.0),
    _planned("b", "t/one.py", {"link", "faults"}, "nose_temperature:open", emulated=61.0),
    _planned("c", "t/two.py", {IN_PROCESS}, "?:?"),
    _planned("d", "u/three.py", set(), emulated=0.5, serial=0.5),
]


def test_a_plan_says_what_runs_where_for_how_long_and_what_is_broken() -> None:
    text = "\n".join(session_plan.lines([specification.parse("emulated")], PLANNED, ["SR-18", "SR-19"]))
    assert "Target emulated: 4 tests, 1 min 4 s and 1 of unknown time" in text
    assert (
        "t/one.py: 2 tests, 1 min 3 s, on faults, link" in text and "t/two.py: 1 test, time unknown" in text
    )
    assert "in 1 file that need no target: 1 test, 0.5 s" in text
    assert "faults put in: chosen while it runs (1 test), nose_temperature:open (1 test)" in text
    assert "requirements without a test here: SR-19" in text and text.endswith("Nothing was run.")


def test_a_plan_of_a_board_says_what_it_lacks() -> None:
    text = "\n".join(session_plan.lines([BOARD], PLANNED, ["SR-18"]))
    assert f"Target serial:{ID}: 2 tests, 5.5 s" in text and "faults put in: none" in text
    assert f"skipped for want of faults: 1 test ({BOARD.missing['faults']})" in text
    assert "skipped for want of in_process: 1 test" in text and "requirements without" not in text


def test_an_expected_failure_has_run() -> None:
    for report, outcome in (
        (SimpleNamespace(outcome="skipped", wasxfail="a reason"), "failed"),
        (SimpleNamespace(outcome="passed", wasxfail="a reason"), "passed"),
        (SimpleNamespace(outcome="skipped"), "skipped"),
    ):
        assert session._outcome(report) == outcome  # type: ignore[arg-type]


def _session_of(target: str, *ended: tuple[str, str]) -> Any:
    """What a session answers whose tests of SR-01 ended so, each as (phase, outcome)."""
    known = session.Session([specification.parse(target)])
    for number, (when, outcome) in enumerate(ended):
        report = SimpleNamespace(nodeid=f"t{number}", when=when, outcome=outcome, duration=0.1)
        report.user_properties = [(session.NAMES, ["SR-01"])]
        known.pytest_runtest_logreport(report)  # type: ignore[arg-type]
    config = SimpleNamespace(option=SimpleNamespace(plan=False))
    made = SimpleNamespace(config=config, exitstatus=pytest.ExitCode.OK)
    known.pytest_sessionfinish(made)  # type: ignore[arg-type]
    return made.exitstatus


def test_a_requirement_that_was_only_skipped_fails_a_run_on_the_pen_that_offers_everything() -> None:
    skips = ("setup", "skipped"), ("call", "skipped")
    assert _session_of("emulated", *skips) == pytest.ExitCode.TESTS_FAILED
    assert _session_of("emulated", *skips, ("setup", "passed"), ("call", "passed")) == pytest.ExitCode.OK
    assert _session_of("emulated", ("setup", "passed")) == pytest.ExitCode.OK, "nothing has ended yet"
    assert _session_of(f"serial:{ID}", *skips) == pytest.ExitCode.OK, "another target may show it"
