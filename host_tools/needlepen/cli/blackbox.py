"""`needlepen blackbox`: the last seconds before a fault, and a scenario that replays them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from needlepen.black_box import BlackBox
    from needlepen.black_box.replay import Replay


@click.command(
    epilog="Examples:  needlepen blackbox  |  needlepen blackbox --save fault.npb  |  "
    "needlepen blackbox fault.npb --to-scenario fault.toml --replay"
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@device_option
@click.option(
    "--save", type=click.Path(path_type=Path), help="Keep the record in this file, as the pen stores it."
)
@click.option(
    "--to-scenario",
    "to_scenario",
    type=click.Path(path_type=Path),
    help="Write a scenario that replays the run.",
)
@click.option(
    "--replay", "replays", is_flag=True, help="Run that scenario now; tries other causes until one fits."
)
@click.option("--runtime", type=click.Path(path_type=Path), help="For --replay: use this MicroPython UF2.")
@click.option("--all", "everything", is_flag=True, help="Show every sample, not the last 12.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--csv", "as_table", is_flag=True, help="Print the samples as CSV.")
def blackbox(
    file: Path | None,
    device: str | None,
    save: Path | None,
    to_scenario: Path | None,
    replays: bool,
    runtime: Path | None,
    everything: bool,
    as_json: bool,
    as_table: bool,
) -> int:
    """Read the last seconds before the last fault of a pen, or from FILE: a saved record, or an image of its flash.

    The scenario of --to-scenario runs on the emulated pen (`needlepen run`) and can be kept as a regression test. Its
    cause is taken from the fault that the pen has logged; --replay tries whether it fits.

    Exit code: 0, 1 if --replay came to another fault.
    """
    from needlepen.black_box import decode, scenario, telling
    from needlepen.errors import UsageError
    from needlepen.files import write_whole

    if as_json and as_table:
        raise UsageError("--json and --csv exclude each other; give one of them")
    if file is not None and device is not None:
        raise UsageError(f"{file} and --device exclude each other: read a file or a pen")
    for target in (save, to_scenario):
        if target is not None and target.exists():
            raise UsageError(f"{target} is already there and is left as it is; give another name")
    record = _from_file(file) if file is not None else _from_pen(device)
    box = decode(record, str(file) if file is not None else "what the pen sent")
    if save is not None:
        write_whole(save, record)
    tried = _replay(box, runtime) if replays else []
    if to_scenario is not None:
        write_whole(to_scenario, tried[-1].text if tried and tried[-1].same else scenario(box))
    if as_json:
        told = [{"cause": t.cause, "fault": t.fault, "same": t.same, "why": t.stopped_because} for t in tried]
        click.echo(json.dumps({**box.as_dict(), "replayed": told}, indent=2))
    elif as_table:
        click.echo(telling.as_csv(box), nl=False)
    else:
        for line in [*telling.head(box), *telling.rows(box, None if everything else 12)]:
            click.echo(line)
        for each in tried:
            came = "the same fault" if each.same else f"{each.fault} ({each.stopped_because})"
            click.secho(f"replayed with {each.cause}: {came}", fg="green" if each.same else "yellow")
    for what, path in (("record", save), ("scenario", to_scenario)):
        if path is not None:
            click.echo(f"{what}: {path}", err=as_json or as_table)
    return 1 if tried and not tried[-1].same else 0


def _from_file(file: Path) -> bytes:
    """A saved record, or the record in an image of a pen's flash. Raises UsageError if there is none."""
    from needlepen.errors import UsageError
    from needlepen.firmware_modules import firmware_module
    from needlepen.records.images import open_image

    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be read ({error.strerror}); give a saved record or an image"
        ) from None
    if data[:4] == firmware_module("pen.store.envelope")._MAGIC:
        return data
    record = open_image(file).read(firmware_module("pen.store.numbers").BLACK_BOX_PATH)
    if record is None:
        raise UsageError(f"{file}: this pen has stored no black box; it does so after its first fault")
    return record


def _from_pen(device: str | None) -> bytes:
    from rich.console import Console

    from needlepen.devices import open_pen
    from needlepen.errors import Refused

    with Console(stderr=True).status("reading the black box"), open_pen(device, purpose="blackbox") as pen:
        record = pen.read_black_box()
    if record is None:
        raise Refused(
            "The pen has no black box: it stores one after a fault, and has had none since it was made"
        )
    return record


def _replay(box: BlackBox, runtime: Path | None) -> list[Replay]:
    from rich.console import Console

    from needlepen.black_box.replay import replay

    with Console(stderr=True).status("replaying") as shown:
        return replay(box, runtime=runtime, told=lambda cause: shown.update(f"replaying with {cause}"))
