"""SR-28: the black box over the link: this pen's own, and about what ended its last run in a fault."""

from __future__ import annotations

import pytest
from support.link_session import until
from support.targets.protocols import Faults, Link, Plant

from needlepen.black_box import decode
from needlepen.emulator.injection import Fault

STORED_MS = 2_000


def test_a_stored_black_box_is_that_of_this_pen(link: Link) -> None:
    record = link.read_black_box()
    if record is None:
        pytest.skip("this pen has had no fault yet, so it has stored no black box")
    box = decode(record)
    print(f"{box.fault}, pen {box.unique_id}, {len(box.samples)} samples of {box.seconds:.1f} s")
    assert box.unique_id == link.identity.unique_id


def test_after_a_fault_it_tells_of_it(link: Link, plant: Plant, faults: Faults) -> None:
    assert link.read_black_box() is None
    until(link, "armed")
    plant.wait(250)
    plant.press()
    until(link, "running")
    plant.wait(400)
    faults.inject(Fault("motor", "short"))
    until(link, "safe")
    plant.release()
    plant.wait(STORED_MS)
    record = link.read_black_box()
    assert record is not None
    box = decode(record)
    states = [sample.state for sample in box.samples]
    print(f"{box.fault}: {len(states)} samples, {states.count('running')} of the run")
    assert box.fault == "overcurrent" and states[-1] == "safe" and states.count("running") >= 8
