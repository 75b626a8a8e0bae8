"""`needlepen monitor`: a pen as it works, live, and recorded."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from needlepen.link.pen import Pen
    from needlepen.monitor.lines import Output
    from needlepen.monitor.recording import Recorder


@click.command(
    epilog="Examples:  needlepen monitor  |  needlepen monitor --record run.csv --period-ms 20 --for 60  |  "
    "needlepen monitor --json"
)
@device_option
@click.option(
    "--period-ms", type=click.IntRange(10, 10_000), default=50, show_default=True, help="Between two frames."
)
@click.option("--for", "for_s", type=click.FloatRange(min=0.1), metavar="SECONDS", help="End by itself then.")
@click.option(
    "--record", "file", type=click.Path(path_type=Path, dir_okay=False),
    help="Also write each frame to this CSV file, which must not exist.",
)  # fmt: skip
@click.option(
    "--plain", is_flag=True, help="Lines instead of a view that is redrawn; so too without a terminal."
)
@click.option("--json", "as_json", is_flag=True, help="Print each frame as one line of JSON.")
def monitor(
    device: str | None, period_ms: int, for_s: float | None, file: Path | None, plain: bool, as_json: bool
) -> None:
    """Show what a pen does until Ctrl-C: state, rate, current, depth, temperatures, battery, faults with remedy.

    The pen is asked for telemetry only; nothing on it is changed. When it is lost, that is shown and recorded as a
    gap, and the monitor connects again. `needlepen plot` draws a recording.
    """
    from needlepen.devices import open_pen
    from needlepen.monitor.watch import Watch

    with contextlib.ExitStack() as stack:
        pen = stack.enter_context(open_pen(device, purpose="monitor", reconnect_s=0))
        recorder = stack.enter_context(_recorder(file, pen, period_ms)) if file is not None else None
        output = _output(pen, plain, as_json, recorder, stack)
        watch = Watch(pen, period_ms)
        stack.callback(_say_end, watch, pen, recorder)
        with contextlib.suppress(KeyboardInterrupt):
            for moment in watch.moments(for_s):
                if recorder is not None:
                    recorder.write(moment)
                output.show(moment)


def _recorder(file: Path, pen: Pen, period_ms: int) -> Recorder:
    from datetime import UTC, datetime

    from needlepen.monitor.recording import Recorder

    who, about = pen.identity, pen.about()
    metadata = {
        "pen": who.unique_id,
        "board": who.board,
        "build": f"{who.version} {who.application_hash}",
        "kind": "development" if who.development else "production",
        "micropython": about.micropython,
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "period_ms": str(period_ms),
    }
    return Recorder(file, metadata)


def _output(
    pen: Pen, plain: bool, as_json: bool, recorder: Recorder | None, stack: contextlib.ExitStack
) -> Output:
    from needlepen.monitor.lines import JsonLines, PlainLines

    if as_json:
        return JsonLines(_put)
    who = pen.identity
    title = f"pen {who.unique_id}  {who.board}, {who.version} {who.application_hash}"
    if plain or not sys.stdout.isatty():
        _put(title)
        return PlainLines(_put)
    from rich.console import Console

    from needlepen.monitor.view import LiveView

    view = stack.enter_context(LiveView(Console(), title))
    view.footer = f"recording to {recorder.path}; Ctrl-C ends" if recorder else "Ctrl-C ends"
    return view


def _put(line: str) -> None:
    click.echo(line)  # flushes: who reads a pipe sees each line at once


def _say_end(watch: object, pen: Pen, recorder: Recorder | None) -> None:
    from needlepen.monitor.watch import Watch

    assert isinstance(watch, Watch)
    if recorder is not None:
        lost = f", {pen.lost_frames} frames lost" if pen.lost_frames else ""
        click.echo(f"{recorder.path}: {recorder.rows} rows, {watch.gaps} gaps{lost}", err=True)
