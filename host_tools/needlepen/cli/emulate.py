"""`needlepen emulate`: keep an emulated pen alive so that other programs can connect."""

from __future__ import annotations

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
def emulate(link: Path | None, tcp: int | None, board_name: str, app: bool) -> None:
    """Keep an emulated pen alive on a pseudo-terminal and on TCP until Ctrl-C.

    The pen runs in real time: the real MicroPython and firmware on an emulated RP2040, wired to the pen's
    electronics and physics. Any serial program can connect, mpremote included.
    """
    from needlepen import board, paths
    from needlepen.build import app_image
    from needlepen.emulator.pen import EmulatedPen
    from needlepen.emulator.server import Server, TcpPort, Terminal
    from needlepen.runtime import provide

    described = board.load(board_name)
    runtime = provide(described.micropython.version, described.micropython.board)
    image = app_image(described).image if app else None
    pen = EmulatedPen(described, runtime.path, image)
    terminal = Terminal(link or paths.cache_dir() / "ports" / described.name)
    endpoints: list[Endpoint] = [terminal]
    try:
        if tcp is not None:
            port = TcpPort(tcp)
            endpoints.append(port)
    except BaseException:
        terminal.close()
        raise
    signal.signal(signal.SIGTERM, _interrupt)
    content = "needlepen firmware" if app else "bare MicroPython"
    click.echo(f"Emulated {described.name} with {content}, {pen.chip.engine_name} engine. Connect with")
    click.echo(f"  mpremote connect {terminal.link} repl")
    if tcp is not None:
        click.echo(f"  mpremote connect socket://127.0.0.1:{port.port} repl")
    click.echo("Ctrl-C here ends it.")
    try:
        Server(pen.chip, endpoints).serve()
    except KeyboardInterrupt:
        click.echo("\nended")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
