"""`needlepen emulate`: keep an emulated pen alive so that other programs can connect."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from needlepen.emulator.server import Endpoint


@click.command()
@click.option("--link", type=click.Path(path_type=Path), help="Path at which the serial port appears.")
@click.option(
    "--tcp", type=click.IntRange(0, 65535), help="Also serve on this TCP port of 127.0.0.1 (0: any)."
)
@click.option(
    "--board", "board_name", default="pico_pen", show_default=True, help="Board file: a name or a path."
)
@click.option(
    "--app/--no-app", default=True, show_default=True, help="With the pen's firmware, or bare MicroPython."
)
@click.option("--json", "as_json", is_flag=True, help="Say where to connect as one line of JSON.")
def emulate(link: Path | None, tcp: int | None, board_name: str, app: bool, as_json: bool) -> None:
    """Keep an emulated pen alive on a pseudo-terminal and on TCP until Ctrl-C.

    The pen runs in real time: the real MicroPython and firmware on an emulated RP2040, wired to the pen's
    electronics and physics. Any serial program can connect, mpremote included.
    """
    from needlepen import board, paths
    from needlepen.build import app_image
    from needlepen.emulator.pen import EmulatedPen
    from needlepen.emulator.server import Server, TcpPort, Terminal
    from needlepen.runtime import provide

    signal.signal(signal.SIGTERM, _interrupt)
    described = board.load(board_name)
    with contextlib.ExitStack() as stack:
        terminal = Terminal(link or paths.cache_dir() / "ports" / described.name)
        stack.callback(terminal.close)
        port = None if tcp is None else TcpPort(tcp)
        if port is not None:
            stack.callback(port.close)
        runtime = provide(described.micropython.version, described.micropython.board)
        pen = EmulatedPen(described, runtime.path, app_image(described).image if app else None)
        _announce(terminal.link, port.port if port else None, pen.chip.engine_name, app, as_json)
        endpoints: list[Endpoint] = [terminal] if port is None else [terminal, port]
        try:
            Server(pen.chip, endpoints).serve()
        except KeyboardInterrupt:
            click.echo("", err=True)


def _announce(link: Path, port: int | None, engine: str, app: bool, as_json: bool) -> None:
    content = "needlepen firmware" if app else "bare MicroPython"
    if as_json:
        click.echo(json.dumps({"link": str(link), "tcp_port": port, "engine": engine, "content": content}))
        return
    click.echo(f"Emulated pen with {content} ({engine} engine), in real time. Connect with")
    click.echo(f"  mpremote connect {link} repl")
    if port is not None:
        click.echo(f"  mpremote connect socket://127.0.0.1:{port} repl")
    click.echo("Ctrl-C here ends it.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
