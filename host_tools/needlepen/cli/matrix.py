"""`needlepen matrix`: every fault in every state, run on the emulated pen."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(
    epilog="Examples:  needlepen matrix --target motor --state running  |  needlepen matrix --out matrix.html"
)
@click.option("--target", "targets", multiple=True, help="Only faults of this target. Repeatable.")
@click.option("--state", "states", multiple=True, help="Only in this state. Repeatable.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes side by side. [default: one per core]")
@click.option("--runtime", type=click.Path(path_type=Path), help="Use this MicroPython UF2.")
@click.option(
    "--out", "files", type=click.Path(path_type=Path, dir_okay=False), multiple=True,
    help="Write it to this .html, .csv or .md file. Repeatable.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def matrix(
    targets: tuple[str, ...],
    states: tuple[str, ...],
    jobs: int | None,
    runtime: Path | None,
    files: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Run every fault of the catalogue in every state of the pen and say what came of it.

    Exit code: 0 every cell asked for is tested and safe, 1 otherwise.
    """
    from needlepen.emulator import bench
    from needlepen.emulator.injection import catalogue
    from needlepen.errors import UsageError
    from needlepen.safety import matrix as matrices, matrix_output

    for target in targets:
        catalogue.known_target(target)
    for state in states:
        if state not in matrices.STATES:
            raise UsageError(f"There is no state {state!r} here; possible: {', '.join(matrices.STATES)}")
    matrix_output.check_names(files)
    cells = matrices.all_cells(targets, states)
    prepared = bench.prepare(runtime=runtime)
    result = matrices.run(prepared, cells, jobs, lambda state: click.echo(f"state {state}", err=True))
    if as_json:
        rows = [
            {
                **dict(zip(("target", "kind", "state"), key, strict=True)),
                "outcome": str(cell) if cell else None,
            }
            for key, cell in result.cells.items()
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo(matrix_output.markdown(result))
    for path in files:  # last, as a file that cannot be written must not cost the hours before it
        matrix_output.write(result, path)
    return 1 if result.unsafe or None in result.cells.values() else 0
