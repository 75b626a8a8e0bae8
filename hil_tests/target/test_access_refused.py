"""SR-25: over a port nothing is done without its role, roles cannot be replayed or guessed, and what is in no table
nobody may.

Harmless to any pen: what needs a role is asked for with a body of a wrong length, so that nothing is done even by a
pen that does not look at the role; wrong answers are fewer than would lock it, between right ones that clear their
count.
"""

from __future__ import annotations

import pytest
from support.caller import Caller, greeted, odd_body
from support.measuring import Measure
from support.targets.protocols import Console

from needlepen import access_table, requirements
from needlepen.access import Role
from needlepen.link.client import kinds, messages

NEEDED = {getattr(kinds, name): Role[role.upper()] for name, role in access_table.load().items()}
UNTRIED = (kinds.HELLO, kinds.SEEN)  # one begins anew, the other has no answer
WRONG_LENGTH = "request has the wrong length"
ATTEMPTS = int(requirements.load().limit("SR-25", "attempts"))
OTHER_PEN = "e6600000000000ff"
NONCE_S = 30.0


@pytest.fixture
def host(console: Console) -> Caller:
    """Greeted, with every role of a development build until it gives it up."""
    return greeted(console)


def _with_keys(host: Caller) -> None:
    """Only a pen that holds keys can be unlocked, and only now: nobody can while it is locked."""
    if not host.command(messages.GET_ABOUT)["provisioned"]:
        pytest.skip(
            "the pen holds no keys, so that nobody can unlock it: `needlepen provision` gives it some"
        )
    if wait_s := host.challenge(Role.TECHNICIAN)["wait_s"]:
        pytest.skip(f"somebody has guessed until the pen locked: nobody can unlock it for another {wait_s} s")


def _odd(host: Caller, role: Role) -> list[str]:
    """Requests whose refusal is not that of the table for a host that holds this role."""
    found = []
    for kind, needed in NEEDED.items():
        if kind in UNTRIED:
            continue
        wanted = WRONG_LENGTH if needed <= role else f"needs the role {needed.name.lower()}"
        told = host.refusal(kind, odd_body(kind))
        if told != wanted:
            found.append(f"{messages.MESSAGES[kind][0]}: {told!r}, not {wanted!r}")
    return found


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name.lower())
def test_exactly_what_the_table_says_needs_a_role(host: Caller, role: Role) -> None:
    if role is not Role.NONE:
        _with_keys(host)
    host.take(role)
    assert _odd(host, role) == []


def test_a_role_ends_when_it_is_given_up(host: Caller) -> None:
    """Not with a hello of a development build, which gives every role and says so."""
    roles = [host.command(messages.GET_ABOUT)["role"]]
    host.take(Role.NONE)
    roles.append(host.command(messages.GET_ABOUT)["role"])
    host.greet()
    roles.append(host.command(messages.GET_ABOUT)["role"])
    assert roles == [Role.ENGINEER, Role.NONE, Role.ENGINEER]


def _unlocked(host: Caller) -> bytes:
    """The right answer, given: it clears what others have guessed."""
    _with_keys(host)
    return host.take(Role.TECHNICIAN)


def test_wrong_and_replayed_answers_give_no_role(host: Caller, measure: Measure) -> None:
    """Two wrong ones of the five that would lock it: an old right one, and another pen's; then the right one."""
    role, told = Role.TECHNICIAN, []
    given = _unlocked(host)
    try:
        told.append(host.give(role, given))  # once more, to the challenge that it was for
        host.challenge(role)
        told.append(host.give(role, given))
        nonce = bytes(host.challenge(role)["nonce"])
        told.append(host.give(role, host.right(role, nonce, OTHER_PEN)))
        odd = _odd(host, Role.NONE)
    finally:
        host.take(role)
    assert told[0] == "ask for a new challenge first" and odd == []
    left = [f"wrong answer, attempts left: {ATTEMPTS - count}" for count in (1, 2)]
    assert told[1:] == left
    measure(
        "SR-25", "attempts", 2 + int(str(told[2]).rpartition(" ")[2]), "wrong answers until it would lock"
    )


@pytest.mark.nightly
def test_an_answer_for_another_role_counts_for_none(host: Caller) -> None:
    _unlocked(host)
    host.take(Role.NONE)
    nonce = bytes(host.challenge(Role.OPERATOR)["nonce"])
    told = host.give(Role.ENGINEER, host.right(Role.ENGINEER, nonce))
    assert told == "the challenge was for another role" and _odd(host, Role.NONE) == []


@pytest.mark.nightly
def test_a_right_answer_that_comes_too_late_gives_no_role(host: Caller) -> None:
    """A challenge is good for 30 s. It costs no attempt."""
    _unlocked(host)
    host.take(Role.NONE)
    given = host.right(Role.TECHNICIAN, bytes(host.challenge(Role.TECHNICIAN)["nonce"]))
    host.listen(NONCE_S + 0.5)
    assert host.give(Role.TECHNICIAN, given) == "ask for a new challenge first"
    assert _odd(host, Role.NONE) == []


def test_no_challenge_comes_twice(host: Caller) -> None:
    _with_keys(host)
    nonces = [bytes(host.challenge(Role.OPERATOR)["nonce"]) for _ in range(12)]
    assert len(set(nonces)) == len(nonces) and bytes(len(nonces[0])) not in nonces


def test_what_is_in_no_table_nobody_may_ask_for(host: Caller) -> None:
    """With every role: numbers beside and between those that are requests, and some of those far away."""
    unknown = sorted({*range(64), *range(64, 256, 16), 0x7F, 0x81, 0xFF} - set(NEEDED))
    told = {kind: host.refusal(kind) for kind in unknown}
    assert {kind: text for kind, text in told.items() if text != "unknown request"} == {}
