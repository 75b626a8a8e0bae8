"""The application image: the pen's file system (littlefs) with the compiled firmware.

Same sources, same bytes: littlefs stores no times, files are written in a fixed order. Images are cached by
the hash of everything that goes into them; an entry appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from littlefs import LittleFS, LittleFSError
from littlefs.context import UserContext

from needlepen import __version__, paths
from needlepen.board import Board
from needlepen.board.model import Flash
from needlepen.build import code_set, compiler, host_words, integrity
from needlepen.build.code_set import CodeSet
from needlepen.build.fold import fold_constants, needless_names
from needlepen.build.staging import FOLDED, Kind, content_hash, sources, write_files
from needlepen.errors import InfrastructureError, UsageError

# As MicroPython 1.25's rp2 port mounts it. Its littlefs refuses disk version 2.1, which newer ones write.
LITTLEFS: dict[str, Any] = {
    "prog_size": 256,
    "read_size": 256,
    "cache_size": 1024,
    "lookahead_size": 32,
    "disk_version": 0x00020000,
    "inline_max": 0xFFFFFFFF,  # no code inside the directories: the pen walks them for each file, at 3 ms a time
}
STAYS_SOURCE = ("main.py", "boot.py")  # MicroPython starts these by name, as source
_PROGRAM = "program.npb"
_FORMAT = 9  # increase when the way of building changes


@dataclass(frozen=True)
class AppImage:
    """A built application. `image` fills the board's file-system area; `files` gives the size of each file in it,
    `modules` the file of each module.
    """

    image: bytes
    sha256: str
    files: Mapping[str, int]
    modules: Mapping[str, str]
    staged_dir: Path
    path: Path
    content_sha256: str
    kind: Kind
    board: str
    program_sha256: str
    loader_crc: int

    @cached_property
    def program(self) -> CodeSet:
        """The program in it, as an update brings it."""
        from needlepen.update.bundle import parse_bundle

        return parse_bundle((self.path.parent / _PROGRAM).read_bytes()).program


def app_image(board: Board, kind: Kind = "development", firmware: Path | None = None) -> AppImage:
    """Build, or take from the cache, the application image of a board.

    Raises UsageError (file, line, reason) if the firmware cannot be compiled or does not fit.
    """
    staged = sources(board, kind, firmware)
    counter = code_set.security_counter(firmware)
    key = _key(staged, board.flash, counter)
    entry = paths.cache_dir() / "images" / key
    image = _load(entry)
    if image is None:
        _store(entry, staged, board, kind, counter)
        image = _load(entry)
        assert image is not None, f"the image just written to {entry} does not verify"
    return image


def export(image: AppImage, folder: Path) -> Path:
    """Write the image as BOARD-KIND.littlefs into `folder`, whole or not at all; returns its path."""
    name = f"{image.board}-{image.kind}.littlefs"
    try:
        write_files({name: image.image}, folder)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written ({error.strerror}); give another --out folder"
        ) from None
    return folder / name


def compile_files(staged: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the pen runs, from the staged sources: modules compiled, with imported constants folded in."""
    constants = {_module_name(name): _constants(staged[name]) for name in FOLDED if name in staged}
    texts = {_module_name(name): source.decode() for name, source in staged.items()}
    needless = needless_names(texts, constants)
    files: dict[str, bytes] = {}
    for name, source in sorted(staged.items()):
        if name in STAYS_SOURCE:
            files[name] = source
            continue
        module = _module_name(name)
        own = () if name in FOLDED else needless[module]
        text = texts[module]
        if module == host_words.MODULE:
            text = host_words.without_host_words(text, constants.get("pen.link.kinds", {}))
        folded = fold_constants(text, name, constants, needless, own).encode()
        files[str(PurePosixPath(name).with_suffix(".mpy"))] = compiler.compile_module(folded, name)
    return files


def pen_image(base: Mapping[str, bytes], program: CodeSet, flash: Flash) -> tuple[bytes, dict[str, bytes]]:
    """A pen's file system and its files by path. `base`: what starts the program, beside the sets.

    Made twice: where the files lie is known when they have been written, and the lists say it.
    """
    code: dict[str, int] = {}
    rest: dict[str, int] = {}
    for _ in range(2):
        files = {**base, **program.on_pen(code), integrity.MANIFEST: integrity.manifest(base, rest)}
        image = littlefs_image(files, flash)
        if not code:
            code = integrity.places(image, program.files, flash.block_bytes)
            rest = integrity.places(image, base, flash.block_bytes)
    assert code == integrity.places(image, program.files, flash.block_bytes), (
        "the second image is laid out otherwise"
    )
    return image, files


def build_program(
    staged: Mapping[str, bytes], board: Board, kind: Kind, counter: int
) -> tuple[dict[str, bytes], CodeSet]:
    """The files that start the program, by path, and the program as a set."""
    compiled = compile_files(staged)
    base = {name: data for name, data in compiled.items() if "/" not in name}
    modules = {name: data for name, data in compiled.items() if "/" in name}
    application = _constants(staged["pen/build_info.py"])["APPLICATION_HASH"]
    return base, code_set.make(modules, board.name, kind, __version__, application, counter)


def _module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _constants(source: bytes) -> Mapping[str, Any]:
    """What a generated module assigns: it holds nothing but literals."""
    values: dict[str, Any] = {}
    exec(compile(source, "generated", "exec"), {"__builtins__": {}}, values)
    return values


def littlefs_image(files: Mapping[str, bytes], flash: Flash) -> bytes:
    """A littlefs of the size the board's flash layout gives, holding `files` (path: content)."""
    context = UserContext(buffsize=flash.filesystem_bytes)
    filesystem = LittleFS(
        context=context, block_size=flash.block_bytes, block_count=flash.filesystem_blocks, **LITTLEFS
    )
    try:
        for name, data in sorted(files.items()):
            if parent := str(PurePosixPath(name).parent).removeprefix("."):
                filesystem.makedirs(parent, exist_ok=True)
            with filesystem.open(name, "wb") as file:
                file.write(data)
    except LittleFSError as error:
        total = sum(map(len, files.values()))
        raise UsageError(
            f"the application ({total} bytes in {len(files)} files) does not fit into the file system of "
            f"{flash.filesystem_bytes} bytes ({error}); make it smaller, or enlarge [flash] of the board"
        ) from None
    filesystem.unmount()
    return bytes(context.buffer)


def _key(staged: Mapping[str, bytes], flash: Flash, counter: int) -> str:
    versions = f"{_FORMAT} {compiler.compiler_version()} littlefs {version('littlefs-python')}"
    tools = f"{versions} {compiler.OPTIONS} {LITTLEFS} {flash} {counter}"
    return hashlib.sha256(f"{tools}\0{content_hash(dict(staged))}".encode()).hexdigest()[:32]


def _store(entry: Path, staged: Mapping[str, bytes], board: Board, kind: Kind, counter: int) -> None:
    """Build beside the entry, then rename it into place; an intact entry that another process made stays."""
    base, program = build_program(staged, board, kind, counter)
    image, files = pen_image(base, program, board.flash)
    from needlepen.update.bundle import (  # an unsigned bundle, to keep the program beside its image
        Bundle,
        make_bundle,
    )

    bundle = make_bundle(Bundle(program))
    about = {
        "sha256": hashlib.sha256(image).hexdigest(),
        "files": {name: len(data) for name, data in sorted(files.items())},
        "modules": {path: code_set.code_path(name) for path, name in program.modules.items()},
        "content_sha256": content_hash(dict(staged)),
        "loader_crc": integrity.loader_crc(base),
        "program_sha256": hashlib.sha256(bundle).hexdigest(),
        "kind": kind,
        "board": board.name,
    }
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=entry.parent) as work:
            new = Path(work) / "entry"
            write_files(dict(staged), new / "staged")
            (new / "app.littlefs").write_bytes(image)
            (new / _PROGRAM).write_bytes(bundle)
            (new / "about.json").write_text(json.dumps(about, indent=1) + "\n")
            if _load(entry) is None:
                shutil.rmtree(entry, ignore_errors=True)
                new.replace(entry)
    except OSError as error:
        if _load(entry) is None:
            raise InfrastructureError(
                f"{entry.parent}: the image cannot be stored ({error.strerror}); free space there, or set "
                "NEEDLEPEN_CACHE to another folder"
            ) from None


def _load(entry: Path) -> AppImage | None:
    """The cached image, None if there is none or its bytes do not match what was recorded."""
    try:
        about = json.loads((entry / "about.json").read_text())
        image = (entry / "app.littlefs").read_bytes()
        bundle = (entry / _PROGRAM).read_bytes()
        staged = {
            path.relative_to(entry / "staged").as_posix(): path.read_bytes()
            for path in (entry / "staged").rglob("*.py")
        }
    except (OSError, ValueError):
        return None
    intact = (
        isinstance(about, dict)
        and about.get("sha256") == hashlib.sha256(image).hexdigest()
        and about.get("content_sha256") == content_hash(staged)
        and about.get("program_sha256") == hashlib.sha256(bundle).hexdigest()
    )
    if not intact:
        return None
    return AppImage(image=image, staged_dir=entry / "staged", path=entry / "app.littlefs", **about)
