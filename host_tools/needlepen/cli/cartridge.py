"""`needlepen cartridge`: types, treatment profiles, and the content of cartridge chips."""

from __future__ import annotations

import dataclasses
import json
import secrets
from datetime import date, datetime
from pathlib import Path

import click

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
KEY = click.option(
    "--key", "key_file", type=click.Path(path_type=Path), help="File with the cartridge key; else the development key."
)  # fmt: skip


@click.group(epilog="Examples:  needlepen cartridge types  |  needlepen cartridge show chip.bin")
def cartridge() -> None:
    """Cartridge types and treatment profiles; make and read cartridge chips."""


@cartridge.command(epilog="Examples:  needlepen cartridge types  |  needlepen cartridge types --json")
@AS_JSON
def types(as_json: bool) -> None:
    """List the cartridge types with depth limit and minimum stroke rate (SR-24)."""
    from needlepen.cartridges import load_types
    from needlepen.cartridges.records import minimum_rate_hz

    rows = [
        {**entry.model_dump(), "minimum_rate_hz": minimum_rate_hz(entry.needles, entry.depth_limit_um)}
        for entry in load_types().types.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(
            f"{row['number']:3}  {row['name']:12} to {row['depth_limit_um'] / 1000:.2f} mm, "
            f"there at least {row['minimum_rate_hz']} Hz"
        )


@cartridge.command(epilog="Examples:  needlepen cartridge profiles  |  needlepen cartridge profiles --json")
@AS_JSON
def profiles(as_json: bool) -> None:
    """List the treatment profiles: examples, no clinical advice."""
    from needlepen.cartridges import load_profiles

    found = list(load_profiles())
    if as_json:
        click.echo(json.dumps([entry.model_dump() for entry in found], indent=2))
        return
    click.echo("Examples, no clinical advice: whoever uses the pen is responsible for its settings.")
    for entry in found:
        click.echo(
            f"{entry.number:3}  {entry.name:18} to {entry.depth_cap_um / 1000:.2f} mm, {entry.rate_hz} Hz, "
            f"{entry.session_min} min   {entry.text}"
        )


@cartridge.command(epilog="Examples:  needlepen cartridge make --needles 36 --expiry 2030-06-30 chip.bin")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--needles", type=int, default=24, show_default=True, help="Needles, which give the type.")
@click.option("--lot", default="SAMPLE", show_default=True, help="Up to 12 characters.")
@click.option("--expiry", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last day of use.")
@click.option("--depth-limit-um", type=int, help="Greatest protrusion, if less than that of the type.")
@click.option("--rom", "rom_hex", help="ID of the chip, 16 hexadecimal digits; random by default.")
@KEY
@AS_JSON
def make(
    file: Path, needles: int, lot: str, expiry: datetime, depth_limit_um: int | None, rom_hex: str | None,
    key_file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Make the content of a fresh cartridge's chip and write it to FILE.

    The record is signed for one chip: on another one a pen refuses it.
    """
    from needlepen.cartridges import load_types
    from needlepen.cartridges.files import ChipImage, write_image
    from needlepen.cartridges.records import Record, describe, make_memory
    from needlepen.emulator.ds2431 import make_rom

    rom = make_rom(secrets.token_bytes(6)) if rom_hex is None else _rom(rom_hex)
    key = _key(key_file)
    record = Record(load_types().with_needles(needles), lot, date(*expiry.timetuple()[:3]), depth_limit_um)
    image = ChipImage(rom, make_memory(record, rom, key))
    write_image(image, file)
    made = dataclasses.asdict(describe(image.memory, rom, key))
    development = "" if key_file else ", signed with the development key that everybody knows"
    summary = f"{file}: {made['type']}, chip {made['rom']}{development}"
    click.echo(json.dumps({"file": str(file), **made}, indent=2) if as_json else summary)


@cartridge.command(
    epilog="Examples:  needlepen cartridge show chip.bin  |  needlepen cartridge show chip.bin --json"
)
@click.argument("file", type=click.Path(path_type=Path))
@KEY
@AS_JSON
@click.pass_context
def show(context: click.Context, file: Path, key_file: Path | None, as_json: bool) -> None:
    """Say what a pen would say about the chip in FILE (exit code 3 if it would refuse it)."""
    from needlepen.cartridges.files import read_image
    from needlepen.cartridges.records import describe
    from needlepen.errors import Refused

    image = read_image(file)
    seen = describe(image.memory, image.rom, _key(key_file))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(seen), indent=2))
    else:
        click.echo(f"{file}: {seen.verdict}" + (f" ({seen.reason})" if seen.reason else ""))
        for name, value in dataclasses.asdict(seen).items():
            if value is not None and name not in ("verdict", "reason"):
                click.echo(f"  {name} = {value}")
    if seen.verdict != "fresh":
        context.exit(Refused.exit_code)


def _rom(text: str) -> bytes:
    from needlepen.emulator.ds2431 import make_rom
    from needlepen.errors import UsageError

    try:
        rom = bytes.fromhex(text)
    except ValueError:
        rom = b""
    if len(rom) != 8 or make_rom(rom[1:7]) != rom:
        raise UsageError(
            f"--rom {text}: not the ID of a DS2431, which is 2d, 6 bytes and their CRC-8; read it from the chip"
        )
    return rom


def _key(file: Path | None) -> bytes:
    from needlepen.cartridges.files import read_key
    from needlepen.records.making import development_cartridge_key

    return read_key(file) if file else development_cartridge_key()
