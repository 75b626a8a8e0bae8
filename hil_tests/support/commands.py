"""The command `needlepen` in a process of its own, as a person or a script runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

WAIT_S = 30


class Commands:
    """Runs commands with the names, locks, keys and former settings of a test's own folder."""

    def __init__(self, folder: Path) -> None:
        self._environment = os.environ | {
            f"NEEDLEPEN_{name}": str(folder / name.lower()) for name in ("STATE", "DATA", "CONFIG", "KEYS")
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        return subprocess.run(
            _line(arguments),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    def start(self, *arguments: str) -> Running:
        """A command that goes on."""
        return Running(_line(arguments), self._environment)


class Running:
    """A command that goes on; `lines` of its standard output so far."""

    def __init__(self, line: Sequence[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, after: int = 0) -> str:
        """The first line with this text, from a number of lines on."""
        end_s = time.monotonic() + WAIT_S
        while time.monotonic() < end_s:
            found = next((line for line in self.lines[after:] if text in line), None)
            if found is not None:
                return found
            assert self.process.poll() is None or self._reader.is_alive(), self._told(text)
            time.sleep(0.02)
        raise AssertionError(self._told(text))

    def end(self, signal: int) -> tuple[int, str]:
        """Send a signal; exit code and standard error."""
        self.process.send_signal(signal)
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            return code, stream.read()

    def _told(self, text: str) -> str:
        return f"no line with {text!r} in {self.lines[-20:]}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))


def _line(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "needlepen", *arguments]
