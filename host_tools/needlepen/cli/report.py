"""`needlepen report`: evidence of test runs, compared, combined and verified."""

from __future__ import annotations

import json
from pathlib import Path

import click

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group(
    epilog="Examples:  needlepen report compare reports/old reports/new  |  needlepen report verify reports/new"
)
def report() -> None:
    """Evidence of test runs: what moved between two, several as one judgement, whether one is as it was written.

    `pytest hil_tests --evidence FOLDER` writes it.
    """


@report.command(
    epilog="Examples:  needlepen report compare monday tuesday --moved 2  |  needlepen report compare a.json b.json"
)
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--moved", "moved_pct", type=click.FloatRange(0, min_open=False), metavar="PERCENT",
    help="Tell values that moved by more than this share of their limit. [default: 5]",
)  # fmt: skip
@AS_JSON
def compare(before: Path, after: Path, moved_pct: float | None, as_json: bool) -> int:
    """What moved from BEFORE to AFTER: verdicts, values, tests that appeared or vanished.

    Each is an evidence folder, its evidence.json, or a file of `pytest --measurements`.
    Exit code: 1 if something that passed does not any more, 0 otherwise.
    """
    from rich.console import Console

    from needlepen.evidence_report import compare as comparing, terminal

    share_pct = comparing.MOVED_PCT if moved_pct is None else moved_pct
    found = comparing.compare(*comparing.load(before, after), share_pct)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2, allow_nan=False))
    else:
        Console(highlight=False).print(terminal.comparison(found))
    return found.exit_code


@report.command(
    epilog="Examples:  needlepen report combine reports/emulated reports/pen-7  |  "
    "needlepen report combine reports/* --html reports/all.html"
)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write it as one page.")
@AS_JSON
def combine(runs: tuple[Path, ...], html: Path | None, as_json: bool) -> int:
    """Judge RUNS on several targets together: each requirement on each target.

    Each is an evidence folder. Exit code: 1 if a test failed or a requirement was skipped on every target or has no
    test in any run, else 2 if there was infrastructure trouble, 0 otherwise.
    """
    from rich.console import Console

    from needlepen.evidence_report import combine as combining, terminal

    found = combining.combine([combining.load(path) for path in dict.fromkeys(runs)])
    if html:
        from needlepen.evidence_report.combined_page import render
        from needlepen.files import write_whole

        write_whole(html, render(found))
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2, allow_nan=False))
    else:
        Console(highlight=False).print(terminal.combination(found), crop=False)  # whole lines
    return found.exit_code


@report.command(
    epilog="Examples:  needlepen report verify reports/run  |  needlepen report verify reports/run --json"
)
@click.argument("folder", type=click.Path(path_type=Path))
@AS_JSON
def verify(folder: Path, as_json: bool) -> int:
    """Compare every file of an evidence FOLDER with the SHA-256 in its manifest.

    Exit code: 0 as it was written, 1 changed. Who changes the manifest as well is not found out: keep its checksum.
    """
    from needlepen.evidence_report import folder as folders
    from needlepen.evidence_report.model import MANIFEST

    found = folders.differences(folder)
    if as_json:
        manifest = folders.sha256(folder / MANIFEST)
        click.echo(json.dumps({"differences": found, "manifest_sha256": manifest}, indent=2))
    else:
        click.echo(
            "\n".join(found) or f"{folder}: as it was written; manifest {folders.sha256(folder / MANIFEST)}"
        )
    return 1 if found else 0
