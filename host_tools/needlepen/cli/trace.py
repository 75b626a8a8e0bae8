"""`needlepen trace`: hazard - requirement - limit - code - test - last result, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from needlepen.trace import Trace


@click.command(
    epilog="Examples:  needlepen trace --check  |  needlepen trace SR-06 --results junit.xml  |  "
    "needlepen trace firmware/pen/speed.py"
)
@click.argument("what", required=False, metavar="[ID|FILE|FILE::TEST|WORDS]")
@click.option(
    "--results", "files", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
    help="JUnit XML or measurements (JSON) of a test run. Repeatable.",
)  # fmt: skip
@click.option("--check", "only_check", is_flag=True, help="Print gaps only; exit code 1 if there is any.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write it as one page.")
@click.option("--csv", "sheet", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a table.")
@click.option(
    "--project", type=click.Path(path_type=Path, file_okay=False),
    help="The checkout to look at. [default: the one of this program]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def trace(
    what: str | None,
    files: tuple[Path, ...],
    only_check: bool,
    html: Path | None,
    sheet: Path | None,
    project: Path | None,
    as_json: bool,
) -> int:
    """Trace hazards and requirements to code, tests and results, and back.

    Without an argument: all requirements, and the gaps. An ID, or words of a hazard: down to the results. A file, a
    test or FILE:SYMBOL: up to requirement and hazard. Results: pytest's --junit-xml FILE or --measurements FILE.
    """
    from needlepen import files as whole, paths
    from needlepen.errors import UsageError
    from needlepen.trace import gaps, read

    if what and (only_check or html or sheet):
        raise UsageError(
            f"{what}: --check, --html and --csv are about the whole project; leave one of them out"
        )
    found = read(project or paths.firmware_dir().parent, files)
    if what:
        click.echo("\n".join(_part(found, what, as_json)))
        return 0
    from needlepen.trace import output, terminal
    from needlepen.trace.rows import rows

    every, missing = rows(found), gaps(found)
    if html:
        whole.write_whole(html, output.page(found, every, missing))
    if sheet:
        whole.write_whole(sheet, output.table(every))
    if as_json:
        click.echo(json.dumps(output.data(found, every, missing), indent=2))
    else:
        lines = [] if only_check else [*terminal.overview(every), ""]
        click.echo("\n".join([*lines, *terminal.gap_lines(missing), terminal.tally(found, every, missing)]))
    return 1 if only_check and missing else 0


def _part(found: Trace, what: str, as_json: bool) -> Iterator[str]:
    """What leads up from a place, or down from requirements."""
    from needlepen.trace import terminal, upwards
    from needlepen.trace.rows import as_dict, rows

    steps = upwards.steps(found, what)
    meant = [] if steps else upwards.requirements_meant(found, what)
    if not steps and not meant:
        raise upwards.unknown(found, what)
    if as_json:
        content = [s.as_dict() for s in steps] if steps else [as_dict(row) for row in rows(found, meant)]
        yield json.dumps(content, indent=2)
    elif steps:
        yield from terminal.upwards(steps)
    else:
        for row in rows(found, meant):
            yield from terminal.detail(row)
