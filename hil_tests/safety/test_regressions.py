"""Runs that ended in a fault once, as scenarios made by `needlepen blackbox --to-scenario`: each ends as it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from needlepen.emulator import bench
from needlepen.scenario import load
from needlepen.scenario.runner import Runner

KEPT = sorted((Path(__file__).parent / "regressions").glob("*.toml"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_recorded_fault_ends_as_it_did(runtime: Path, path: Path) -> None:
    record = Runner(load(path), bench.prepare(runtime=runtime)).run()
    for measured in record.measurements:
        print(f"{measured.verdict:8} {measured.name}: {measured.value} {measured.unit}")
    assert record.complete and record.exit_code == 0, record.stopped_because
    assert {m.verdict for m in record.measurements} >= {"pass"} and len(KEPT) >= 2
