"""SR-25: nothing that changes the pen is done without the role that it needs, and roles cannot be guessed."""

from __future__ import annotations

from typing import Any

import pytest
from support.access import (
    NEEDED,
    REQUESTS,
    S,
    ask,
    flash_operations,
    give,
    key_of,
    nonce_for,
    production,
    ready,
    restart,
    right,
    take,
    wait_s,
    wrong,
)
from support.bench import LIMIT, MS, Pens, start
from support.flash import pen_log
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import state
from support.nights import mostly_nightly

from needlepen.access import Role, answer
from needlepen.emulator.factory_image import unique_id
from needlepen.emulator.pen import EmulatedPen
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import messages

ATTEMPTS = int(LIMIT("SR-25", "attempts"))
LOCK_S = float(LIMIT("SR-25", "lock_s"))
MARGIN_S = 1.3  # the pen adds 1 s, since an answer may be late; and a look, each 50 ms, takes 0.1 s
ROLES = tuple(Role)
JUDGED = "wrong answers judged until the pen locks, with a cut in (operation, part)"
SETTLED_MS = firmware_module("pen.store.store")._QUIET_MS + 1_500
"""Settings are stored 1 s after a change, and the journal is moved when nothing was noted for so long."""


def _lacking(role: Role) -> list[str]:
    return [name for name, needed in NEEDED.items() if name in REQUESTS and needed > role]


def _picture(pen: EmulatedPen) -> tuple[Any, ...]:
    """What a request could have changed: state, settings, limits, service, depth, drive."""
    told, status = pen.telemetry, pen.link.status
    assert told is not None and status is not None
    lines = [event for event in pen.electronics.timeline if event[1] in ("RUN_N", "SUPPLY", "DUTY")]
    return (
        told.state, told.fault, told.set_hz, told.depth_set_mm, round(pen.axis.steps), status.profile,
        status.depth_cap_mm, status.service, status.blockers, len(lines),
    )  # fmt: skip


def _refused_without_effect(pen: EmulatedPen, role: Role) -> list[str]:
    """Every request that needs more than the role: those that were not refused as the table says, and any effect."""
    pen.run_for(SETTLED_MS * MS)
    before, writes = _picture(pen), flash_operations(pen)
    odd = []
    for name in _lacking(role):
        told = ask(pen, name).refused
        if told != f"needs the role {NEEDED[name].name.lower()}":
            odd.append(f"{name}: {told}")
    pen.run_for(SETTLED_MS * MS)
    if _picture(pen) != before:
        odd.append(f"{before} became {_picture(pen)}")
    return odd + [f"flash: {operation}" for operation in writes]


def _allowed(pen: EmulatedPen, name: str) -> str | None:
    told = ask(pen, name).refused
    return told if told and told.startswith("needs the role") else None


# ---------------------------------------------------------------------- the matrix
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name.lower())
def test_with_the_right_answer_exactly_what_the_table_says_is_allowed(pens: Pens, role: Role) -> None:
    def run(pen: EmulatedPen) -> tuple[list[str], list[str | None]]:
        take(pen, role)
        allowed = [name for name in REQUESTS if NEEDED[name] <= role]
        return in_fork(_refused_without_effect, pen, role), each_in_fork(pen, _allowed, allowed)

    odd, refusals = in_fork(run, ready(pens))
    assert odd == [] and set(refusals) == {None}


def _answer_wrongly(pen: EmulatedPen, how: str, role: Role) -> str | None:
    """An answer that must not count, given while nothing is unlocked."""
    if how == "wrong":
        return wrong(pen, role)
    if how == "another role's":
        other = Role(1 + role % 3)
        nonce = nonce_for(pen, role)
        return give(pen, role, answer(key_of(other), unique_id(0).hex(), role, nonce))
    if how == "another pen's":
        return give(pen, role, answer(key_of(role, 1), unique_id(0).hex(), role, nonce_for(pen, role)))
    if how == "stale":
        given = right(pen, role, nonce_for(pen, role))
        pen.run_for(30.2 * S)
        return give(pen, role, given)
    given = take(pen, role)
    pen.command(messages.LOCK)
    if how == "replayed to a new challenge":
        nonce_for(pen, role)
    return give(pen, role, given)


@pytest.mark.parametrize(
    ("role", "which"),
    [
        pytest.param(Role.ENGINEER, "of another role, old ones", id="engineer"),
        *(
            pytest.param(role, "all", marks=pytest.mark.nightly, id=f"{role.name.lower()}-all")
            for role in ROLES[1:]
        ),
    ],
)
def test_no_other_answer_allows_anything(pens: Pens, role: Role, which: str) -> None:
    """Wrong, of another role or pen, replayed, stale: no role is held then, and nothing is done that needs one."""
    wrong_answer, no_challenge = "wrong answer, attempts left: 4", "ask for a new challenge first"
    told = {"wrong": wrong_answer, "replayed": no_challenge, "stale": no_challenge}
    if role is Role.ENGINEER:
        others = ("another role's", "another pen's", "replayed to a new challenge")
        told |= dict.fromkeys(others, wrong_answer)
    if which != "all":
        told = {how: told[how] for how in ("another role's", "replayed to a new challenge", "stale")}

    def run(pen: EmulatedPen, how: str) -> tuple[str | None, list[str]]:
        return _answer_wrongly(pen, how, role), _refused_without_effect(pen, Role.NONE)

    seen = dict(zip(told, in_fork(each_in_fork, ready(pens), run, list(told)), strict=True))
    assert seen == {how: (reason, []) for how, reason in told.items()}


def test_what_a_role_allows_has_its_effect(pens: Pens) -> None:
    """A test of the test: the same requests are carried out with the role."""

    def run(pen: EmulatedPen) -> tuple[Any, ...]:
        take(pen, Role.TECHNICIAN)
        pen.command(messages.SET_RATE, 120)
        pen.command(messages.SET_DEPTH, 500)
        pen.run_for(2 * S)
        before = _picture(pen)
        pen.command(messages.OPEN_SERVICE)
        pen.run_for(1 * S)
        return before[2:4], state(pen)

    assert in_fork(run, ready(pens)) == ((120.0, 0.5), "service")


def test_an_unknown_request_is_refused_with_every_role(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> set[str | None]:
        REQUESTS["unknown"] = 0x7F
        take(pen, Role.ENGINEER)
        return {ask(pen, "unknown").refused}

    assert in_fork(run, ready(pens)) == {"unknown request"}


# ---------------------------------------------------------------------- when a role ends
def _hello(pen: EmulatedPen) -> None:
    ask(pen, "HELLO")


def _lock(pen: EmulatedPen) -> None:
    pen.command(messages.LOCK)


def _unplug(pen: EmulatedPen) -> None:
    pen.chip.mcu.usb_ctrl.is_bus_alive = False
    pen.run_for(600 * MS)
    pen.chip.mcu.usb_ctrl.is_bus_alive = True


def _wrong(pen: EmulatedPen) -> None:
    wrong(pen)


def _reset(pen: EmulatedPen) -> None:
    restart(pen, "run_pin")


@pytest.mark.parametrize("end", [_hello, _lock, _unplug, _wrong, _reset], ids=lambda fn: fn.__name__[1:])
def test_the_role_ends_with_whoever_had_it(pens: Pens, end: Any) -> None:
    def run(pen: EmulatedPen) -> list[str | None]:
        take(pen, Role.ENGINEER)
        pen.run_for(2 * S)
        before = pen.request(messages.SET_RATE, 100).refused
        end(pen)
        return [before, pen.request(messages.SET_RATE, 100).refused]

    assert in_fork(run, ready(pens)) == [None, "needs the role operator"]


def test_the_role_ends_when_the_host_has_asked_for_nothing_for_long(pens: Pens) -> None:
    """With a lease of 4 s instead of 10 min; each request begins it anew."""
    short = pens.variant("short_lease", {"pen/access.py": ("const(600_000)", "const(4_000)")})

    def run(pen: EmulatedPen) -> list[str | None]:
        pen.command(messages.SUBSCRIBE, 0, 0)
        take(pen, Role.ENGINEER)
        told = []
        for pause_s in (3.0, 3.0, 4.5):
            pen.run_for(pause_s * S)
            told.append(pen.request(messages.SET_RATE, 100).refused)
        return told

    assert in_fork(run, ready(pens, short)) == [None, None, "needs the role operator"]


# ---------------------------------------------------------------------- guessing
@pytest.mark.parametrize(
    "causes", mostly_nightly(["none, power cut", "watchdog"], "none, power cut"), ids=lambda names: names
)
def test_five_wrong_answers_lock_for_60_s(pens: Pens, measure: Measure, causes: str) -> None:
    """Also through a watchdog reset and a power cut, which begin the time anew."""

    def run(pen: EmulatedPen, how: str) -> tuple[list[str], float, str | None, list[str]]:
        told = []
        while not wait_s(pen):
            told.append(wrong(pen))
        pen.command(messages.SUBSCRIBE, 0, 0)
        if how != "none":
            pen.run_for(5 * S)
            restart(pen, how)
            pen.command(messages.SUBSCRIBE, 0, 0)
        begun_ns = pen.now_ns
        pen.run_for((wait_s(pen) - 2) * S)
        while wait_s(pen):
            pen.run_for(50 * MS)
        lasted_s = (pen.now_ns - begun_ns) / S
        refused = give(pen, Role.ENGINEER, right(pen, Role.ENGINEER, nonce_for(pen, Role.ENGINEER)))
        pen.run_for(2 * S)
        return told, lasted_s, refused, [event.name for event in pen_log(pen)]

    each = causes.split(", ")
    for how, (told, lasted_s, refused, log) in zip(
        each, in_fork(each_in_fork, ready(pens), run, each), strict=True
    ):
        measure("SR-25", "attempts", len(told), f"wrong answers until the pen locks, reset: {how}")
        booted_s = (
            0.0 if how == "none" else 3.0
        )  # the time counts from the reset, and is asked for after the boot
        measure("SR-25", "lock_s", lasted_s + booted_s, f"nobody can unlock, reset: {how}", relation=">=")
        assert (
            told[-1] == "wrong answer: locked for 60 s" and lasted_s < LOCK_S + MARGIN_S and refused is None
        )
        assert log.count("ACCESS_DENIED") == ATTEMPTS and log.count("ACCESS_LOCKED") == 1
        assert log[-1] == "ACCESS_GRANTED"


def test_while_it_is_locked_the_right_answer_counts_no_more_than_a_wrong_one(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, bytes, list[str]]:
        for _ in range(ATTEMPTS - 1):
            wrong(pen)
        nonce = nonce_for(pen, Role.ENGINEER)
        give(pen, Role.ENGINEER, bytes(32))
        told = give(pen, Role.ENGINEER, right(pen, Role.ENGINEER, nonce))
        return told, nonce_for(pen, Role.ENGINEER), _refused_without_effect(pen, Role.NONE)

    told, nonce, odd = in_fork(run, ready(pens))
    assert told is not None and told.startswith("locked for another ") and nonce == bytes(16) and odd == []


def test_wrong_answers_are_counted_through_resets_and_a_right_one_clears_them(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[str]:
        told = [wrong(pen), wrong(pen)]
        restart(pen, "power cut")
        told.append(wrong(pen))
        take(pen, Role.OPERATOR)
        return [*told, wrong(pen)]

    left = [told[-1] for told in in_fork(run, ready(pens))]
    assert left == ["4", "3", "2", "4"]


def _operations_of_a_wrong_answer(pen: EmulatedPen) -> int:
    writes = flash_operations(pen)
    wrong(pen)
    return len(writes)


def _cut_in(pen: EmulatedPen, case: tuple[int, float]) -> int:
    """The power goes in one flash operation of the fourth wrong answer; how many the pen judged until it locked."""
    number, done = case
    judged = 3
    nonce = nonce_for(pen, Role.ENGINEER)
    pen.cut_power(at_flash_operation=number, done=done)
    sequence = pen.link.request(messages.UNLOCK, int(Role.ENGINEER), right(pen, Role.OPERATOR, nonce))
    pen.run_until(lambda: pen.link.reply(sequence) is not None or not pen.power.on, 1 * S)
    reply = pen.link.reply(sequence)
    judged += reply is not None and str(reply.refused).startswith("wrong answer")
    pen.cut_power()
    pen.run_for(100 * MS)
    pen.restore_power()
    pen.connect()
    while not wait_s(pen):
        wrong(pen)
        judged += 1
    return judged


def _cut_sweep(pens: Pens, fractions: tuple[float, ...]) -> dict[tuple[int, float], int]:
    def run(pen: EmulatedPen) -> dict[tuple[int, float], int]:
        for _ in range(3):
            wrong(pen)
        pen.run_for(3 * S)
        count = in_fork(_operations_of_a_wrong_answer, pen)
        assert count, "a wrong answer was not stored before it was judged"
        cases = [(number, done) for number in range(1, count + 2) for done in fractions]
        return dict(zip(cases, each_in_fork(pen, _cut_in, cases), strict=True))

    seen: dict[tuple[int, float], int] = in_fork(run, ready(pens))
    return seen


def test_a_power_cut_during_a_wrong_answer_gains_no_attempt(pens: Pens, measure: Measure) -> None:
    seen = _cut_sweep(pens, (0.5,))
    measure.worst("SR-25", "attempts", seen, JUDGED)


@pytest.mark.nightly
def test_a_power_cut_at_any_moment_of_a_wrong_answer_gains_no_attempt(pens: Pens, measure: Measure) -> None:
    seen = _cut_sweep(pens, (0.0, 0.1, 0.3, 0.7, 0.9, 1.0))
    measure.worst("SR-25", "attempts", seen, JUDGED)


@pytest.mark.parametrize("stuck", mostly_nightly([None, 0], 0), ids=["random", "ring oscillator stuck"])
def test_no_challenge_comes_twice(pens: Pens, stuck: int | None) -> None:
    def run(pen: EmulatedPen) -> list[bytes]:
        pen.chip.mcu.rosc.stuck = stuck
        seen = []
        for how in ("", "watchdog", "power cut"):
            if how:
                restart(pen, how)
            seen += [nonce_for(pen, Role.OPERATOR) for _ in range(15)]
        return seen

    seen = in_fork(run, ready(pens))
    assert len(set(seen)) == len(seen) == 45


def test_nobody_unlocks_while_the_motor_may_turn_and_no_attempt_is_lost(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[list[str | None], str, str]:
        take(pen, Role.OPERATOR)
        nonce = nonce_for(pen, Role.ENGINEER)
        start(pen, 100)
        told = [pen.request(messages.GET_CHALLENGE, 3).refused, give(pen, Role.ENGINEER, bytes(32))]
        told.append(give(pen, Role.ENGINEER, right(pen, Role.ENGINEER, nonce)))
        told.append(pen.request(messages.SET_RATE, 110).refused)
        running = state(pen)
        pen.release()
        pen.run_for(1 * S)
        return told, running, wrong(pen)

    told, running, after = in_fork(run, ready(pens))
    assert set(told[:3]) == {"the motor may turn: not now"} and told[3] is None and running == "running"
    assert after == "wrong answer, attempts left: 4"


# ---------------------------------------------------------------------- development builds
def test_a_development_build_gives_every_role_and_takes_no_treatment_cartridge(pens: Pens) -> None:
    """It announces itself; a cartridge that is signed with a real key does not arm it, and neither do real keys."""

    def treat(pen: EmulatedPen) -> tuple[str, bytes]:
        pen.run_for(1 * S)
        return state(pen), bytes(pen.command(messages.GET_CARTRIDGE)["reason"]).rstrip(b"\0")

    def development() -> tuple[Any, ...]:
        pen = production(pens, keys="development", kind="development")
        identity = pen.connect()
        pen.run_for(3 * S)
        return identity["development"], pen.request(messages.SET_RATE, 100).refused, treat(pen)

    def with_real_keys() -> tuple[Any, ...]:
        pen = production(pens, kind="development")
        pen.connect()
        pen.run_for(3 * S)
        assert pen.link.status is not None
        return treat(pen)[0], "keys_missing" in pen.link.status.blockers

    assert in_fork(development) == (1, None, ("idle", b"development build: no treatment cartridges"))
    assert in_fork(with_real_keys) == ("idle", True)
