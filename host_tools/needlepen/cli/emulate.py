"""`needlepen emulate`: keep an emulated pen alive so that other programs can connect."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from needlepen.cli._build_options import board_option, kind_option

if TYPE_CHECKING:
    from needlepen.build import Kind
    from needlepen.emulator.parameters import PenParameters
    from needlepen.emulator.pen import EmulatedPen
    from needlepen.emulator.server import Endpoint

_CONTENT = {True: "needlepen firmware", False: "bare MicroPython"}


@click.command(
    epilog="Examples:  needlepen emulate --link /tmp/pen  |  needlepen emulate --name left --seed 1 --json  |  "
    "needlepen emulate --cartridge dummy --worn tip_offset_um=-60"
)
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
@board_option
@click.option(
    "--app/--no-app", default=True, show_default=True, help="With the pen's firmware, or bare MicroPython."
)
@click.option(
    "--factory/--no-factory",
    default=True,
    show_default=True,
    help="With the keys and the calibration that a pen leaves the factory with, or without any.",
)
@kind_option("development")
@click.option(
    "--flash",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the flash in this file across runs; if the file exists, its content is what the board holds.",
)
@click.option(
    "--bootsel", is_flag=True, help="Power on with BOOTSEL held; without a --flash file: a blank board."
)
@click.option(
    "--cartridge",
    type=click.Choice(["treatment", "dummy", "none"]),
    default="treatment",
    show_default=True,
    help="What sits in it: a new one with 24 needles, the dummy for calibration, or nothing.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="How the pen is built, e.g. tip_gain=0.02: a parameter of the model; its _spread is drawn by the seed. "
    "Repeat it for several.",
)
@click.option(
    "--worn",
    multiple=True,
    metavar="NAME=VALUE",
    help="The same, changed since the factory calibrated the pen, e.g. tip_offset_um=-60.",
)
@click.option(
    "--gauge-seed",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Which depth gauge is at LINK.gauge: its error curve and scatter.",
)
@click.option(
    "--gauge-error-um",
    type=click.FloatRange(0, 1000),
    help="Largest error of the gauge, half width [default: that of a good 0.001 mm indicator].",
)
@click.option(
    "--gauge-repeatability-um",
    type=click.FloatRange(0, 1000),
    help="Scatter of the gauge, standard deviation [default: likewise].",
)
@click.option("--volume", type=click.Path(path_type=Path), help="Folder that is the drive in BOOTSEL mode.")
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
    flash: Path | None,
    bootsel: bool,
    cartridge: str,
    settings: tuple[str, ...],
    worn: tuple[str, ...],
    gauge_seed: int,
    gauge_error_um: float | None,
    gauge_repeatability_um: float | None,
    volume: Path | None,
    as_json: bool,
) -> None:
    """Keep an emulated pen alive on a pseudo-terminal and on TCP until Ctrl-C.

    The pen runs in real time: the real MicroPython and firmware on an emulated RP2040, wired to the pen's
    electronics and physics. Any serial program can connect, mpremote included. Several of them run side by side
    with a --name and a --seed each.

    In BOOTSEL mode the port goes and a folder appears (LINK.RPI-RP2 unless --volume says otherwise) that takes UF2
    files, as the drive of a real board does. The signal USR1 switches the board off and on with BOOTSEL held.

    At LINK.gauge is a depth gauge that reads this pen, with errors of its own: `needlepen gauge read simulated`.
    """
    from needlepen.calibration.gauges import SimulatedGauge, simulated
    from needlepen.devices import registry
    from needlepen.emulator.bootsel import VOLUME_LABEL
    from needlepen.emulator.factory_image import unique_id
    from needlepen.emulator.flash_file import FlashFile, read_flash
    from needlepen.emulator.gauge_port import GaugePort
    from needlepen.emulator.parameters import PenParameters
    from needlepen.emulator.server import Server, State, TcpPort, Terminal

    signal.signal(signal.SIGTERM, _interrupt)
    called = registry.check_name(name or Path(board_name).stem)
    with contextlib.ExitStack() as stack:
        terminal = Terminal(link or registry.default_link(called))
        stack.callback(terminal.close)
        port = None if tcp is None else TcpPort(tcp)
        if port is not None:
            stack.callback(port.close)
        content = read_flash(flash) if flash else None
        built = PenParameters().with_assignments(settings)
        if content is not None or bootsel:
            pen = _board(board_name, seed, content or b"", bootsel, built.with_assignments(worn))
        else:
            pen = _pen(board_name, kind, seed, app, factory, built, worn)
        _put_in(pen, cartridge)
        gauge = SimulatedGauge(
            lambda: pen.axis.protrusion_mm,
            gauge_seed,
            simulated.ERROR_UM if gauge_error_um is None else gauge_error_um,
            simulated.REPEATABILITY_UM if gauge_repeatability_um is None else gauge_repeatability_um,
        )
        gauge_port = GaugePort(gauge, terminal.link.with_name(f"{terminal.link.name}.gauge"))
        stack.callback(gauge_port.close)
        stored = FlashFile(pen.chip, flash) if flash else None
        if stored:
            stack.callback(stored.save)
        drive = volume or terminal.link.with_name(f"{terminal.link.name}.{VOLUME_LABEL}")
        tcp_port = port.port if port else None
        entry = registry.Entry(
            called,
            str(terminal.link),
            os.getpid(),
            unique_id(seed).hex(),
            tcp_port,
            gauge=str(gauge_port.link),
        )
        registry.write(replace(entry, state=registry.STARTING))
        stack.callback(registry.remove, called)

        def changed(state: State) -> None:
            registry.write(
                replace(entry, state=state, volume=str(drive) if state == registry.BOOTSEL else None)
            )
            if stored and state == "starting":
                stored.save()

        endpoints: list[Endpoint] = [terminal] if port is None else [terminal, port]
        server = Server(pen.chip, endpoints, drive, changed, beside=[gauge_port])
        if hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, lambda _number, _frame: server.power_on_with_bootsel())
        what = "what the flash file holds" if content else "a blank flash" if bootsel else _CONTENT[app]
        where = {"link": str(terminal.link), "tcp_port": tcp_port, "volume": str(drive)}
        _announce(where | {"gauge": str(gauge_port.link)}, pen.chip.engine_name, what, as_json)
        try:
            server.serve()
        except KeyboardInterrupt:
            click.echo("", err=True)


def _pen(
    board_name: str,
    kind: Kind,
    seed: int,
    app: bool,
    factory: bool,
    built: PenParameters,
    worn: tuple[str, ...],
) -> EmulatedPen:
    """With the records of the factory, with the firmware alone, or with bare MicroPython."""
    from needlepen.emulator import bench
    from needlepen.emulator.pen import EmulatedPen

    prepared = bench.prepare(board_name, kind)
    if app and factory:
        return prepared.make(built.cell_ocv_v, seed, parameters=built, worn=worn)
    image = prepared.application.image if app else None
    return EmulatedPen(prepared.board, prepared.runtime.path, image, built.with_assignments(worn), seed=seed)


def _board(board_name: str, seed: int, flash: bytes, bootsel: bool, parameters: PenParameters) -> EmulatedPen:
    """With this content of the flash; `bootsel`: the button is held at power-on."""
    from needlepen import board
    from needlepen.emulator.pen import EmulatedPen

    pen = EmulatedPen(
        board.load(board_name), None, None, parameters, seed=seed, flash=flash, bootsel_held=bootsel
    )
    pen.chip.bootsel_held = False
    return pen


def _put_in(pen: EmulatedPen, cartridge: str) -> None:
    """Change the cartridge that every new pen has."""
    if cartridge != "treatment":
        pen.unseat_cartridge()
    if cartridge == "dummy":
        pen.seat_dummy()


def _announce(where: dict[str, str | int | None], engine: str, content: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**where, "engine": engine, "content": content}))
        return
    click.echo(f"Emulated pen with {content} ({engine} engine), in real time. Connect with")
    click.echo(f"  mpremote connect {where['link']} repl")
    if where["tcp_port"] is not None:
        click.echo(f"  mpremote connect socket://127.0.0.1:{where['tcp_port']} repl")
    click.echo(f"  in BOOTSEL mode: copy a UF2 file into {where['volume']}")
    click.echo(f"  its depth gauge: {where['gauge']}")
    click.echo("Ctrl-C here ends it.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
