"""`needlepen flash`: MicroPython and the pen's firmware onto a board, and the proof that they run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepen.cli._build_options import board_option, kind_option
from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from needlepen.devices import Device
    from needlepen.flashing import FlashResult, Plan
    from needlepen.runtime.progress import TerminalProgress


@click.command(
    epilog="Examples:  needlepen flash  |  needlepen flash --device bench-left  |  "
    "needlepen flash --device /media/me/RPI-RP2 --erase-records"
)
@device_option
@board_option
@kind_option("development")
@click.option(
    "--keep-records/--erase-records",
    default=True,
    show_default=True,
    help="Keep what a pen knows about itself (calibration, keys, settings, log), or write a new file system.",
)
@click.option("--yes", is_flag=True, help="Erase records without asking.")
@click.option(
    "--wait",
    "person_s",
    type=click.FloatRange(1, 3600),
    default=120,
    show_default=True,
    help="Seconds to wait for a person who has to press BOOTSEL.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def flash(
    device: str | None,
    board_name: str,
    kind: str,
    keep_records: bool,
    yes: bool,
    person_s: float,
    as_json: bool,
) -> None:
    """Write MicroPython and the pen's firmware to a board, and check that what runs is what was built.

    The board may be a pen, an RP2040 at MicroPython's prompt, or one in BOOTSEL mode; a pen goes there by itself,
    for others the command says what to press. It can be interrupted at any moment and run again; what to do with a
    board that does not start any more is in host_tools/docs/recovery.md.

    What is written is a plain UF2, which picotool and mpflash take as well: `needlepen build --uf2 FILE` makes one.
    """
    from typing import cast

    from needlepen import board
    from needlepen.build import Kind, app_image
    from needlepen.flashing import Plan
    from needlepen.runtime import provide
    from needlepen.runtime.progress import TerminalProgress

    described = board.load(board_name)
    chosen = _chosen(device)
    if not keep_records:
        _confirm(chosen, yes)
    runtime = provide(described.micropython.version, described.micropython.board)
    application = app_image(described, kind=cast(Kind, kind))
    plan = Plan(described, runtime.path, application, not keep_records, person_s)
    with TerminalProgress("flash", keep_steps=True) as shown:
        result = _held(chosen, plan, shown)
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2))
        return
    click.echo(f"Pen {result.unique_id} at {result.port}: MicroPython {result.micropython}, {kind} build "
               f"{result.application_hash}, as built.")  # fmt: skip
    click.echo(
        f"Written: {result.uf2_blocks} UF2 blocks, {result.files_written} files. Records: {result.records}."
    )
    missing = f"; to be done: {', '.join(result.blockers)}" if result.blockers else ""
    click.echo(f"It is {result.state}{missing}.")


def _chosen(text: str | None) -> Device | None:
    """The device that is meant; None if nothing is connected and a person has to help."""
    from needlepen.devices import Device, choose_device, find_devices
    from needlepen.devices.model import BOOTSEL, BUSY, FOREIGN, MICROPYTHON, PEN, SILENT
    from needlepen.errors import Refused
    from needlepen.flashing.drive import require_rp2040

    kinds = (PEN, BOOTSEL, MICROPYTHON, SILENT)
    if text is not None and Path(text).is_dir():
        path = Path(text).resolve()
        require_rp2040(path)
        known = [
            device
            for device in find_devices(identify=False)
            if device.volume and device.volume.resolve() == path
        ]
        return known[0] if known else Device(BOOTSEL, volume=path)
    if text is not None:
        return _not_foreign(choose_device(text, (*kinds, FOREIGN)))
    there = [device for device in map(_or_silent, find_devices()) if device.kind in (*kinds, BUSY)]
    if len(there) > 1:
        raise Refused(
            f"Several boards are connected, say which with --device: {'; '.join(str(one) for one in there)}."
        )
    if there and there[0].kind == BUSY:
        return choose_device(there[0].port, kinds)  # refuses, and says who uses it
    return there[0] if there else None


def _or_silent(device: Device) -> Device:
    """A board with MicroPython whose prompt was left in the middle of something is one that does not answer yet."""
    from dataclasses import replace

    from needlepen.devices.model import FOREIGN, SILENT
    from needlepen.devices.search import MICROPYTHON_USB

    is_micropython = device.emulated or device.usb_id == "{:04x}:{:04x}".format(*MICROPYTHON_USB)
    return (
        replace(device, kind=SILENT) if device.kind == FOREIGN and device.port and is_micropython else device
    )


def _not_foreign(device: Device) -> Device:
    from needlepen.devices.model import FOREIGN
    from needlepen.errors import Refused

    known = _or_silent(device)
    if known.kind == FOREIGN:
        raise Refused(
            f"{device} is no RP2040 with MicroPython, so nothing is written to it. {device.note}".strip()
        )
    return known


def _confirm(chosen: Device | None, yes: bool) -> None:
    import sys

    from needlepen.errors import Refused

    if yes:
        return
    what = str(chosen) if chosen else "the board"
    question = f"Calibration, keys, settings and log of {what} will be lost. Go on?"
    if not sys.stdin.isatty():
        raise Refused(f"{question} Nobody can be asked here: give --yes if that is meant.")
    if not click.confirm(question):
        raise Refused("Nothing was written.")


def _held(chosen: Device | None, plan: Plan, shown: TerminalProgress) -> FlashResult:
    """Flash while nobody else may use the board."""
    import contextlib

    from needlepen.devices import locks
    from needlepen.flashing import flash as flash_board

    with locks.held(chosen.lock_name, "flash") if chosen else contextlib.nullcontext():
        return flash_board(plan, chosen, shown)
