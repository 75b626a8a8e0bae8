"""pytest plugin: `--target` and `--plan`, and a fixture for each capability.

A test asks for what it needs by the name of a fixture: `link`, `console`, `power`, `pins`, `plant`, `faults`, `probe`.
What the target does not offer skips the test, with the reason. `pens` and `runtime` need pens of this process.
A board that goes away in the middle is one error, `Lost`; what comes after it is skipped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from needlepen.errors import AnotherPen, InfrastructureError, NeedlepenError, Refused, UsageError
from needlepen.evidence_report.model import BUILD, BUILD_DIGITS, Board
from support.boards import name_board
from support.targets import session as sessions, specification
from support.targets.opening import look_whether_lost, open_target, taken_away
from support.targets.protocols import CAPABILITIES, IN_PROCESS, Missing, Target
from support.targets.specification import Specification

TARGETS = pytest.StashKey[list[Specification]]()
TARGET = pytest.StashKey[Target]()
IDENTITY = "target"
"""The user property of a report that says which board it is of."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("targets")
    forms = ", ".join(specification.FORMS.values())
    group.addoption(
        "--target",
        action="append",
        metavar="TARGET",
        help=f"What to test: {forms} [default: emulated]. Several boards side by side: one --target and one worker "
        "each, with -n 2 --dist each.",
    )
    group.addoption("--plan", action="store_true", help="Say what would run on the target, and run nothing.")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if config.option.plan:  # a plan needs no workers
        config.option.numprocesses, config.option.dist, config.option.tx = 0, "no", []


def pytest_configure(config: pytest.Config) -> None:
    try:
        targets = [specification.parse(text) for text in config.option.target or [specification.EMULATED]]
        _check_workers(config, targets)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[TARGETS] = targets
    config.pluginmanager.register(sessions.Session(targets), "needlepen-session")


def _check_workers(config: pytest.Config, targets: list[Specification]) -> None:
    """A board has one worker, and a worker one board."""
    if hasattr(config, "workerinput"):
        return
    workers = 0 if config.option.plan else len(getattr(config.option, "tx", None) or [])
    doubled = next((target for target in targets if targets.count(target) > 1), None)
    if doubled:
        raise UsageError(f"--target {doubled} is given twice: a board has one worker.")
    if (
        len(targets) > 1
        and not config.option.plan
        and (workers != len(targets) or config.option.dist != "each")
    ):
        raise UsageError(
            f"{len(targets)} targets need a worker each that runs every test: add -n {len(targets)} --dist each."
        )
    if len(targets) == 1 and workers > 1 and not targets[0].is_emulated:
        raise UsageError(
            f"{targets[0]} is one board, and {workers} workers would take turns on it: leave -n out."
        )


def mine(config: pytest.Config) -> Specification:
    """The target of this process."""
    targets = config.stash[TARGETS]
    worker = getattr(config, "workerinput", {"workerid": "gw0"})["workerid"]
    return targets[int(worker.removeprefix("gw")) % len(targets)]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Boards are found, held and checked before the first test."""
    config = session.config
    if config.option.plan or config.option.collectonly:
        return
    is_worker, has_workers = hasattr(config, "workerinput"), bool(getattr(config.option, "tx", None))
    wanted = [mine(config)] if is_worker or not has_workers else config.stash[TARGETS]
    seen: dict[str, Specification] = {}
    for target in wanted:
        if target.is_emulated:
            continue  # made when the first test asks for it
        try:
            opened = open_target(target, _nothing_emulated)
        except NeedlepenError as error:
            pytest.exit(f"--target {target}: {error}", returncode=error.exit_code)
        if has_workers and not is_worker:
            opened.close()  # the worker takes it
            other = seen.setdefault(opened.identity.unique_id, target)
            if other is not target:
                reason = f"{other} and {target} are the same pen: a board has one worker."
                pytest.exit(f"--target {target}: {reason}", returncode=UsageError.exit_code)
        else:
            config.stash[TARGET] = opened
            name_board(config, opened.identity.unique_id)


def pytest_needlepen_board(config: pytest.Config) -> Board | None:
    """For the evidence: the board that this process has opened; pens of this process are told by others."""
    if TARGET not in config.stash or mine(config).is_emulated:
        return None
    found = config.stash[TARGET].identity
    facts = {
        "target": found.target,
        "board file": found.board,
        "kind of build": found.build,
        "version": found.version,
        BUILD: found.application_hash[:BUILD_DIGITS],
    }
    runtime = found.runtime.removeprefix("MicroPython ")  # as the emulated pen tells it
    return Board(found.unique_id, found.application_hash, runtime, "", found.emulator, facts)


def pytest_unconfigure(config: pytest.Config) -> None:
    if TARGET in config.stash:
        config.stash[TARGET].close()


def _nothing_emulated() -> Any:
    raise Refused("this target is no emulated pen")


# ---------------------------------------------------------------------- fixtures
@pytest.fixture(scope="session")
def in_process(pytestconfig: pytest.Config) -> None:
    """For what makes, forks and changes emulated pens by itself: skips on every other target."""
    _skip_if_missing(mine(pytestconfig), IN_PROCESS)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Target:
    """The board of this session. Tests ask for a capability instead, but for who it is."""
    if TARGET not in pytestconfig.stash:

        def emulated() -> Any:
            from support.targets.emulated import SEED

            pens = request.getfixturevalue("pens")
            return lambda: pens.new(seed=SEED), request.getfixturevalue("runtime").name

        pytestconfig.stash[TARGET] = open_target(mine(pytestconfig), emulated)
    return pytestconfig.stash[TARGET]


def _skip_if_missing(target: Specification, capability: str) -> None:
    if capability in target.missing:
        what = CAPABILITIES.get(capability, "pens that this process emulates")
        pytest.skip(f"{target} has no {capability} ({what}): {target.missing[capability]}")


def _fixture(capability: str) -> Callable[..., Any]:
    @pytest.fixture(name=capability)
    def offered(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Any]:
        _skip_if_missing(mine(pytestconfig), capability)
        target: Target = request.getfixturevalue("target")
        if target.lost is not None:
            pytest.skip(f"board lost: {target.lost}")
        if (lost := taken_away(target)) is not None:
            raise lost
        with contextlib.ExitStack() as stack:
            try:
                _say_whose(request.node, target)
                found = stack.enter_context(target.use(capability))
            except Missing as error:
                pytest.skip(str(error))
            except (InfrastructureError, AnotherPen) as error:
                raise look_whether_lost(target, error) or error from error
            yield found

    offered.__doc__ = CAPABILITIES[capability]
    return offered


link, console, power, pins, plant, faults, probe = (_fixture(name) for name in CAPABILITIES)


def _say_whose(node: pytest.Item, target: Target) -> None:
    whose = (IDENTITY, target.identity.as_dict())
    if whose not in node.user_properties:
        node.user_properties.append(whose)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Trouble: is the board gone, or another in its place? A test during which it was taken away shows nothing."""
    target = item.config.stash.get(TARGET, None) if sessions.needs(item) else None
    try:
        result = yield
    except (InfrastructureError, AnotherPen) as error:
        lost = None if target is None else look_whether_lost(target, error)
        if lost is not None:
            raise lost from error
        raise
    if target is not None and (lost := taken_away(target)) is not None:
        raise lost
    return result
