"""The supervisor's tables: every entry has a requirement, an explanation and a way out; the firmware its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from needlepen import paths, requirements, supervision
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

TABLES = supervision.load()
states = firmware_module("pen.states")
faults = firmware_module("pen.faults")
EXPLAINED = {**TABLES.blockers, **TABLES.warnings, **TABLES.faults}


def test_the_firmware_has_the_number_of_every_entry() -> None:
    assert faults.NONE == 0
    for name, fault in TABLES.faults.items():
        assert getattr(faults, name) == fault.number
    for name, state in TABLES.states.items():
        assert getattr(states, name) == state.number
    for name, blocker in TABLES.blockers.items():
        assert getattr(states, f"BLOCK_{name}") == 1 << blocker.bit
    for name, warning in TABLES.warnings.items():
        assert getattr(states, f"WARN_{name}") == 1 << warning.bit


@pytest.mark.parametrize("name", EXPLAINED)
def test_an_entry_names_a_safety_requirement_and_says_what_it_means_and_what_to_do(name: str) -> None:
    entry = EXPLAINED[name]
    assert requirements.load()[entry.requirement].hazard
    assert entry.text.endswith(".") and entry.remedy.endswith(".")


def test_names_of_faults_are_different_and_found_again() -> None:
    for fault in TABLES.faults.values():
        assert TABLES.fault_named(fault.name) is fault
        assert TABLES.fault_name(fault.number) == fault.name
    assert TABLES.fault_name(0) == "none" and TABLES.fault_name(250) == "fault 250"


def test_overcurrent_alone_is_latched_for_its_10_s() -> None:
    assert {faults.OVERCURRENT: 1000 * requirements.load().limit("SR-09", "latched_s")} == faults.LATCHED_MS


def test_only_armed_and_service_lead_to_running_and_every_state_that_may_drive_leads_to_safe() -> None:
    into = {source for way in TABLES.ways if way.to == "RUNNING" for source in way.sources}
    assert into == {"ARMED", "SERVICE"}
    to_safe = {source for way in TABLES.ways if way.to == "SAFE" for source in way.sources}
    assert to_safe == set(TABLES.states) - {"SAFE", "LOCKED_OUT"}


def test_the_safe_state_leads_only_to_the_tests_or_to_locked_out() -> None:
    assert {way.to for way in TABLES.ways if "SAFE" in way.sources} == {"SELF_TEST", "LOCKED_OUT"}


def test_masks_are_told_in_words() -> None:
    mask = states.BLOCK_BATTERY_LOW | states.BLOCK_CARTRIDGE_ABSENT
    assert TABLES.blocker_names(mask) == ("cartridge_absent", "battery_low")
    assert TABLES.warning_names(states.WARN_NOSE_WARM) == ("nose_warm",)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("faults.toml", "number = 3\n", "number = 2\n", "same number"),
        ("faults.toml", 'requirement = "SR-08"', 'requirement = "SR-98"', "SR-98"),
        ("states.toml", 'to = "ARMED"', 'to = "ARMD"', "ARMD"),
        ("states.toml", "[states.IDLE]", "[states.IDLE", "not valid TOML"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(
    tmp_path: Path, file: str, old: str, new: str, told: str
) -> None:
    for name in ("states.toml", "faults.toml"):
        text = (paths.firmware_dir() / name).read_text()
        (tmp_path / name).write_text(text.replace(old, new, 1) if name == file else text)
    with pytest.raises(UsageError) as raised:
        supervision.load(tmp_path)
    assert told in str(raised.value) and "\n" not in str(raised.value)
