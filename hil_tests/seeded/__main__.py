"""`python -m seeded`: see README.md of this folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from support import starting

from seeded import campaign, defects, report

OUT = defects.REPOSITORY / "reports" / "seeded"
_LIST = click.option(
    "--list",
    "list_file",
    type=click.Path(path_type=Path),
    default=defects.LIST,
    help="Another list than the project's; its patches lie beside it in patches/.",
)
_RUN = click.option(
    "--only", type=click.Choice(defects.RUNS), help="Only those of every day, or of the night."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print data instead of a table.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Seeded defects: does the test that has to find a mistake find it?

    Exit codes: 0 all found, 1 a test passes in spite of its defect, 2 infrastructure, 4 usage.
    """


@main.command("list")
@_LIST
@_RUN
@_JSON
def list_defects(list_file: Path, only: str | None, as_json: bool) -> None:
    """The defects: where, which requirement, and which test has to find them."""
    found = defects.chosen(defects.load(list_file), (), only)
    click.echo(json.dumps([report.entry(each) for each in found]) if as_json else report.listing(found))


@main.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_LIST
@_RUN
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default="reports/seeded")
@_JSON
def run(ids: tuple[str, ...], list_file: Path, only: str | None, out: Path, as_json: bool) -> None:
    """Seed the defects ID (all without one), e.g. `python -m seeded run trigger-release-short`."""
    found = defects.chosen(defects.load(list_file), ids, only)
    result = campaign.run(
        found,
        lambda text: click.echo(text, err=True),
        defects.REPOSITORY,
        done=lambda so_far: report.write(so_far, out),
    )
    click.echo(json.dumps(report.as_json(result)) if as_json else report.table(result))
    click.echo(f"in full: {out / 'seeded.txt'} and seeded.json", err=True)
    sys.exit(result.exit_code)


@main.command()
@click.argument("identity", metavar="ID")
@_LIST
def show(identity: str, list_file: Path) -> None:
    """What a defect is, and its patch."""
    (defect,) = defects.chosen(defects.load(list_file), [identity])
    click.echo(f"{defect.what}\nendangers {defect.requirement}, found by {defect.test}\n")
    click.echo(defect.patch.read_text(encoding="utf-8"), nl=False)


if __name__ == "__main__":
    starting.run(main, "seeded")
