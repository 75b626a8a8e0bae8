"""`needlepen build`: compile the firmware into the image that fills a pen's file system."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.option(
    "--board", "board_name", default="pico_pen", show_default=True, help="Board file: a name or a path."
)
@click.option(
    "--kind",
    type=click.Choice(["development", "production"]),
    default="development",
    show_default=True,
    help="What the pen reports itself to be.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write the image to, besides the cache."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def build(board_name: str, kind: str, out: Path | None, as_json: bool) -> None:
    """Build the application image of a board and say what is in it."""
    from typing import cast

    from needlepen import board
    from needlepen.build import Kind, app_image, export

    described = board.load(board_name)
    image = app_image(described, kind=cast(Kind, kind))
    path = export(image, out) if out else image.path
    used = sum(image.files.values())
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
        click.echo(json.dumps(facts, indent=2))
        return
    module_of = {path: module for module, path in image.modules.items()}
    for name, size in sorted(image.files.items(), key=lambda file: module_of.get(file[0], file[0])):
        click.echo(f"{size:8d}  {module_of.get(name, name)}")
    click.echo(f"{used:8d}  bytes of {len(image.image)}, {image.kind} build for {image.board}")
    click.echo(f"{path}  sha256 {image.sha256}")
