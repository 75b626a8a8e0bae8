"""SR-25 and SR-16: a pen gets its keys once, nothing reads them back, and without them it does nothing."""

from __future__ import annotations

from typing import Any

import pytest
from support.access import (
    S,
    console,
    give,
    nonce_for,
    production,
    ready,
    real_keys,
    restart,
    right,
    secret,
    take,
)
from support.bench import MS, Pens
from support.forks import each_in_fork, in_fork
from support.monitoring import state, status
from support.nights import mostly_nightly

from needlepen.access import Role
from needlepen.emulator.factory_image import unique_id
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages
from needlepen.records import making

ONCE = "the pen holds keys: they are given once"
NO_KEYS = "the pen holds no keys that this build takes"


def _give_keys(pen: EmulatedPen, keys: Any) -> str | None:
    return pen.request(messages.PROVISION, keys.pen, keys.cartridge, keys.release).refused


def _blank(pens: Pens, **options: Any) -> EmulatedPen:
    """A production pen without keys; it has a calibration, signed with the keys that it is to get."""
    pen = production(pens, **({"keys": None, "calibration": None} | options))
    pen.connect()
    pen.run_for(3 * S)
    return pen


def test_a_pen_without_keys_waits_in_idle_takes_keys_once_and_answers_to_them(pens: Pens) -> None:
    def run() -> list[Any]:
        pen = _blank(pens)
        told: list[Any] = [state(pen), "keys_missing" in status(pen).blockers]
        told.append(pen.request(messages.GET_CHALLENGE, 3).refused)
        told.append(pen.request(messages.SET_RATE, 100).refused)
        told.append(_give_keys(pen, real_keys()))
        pen.run_for(4 * S)
        told.append("keys_missing" in status(pen).blockers)
        told.append(_give_keys(pen, real_keys()))
        take(pen, Role.ENGINEER)
        told.append(_give_keys(pen, real_keys(1)))
        restart(pen, "power cut")
        pen.run_for(3 * S)
        told.append(_give_keys(pen, real_keys(1)))
        return [*told, give(pen, Role.ENGINEER, right(pen, Role.ENGINEER, nonce_for(pen, Role.ENGINEER)))]

    assert in_fork(run) == [
        "idle", True, NO_KEYS, "needs the role operator", None, False, ONCE, ONCE, ONCE, None,
    ]  # fmt: skip


def test_keys_that_protect_nothing_are_refused(pens: Pens) -> None:
    published = making.development_keys(unique_id(0))
    release = real_keys().release
    cases = [
        (published.pen, published.cartridge, published.release),
        (published.pen, secret("cartridge"), release),
        (secret("pen 0"), published.cartridge, release),
        (bytes(32), secret("cartridge"), release),
        (secret("pen 0"), bytes(32), release),
        (secret("pen 0"), secret("cartridge"), bytes(32)),
    ]

    def attempt(pen: EmulatedPen, case: tuple[bytes, bytes, bytes]) -> str | None:
        return pen.request(messages.PROVISION, *case).refused

    def run() -> list[Any]:
        return each_in_fork(_blank(pens), attempt, cases)

    told = in_fork(run)
    assert told == ["published keys protect nothing"] * 3 + ["a key is missing"] * 3


def test_a_production_build_puts_real_keys_in_the_place_of_published_ones(pens: Pens) -> None:
    def run() -> list[Any]:
        pen = _blank(pens, keys=making.development_keys(unique_id(0)))
        told = ["keys_missing" in status(pen).blockers, _give_keys(pen, real_keys())]
        take(pen, Role.ENGINEER)
        return [*told, _give_keys(pen, real_keys())]

    assert in_fork(run) == [True, None, ONCE]


def test_a_development_build_takes_real_keys_once_and_does_not_use_them(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[Any]:
        told = [_give_keys(pen, real_keys())]
        pen.run_for(1 * S)
        told += [state(pen), "keys_missing" in status(pen).blockers]  # type: ignore[list-item]
        return [*told, _give_keys(pen, real_keys(1))]

    assert in_fork(run, pens.ready()) == [None, "idle", True, ONCE]


@pytest.mark.parametrize("number", mostly_nightly([1, 3], 3))
def test_a_power_cut_while_it_gets_its_keys_leaves_a_pen_that_can_get_them(pens: Pens, number: int) -> None:
    """hil_tests/unit/test_access_records.py does it for every flash operation."""

    def run() -> list[Any]:
        pen = _blank(pens)
        pen.cut_power(at_flash_operation=number)
        pen.link.request(messages.PROVISION, real_keys().pen, real_keys().cartridge, real_keys().release)
        assert pen.run_until(lambda: not pen.power.on, 1 * S)
        pen.run_for(100 * MS)
        pen.restore_power()
        pen.connect()
        pen.run_for(3 * S)
        told = _give_keys(pen, real_keys())
        return [told, give(pen, Role.ENGINEER, right(pen, Role.ENGINEER, nonce_for(pen, Role.ENGINEER)))]

    told, refused = in_fork(run)
    assert told in (None, ONCE) and refused is None


def test_no_answer_holds_a_key(pens: Pens) -> None:
    """Everything that the pen sends to an engineer who asks for everything there is."""

    def run(pen: EmulatedPen) -> bytes:
        from support.access import NEEDED, REQUESTS, ask

        take(pen, Role.ENGINEER)
        seen = console(pen)
        bodies = bytearray()
        dispatch = pen.link._dispatch
        pen.link._dispatch = lambda kind, body: (bodies.extend(body), dispatch(kind, body))[1]  # type: ignore[method-assign,assignment]
        for name in REQUESTS:
            if name.startswith(("GET_", "READ_")) and NEEDED[name] == Role.NONE:
                ask(pen, name)
        pen.run_for(1 * S)
        return bytes(seen + bodies)

    seen = in_fork(run, ready(pens))
    keys = real_keys()
    assert len(seen) > 500
    for key in (keys.pen, keys.cartridge):
        assert not any(key[at : at + 4] in seen for at in range(29))
