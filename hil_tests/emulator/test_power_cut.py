"""Rules of a power cut: what the flash holds afterwards, and that the chip is off until the power returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from needlepen.emulator.chip import Chip
from needlepen.emulator.flash_timing import interrupted
from needlepen.emulator.power import Power
from needlepen.errors import UsageError

BLOCK = 300
AT = 0xA0000 + BLOCK * 4096
SECTOR_NS, PAGE_NS = 45e6, 0.4e6
FILL = f"import rp2; f = rp2.Flash(); f.ioctl(6, {BLOCK}); f.writeblocks({BLOCK}, bytes(range(256)), 0)"
ERASE = f"f.ioctl(6, {BLOCK})"
PROGRAM = f"f.ioctl(6, {BLOCK}); f.writeblocks({BLOCK}, bytes(256), 0)"


class _Electronics:
    """Only hears that the power came back."""

    def __init__(self) -> None:
        self.power_ups: list[float] = []

    def power_up(self, t_ns: float) -> None:
        self.power_ups.append(t_ns)


def _power(chip: Chip, seed: int = 0) -> Power:
    electronics: Any = _Electronics()
    return Power(chip, electronics, seed)


def _ones(data: bytes) -> int:
    return int(np.unpackbits(np.frombuffer(data, np.uint8)).sum())


@pytest.mark.parametrize("done", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_an_interrupted_program_has_cleared_only_bits_that_it_had_to(done: float) -> None:
    before, after = b"\xff" * 64 + b"\xf0" * 64, bytes(range(64)) + b"\x10" * 64
    mixed = interrupted("program", before, after, done, np.random.default_rng(1))
    assert all(m & ~b == 0 and m | a == m for m, b, a in zip(mixed, before, after, strict=True))
    share = (_ones(before) - _ones(mixed)) / (_ones(before) - _ones(after))
    assert abs(share - done) < 0.15 and (done not in (0.0, 1.0) or share == done)


@pytest.mark.parametrize("done", [0.0, 0.15, 0.3, 0.65, 1.0])
def test_an_interrupted_erase_goes_through_all_zeros(done: float) -> None:
    before = bytes(range(256)) * 16
    mixed = interrupted("erase", before, b"\xff" * 4096, done, np.random.default_rng(1))
    expected = 0.5 * (1 - done / 0.3) if done < 0.3 else (done - 0.3) / 0.7
    assert abs(_ones(mixed) / (8 * 4096) - expected) < 0.02
    assert done > 0.0 or mixed == before


@pytest.mark.parametrize(("code", "number", "kind"), [(ERASE, 1, "erase"), (PROGRAM, 2, "program")])
@pytest.mark.parametrize("done", [0.0, 0.4, 1.0])
def test_a_cut_in_the_nth_operation_leaves_that_one_half_done(
    boot: Callable[..., Chip], code: str, number: int, kind: str, done: float
) -> None:
    chip = boot()
    power = _power(chip)
    chip.console.exec(FILL)
    before = bytes(chip.mcu.flash[AT : AT + 4096]) if number == 1 else b"\xff" * 4096
    power.cut_at_flash_operation(number, done)
    chip.console.write(b"\x05" + code.encode() + b"\x04")
    assert chip.run_until(lambda: not power.on, 1e9)
    after = b"\xff" * 4096 if kind == "erase" else bytes(256) + b"\xff" * 3840
    now = bytes(chip.mcu.flash[AT : AT + 4096])
    if done == 1.0:
        assert power.hit is None and now == after
    else:
        assert power.hit is not None and (power.hit.kind, power.hit.address) == (kind, AT)
        assert power.hit.done == pytest.approx(done, abs=1e-4)
        assert (now == before) == (done == 0.0) and now != after


def test_the_same_seed_leaves_the_same_bits(boot: Callable[..., Chip]) -> None:
    def cut(seed: int) -> bytes:
        chip = boot()
        power = _power(chip, seed)
        chip.console.exec(FILL)
        power.cut_at_flash_operation(1)
        chip.console.write(b"\x05" + ERASE.encode() + b"\x04")
        chip.run_until(lambda: not power.on, 1e9)
        return bytes(chip.mcu.flash[AT : AT + 4096])

    assert cut(1) == cut(1) != cut(2)


def test_without_power_nothing_is_driven_and_nothing_runs(boot: Callable[..., Chip]) -> None:
    chip = boot()
    power = _power(chip)
    chip.console.exec("from machine import Pin; p = Pin(3, Pin.OUT, value=1)")
    assert chip.output(3) == 1
    changes: list[tuple[int, bool]] = []
    power.on_change(lambda t_ns, on: changes.append((t_ns, on)))
    power.cut_at(chip.now_ns + 1e6)
    chip.run_for(2e6)
    before = chip.stats.instructions
    chip.run_for(300e6)
    assert not power.on and chip.output(3) is None and chip.stats.instructions == before
    assert not chip.console.is_connected
    power.restore()
    chip.console.wait_connected()
    chip.run_for(50e6)
    assert chip.output(3) is None and [on for _, on in changes] == [False, True]
    assert chip.console.exec("print(1 + 1)")[0].strip() == "2"


def test_a_cut_between_operations_leaves_the_flash_alone(boot: Callable[..., Chip]) -> None:
    chip = boot()
    power = _power(chip)
    chip.console.exec(FILL)
    chip.run_for(1e6)
    before = bytes(chip.mcu.flash)
    power.cut()
    assert power.hit is None and bytes(chip.mcu.flash) == before


def test_cuts_that_cannot_be_are_refused(chip: Chip) -> None:
    power = _power(chip)
    for number, done in ((0, 0.5), (1, -0.1), (1, 1.1)):
        with pytest.raises(UsageError, match="count from 1"):
            power.cut_at_flash_operation(number, done)
    with pytest.raises(UsageError, match="later time"):
        power.cut_at(chip.now_ns - 1)
