"""Which board is under test here, and whether it is still there. One process tests one board at a time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from needlepen.evidence_report.model import BUILD, BUILD_DIGITS, Board

EMULATED = "emulated"


@dataclass
class _Lost:
    """`told`: a test has already been given the verdict infrastructure for it."""

    reason: str
    told: bool = False


_LOST = pytest.StashKey[_Lost]()
_NAME = pytest.StashKey[str]()


class BoardHooks:
    """What code for targets implements."""

    @pytest.hookspec(firstresult=True)
    def pytest_needlepen_board(self, config: pytest.Config) -> Board:
        """The board that this process tests, with what runs on it.

        Asked when evidence is kept, in each process that runs tests: before the first and after the last. Two answers
        that differ are infrastructure trouble, as is an error of needlepen.errors.
        """
        raise NotImplementedError


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(BoardHooks)


@pytest.hookimpl(trylast=True)
def pytest_needlepen_board(config: pytest.Config) -> Board:
    """Without a target: pens that are emulated in this process, with the firmware and the runtime that ship."""
    from needlepen.build.firmware_uf2 import application_hash
    from needlepen.emulator.bench import emulator_version, prepare

    bench = prepare()
    runtime = bench.runtime
    facts = {
        "board file": bench.board.name,
        "runtime from": runtime.origin.partition(":")[0],
        BUILD: application_hash(bench.application)[:BUILD_DIGITS],
    }
    return Board(EMULATED, bench.application.content_sha256, runtime.version, runtime.sha256,
                 emulator_version(), facts)  # fmt: skip


def name_board(config: pytest.Config, identity: str) -> None:
    """From now on this process tests this board: its unique ID, or "emulated". A lost one is forgotten."""
    config.stash[_NAME] = identity
    if _LOST in config.stash:
        del config.stash[_LOST]


def board_name(config: pytest.Config) -> str:
    """The identity that results of this process carry."""
    return config.stash.get(_NAME, EMULATED)


def lose_board(config: pytest.Config, reason: str) -> None:
    """The board is gone: the running test gets the verdict infrastructure, all that follow are skipped for it.

    Whoever notices calls this, from a test, a fixture or a thread; a test may raise needlepen.errors.BoardLost instead.
    """
    if _LOST not in config.stash:
        config.stash[_LOST] = _Lost(reason)


def why_lost(config: pytest.Config) -> str:
    """Why the board is lost, in one line; "" while it is there."""
    lost = config.stash.get(_LOST, None)
    return f"board {board_name(config)} was lost: {lost.reason}" if lost else ""


def take_blame(config: pytest.Config) -> bool:
    """True once after a board was lost: for the test that is to tell it."""
    lost = config.stash.get(_LOST, None)
    if lost is None or lost.told:
        return False
    lost.told = True
    return True
