"""The compiled engine and its plain twin give the same results, to the nanosecond and to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from needlepen.emulator import engine, native_build
from needlepen.errors import InfrastructureError, UsageError

HERE = Path(__file__).parent
needs_compiler = pytest.mark.skipif(native_build.compiler() is None, reason="no C compiler on this machine")


def run_with(engine_name: str, script: str, *arguments: object) -> Any:
    """The JSON that a script prints in a process of its own with this engine."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "NEEDLEPEN_ENGINE": engine_name},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_compiler
def test_both_engines_do_the_same_with_a_mixed_guest_program(runtime: Path) -> None:
    fast, plain = (run_with(name, "guest_run.py", runtime) for name in ("compiled", "python"))
    assert (fast.pop("engine"), plain.pop("engine")) == ("compiled", "python")
    assert not fast["error"] and fast["events"] > 1000 and len(fast["edges_4"]) >= 20
    assert fast == plain


@needs_compiler
@pytest.mark.parametrize("seed", [1, 2])
def test_both_cpus_agree_on_random_code(runtime: Path, seed: int) -> None:
    fast, plain = (run_with(name, "cpu_fuzz.py", runtime, seed, 300) for name in ("compiled", "python"))
    different = [index for index, (a, b) in enumerate(zip(fast, plain, strict=True)) if a != b]
    assert not different, f"seed {seed}, block {different[0]}: {fast[different[0]]} != {plain[different[0]]}"


def test_an_unknown_engine_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLEPEN_ENGINE", "warp")
    with pytest.raises(UsageError, match="warp"):
        engine.load()


def test_without_a_compiler_a_compiled_engine_is_an_infrastructure_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native_build, "compiler", lambda: None)
    with pytest.raises(InfrastructureError, match="No C compiler"):
        native_build.build()


@needs_compiler
def test_a_changed_source_gets_a_new_place_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = native_build.compiler()
    assert command is not None
    module = next(m for m in native_build.modules() if m.name.endswith("lockstep"))
    changed = tmp_path / module.source.name
    changed.write_bytes(module.source.read_bytes() + b"\n# changed\n")
    other = native_build.Module(module.name, changed)
    assert native_build._artifact(module, command) != native_build._artifact(other, command)
    assert native_build._artifact(module, command) == native_build._artifact(module, command)


@needs_compiler
def test_what_is_missing_is_compiled_in_the_middle_of_an_import(tmp_path: Path) -> None:
    """An import holds locks that threads of the same process would wait for."""
    native_build.build()
    built = native_build.built()
    assert built is not None
    for name, file in built.items():
        place = tmp_path / "engine" / file.parent.name
        place.mkdir(parents=True)
        if not name.endswith("._bit"):  # the one that compiles fastest
            (place / file.name).symlink_to(file)
    done = subprocess.run(
        [sys.executable, "-c", "from needlepen.emulator import lockstep; print(lockstep.NAME)"],
        env={**os.environ, "NEEDLEPEN_ENGINE": "compiled", "NEEDLEPEN_CACHE": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == "compiled\n" and "compiling the fast engine" in done.stderr, done.stderr
