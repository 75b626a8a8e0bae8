"""`needlepen build`: compile the firmware into the image that fills a pen's file system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from needlepen.cli._build_options import board_option, kind_option

if TYPE_CHECKING:
    from needlepen.board import Board
    from needlepen.build import AppImage


@click.command(epilog="Examples:  needlepen build  |  needlepen build --uf2 pen.uf2")
@board_option
@kind_option("development", "What the pen reports itself to be.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write the image to, besides the cache."
)
@click.option(
    "--uf2",
    "uf2_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write one UF2 file with MicroPython and the application.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def build(board_name: str, kind: str, out: Path | None, uf2_path: Path | None, as_json: bool) -> None:
    """Build the application image of a board and say what is in it.

    With --uf2, one file makes a working pen of a blank board: hold BOOTSEL, plug it in, copy the file onto the drive
    that appears. It is a plain UF2, so picotool and mpflash take it as well. On a board that is a pen already it
    replaces the whole file system, with calibration, keys and log; `needlepen flash` keeps these.
    """
    from typing import cast

    from needlepen import board
    from needlepen.build import Kind, app_image, export

    described = board.load(board_name)
    image = app_image(described, kind=cast(Kind, kind))
    path = export(image, out) if out else image.path
    used = sum(image.files.values())
    uf2_facts = _write_uf2(described, image, uf2_path) if uf2_path else None
    if as_json:
        facts = {
            "board": image.board,
            "kind": image.kind,
            "path": str(path),
            "staged_sources": str(image.staged_dir),
            "sha256": image.sha256,
            "application_sha256": image.content_sha256,
            "files": dict(image.files),
            "modules": dict(image.modules),
            "used_bytes": used,
            "filesystem_bytes": len(image.image),
        }
        if uf2_facts:
            facts["uf2"] = uf2_facts
        click.echo(json.dumps(facts, indent=2))
        return
    module_of = {path: module for module, path in image.modules.items()}
    for name, size in sorted(image.files.items(), key=lambda file: module_of.get(file[0], file[0])):
        click.echo(f"{size:8d}  {module_of.get(name, name)}")
    click.echo(f"{used:8d}  bytes of {len(image.image)}, {image.kind} build for {image.board}")
    click.echo(f"{path}  sha256 {image.sha256}")
    if uf2_facts:
        click.echo(
            f"{uf2_path}  {uf2_facts['blocks']} blocks, MicroPython {uf2_facts['micropython']} and application"
        )


def _write_uf2(described: Board, image: AppImage, path: Path) -> dict[str, Any]:
    """Write the file whole or not at all, and say what is in it."""
    import hashlib

    from needlepen.build import uf2
    from needlepen.build.firmware_uf2 import firmware_uf2
    from needlepen.build.staging import write_files
    from needlepen.errors import UsageError
    from needlepen.runtime import provide

    runtime = provide(described.micropython.version, described.micropython.board)
    data = firmware_uf2(described, runtime.path, image)
    try:
        write_files({path.name: data}, path.parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); give another --uf2 file") from None
    return {
        "path": str(path),
        "sha256": hashlib.sha256(data).hexdigest(),
        "blocks": len(data) // uf2.BLOCK_BYTES,
        "micropython": described.micropython.version,
    }
