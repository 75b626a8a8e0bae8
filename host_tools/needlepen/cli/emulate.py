"""`needlepen emulate`: keep an emulated pen alive so that other programs can connect."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from needlepen.build import Kind
    from needlepen.emulator.pen import EmulatedPen
    from needlepen.emulator.server import Endpoint


@click.command()
@click.option("--link", type=click.Path(path_type=Path), help="Path at which the serial port appears.")
@click.option(
    "--tcp", type=click.IntRange(0, 65535), help="Also serve on this TCP port of 127.0.0.1 (0: any)."
)
@click.option(
    "--name", default=None, help="What it is called in `needlepen devices` [default: the board's name]."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Which pen: ID and tolerances.",
)
@click.option(
    "--board", "board_name", default="pico_pen", show_default=True, help="Board file: a name or a path."
)
@click.option(
    "--app/--no-app", default=True, show_default=True, help="With the pen's firmware, or bare MicroPython."
)
@click.option(
    "--factory/--no-factory",
    default=True,
    show_default=True,
    help="With the keys and the calibration that a pen leaves the factory with, or without any.",
)
@click.option(
    "--kind",
    type=click.Choice(["development", "production"]),
    default="development",
    show_default=True,
    help="Which build of the firmware.",
)
@click.option("--json", "as_json", is_flag=True, help="Say where to connect as one line of JSON.")
def emulate(
    link: Path | None,
    tcp: int | None,
    name: str | None,
    seed: int,
    board_name: str,
    kind: Kind,
    app: bool,
    factory: bool,
    as_json: bool,
) -> None:
    """Keep an emulated pen alive on a pseudo-terminal and on TCP until Ctrl-C.

    The pen runs in real time: the real MicroPython and firmware on an emulated RP2040, wired to the pen's
    electronics and physics. Any serial program can connect, mpremote included. Several of them run side by side
    with a --name and a --seed each.
    """
    from needlepen.devices import registry
    from needlepen.emulator.factory_image import unique_id
    from needlepen.emulator.server import Server, TcpPort, Terminal

    signal.signal(signal.SIGTERM, _interrupt)
    called = registry.check_name(name or Path(board_name).stem)
    with contextlib.ExitStack() as stack:
        terminal = Terminal(link or registry.default_link(called))
        stack.callback(terminal.close)
        port = None if tcp is None else TcpPort(tcp)
        if port is not None:
            stack.callback(port.close)
        pen = _pen(board_name, kind, seed, app, factory)
        tcp_port = port.port if port else None
        registry.write(
            registry.Entry(called, str(terminal.link), os.getpid(), unique_id(seed).hex(), tcp_port)
        )
        stack.callback(registry.remove, called)
        _announce(terminal.link, tcp_port, pen.chip.engine_name, app, as_json)
        endpoints: list[Endpoint] = [terminal] if port is None else [terminal, port]
        try:
            Server(pen.chip, endpoints).serve()
        except KeyboardInterrupt:
            click.echo("", err=True)


def _pen(board_name: str, kind: Kind, seed: int, app: bool, factory: bool) -> EmulatedPen:
    """With the records of the factory, with the firmware alone, or with bare MicroPython."""
    from needlepen.emulator import bench
    from needlepen.emulator.pen import EmulatedPen

    prepared = bench.prepare(board_name, kind)
    if app and factory:
        return prepared.make(seed=seed)
    image = prepared.application.image if app else None
    return EmulatedPen(prepared.board, prepared.runtime.path, image, seed=seed)


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
