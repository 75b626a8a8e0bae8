"""`needlepen calibrate`: the depth calibration of a pen, step by step in the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from rich.console import Console

    from needlepen.calibration.bench import Bench
    from needlepen.calibration.model import Calibration
    from needlepen.calibration.procedure import Procedure

NEWEST = "newest"


@click.command(
    epilog="Examples:  needlepen calibrate --gauge left-bench --operator 'A. Weber' --room-c 22.5  |  "
    "needlepen calibrate --resume  |  needlepen calibrate --yes --json"
)
@device_option
@click.option(
    "--gauge",
    metavar="NAME",
    help="A gauge of gauges.toml, or a kind (`needlepen gauge list`). [default: the simulated one for an emulated "
    "pen, else the only own one, else manual]",
)
@click.option("--gauge-port", metavar="PORT", help="Where the gauge is, in place of what gauges.toml says.")
@click.option("--operator", metavar="NAME", help="Who calibrates. [default: the user of this computer]")
@click.option(
    "--room-c",
    type=click.FloatRange(-20, 60),
    metavar="C",
    help="Temperature of the room. [default: asked for; with --yes that of the pen's nose, as the certificate says]",
)
@click.option("--humidity", type=click.FloatRange(0, 100), metavar="PCT", help="Relative humidity, percent.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value=NEWEST,
    metavar="[NUMBER]",
    help="Go on with an unfinished calibration: the newest of this pen, or the one of this number.",
)
@click.option("--list", "list_only", is_flag=True, help="List unfinished calibrations.")
@click.option(
    "--abandon", metavar="NUMBER", help="Give an unfinished calibration up; the pen keeps its record."
)
@click.option(
    "--yes",
    is_flag=True,
    help="Nobody is asked: the gauge is set up, and a doubtful reading is repeated twice, then it ends, resumable.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the certificate. [default: certificates]",
)
@click.option(
    "--anew",
    is_flag=True,
    help="Withdraw the pen's record first: for a pen that has changed so much that it stops with 'depth runaway'.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def calibrate(
    device: str | None,
    gauge: str | None,
    gauge_port: str | None,
    operator: str | None,
    room_c: float | None,
    humidity: float | None,
    resume: str | None,
    list_only: bool,
    abandon: str | None,
    yes: bool,
    out: Path | None,
    anew: bool,
    as_json: bool,
) -> int:
    """Calibrate the depth of a pen, guided, with a gauge.

    Zeroes the gauge, measures the pen as found, then at 11 depths five times up and five times down, fits the curve,
    verifies it at fresh depths and decides with a guard band. Every reading is on the disk at once: it can be left at
    any point (q, Ctrl-C, a pulled plug) and resumed. Keys: Enter takes, r repeats, b steps back, k keeps a doubtful
    reading knowingly, q leaves.

    Exit code: 0 accepted, 1 the pen is refused, 2 something else failed (resume), 3 the conditions do not allow it.
    """
    from rich.console import Console

    from needlepen.calibration.bench import open_bench

    console = Console(stderr=as_json)
    if list_only:
        return _list(as_json)
    if abandon is not None:
        return _abandon(abandon)
    with (
        open_bench(device, gauge, gauge_port, "calibrate") as bench,
        _begun(console, bench, operator, room_c, humidity, resume, yes, anew) as procedure,
    ):
        result = _run(console, bench, procedure, yes)
    files = _certificate(result, out)
    _tell(console, result, files, as_json)
    return 0 if result.decision.accepted else 1


def _begun(
    console: Console,
    bench: Bench,
    operator: str | None,
    room_c: float | None,
    humidity: float | None,
    resume: str | None,
    yes: bool,
    anew: bool,
) -> Procedure:
    """A calibration that goes on, or a new one."""
    from needlepen.calibration import bench as benches
    from needlepen.calibration.listing import find_session, list_sessions
    from needlepen.calibration.procedure import Procedure
    from needlepen.errors import UsageError
    from needlepen.runtime.progress import TerminalProgress

    unique_id = bench.pen.identity.unique_id
    if resume is not None:
        if anew:
            raise UsageError("--resume and --anew exclude each other: go on with a calibration, or begin one")
        found = find_session("" if resume == NEWEST else resume, pen=unique_id if resume == NEWEST else None)
        console.print(f"Resuming {found.number}: {found.done} of {found.total} readings.", highlight=False)
        return Procedure.resume(found.path, bench.pen, bench.gauge, store=benches.store())
    waiting = [info for info in list_sessions() if info.pen == unique_id and not info.problem]
    if waiting:
        console.print(
            f"[yellow]An unfinished calibration {waiting[-1].number} of this pen waits; --resume goes on with it, "
            "--abandon gives it up. This begins a new one.[/yellow]",
            highlight=False,
        )
    who = operator or _user()
    conditions = _conditions(bench, room_c, humidity, yes)
    with TerminalProgress("calibrate") as progress:
        progress.step("looking at the conditions, and whether the nose is steady")
        number = benches.new_number(who)
        return Procedure.begin(
            bench.pen, bench.gauge, who, conditions, number=number, store=benches.store(), anew=anew
        )


def _conditions(bench: Bench, room_c: float | None, humidity: float | None, yes: bool) -> Any:
    from needlepen.calibration.model import Conditions

    state = bench.pen.state()
    note = ""
    if room_c is None and not yes:
        room_c = click.prompt("Temperature of the room in C", type=float, default=state.nose_c, err=True)
    if room_c is None:
        room_c, note = state.nose_c, "temperature of the room not measured: that of the pen's nose"
    return Conditions(
        room_c=room_c, nose_c=state.nose_c, cell_v=state.cell_v, humidity_pct=humidity, note=note
    )


def _run(console: Console, bench: Bench, procedure: Procedure, yes: bool) -> Calibration:
    from needlepen.calibration.dialogue import Dialogue, Left
    from needlepen.errors import NeedlepenError

    try:
        return Dialogue(console, bench, yes).calibrate(procedure)
    except Left:  # which says it itself
        raise
    except (KeyboardInterrupt, NeedlepenError) as error:
        left = "Left" if isinstance(error, KeyboardInterrupt) else "It stops here"
        console.print(f"{left}; nothing is lost: `needlepen calibrate --resume` goes on.", highlight=False)
        raise


def _certificate(result: Calibration, out: Path | None) -> list[Path]:
    from needlepen.calibration import certificate
    from needlepen.calibration.database import open_database

    with open_database() as database:
        history = database.history(result.pen.unique_id)
    made = certificate.make(result, out or Path("certificates"), history)
    return [made.pdf, made.html]


def _tell(console: Console, result: Calibration, files: list[Path], as_json: bool) -> None:
    from needlepen.calibration.dialogue import tell_result

    if not as_json:
        tell_result(console, result)
        for path in files:
            console.print(f"certificate: {path}", highlight=False, markup=False, soft_wrap=True)
        return
    click.echo(
        json.dumps(
            {
                "number": result.number,
                "pen": result.pen.unique_id,
                "accepted": result.decision.accepted,
                "withdrawn": bool(result.record_hex) and not result.decision.accepted,
                "checks": [check.model_dump() for check in result.decision.checks],
                "expanded_uncertainty_um": result.budget.expanded,
                "due": result.due.isoformat(),
                "repeated": len(result.replaced),
                "certificate": [str(path) for path in files],
            },
            indent=2,
        )
    )


def _list(as_json: bool) -> int:
    from needlepen.calibration.listing import list_sessions

    found = list_sessions()
    if as_json:
        rows = [
            {
                "number": info.number,
                "pen": info.pen,
                "operator": info.operator,
                "gauge": info.gauge,
                "begun": info.begun.isoformat() if info.begun else None,
                "done": info.done,
                "total": info.total,
                "journal": str(info.path),
                "problem": info.problem,
            }
            for info in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return 0
    for info in found:
        when = f"{info.begun:%Y-%m-%d %H:%M} UTC" if info.begun else ""
        click.echo(
            f"{info.number}  pen {info.pen or '?'}  {when}  {info.done} of {info.total}  {info.operator}  "
            f"{info.problem}".rstrip()
        )
    if not found:
        click.echo("no unfinished calibration")
    return 0


def _abandon(number: str) -> int:
    from needlepen.calibration.listing import abandon, find_session

    info = find_session(number)
    abandon(info)
    click.echo(f"{info.number} is given up; its journal stays at {info.path}")
    return 0


def _user() -> str:
    from needlepen.calibration.database.store import user

    return user()
