"""Stage the application: the firmware's sources and the generated modules in one folder, as on the pen."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Literal

from needlepen import __version__, access_table, events, paths, requirements, signals, supervision
from needlepen.board import Board
from needlepen.board.codegen import board_module
from needlepen.build.cartridges_module import cartridge_types_module, profiles_module
from needlepen.build.events_module import events_module
from needlepen.build.limits_module import limits_module
from needlepen.build.roles_module import roles_module
from needlepen.build.signals_module import signals_module
from needlepen.build.supervision_module import faults_module, states_module
from needlepen.cartridges import tables as cartridges
from needlepen.errors import UsageError

GENERATED = (
    "pen/board.py",
    "pen/limits.py",
    "pen/states.py",
    "pen/faults.py",
    "pen/signals.py",
    "pen/cartridge_types.py",
    "pen/profiles.py",
    "pen/events.py",
    "pen/roles.py",
)
"""Modules of plain constants that the build makes."""
FOLDED = (*GENERATED, "pen/places.py", "pen/link/kinds.py", "pen/store/numbers.py")
"""Modules of nothing but constants: the modules that import from them get the values themselves."""

_NO_CTRL_C = b"__import__('micropython').kbd_intr(-1)\n"
"""First line of what MicroPython starts by itself, in a production build: Ctrl-C ends nothing from here on."""

Kind = Literal["development", "production"]
KINDS: tuple[Kind, ...] = ("development", "production")


def sources(board: Board, kind: Kind = "development", firmware: Path | None = None) -> dict[str, bytes]:
    """The staged files by path on the pen: sources, then pen/board.py, limits.py and build_info.py.

    `firmware` is the folder with main.py and pen/ (the project's own by default). Raises UsageError if it has
    no main.py, or holds a module that the build generates.
    """
    folder = firmware or paths.firmware_dir()
    found = [*folder.glob("*.py"), *(folder / "pen").rglob("*.py")]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(found)}
    for name, data in files.items():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{folder / name}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    if "main.py" not in files:
        raise UsageError(f"{folder}: no main.py, so that the pen would start nothing; give a firmware folder")
    tables = supervision.load(folder)
    generated = {
        "pen/board.py": board_module(board).encode(),
        "pen/limits.py": limits_module(requirements.load()).encode(),
        "pen/states.py": states_module(tables).encode(),
        "pen/roles.py": roles_module(
            access_table.load(folder), paths.firmware_file("pen/link/kinds.py", folder).read_text()
        ).encode(),
        "pen/faults.py": faults_module(tables).encode(),
        "pen/signals.py": signals_module(signals.load(folder)).encode(),
        "pen/events.py": events_module(events.load(folder)).encode(),
        "pen/cartridge_types.py": cartridge_types_module(cartridges.load_types(folder)).encode(),
        "pen/profiles.py": profiles_module(cartridges.load_profiles(folder)).encode(),
    }
    clash = sorted((generated.keys() | {"pen/build_info.py"}) & files.keys())
    if clash:
        raise UsageError(f"{folder / clash[0]}: the build generates this module; remove the file")
    files |= generated
    if kind == "production":
        for name in {"boot.py", "main.py"} & files.keys():
            files[name] = _NO_CTRL_C + files[name]
    files["pen/build_info.py"] = _build_info(board, kind, content_hash(files), _revision(folder)).encode()
    return files


def stage(board: Board, target_dir: Path, kind: Kind = "development", firmware: Path | None = None) -> Path:
    """Write the staged files into `target_dir` and return it. What else is in the folder stays."""
    write_files(sources(board, kind, firmware), target_dir)
    return target_dir


def write_files(files: dict[str, bytes], target_dir: Path) -> None:
    """Write files by path below `target_dir`; each appears whole or not at all."""
    for name, data in files.items():
        path = target_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(data)
        temporary.replace(path)


def content_hash(files: dict[str, bytes]) -> str:
    """SHA-256 (hex) over names and contents, independent of the order."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return digest.hexdigest()


def _build_info(board: Board, kind: Kind, content: str, revision: str) -> str:
    values = {
        "VERSION": __version__,
        "BOARD_NAME": board.name,
        "BUILD_KIND": kind,
        "REVISION": revision,
        "APPLICATION_HASH": content,
    }
    return "# Generated by the build.\n" + "".join(f"{name} = {value!r}\n" for name, value in values.items())


def _revision(folder: Path) -> str:
    """Git revision of the sources, "" where they are not a working tree of their own (an installed wheel)."""
    if not (folder.parent / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
