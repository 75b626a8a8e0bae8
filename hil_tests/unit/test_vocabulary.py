"""The vocabulary of faults: what is written is what is meant, and everything else is refused in one line."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlepen import requirements
from needlepen.cli.faults import faults as faults_command
from needlepen.emulator.injection import ENTRIES, KINDS, TARGETS, Fault, catalogue, kinds_of, parse
from needlepen.errors import UsageError


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------ writing and reading
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("motor:stuck@1.5", Fault("motor", "stuck", None, 1.5)),
        ("motor:stuck@1.5+200ms", Fault("motor", "stuck", None, 1.5, 0.2)),
        ("motor:stuck@1500ms+200us", Fault("motor", "stuck", None, 1.5, 0.0002)),
        ("battery:wrong=-0.25@2+1s#7", Fault("battery", "wrong", -0.25, 2.0, 1.0, 7)),
        ("index:stuck=high@0", Fault("index", "stuck", "high", 0.0)),
        ("index:stuck@0", Fault("index", "stuck", None, 0.0)),
    ],
)
def test_a_fault_is_read_as_it_is_written(text: str, fault: Fault) -> None:
    assert parse(text) == fault
    assert parse(str(fault)) == fault


@pytest.mark.parametrize("key", ENTRIES, ids=lambda key: ":".join(key))
def test_every_pair_can_be_written_and_read_with_every_value(key: tuple[str, str]) -> None:
    value, draw = ENTRIES[key].value, random.Random(1)
    values: list[float | str | None] = [None]
    if value is not None:
        values += value.words or [value.low, value.high, round(draw.uniform(value.low, value.high), 3)]
    for each in values:
        fault = Fault(*key, value=each, start_s=0.125, duration_s=0.5, seed=9)
        assert parse(str(fault)) == fault


# ------------------------------------------------------------------ refusals
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("motor", "is no fault: write TARGET:KIND"),
        ("motor:stuck", "is no fault"),
        ("motor:stuck@-1", "is no fault"),
        ("motor:stuck@1+", "is no fault"),
        ("motor:stuck@1m", "'m' is no unit of time"),
        ("motor:stuck@1+0", "no duration"),
        ("motr:stuck@1", "did you mean motor"),
        ("xyzzy:stuck@1", "possible: motor_current, depth_position"),
        ("motor:broken@1", "no kind of fault 'broken'; motor can be stuck"),
        ("motor:delayed@1", "motor can not be 'delayed'.*it can be stuck, slow, short, open"),
        ("motor:stuck=3@1", "takes no value; leave out =3"),
        ("motor:slow=fast@1", "torque is a number from 0 to 10 mN m"),
        ("motor:slow=10.1@1", "torque is a number from 0 to 10 mN m"),
        ("index:stuck=up@1", "level is one of low, high, now"),
    ],
)
def test_what_is_not_possible_is_refused_with_what_is(text: str, reason: str) -> None:
    assert re.search(reason, refusal(text)), refusal(text)


def test_every_pair_that_is_not_in_the_catalogue_is_refused_with_those_that_are() -> None:
    for target in TARGETS:
        for kind in KINDS:
            if (target, kind) not in ENTRIES:
                text = refusal(f"{target}:{kind}@1")
                assert ", ".join(kinds_of(target)) in text and repr(kind) in text


@pytest.mark.parametrize(
    "key", [key for key, entry in ENTRIES.items() if entry.value and not entry.value.words]
)
def test_numbers_are_refused_just_outside_their_range(key: tuple[str, str]) -> None:
    value = ENTRIES[key].value
    assert value is not None
    for inside, outside in ((value.low, value.low - 0.01), (value.high, value.high + 0.01)):
        catalogue.check(Fault(*key, value=inside))
        with pytest.raises(UsageError):
            catalogue.check(Fault(*key, value=outside))


# ------------------------------------------------------------------ the catalogue
def test_every_kind_of_the_vocabulary_is_used() -> None:
    assert {kind for _, kind in ENTRIES} == set(KINDS)


def test_every_entry_says_what_it_does_and_which_requirement_it_provokes() -> None:
    known = requirements.load()
    for entry in ENTRIES.values():
        assert len(entry.text) > 8
        assert entry.requirement in known or entry.target in ("pixel", "buzzer"), entry
        if entry.told_within:
            identifier, _, name = entry.told_within.partition(".")
            assert name in known[identifier].limits, entry


def test_the_command_lists_the_whole_catalogue() -> None:
    done = CliRunner().invoke(faults_command, ["--json"], standalone_mode=False)
    assert [(row["target"], row["kind"]) for row in json.loads(done.stdout)] == list(ENTRIES)
    some = CliRunner().invoke(faults_command, ["tdc"], standalone_mode=False)
    assert some.return_value == 0 and "top dead centre" in some.stdout and "motor" not in some.stdout


def test_the_readme_holds_the_catalogue() -> None:
    text = (Path(catalogue.__file__).parent / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- catalogue: begin -->\n")[2].partition("<!-- catalogue: end -->")[0]
    assert shown == catalogue.markdown(), "put catalogue.markdown() between the marks"
