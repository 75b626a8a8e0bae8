"""Another pen in the place of the one that is meant: it is told, and asked nothing, however often that is tried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.targets import opening
from support.targets.boards import LinkTarget
from support.troubles import assert_told

from needlepen.errors import AnotherPen
from needlepen.link import pen as pens
from needlepen.link.client import kinds, messages
from needlepen.link.values import Reply

LEFT, RIGHT = "e660000000000001", "e660000000000002"


class _Port:
    """A transport that keeps what is written to it. `there`: which pen is at its end, for all of them."""

    there = LEFT
    made: list[_Port]

    def __init__(self, url: str) -> None:
        self.written: list[bytes] = []
        self.is_open = True
        self.made.append(self)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def read(self, timeout_s: float) -> bytes:
        return b""

    def now_s(self) -> float:
        return 0.0

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> pens.Pen:
    greeting = SimpleNamespace(identify=lambda *_: SimpleNamespace(unique_id=_Port.there))
    monkeypatch.setattr(pens, "Transport", _Port)
    monkeypatch.setattr(pens, "Greeting", lambda *_: greeting)
    monkeypatch.setattr(_Port, "there", LEFT)
    monkeypatch.setattr(_Port, "made", [], raising=False)
    return pens.Pen.open("socket://127.0.0.1:1", unique_id=LEFT)


def test_another_pen_behind_a_port_that_broke_is_asked_nothing(
    pen: pens.Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Port, "there", RIGHT)
    for _ in range(3):
        with pytest.raises(AnotherPen, match=f"is pen {RIGHT}, not {LEFT}"):
            pen.reconnect(0.1)
        with pytest.raises(AnotherPen):
            pen.request(messages.GET_STATISTICS)
    others = _Port.made[1:]
    assert len(others) == 6 and not any(port.written or port.is_open for port in others)
    assert pen.identity.unique_id == LEFT and not pen.is_open
    monkeypatch.setattr(_Port, "there", LEFT)
    pen.reconnect(0.1)
    assert pen.is_open, "the right one is taken again"


def test_another_pen_behind_a_port_that_stayed_is_asked_nothing(
    pen: pens.Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bench that swaps pens behind one TCP port: the new one says that it was not greeted."""
    answers: list[Any] = [Reply(kinds.NOT_GREETED, {})]
    monkeypatch.setattr(pen, "_ask", lambda *_: answers.pop(0))
    monkeypatch.setattr(_Port, "there", RIGHT)
    with pytest.raises(AnotherPen):
        pen.request(messages.GET_STATISTICS)
    assert not _Port.made[0].is_open


def test_a_session_says_so_as_its_table_of_troubles_has_it(
    pen: pens.Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Port, "there", RIGHT)
    with pytest.raises(AnotherPen) as found:
        pen.reconnect(0.1)
    target: Any = SimpleNamespace(
        lost=None, name="tcp:127.0.0.1:1", identity=pen.identity, is_there=lambda: False
    )
    lost = opening.look_whether_lost(target, found.value)
    assert lost is not None and target.lost == str(lost)
    assert_told("another pen in its place", str(lost), lost.exit_code)


def test_a_pen_that_was_flashed_in_the_middle_is_noticed() -> None:
    def pen(build: str) -> SimpleNamespace:
        return SimpleNamespace(identity=SimpleNamespace(application_hash=build))

    target: Any = SimpleNamespace(identity=SimpleNamespace(application_hash="0123456789ab"), _pen=None)
    assert LinkTarget.noticed(target) is None
    target._pen = pen("0123456789ab")
    assert LinkTarget.noticed(target) is None
    target._pen = pen("ba9876543210")
    assert "it runs ba9876543210, and began with 0123456789ab" in str(LinkTarget.noticed(target))
