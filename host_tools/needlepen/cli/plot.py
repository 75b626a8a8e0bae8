"""`needlepen plot`: a recording as one page."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(epilog="Examples:  needlepen plot run.csv  |  needlepen plot run.csv --out run.html --open")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="The page. [default: FILE with .html for its ending]"
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print what is in the recording as JSON.")
def plot(file: Path, out: Path | None, open_page: bool, as_json: bool) -> None:
    """Draw a recording of `needlepen monitor --record` as one self-contained HTML page.

    A panel for each quantity over one time axis, states on top, faults and gaps marked.
    """
    from rich.console import Console

    from needlepen.errors import UsageError
    from needlepen.monitor import recording
    from needlepen.report import recorded

    with Console(stderr=True).status(f"drawing {file}"):
        found = recording.load(file)
        page = out or file.with_suffix(".html")
        if page.resolve() == file.resolve():
            raise UsageError(f"{page} is the recording itself; give another name with --out")
        recorded.write(found, page)
    if as_json:
        facts = {
            "page": str(page),
            "rows": len(found),
            "duration_s": round(found.duration_s, 3),
            "torn": found.torn,
            "metadata": dict(found.metadata),
            "gaps": [{"from_s": t0, "to_s": t1, "text": text} for t0, t1, text in found.gaps],
            "moments": [vars(moment) for moment in recorded.find_moments(found)],
        }
        click.echo(json.dumps(facts, indent=2))
    else:
        torn = ", last line torn" if found.torn else ""
        click.echo(f"{page}: {len(found)} rows, {found.duration_s:.1f} s, {len(found.gaps)} gaps{torn}")
    if open_page:
        click.launch(str(page))
