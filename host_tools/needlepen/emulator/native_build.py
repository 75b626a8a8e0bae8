"""Building the compiled engine: rp2040py's own Cython sources for this very Python, and ours, into the cache.

The published wheels of rp2040py are built against Python's limited API, which costs most of the speed of
Cython. Their sources come with the wheel, so they are compiled again here without that limit. Nothing that
is installed is changed: each module's result lies in the cache under a hash of everything that went into
it, so that a changed source costs only its own compilation.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from needlepen import paths
from needlepen.errors import InfrastructureError

# rp2040py's compiled modules that the engine uses; its run loop and PIO are not among them: ours replace
# them.
UPSTREAM = ("_bit", "_simulation_clock", "_gpio_pin", "_cortex_m0_core", "_rp2040")
# Modules of this folder that are compiled; .py ones run uncompiled too (Cython's pure Python mode).
OWN = (
    "lockstep.pyx",
    "thumb.pyx",
    "pio_shared.py",
    "pio_state.py",
    "pio_machine.py",
    "pio_block.py",
    "sio_block.py",
    "timer_block.py",
    "adc_model.py",
    "physics.py",
    "pen_state.py",
    "cam.py",
    "motor_circuit.py",
    "front_end.py",
)
# Not -march=native: a cache on a shared home folder may be read by another machine, and it gained nothing
# measurable.
COMPILE_FLAGS = ("-O2", "-g0", "-fno-plt", "-Wno-unreachable-code")
DIRECTIVES = {"language_level": "3", "boundscheck": "False", "wraparound": "False", "cdivision": "True"}

LOCK_TIMEOUT_S = 300
FORGET_AFTER_S = 30 * 24 * 3600
_FAILED = "failed.log"  # left in place of an optional module that did not compile: not tried again

_CIMPORT = re.compile(r"^from ([\w.]+) cimport", re.MULTILINE)

Progress = Callable[[int, int, str], None]
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Module:
    """One extension module: its dotted name and the source it is made from."""

    name: str
    source: Path

    @property
    def is_optional(self) -> bool:
        """A Python source runs uncompiled too, so failing to compile it costs speed and nothing else, unless
        another module builds on its C types."""
        return self.source.suffix == ".py" and not self.source.with_suffix(".pxd").exists()

    @property
    def relative(self) -> Path:
        """Where its source lies inside the build folder, which mirrors the package structure."""
        return Path(*self.name.split(".")).with_suffix(self.source.suffix)


def _upstream_folder() -> Path:
    spec = importlib.util.find_spec("rp2040py")  # finding it does not import it
    if spec is None or spec.origin is None:
        raise InfrastructureError("The package rp2040py is missing; install needlepen with its dependencies.")
    return Path(spec.origin).parent / "native"


def modules() -> list[Module]:
    """Every module of the engine, in the order in which it is best compiled (the slowest first)."""
    found = [Module(f"needlepen.emulator.{Path(n).stem}", _HERE / n) for n in OWN if (_HERE / n).exists()]
    upstream = _upstream_folder()
    found += [Module(f"rp2040py.native.{n}", upstream / f"{n}.pyx") for n in UPSTREAM]
    return sorted(found, key=lambda m: -m.source.stat().st_size)


def _headers(module: Module) -> list[tuple[Path, Path]]:
    """The .pxd files (path, place in the build folder) with the C types that this module uses."""
    todo, found = [module.name], dict[Path, Path]()
    sources: dict[str, Path | None] = {module.name: module.source}
    while todo:
        name = todo.pop()
        folder = _upstream_folder() if name.startswith("rp2040py.") else _HERE
        header = folder / f"{name.rsplit('.', 1)[-1]}.pxd"
        texts = [
            path.read_text() for path in (sources.get(name), header) if path is not None and path.exists()
        ]
        if header.exists():
            found[header] = Path(*name.split(".")[:-1]) / header.name
        names = {match for text in texts for match in _CIMPORT.findall(text)}
        todo += [n for n in names if n not in sources and n.startswith(("rp2040py.", "needlepen."))]
        sources.update(dict.fromkeys(names - sources.keys()))
    return sorted(found.items())


def compiler() -> str | None:
    """The C compiler that Python's build configuration names, or None if it or Python's headers are
    missing."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    found = shutil.which(command) or shutil.which("cc")
    if found is None or not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return None
    return found


def _compiler_version(command: str) -> str:
    stat = Path(command).resolve().stat()
    return f"{Path(command).resolve()}:{stat.st_size}:{int(stat.st_mtime)}"


def _key(module: Module, command: str) -> str:
    """A short hash of all that determines the result: sources, flags, Python, compiler and the tools'
    versions."""
    digest = hashlib.sha256()
    parts = [module.name, sys.version, str(sysconfig.get_config_var("SOABI")), _compiler_version(command)]
    parts += [f"{p}={importlib.metadata.version(p)}" for p in ("rp2040py", "cython", "setuptools")]
    for part in [*parts, *COMPILE_FLAGS, *(f"{k}={v}" for k, v in DIRECTIVES.items())]:
        digest.update(part.encode() + b"\0")
    for path in [module.source] + [p for p, _ in _headers(module)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled modules are kept."""
    return paths.cache_dir() / "engine"


def _artifact(module: Module, command: str) -> Path:
    name = module.name.rsplit(".", 1)[-1] + str(sysconfig.get_config_var("EXT_SUFFIX"))
    return cache_folder() / _key(module, command) / name


def built() -> dict[str, Path] | None:
    """The files of the ready engine by module name, or None if something has to be built first (or cannot
    be)."""
    command = compiler()
    if command is None:
        return None
    found: dict[str, Path] = {}
    for module in modules():
        file = _artifact(module, command)
        if file.exists():
            found[module.name] = file
        elif not file.with_name(_FAILED).exists():
            return None
    return found


@contextlib.contextmanager
def _only_one_builder(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    deadline_s = time.monotonic() + LOCK_TIMEOUT_S
    with (root / "build.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(
                    lock, fcntl.LOCK_EX | fcntl.LOCK_NB
                )  # released by closing, also when the process dies
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise InfrastructureError(
                        f"Another process has been compiling the fast engine for {LOCK_TIMEOUT_S} s "
                        f"({lock.name} is locked); end it, or set NEEDLEPEN_ENGINE=python."
                    ) from None
                time.sleep(0.2)
        yield


_ONE_MODULE = """
import sys
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from Cython.Build import cythonize
name, source, *flags = sys.argv[1:]
directives = dict(d.split("=") for d in flags if "=" in d and not d.startswith("-"))
directives = {k: {"True": True, "False": False}.get(v, v) for k, v in directives.items()}
extension = Extension(name, [source], extra_compile_args=[f for f in flags if f.startswith("-")])
distribution = Distribution({"name": "engine", "ext_modules": cythonize(
    [extension], compiler_directives=directives, quiet=True, include_path=["."])})
command = build_ext(distribution)
command.inplace, command.build_temp = False, f"build/{name}"
command.build_lib = "lib"
command.ensure_finalized()
command.run()
"""


def _compile(module: Module, command: str) -> None:
    artifact = _artifact(module, command)
    root = artifact.parent.parent
    with tempfile.TemporaryDirectory(dir=root, prefix="build-") as temporary:
        work = Path(temporary)
        _stage(module, work)
        settings = [*COMPILE_FLAGS, *(f"{k}={v}" for k, v in DIRECTIVES.items())]
        done = subprocess.run(
            [sys.executable, "-c", _ONE_MODULE, module.name, str(module.relative), *settings],
            cwd=work, capture_output=True, text=True, check=False,
        )  # fmt: skip
        result = work / "lib" / Path(*module.name.split(".")[:-1]) / artifact.name
        artifact.parent.mkdir(exist_ok=True)
        if done.returncode or not result.exists():
            log = artifact.with_name(_FAILED if module.is_optional else "error.log")
            log.write_text(done.stdout + done.stderr)
            if module.is_optional:
                return
            raise InfrastructureError(
                f"Compiling {module.name} for the fast engine failed; without it the emulator is slow. "
                f"See {log}, or set NEEDLEPEN_ENGINE=python to do without."
            )
        result.replace(artifact)


def _stage(module: Module, work: Path) -> None:
    for package in ("rp2040py", "rp2040py/native", "needlepen", "needlepen/emulator"):
        (work / package).mkdir(parents=True, exist_ok=True)
        (work / package / "__init__.py").write_text("")
    shutil.copy(module.source, work / module.relative)
    for source, place in _headers(module):
        shutil.copy(source, work / place)


def build(progress: Progress | None = None) -> dict[str, Path]:
    """Compile what is not in the cache yet, and return the files of the engine by module name.

    Raises InfrastructureError when there is no C compiler, or when compiling fails.
    """
    command = compiler()
    if command is None:
        raise InfrastructureError(
            "No C compiler with Python's headers was found, so the fast engine cannot be built. "
            "Install them (on Debian: gcc and python3-dev), or set NEEDLEPEN_ENGINE=python."
        )
    with _only_one_builder(cache_folder()):
        missing = [m for m in modules() if not _is_settled(_artifact(m, command))]
        _compile_all(missing, command, progress)
        _forget_old({_artifact(module, command).parent for module in modules()})
        return built() or {}


def _is_settled(artifact: Path) -> bool:
    return artifact.exists() or artifact.with_name(_FAILED).exists()


def _forget_old(keep: set[Path]) -> None:
    """Remove results that no version of the sources has used for a month."""
    for folder in cache_folder().iterdir():
        if folder.is_dir() and folder not in keep and folder.stat().st_mtime < time.time() - FORGET_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


def _compile_all(missing: list[Module], command: str, progress: Progress | None) -> None:
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
        futures = {pool.submit(_compile, module, command): module for module in missing}
        try:
            for count, future in enumerate(concurrent.futures.as_completed(futures), 1):
                future.result()
                if progress:
                    progress(count, len(missing), futures[future].name)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


if __name__ == "__main__":
    try:
        build()
    except InfrastructureError as error:
        sys.exit(str(error))
