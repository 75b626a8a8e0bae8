"""An emulated board in another process whose flash is kept in a file, for what breaks and mends boards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

START_S = 60.0


def needlepen(*arguments: str, state: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with the registry and the locks in `state`."""
    command = [sys.executable, "-m", "needlepen", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=environment(state),
        stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


def environment(state: Path) -> dict[str, str]:
    """The environment of commands that know nothing of the user's own pens and names."""
    own = {"STATE": state, "CONFIG": state / "config", "KEYS": state / "keys.json"}
    return os.environ | {f"NEEDLEPEN_{name}": str(path) for name, path in own.items()}


class BoardProcess:
    """`needlepen emulate` with a flash file. Raises AssertionError if it does not start."""

    def __init__(self, state: Path, name: str, *options: str, flash: bytes | None = None) -> None:
        self.state_dir, self.name = state, name
        self.flash_file = state / f"{name}.flash"
        if flash is not None:
            self.flash_file.write_bytes(flash)
        self.link = state / f"{name}.port"
        command = [sys.executable, "-m", "needlepen", "emulate", "--name", name, "--link", str(self.link)]
        self._log = (state / f"{name}.log").open("w")
        self._process = subprocess.Popen(
            [*command, "--flash", str(self.flash_file), *options],
            stdout=self._log, stderr=self._log, env=environment(state),
        )  # fmt: skip
        self.wait(lambda: self.state in ("running", "bootsel"))

    @property
    def entry(self) -> dict[str, Any] | None:
        """What the registry says about it."""
        try:
            found: dict[str, Any] = json.loads((self.state_dir / "ports" / f"{self.name}.json").read_text())
        except (OSError, ValueError):
            return None
        return found

    @property
    def state(self) -> str:
        """ "running", "bootsel", "starting", or "" without an entry."""
        return str(self.entry["state"]) if self.entry else ""

    @property
    def volume(self) -> Path:
        """Its drive in BOOTSEL mode."""
        assert self.entry is not None
        return Path(self.entry["volume"])

    def wait(self, condition: Callable[[], bool], timeout_s: float = START_S) -> None:
        """Wait in wall time."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            alive = self._process.poll() is None
            assert alive and time.monotonic() < end_s, (self.state_dir / f"{self.name}.log").read_text()
            time.sleep(0.05)

    def wait_state(self, state: str) -> None:
        """Wait until the registry says so."""
        self.wait(lambda: self.state == state)

    def power_on_with_bootsel(self) -> None:
        """A person unplugs it, holds BOOTSEL and plugs it in."""
        self._process.send_signal(signal.SIGUSR1)

    def close(self) -> None:
        """End it; its flash file stays."""
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def __enter__(self) -> BoardProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
