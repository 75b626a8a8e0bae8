"""The technicians' page in Chromium: who may see it, a whole calibration by keyboard, what goes wrong on the way."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import filelock
import pytest
from support.browsing import ARGUMENTS, PageProcess, Window, chromium, served_page
from support.line import Emulation
from support.served import ServedPen

from needlepen.devices import registry

BENCH = ("-m", "needlepen", "bench", "--json")
QUICK = ("-m", "support.bench_page")
"""The page with pens that have no chip: see there."""

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="there is no Chromium on this computer to open the page in"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield found
        found.close()


@pytest.fixture
def open_window(browser: Any) -> Iterator[Callable[..., Window]]:
    """open_window(url) is a window; at the end none of them has asked for anything outside, or gone wrong."""
    windows: list[Window] = []

    def make(url: str, **options: Any) -> Window:
        windows.append(Window(browser, url, **options))
        return windows[-1]

    yield make
    for window in windows:
        window.close()
    assert [window.outside for window in windows] == [[] for _ in windows], "the page works without a network"
    assert [window.wrong for window in windows] == [[] for _ in windows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def quick(folder: Path) -> Iterator[PageProcess]:
    """One page for the short tests; each of them leaves it at the beginning."""
    with served_page([*QUICK, str(folder)], folder) as process:
        yield process


def newest_journal(folder: Path) -> Path:
    return max((folder / "data" / "calibrations").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)


def leave(window: Window) -> None:
    """Leave the calibration, and go back to the beginning."""
    window.wait_enabled("l")
    window.press("l")
    window.wait_for("It is left")
    window.wait_enabled("b")
    window.press("b")
    window.wait_for("Unfinished calibrations")


def begin(window: Window, path: str = "") -> None:
    """From the opened page to the first point, by keyboard."""
    window.open(path)
    window.wait_for("e6600000", ".pen")
    window.type_into("Your name", "A. Weber")
    window.type_into("Room temperature", "22.5")
    window.wait_enabled("s")
    window.tab_to("Start the")
    window.press("Enter")
    window.wait_for("the cartridge:", ".conditions")
    window.wait_enabled("t")
    window.press("t")
    window.wait_for("Zero the gauge", timeout_s=60)
    window.wait_enabled("t")


def take(window: Window, readings: int) -> None:
    """So many readings, each with the key T."""
    for _ in range(readings):
        before = done(window)
        window.wait_enabled("t")
        window.press("t")
        _until(lambda before=before: done(window) > before)  # type: ignore[misc]


def done(window: Window) -> int:
    """How many readings are taken, as the page says."""
    return int(re.findall(r"(\d+) of \d+ readings", window.text("main"))[0])


def _until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


# ---------------------------------------------------------------------- who may see it
def _status(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _websocket_status(url: str, path: str) -> int:
    """Of the answer to the begin of a websocket."""
    host = urlsplit(url).netloc
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), 10) as link:
        link.sendall(
            f"GET {path}_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        return int(link.recv(4096).split()[1])


def test_only_who_has_the_whole_address_gets_anything(tmp_path: Path) -> None:
    with served_page(BENCH, tmp_path) as process:
        _look_at_access(process)
        assert process.end() == 0 and process.said() == ""


def _look_at_access(quick: PageProcess) -> None:
    parts = urlsplit(quick.url)
    base, token = f"http://{parts.netloc}", parts.path.strip("/")
    assert parts.hostname == "127.0.0.1" and len(token) >= 32
    assert _status(quick.url) == 200 and _websocket_status(quick.url, parts.path) == 101
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    asset = re.findall(
        r"/_nicegui/[^\"]*vue[^\"]*js", urllib.request.urlopen(quick.url, timeout=10).read().decode()
    )[0]
    assert _status(f"{quick.url.rstrip('/')}{asset}") == 200
    for path in (
        "/",
        "/check",
        f"/{wrong}/",
        f"/{wrong}/live",
        f"/x/{token}/",
        asset,
        f"/?token={token}",
        "/docs",
    ):
        assert _status(base + path) == 403, path
    for path in ("/", f"/{wrong}/"):
        assert _websocket_status(quick.url, path) == 403, path
    assert _status(quick.url, Host=f"evil.example:{parts.port}") == 403
    assert _status(quick.url, Origin="http://evil.example") == 403
    with pytest.raises(OSError):  # nothing but this one address listens
        socket.create_connection(("127.0.0.2", parts.port or 0), 2).close()


def test_the_command_says_where_the_page_is_and_a_taken_port_is_an_error_in_one_line(tmp_path: Path) -> None:
    with served_page(BENCH, tmp_path) as process:
        import subprocess
        import sys

        port = urlsplit(process.url).port
        second = [sys.executable, "-m", "needlepen", "bench", "--no-open", "--port", str(port)]
        done = subprocess.run(
            second, env=process.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (
            2,
            "",
            1,
        ) and "--port" in done.stderr
        assert process.end() == 0 and process.said() == ""


# ---------------------------------------------------------------------- guided steps
def test_a_bad_reading_is_doubted_and_repeated(
    quick: PageProcess, open_window: Callable[..., Window], folder: Path
) -> None:
    window = open_window(quick.url)
    begin(window)
    take(window, 4)
    (folder / "offset_um").write_text("400")
    window.press("t")
    window.wait_for("Doubtful", ".verdict")
    window.wait_enabled("k")
    window.screenshot("bench_doubt")
    assert "Repeat it, or keep it knowingly" in window.text(".verdict")
    (folder / "offset_um").unlink()
    window.press("r")
    window.wait_enabled("t")
    window.press("t")
    window.wait_for("Plausible", ".verdict")
    assert done(window) == 5, "the repeated reading took the place of the bad one"
    leave(window)
    journal = newest_journal(folder).read_text().splitlines()
    taken = [line["data"]["taken"] for line in map(json.loads, journal) if line["event"] == "taken"]
    assert len(taken) == 6 and [t["point"]["number"] for t in taken[-2:]] == [4, 4], (
        "the bad one is kept beside"
    )


@pytest.mark.nightly
def test_closing_the_window_leaves_it_and_another_one_goes_on(
    quick: PageProcess, open_window: Callable[..., Window], folder: Path
) -> None:
    first = open_window(quick.url)
    begin(first)
    take(first, 3)
    second = open_window(quick.url)
    second.open()
    second.wait_for("Another window drives this")
    assert second.page.locator('button[data-key="t"]').is_disabled()
    first.close()
    second.close()
    with filelock.FileLock(newest_journal(folder).with_suffix(".lock"), timeout=30):
        pass  # nobody works on it any more
    third = open_window(quick.url)
    third.open()
    third.wait_for("It is left")
    third.wait_enabled("b")
    third.press("b")
    third.wait_for("Unfinished calibrations")
    third.wait_for("3 of 137 readings by A. Weber")
    third.tab_to("Go on")
    third.press("Enter")
    third.wait_for("Set the pen's nose on the gauge")
    assert done(third) == 3
    take(third, 1)
    assert done(third) == 4
    leave(third)


def test_a_lost_gauge_is_said_and_it_goes_on_by_itself(
    quick: PageProcess, open_window: Callable[..., Window], folder: Path
) -> None:
    window = open_window(quick.url)
    begin(window)
    take(window, 2)
    (folder / "no_gauge").touch()
    window.wait_for("Interrupted; no reading is lost", ".verdict")
    assert "plug its cable in" in window.text(".verdict")
    (folder / "no_gauge").unlink()
    window.wait_enabled("t")
    assert done(window) == 2
    take(window, 1)
    leave(window)


def test_a_typed_reading_that_is_none_is_not_taken(
    quick: PageProcess, open_window: Callable[..., Window], folder: Path
) -> None:
    (folder / "typed").touch()
    window = open_window(quick.url)
    begin(window)
    window.page.keyboard.type("0,00l")
    window.press("Enter")
    window.page.locator(".q-field--error").wait_for()
    assert done(window) == 0
    window.press("Control+a")
    window.page.keyboard.type("0.001")
    window.press("Enter")
    _until(lambda: done(window) == 1)
    window.wait_enabled("t")
    window.press("Escape")  # out of the field: letters press buttons again
    leave(window)
    (folder / "typed").unlink()


def test_the_daily_check_ends_with_a_verdict_and_its_trend(
    quick: PageProcess, open_window: Callable[..., Window], folder: Path
) -> None:
    window = open_window(quick.url)
    begin(window, "check")
    take(window, 3)
    window.wait_enabled("t")
    window.press("t")
    window.wait_for("PASS", ".banner")
    assert "within its tolerance today" in window.text(".banner")
    window.wait_enabled("n")
    window.press("n")
    window.wait_enabled("s")
    window.open("history")
    window.wait_for("Daily checks")
    window.page.locator(".chart svg").first.wait_for()


def test_a_pen_that_cannot_meet_its_tolerance_is_refused_with_the_reason(
    open_window: Callable[..., Window], tmp_path: Path
) -> None:
    """Its needles stand 0.2 mm behind the nose plane at home, where no curve reaches: 0.00 mm is home itself."""
    with served_page([*QUICK, str(tmp_path), "tip_offset_um=-170"], tmp_path) as process:
        window = open_window(process.url)
        begin(window)
        window.press("a")  # the simulated gauge needs nobody
        window.wait_for("FAIL", ".banner", timeout_s=120)
        assert "At 0.00 mm the pen will be off by" in window.text(".banner")
        window.wait_for("Refusal report")
        window.wait_for("was withdrawn")
        journal = newest_journal(tmp_path).read_text().splitlines()
        decided = next(
            line["data"]["calibration"] for line in map(json.loads, journal) if line["event"] == "decided"
        )
        assert not decided["decision"]["accepted"] and decided["record_hex"]


def test_a_whole_calibration_by_keyboard_alone_to_pass_and_certificate(
    open_window: Callable[..., Window], tmp_path: Path
) -> None:
    """With a pen that has no chip; with a whole emulated one every night."""
    with served_page([*QUICK, str(tmp_path)], tmp_path) as process:
        window = open_window(process.url)
        begin(window)
        window.press("t")
        window.wait_for("Set the pen's nose on the gauge")
        window.wait_enabled("a")
        window.press("a")  # the simulated gauge needs nobody
        _passed(window, process, timeout_s=120)


def _passed(window: Window, process: PageProcess, timeout_s: float) -> None:
    """The end of a calibration: PASS, both documents, and a row in the history."""
    window.page.locator(".banner").wait_for(timeout=1_000 * timeout_s)
    window.screenshot("bench_result")
    assert "PASS" in window.text(".banner") and "is calibrated until" in window.text(".banner")
    assert _certificates(window, process) == {"pdf": b"%PDF-", "html": b"<!doct"}
    window.open("history")
    window.wait_for("A. Weber")
    window.screenshot("bench_history")


# ---------------------------------------------------------------------- emulated pens
@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_whole_calibration_of_an_emulated_pen_by_keyboard_alone_to_pass_and_certificate(
    open_window: Callable[..., Window], tmp_path: Path, runtime: Path
) -> None:
    """In real time: the pen is the whole emulated one in another process, its gauge sends text over a port."""
    emulation = Emulation(tmp_path / "state", "left", "--seed", "1", "--cartridge", "dummy")
    try:
        with served_page(BENCH, tmp_path) as process:
            window = open_window(process.url)
            begun_s = time.monotonic()
            begin(window)
            window.screenshot("bench_zero")
            window.press("t")
            window.wait_for("Set the pen's nose on the gauge")
            window.wait_enabled("a")
            window.press("a")
            window.wait_for("Calibration, run 6", timeout_s=180)
            window.screenshot("bench_calibration")
            window.press("p")  # a pause, and on
            window.wait_enabled("a")
            window.press("a")
            _passed(window, process, timeout_s=300)
            took_s = time.monotonic() - begun_s
            print(f"whole calibration on the page: {took_s:.0f} s of wall time, seed 1")
            window.close()
            assert process.end() == 0
    finally:
        emulation.close()


def _certificates(window: Window, process: PageProcess) -> dict[str, bytes]:
    """The first bytes of both documents."""
    links = [link.get_attribute("href") for link in window.page.locator("a.document").all()]
    found = {}
    for link in links:
        with urllib.request.urlopen(process.url + str(link), timeout=60) as answer:
            found[str(link).rsplit("/", 1)[1]] = (
                answer.read(6).lower() if "html" in str(link) else answer.read(5)
            )
    return found


def test_a_running_pen_is_watched_and_its_fault_is_said_in_words(
    pen: ServedPen, open_window: Callable[..., Window], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("NEEDLEPEN_STATE", str(tmp_path / "state"))
    registry.write(registry.Entry("left", pen.link, os.getpid(), "e660000000000000", pen.tcp_port))
    pen.let_pass(250)  # the trigger has to be up for 200 ms before a press counts
    with served_page(BENCH, tmp_path) as process:
        window = open_window(process.url)
        window.open("live")
        window.wait_for("e660000000000000", ".pen")
        window.wait_enabled("w")
        window.press("w")
        window.wait_for("armed", ".state")
        pen.do(lambda p: p.press())
        window.wait_for("running", ".state")
        pen.let_pass(1500)
        window.screenshot("bench_live")
        rate_hz = float(window.text(".live-values .number").split("\n")[0].removesuffix("Hz"))
        assert 80 < rate_hz < 120, "set to 100 Hz"
        pen.do(lambda p: p.electronics.jam(p.now_ns, True))
        window.wait_for("safe", ".state")
        window.wait_for("What to do:", ".words .fault")
        assert "(SR-0" in window.text(".words .fault")
        window.press("l")
        window.wait_for("Watch this pen")
        window.close()
        assert process.end() == 0


# ---------------------------------------------------------------------- for everybody
STYLE = Path(__file__).parents[2] / "host_tools" / "needlepen" / "bench_page" / "assets" / "style.css"
PAIRS = [
    ("ink", "ground"), ("ink", "panel"), ("ink", "soft"), ("ink", "accent-soft"), ("muted", "ground"),
    ("muted", "panel"), ("muted", "soft"), ("on-accent", "accent"), ("accent", "panel"), ("accent", "accent-soft"),
    ("pass", "pass-soft"), ("fail", "fail-soft"), ("doubt", "doubt-soft"), ("fail", "panel"),
]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_of_text_have_the_contrast_of_wcag_aa(theme: str) -> None:
    """4.5 to 1 for text (WCAG 2.2, 1.4.3), 3 to 1 for the ring around the focus (1.4.11)."""
    block = re.findall(rf"body--{theme} \{{(.*?)\}}", STYLE.read_text(), re.DOTALL)[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    for text, ground in PAIRS:
        assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for ground in ("ground", "panel", "soft"):
        assert _contrast(colours["focus"], colours[ground]) >= 3.0, ground


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio of relative luminances."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
