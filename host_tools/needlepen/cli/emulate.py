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

_CONTENT = {True: "needlepen firmware", False: "bare MicroPython"}


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
@click.option(
    "--flash",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the flash in this file across runs; if the file exists, its content is what the board holds.",
)
@click.option(
    "--bootsel", is_flag=True, help="Power on with BOOTSEL held; without a --flash file: a blank board."
)
@click.option("--volume", type=click.Path(path_type=Path), help="Folder that is the drive in BOOTSEL mode.")
@click.option("--json", "as_json", is_flag=True, help="Say where to connect as one line of JSON.")
def emulate(
    link: Path | None,
    tcp: int | None,
    board_name: str,
    app: bool,
    flash: Path | None,
    bootsel: bool,
    volume: Path | None,
    as_json: bool,
) -> None:
    """Keep an emulated pen alive on a pseudo-terminal and on TCP until Ctrl-C.

    The pen runs in real time: the real MicroPython and firmware on an emulated RP2040, wired to the pen's
    electronics and physics. Any serial program can connect, mpremote included.

    In BOOTSEL mode the port goes and a folder appears (LINK.RPI-RP2 unless --volume says otherwise) that takes UF2
    files, as the drive of a real board does. The signal USR1 switches the board off and on with BOOTSEL held.
    """
    from needlepen import board, paths
    from needlepen.build import app_image
    from needlepen.emulator.bootsel import VOLUME_LABEL
    from needlepen.emulator.flash_file import FlashFile, read_flash
    from needlepen.emulator.pen import EmulatedPen
    from needlepen.emulator.server import Server, State, TcpPort, Terminal
    from needlepen.runtime import provide

    signal.signal(signal.SIGTERM, _interrupt)
    described = board.load(board_name)
    with contextlib.ExitStack() as stack:
        terminal = Terminal(link or paths.cache_dir() / "ports" / described.name)
        stack.callback(terminal.close)
        port = None if tcp is None else TcpPort(tcp)
        if port is not None:
            stack.callback(port.close)
        content = read_flash(flash) if flash else None
        if content is not None or bootsel:
            pen = EmulatedPen(described, None, None, flash=content or b"", bootsel_held=bootsel)
        else:
            runtime = provide(described.micropython.version, described.micropython.board)
            pen = EmulatedPen(described, runtime.path, app_image(described).image if app else None)
        pen.chip.bootsel_held = False
        stored = FlashFile(pen.chip, flash) if flash else None
        if stored:
            stack.callback(stored.save)
        volume = volume or terminal.link.with_name(f"{terminal.link.name}.{VOLUME_LABEL}")

        def changed(state: State) -> None:
            if stored and state != "bootsel":
                stored.save()

        endpoints: list[Endpoint] = [terminal] if port is None else [terminal, port]
        server = Server(pen.chip, endpoints, volume, changed)
        if hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, lambda _number, _frame: server.power_on_with_bootsel())
        what = "what the flash file holds" if content else "a blank flash" if bootsel else _CONTENT[app]
        _announce(terminal.link, port.port if port else None, pen.chip.engine_name, what, as_json, volume)
        try:
            server.serve()
        except KeyboardInterrupt:
            click.echo("", err=True)


def _announce(link: Path, port: int | None, engine: str, content: str, as_json: bool, volume: Path) -> None:
    if as_json:
        where = {"link": str(link), "tcp_port": port, "volume": str(volume)}
        click.echo(json.dumps({**where, "engine": engine, "content": content}))
        return
    click.echo(f"Emulated pen with {content} ({engine} engine), in real time. Connect with")
    click.echo(f"  mpremote connect {link} repl")
    if port is not None:
        click.echo(f"  mpremote connect socket://127.0.0.1:{port} repl")
    click.echo(f"  in BOOTSEL mode: copy a UF2 file into {volume}")
    click.echo("Ctrl-C here ends it.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
