"""The ways to a MicroPython image: the download, the machine's Debian mirror, the commands of the build."""

from __future__ import annotations

import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from steps import Steps

from needlepen.runtime import apt_sources, debian_packages, download
from needlepen.runtime.model import Wanted, WayFailedError
from needlepen.runtime.process import LoggedCommands

IMAGE = bytes(range(256)) * 8


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
        self.send_header("Content-Length", str(len(IMAGE)))
        self.end_headers()
        self.wfile.write(IMAGE if self.path == "/whole" else IMAGE[:700])

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
    assert download.download(f"{publisher}/whole", steps) == IMAGE
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
