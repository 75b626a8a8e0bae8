"""Probes in the firmware: each statement and each `if` that is passed by has one, and the program does the same."""

from __future__ import annotations

import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest
from covering import emulated, probes

from needlepen.firmware_modules import firmware_module

SOURCE = textwrap.dedent('''
    """A module."""
    import micropython

    LIMIT = 3

    @micropython.viper
    def fast(x: int) -> int:
        return x + 1

    class Part:
        def look(self, x):
            """Docstrings have no probe."""
            if x > LIMIT:
                return "high"
            try:
                1 // x
            except ZeroDivisionError:
                return "none"
            for _ in range(x):
                x += 1
            return "low"
''')


def _loaded(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, probes.Probes, bytearray]:
    memory = bytearray(probes.PLACES)
    fakes = {
        "uctypes": types.SimpleNamespace(bytearray_at=lambda _address, _size: memory),
        "micropython": types.SimpleNamespace(viper=lambda function: function),
    }
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, name, fake)
    made, namespace = probes.Probes(), {}
    exec(made.put_into(SOURCE, "pen.sample"), namespace)
    return namespace, made, memory


def _missing(made: probes.Probes, memory: bytearray) -> set[str]:
    found = emulated._of_module("pen.sample", made, memory)
    return {f"{probe.line}{' (passed by)' if probe.skipped else ''}" for probe in found.missing}


def test_what_is_run_sets_its_probe_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace, made, memory = _loaded(monkeypatch)
    part = namespace["Part"]()
    assert not any(memory) and namespace["fast"](1) == 2 and not any(memory), "machine code has no probes"
    assert part.look(2) == "low"
    assert _missing(made, memory) == {'return "high"', 'return "none"'}
    assert part.look(9) == "high" and part.look(0) == "none"
    assert _missing(made, memory) == set() and all(probe.function == "Part.look" for probe in made.found)


def test_an_if_that_is_always_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace, made, memory = _loaded(monkeypatch)
    namespace["Part"]().look(9)
    assert "if x > LIMIT: (passed by)" in _missing(made, memory)
    assert "pen.sample:14 in Part.look: never passed by: if x > LIMIT:" in emulated.text(
        [emulated._of_module("pen.sample", made, memory)]
    )


def test_there_is_room_for_each_group_and_it_lies_behind_the_black_box() -> None:
    numbers = firmware_module("pen.store.numbers")
    assert probes.BASE >= 0x2004_0000 + 84 * numbers.BLACK_BOX_RECORD_BYTES
    for group in emulated.GROUPS:
        made = probes.Probes()
        for name in group:
            source = (emulated.FIRMWARE / Path(*name.split(".")).with_suffix(".py")).read_text()
            compile(made.put_into(source, name), name, "exec")
        assert 0 < len(made.found) <= probes.PLACES
    with pytest.raises(ValueError, match="take fewer modules"):
        for _ in range(20):
            made.put_into(SOURCE * 8, "pen.sample")


def test_each_fault_that_is_played_is_a_scenario() -> None:
    played = [scenario.name for scenario in emulated.scenarios()]
    assert len(played) == len(set(played)) >= len(emulated.FAULTS) + len(emulated.CAMPAIGN_SEEDS) + 9


@pytest.mark.nightly
def test_a_treatment_with_faults_reaches_most_of_the_sequence() -> None:
    found = emulated.measure(("pen.sequence", "pen.black_box"), emulated.scenarios(quick=True))
    print(emulated.text(found))
    assert found[0].pct >= 80 and found[1].missing == ()
