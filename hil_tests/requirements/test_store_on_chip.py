"""SR-28 and SR-05 on the emulated chip: real MicroPython, real littlefs, flash operations that take their time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from support.flash import UNIQUE_ID
from support.forks import Forks, in_fork
from support.measuring import Measure
from support.store_rig import SLOWEST, WATCHDOG_MS, StoreRig

from needlepen import requirements
from needlepen.firmware_modules import firmware_module
from needlepen.records import making
from needlepen.records.log import gaps

E = firmware_module("pen.events")
S = firmware_module("pen.states")
LIMIT = requirements.load().limit
CALIBRATION = making.calibration_record(
    making.calibration([(0, 40), (2500, 2430)], day=date(2026, 1, 15)),
    making.technician_key(making.development_keys(UNIQUE_ID).pen),
    UNIQUE_ID,
)
WRITES = {
    "one event": f"store.log.end_run({E.FAULT}, 3, 5000, 500); store.flush()",
    "journal to segment": "store.log.settle()",
    "settings": "store.change(rate_hz=145); store._save(1, store.settings.pack())",
    "counters": "store.count_run(1000, 60000); store._save(2, store.counters.pack())",
    "calibration": f"from pen import calibration_records; calibration_records.accept(store, {CALIBRATION!r})",
}
ATTEMPTS = (
    "f = open('/evil', 'w'); f.write('x' * 2000); f.close()",
    "f = open('/main.py', 'a'); f.write('#'); f.close()",
    "os.remove('/data/keys.a')",
    "os.rename('/data/keys.a', '/keys')",
    "os.mkdir('/folder')",
    "open('/log/journal', 'wb').close()",
    "import vfs; vfs.umount('/'); vfs.mount(vfs.VfsLfs2(store._files._guard, progsize=256), '/'); os.mkdir('/again')",
)


@pytest.fixture(scope="module")
def rig(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreRig]:
    """A chip whose store is open and at rest. Fork before changing it."""
    made = StoreRig(runtime, tmp_path_factory.mktemp("rig"))
    made.start()
    yield made


# ---------------------------------------------------------------------- nothing is written while the motor may turn
@pytest.mark.parametrize("closed", ["the drive is awake", "RUN_N permits"])
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_no_way_through_files_writes_while_the_motor_may_turn(
    rig: StoreRig, attempt: str, closed: str
) -> None:
    """And the same way works as soon as the motor may not turn any more: the guard is what stopped it."""

    def run() -> tuple[str, int, int, str]:
        if closed == "RUN_N permits":
            rig.permit(True)
        else:
            rig.run("allowed[0] = False")
        rig.operations.clear()
        tried = f"try:\n    {attempt}\n    print('done')\nexcept OSError as error:\n    print(error)"
        seen = rig.run(tried)
        during = len(rig.operations)
        rig.permit(False)
        rig.chip.run_for(200e6)
        rig.run("allowed[0] = True\nif store._files.blocked: store._recover()")
        return seen, during, len(rig.operations), rig.run(tried)

    seen, during, before, afterwards = in_fork(run)
    assert "16" in seen and "done" not in seen
    assert during == 0 and before == 0
    assert afterwards == "done"


def test_blocked_attempts_are_in_the_log_and_leave_the_file_system_sound(rig: StoreRig) -> None:
    def run() -> tuple[list[str], list[str]]:
        rig.run("allowed[0] = False")
        for attempt in ATTEMPTS[:4]:
            rig.run(f"try:\n    {attempt}\nexcept OSError:\n    pass")
        rig.run("allowed[0] = True\nrest()")
        return [e.text for e in rig.log()], rig.files.names("/")

    texts, names = in_fork(run)
    assert "attempts to write to the flash" in texts[-1] and not texts[-1].startswith("0 ")
    assert "evil" not in names and "main.py" in names


@pytest.mark.parametrize(("after_ms", "allowed"), [(5, False), (180, False), (210, True)])
def test_the_guard_opens_only_when_the_cam_has_come_to_rest(
    rig: StoreRig, after_ms: int, allowed: bool
) -> None:
    """After permission was seen it stays closed for 200 ms; a time that wraps around does not close it again."""

    def run() -> str:
        rig.permit(True)
        rig.run("store._files.may_write")
        rig.permit(False)
        return rig.run(f"t = time.ticks_ms()\nstore._files._guard._permitted_ms = t\ntime.sleep_ms({after_ms})\n"
                       "print(store._files.may_write)")  # fmt: skip

    assert in_fork(run) == str(allowed)


# ---------------------------------------------------------------------- cost
def _flush_times_ms(rig: StoreRig, count: int) -> list[float]:
    code = (
        "times = []\n"
        f"for k in range({count}):\n"
        f"    store.log.end_run({E.FAULT}, 3, 5000, 500)\n"
        "    t = time.ticks_us()\n"
        "    store.flush()\n"
        "    times.append(time.ticks_diff(time.ticks_us(), t))\n"
        "print(times)"
    )
    return [us / 1000 for us in eval(rig.run(code))]


def test_a_fault_is_stored_in_time_also_by_the_slowest_flash(
    rig: StoreRig, runtime: Path, tmp_path: Path, measure: Measure
) -> None:
    """The flush alone, 40 in a row without tidying in between; the watchdog is on and does not bite."""

    def slow() -> tuple[list[float], bool]:
        slowest = StoreRig(runtime, tmp_path, SLOWEST)
        slowest.start()
        resets: list[int] = []
        slowest.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        slowest.run(f"w = machine.WDT(timeout={WATCHDOG_MS})")
        return _flush_times_ms(slowest, 10), bool(resets)

    typical = in_fork(_flush_times_ms, rig, 40)
    print(f"flush of one event: median {sorted(typical)[20]:.1f} ms, worst {max(typical):.1f} ms")
    measure("SR-28", "store_ms", max(typical), "flush of a fault, typical flash")
    worst, reset = in_fork(slow)
    assert not reset
    measure("SR-28", "store_ms", max(worst), "flush of a fault with room in the journal, slowest flash")


def test_the_watchdog_bites_a_slow_flash_if_it_is_not_given_time(runtime: Path, tmp_path: Path) -> None:
    """A test of the test: with the slowest flash the watchdog's usual time is too short."""

    def run() -> bool:
        slowest = StoreRig(runtime, tmp_path, SLOWEST)
        slowest.start()
        resets: list[int] = []
        slowest.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        slowest.run("store._files._patience = lambda ms: None")
        slowest.chip.console.write(
            b"\x05w = machine.WDT(timeout=200)\nfor k in range(10):\n    w.feed()\n"
            b"    open('/some%d' % k, 'w').write('x' * 9000)\n    w.feed()\n\x04"
        )
        return slowest.chip.run_until(lambda: bool(resets), 20e9)

    assert in_fork(run)


# ---------------------------------------------------------------------- power cut
def _cut(rig: StoreRig, write: str, operation: int, done: float) -> tuple[bool, int, bool, str]:
    """Cut in one operation of a write; afterwards the store boots, and what it then says."""
    before = {e.sequence for e in rig.log()}
    rig.power.cut_at_flash_operation(operation, done)
    rig.cut_during(WRITES[write])
    rig.again()
    rig.start()
    state = rig.run(
        "print(store.settings.rate_hz in (100, 145), store.counters.strokes in (0, 1000), "
        "store.calibration.points[-1] in ((2500, 2500), (2500, 2430)), store.fault, store.blockers)"
    )
    events = rig.log()
    lost = before - {e.sequence for e in events}
    rig.run("store.log.add(20)\nstore.change(volume=1)\nrest()")
    works = rig.log()[-1].name == "SETTINGS_CHANGED"
    return state == "True True True 0 0" and works, len(lost), bool(gaps(events)), f"{state}, {rig.power.hit}"


def _operations(rig: StoreRig, write: str) -> int:
    rig.operations.clear()
    rig.run(WRITES[write])
    return len(rig.operations)


@pytest.mark.parametrize("write", WRITES)
def test_a_power_cut_on_the_chip_leaves_every_record_old_or_new(
    rig: StoreRig, measure: Measure, write: str
) -> None:
    """Every operation of the write, from two states of the directories: the next write erases, or it does not."""
    lost: dict[str, float] = {}

    def sweep(warm_up: int) -> list[tuple[str, tuple[bool, int, bool, str]]]:
        rig.run(f"for k in range({warm_up}):\n    store.log.add(20)\n    store.flush()")
        rig.run("store.log.add(20); store.flush()")
        cases = [
            (k, done) for k in range(1, 1 + in_fork(_operations, rig, write)) for done in (0.05, 0.5, 0.95)
        ]
        with Forks() as forks:
            for k, done in cases:
                forks.start(_cut, rig, write, k, done)
            return [
                (f"operation {k}, {done:g} done", r)
                for (k, done), r in zip(cases, forks.results(), strict=True)
            ]

    for warm_up in (0, 5):
        for what, (sound, gone, gap, state) in in_fork(sweep, warm_up, timeout_s=200):
            assert sound and gap, f"{write} after {warm_up}: {what}: {state}"
            lost[f"after {warm_up}, {what}"] = float(gone)
    print(f"{write}: {len(lost)} power cuts on the chip")
    measure.worst("SR-28", "lost_records", lost, f"stored events lost by a cut in {write}, on the chip")


# ---------------------------------------------------------------------- calibration
@pytest.mark.parametrize("bit", [0, 77, 171, 400, 900, 1_300])
def test_a_flipped_bit_of_the_calibration_inhibits_running(rig: StoreRig, bit: int) -> None:
    """A few of the bits that the tests on CPython flip one by one."""

    def run() -> str:
        rig.run(
            f"for c in 'ab':\n    p = '/data/calibration.' + c\n    d = bytearray(open(p, 'rb').read())\n"
            f"    d[{bit // 8}] ^= {1 << bit % 8}\n    f = open(p, 'wb'); f.write(d); f.close()"
        )
        rig.chip.reset("run_pin")
        rig.chip.console.wait_connected()
        rig.start()
        return rig.run(
            "from pen.states import BLOCK_CALIBRATION_REFUSED as B\nprint(store.calibration, store.blockers == B)"
        )

    assert in_fork(run) == "None True"
