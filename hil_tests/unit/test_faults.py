"""The table of faults: every one has a requirement, an explanation, and a way out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

faults = firmware_module("pen.faults")
NUMBERS = {
    name: value
    for name, value in vars(faults).items()
    if name.isupper() and isinstance(value, int) and not re.match(r"[SP]R\d\d_", name)
}


def test_every_fault_number_is_used_once_and_described() -> None:
    described = {value for name, value in NUMBERS.items() if name != "NONE"}
    assert described == set(faults.FAULTS) and len(described) == len(NUMBERS) - 1
    assert faults.NONE == 0 and faults.NONE not in faults.FAULTS


@pytest.mark.parametrize("number", sorted(faults.FAULTS))
def test_a_fault_names_its_requirement_and_says_what_happened_and_what_to_do(number: int) -> None:
    name, requirement, happened, remedy, latched_ms = faults.FAULTS[number]
    assert requirement in requirements.load()
    assert requirements.load()[requirement].hazard
    assert happened.endswith(".") and remedy.endswith(".") and name == faults.name(number)
    assert latched_ms == faults.latched_ms(number) >= 0


def test_names_are_different() -> None:
    names: list[Any] = [faults.name(number) for number in faults.FAULTS]
    assert len(set(names)) == len(names)


def test_overcurrent_alone_is_latched_for_its_10_s() -> None:
    latched = {number: faults.latched_ms(number) for number in faults.FAULTS if faults.latched_ms(number)}
    assert latched == {faults.OVERCURRENT: 1000 * requirements.load().limit("SR-09", "latched_s")}


def test_no_fault_and_unknown_numbers_have_names_too() -> None:
    assert faults.name(0) == "none" and faults.name(99) == "fault 99" and faults.latched_ms(99) == 0
