"""`needlepen certificate`: certificates of calibrations."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from needlepen.calibration.database import open_database
from needlepen.calibration.database.option import database_option
from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from needlepen.calibration.certificate.verifying import FieldCheck

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
NUMBER = click.argument("number")
_SIGNS = {True: ("agrees", "green"), False: ("DIFFERS", "red"), None: ("not checked", "yellow")}


@click.group(
    epilog="Examples:  needlepen certificate make NP-260115-7F3K2Q  |  needlepen certificate verify paper.pdf"
)
def certificate() -> None:
    """Certificates of calibrations: make, show, verify."""


@certificate.command(epilog="Examples:  needlepen certificate make NP-260115-7F3K2Q --out certificates")
@NUMBER
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=".", show_default=True,
              help="Folder for the files.")  # fmt: skip
@database_option
@AS_JSON
def make(number: str, out: Path, database: str | None, as_json: bool) -> None:
    """Make the certificate of the calibration NUMBER, as PDF and HTML; of a refused one a refusal report.

    Made again it is the same, byte for byte.
    """
    from rich.console import Console

    from needlepen.calibration.certificate import make as make_files

    with Console(stderr=True).status("making the certificate"):
        with open_database(database) as opened:
            found = opened.get(number)
            history = opened.history(found.pen.unique_id)
            withdrawn = opened.withdrawal(found.number)
        paths = make_files(found, out, history)
    if as_json:
        click.echo(json.dumps({"pdf": str(paths.pdf), "html": str(paths.html), "accepted": found.decision.accepted,
                               "withdrawn": withdrawn is not None}, indent=2))  # fmt: skip
        return
    click.echo(f"{paths.pdf}\n{paths.html}")
    if not found.decision.accepted:
        click.secho("This calibration was refused: what was made is a refusal report.", fg="red", err=True)
    if withdrawn:
        click.secho(
            f"Withdrawn on {withdrawn.at:%Y-%m-%d}: {withdrawn.reason}; keep it back.",
            fg="red",
            err=True,
        )


@certificate.command(epilog="Examples:  needlepen certificate show NP-260115-7F3K2Q")
@NUMBER
@database_option
@AS_JSON
def show(number: str, database: str | None, as_json: bool) -> None:
    """Print the text of the certificate NUMBER."""
    from dataclasses import asdict

    from needlepen.calibration.certificate import printing
    from needlepen.calibration.certificate.code import find_key, printed
    from needlepen.calibration.certificate.content import document

    with open_database(database) as opened:
        found = opened.get(number)
        content = document(found, printed(found, find_key(found)), opened.history(found.pen.unique_id))
    if as_json:
        click.echo(json.dumps(asdict(content), indent=2))
    else:
        printing.document(content)


@certificate.command(
    epilog="Examples:  needlepen certificate verify NP-260115-7F3K2Q K7QF-2M5X-PA4D-ZQ3B  |  "
    "needlepen certificate verify paper.pdf --device left"
)
@click.argument("number", metavar="NUMBER|PDF")
@click.argument("code", required=False)
@device_option
@click.option("--no-pen", is_flag=True, help="Do not ask a pen, even if NEEDLEPEN_DEVICE names one.")
@database_option
@AS_JSON
def verify(
    number: str, code: str | None, device: str | None, no_pen: bool, database: str | None, as_json: bool
) -> int:
    """Check a certificate, by its NUMBER and verification CODE or its PDF, against database, keys and pen.

    With --device the record in that pen is read and compared, too. Every field is told; exit code 1 if one differs.
    """
    from needlepen.calibration.certificate import verifying
    from needlepen.calibration.certificate.paper import read_pdf
    from needlepen.errors import UsageError

    suffix = Path(number).suffix.lower()
    if suffix and suffix != ".pdf":
        raise UsageError(
            f"{number}: only the PDF of a certificate can be verified, a page or another file cannot; give the PDF, or "
            "number and code that are on it"
        )
    paper = read_pdf(Path(number)) if suffix == ".pdf" else None
    if paper is not None and code is not None:
        raise UsageError("a PDF holds its own code; give the PDF, or number and code")
    with open_database(database) as opened, _pen(None if no_pen else device) as pen:
        checks = verifying.verify(
            paper.number if paper else number,
            (paper.code or None) if paper else code,
            opened,
            pen,
            paper=paper,
        )
    differs = sum(check.agrees is False for check in checks)
    if as_json:
        rows = [
            {"name": c.name, "agrees": c.agrees, "expected": c.expected, "found": c.found} for c in checks
        ]
        click.echo(json.dumps({"agrees": not differs, "checks": rows}, indent=2))
    else:
        _tell(checks, differs)
    return 1 if differs else 0


def _pen(device: str | None) -> Any:
    if device is None:
        return contextlib.nullcontext()
    from needlepen.devices import open_pen

    return open_pen(device, purpose="certificate")


def _tell(checks: list[FieldCheck], differs: int) -> None:
    for check in checks:
        word, colour = _SIGNS[check.agrees]
        text = check.found if check.agrees is not False else f"{check.found}; expected: {check.expected}"
        click.echo(f"{click.style(f'{word:12}', fg=colour)}{check.name:28} {text}")
    skipped = sum(check.agrees is None for check in checks)
    left = f", {skipped} not checked" if skipped else ""
    verdict = (
        f"{differs} of {len(checks)} fields differ: do not rely on it"
        if differs
        else "genuine as far as checked"
    )
    click.echo(f"{verdict}{left}")
