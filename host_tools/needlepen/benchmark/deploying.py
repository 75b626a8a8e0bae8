"""A one-line change on its way to a pen: by our deploy, and by `mpremote cp -r` of the tree of compiled modules."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from littlefs import UserContext

from needlepen import paths
from needlepen.build import app_image
from needlepen.build.code_set import CodeSet
from needlepen.emulator.bench import Bench
from needlepen.emulator.pen import EmulatedPen
from needlepen.emulator.server import Server, Terminal
from needlepen.errors import InfrastructureError
from needlepen.link.client import messages
from needlepen.records import ImageFiles
from needlepen.update import Bundle, report, transfer

CHANGED = "pen/thermal.py"
_TREE = "tree"
_PAUSE_NS = 50e6
_ON_NS = 40e9
_SETTLE_NS = 3e9


@dataclass(frozen=True)
class Cost:
    """What it took: device time in s until the files are there, and until the pen runs them; bytes to the pen."""

    files_s: float
    runs_s: float
    bytes: int


def one_line_change(bench: Bench) -> CodeSet:
    """The program of the project's firmware with one line more."""
    with tempfile.TemporaryDirectory() as folder:
        firmware = Path(folder) / "firmware"
        shutil.copytree(paths.firmware_dir(), firmware)
        with (firmware / CHANGED).open("a", encoding="utf-8") as file:
            file.write("\nONE_LINE = 1\n")
        return app_image(bench.board, "development", firmware).program


def by_deploy(bench: Bench, new: CodeSet, engine: str = "auto") -> Cost:
    """On a pen that has been on for a while, so that its flash test has been through all files."""
    pen = bench.make(engine=engine)
    pen.power_up()
    pen.run_for(_ON_NS)
    with _counted(pen) as sent:
        begun_ns = pen.now_ns
        pen.command(messages.OPEN_SERVICE)
        transfer(pen, Bundle(new), pause=lambda: pen.run_for(_PAUSE_NS))
        files_s = (pen.now_ns - begun_ns) / 1e9
        pen.power_up()
        runs_s = (pen.now_ns - begun_ns) / 1e9
        pen.run_for(_SETTLE_NS)
        program = report(pen).program
        if program != new.name:
            raise InfrastructureError(f"The pen runs {program} after the deploy, not {new.name}.")
        return Cost(files_s, runs_s, sum(sent))


def by_mpremote(bench: Bench, old: CodeSet, new: CodeSet, engine: str = "auto") -> Cost:
    """Onto a pen that has the tree from before: mpremote compares hashes and copies what differs; then a reset."""
    pen = bench.make(engine=engine)
    flash, area = pen.chip.mcu.flash, bench.board.flash
    begin, end = area.filesystem_offset, area.filesystem_offset + area.filesystem_bytes
    flash[begin:end] = _with_tree(bytes(flash[begin:end]), old, bench)
    pen.power_up()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / _TREE
        for path, name in new.modules.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(new.files[name])
        link = Path(folder) / "port"
        with _counted(pen) as sent:
            begun_ns = pen.now_ns
            with _served(pen, link):
                _mpremote(link, "cp", "-r", str(tree), ":")
                files_s = (pen.now_ns - begun_ns) / 1e9
                _mpremote(link, "resume", "reset")
            pen.link.lost()
            pen.power_up()
            return Cost(files_s, (pen.now_ns - begun_ns) / 1e9, sum(sent))


def _mpremote(link: Path, *words: str) -> None:
    command = [sys.executable, "-m", "mpremote", "connect", str(link), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise InfrastructureError(f"mpremote failed: {done.stderr.strip() or done.stdout.strip()}")


def _with_tree(image: bytes, program: CodeSet, bench: Bench) -> bytes:
    """The file system with the modules of a program as a tree, as an earlier `mpremote cp -r` has left them."""
    context = UserContext(buffer=bytearray(image))
    files = ImageFiles(context, bench.board.flash)
    for path, name in program.modules.items():
        target = f"/{_TREE}/{path}"
        files.make_folder(target.rsplit("/", 1)[0])
        files.write(target, program.files[name])
    return bytes(context.buffer)


@contextmanager
def _counted(pen: EmulatedPen) -> Iterator[list[int]]:
    """Lengths of what is written to the pen's console."""
    lengths: list[int] = []
    write: Callable[[bytes], None] = pen.chip.console.write

    def counting(data: bytes) -> None:
        lengths.append(len(data))
        write(data)

    pen.chip.console.write = counting  # type: ignore
    pen.link._send = counting
    try:
        yield lengths
    finally:
        pen.chip.console.write = write  # type: ignore
        pen.link._send = write


@contextmanager
def _served(pen: EmulatedPen, link: Path) -> Iterator[None]:
    """The pen on a pseudo-terminal, in a thread."""
    terminal = Terminal(link)
    stop = threading.Event()
    thread = threading.Thread(target=Server(pen.chip, [terminal]).serve, args=(stop.is_set,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        terminal.close()
