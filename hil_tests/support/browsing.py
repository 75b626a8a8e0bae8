"""Chromium without a window, and the technicians' page in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_S = 60.0
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
SIZE = {"width": 1280, "height": 800}


def chromium() -> str | None:
    """Where the browser is, None without one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class PageProcess:
    """A program that prints the address of its page as one line of JSON.

    `folder` gets the names, locks and records of this test.
    """

    def __init__(self, command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> None:
        own = {
            f"NEEDLEPEN_{name}": str(folder / name.lower()) for name in ("STATE", "DATA", "CONFIG", "KEYS")
        }
        tests = str(Path(__file__).parents[1])
        path = os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH"))))
        self.environment = os.environ | own | {"PYTHONPATH": path} | dict(more or {})
        self.environment.pop("PYTEST_CURRENT_TEST", None)  # NiceGUI would take itself for a part of a test
        self._log = (folder / "page.log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, *command],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.said()
        self.url = str(json.loads(line)["url"])

    def said(self) -> str:
        """What it wrote to its standard error."""
        self._log.flush()
        return Path(self._log.name).read_text()

    def end(self) -> int:
        """As Ctrl-C ends it; its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(START_S)

    def close(self) -> None:
        """End it whatever happened."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


@contextmanager
def served_page(command: Sequence[str], folder: Path, **more: str) -> Iterator[PageProcess]:
    """The page inside the block."""
    folder.mkdir(parents=True, exist_ok=True)
    process = PageProcess(command, folder, more)
    try:
        yield process
    finally:
        process.close()


class Window:
    """A window of the browser. Everything is done with the keyboard. It remembers what went wrong and what was asked
    for outside of this computer."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(viewport=SIZE, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.url = url
        self._closed = False
        self.outside: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", self._look_at)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)

    def _look_at(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.outside.append(request.url)

    def open(self, path: str = "") -> None:
        """Go to a section."""
        self.page.goto(self.url + path)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, name: str) -> None:
        """Go with the Tab key until the focus is on what is called so. Fails if it is not reached."""
        for _ in range(40):
            self.press("Tab")
            if name in self.page.evaluate(_NAME_OF_FOCUS):
                return
        raise AssertionError(f"{name!r} is not reached with Tab")

    def type_into(self, name: str, text: str) -> None:
        """Go to a field and type."""
        self.tab_to(name)
        self.page.keyboard.type(text)

    def wait_for(self, text: str, within: str = "body", timeout_s: float = 30.0) -> Any:
        """Until the text is seen; where it is."""
        found = self.page.locator(within).get_by_text(text).first
        found.wait_for(timeout=1e3 * timeout_s)
        return found

    def wait_enabled(self, key: str) -> None:
        """Until the button of a key may be pressed."""
        self.page.locator(f'button[data-key="{key}"]:not([disabled]):visible').first.wait_for()

    def text(self, where: str) -> str:
        """What is written there."""
        return str(self.page.locator(where).first.inner_text())

    def screenshot(self, name: str) -> None:
        """For the documentation, into the folder NEEDLEPEN_SCREENSHOTS; nothing is kept without it."""
        folder = os.environ.get("NEEDLEPEN_SCREENSHOTS")
        if folder:
            self.page.evaluate("document.activeElement?.blur()")
            time.sleep(0.6)  # charts are drawn
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))

    def close(self) -> None:
        """Close the window, as a person closes a tab."""
        if not self._closed:
            self._closed = True
            self.context.close()


_NAME_OF_FOCUS = """() => {
  const e = document.activeElement;
  if (e === document.body) return '';
  const label = e.labels?.[0] ?? e.closest('label');
  return [e.getAttribute('aria-label'), label?.innerText, e.innerText, e.textContent].filter(Boolean).join(' ');
}"""
