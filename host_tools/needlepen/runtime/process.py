"""Run the commands of a build: output goes to a log, each line also to a listener, and Ctrl-C ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from needlepen.runtime.model import WayFailedError


class LoggedCommands:
    """Runs commands one after the other and writes what they print to one log file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        log.write_text("")

    def run(
        self,
        command: Sequence[str | Path],
        *,
        failed: str,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = lambda _line: None,
    ) -> str:
        """All that the command printed. Raises WayFailedError that begins with `failed` and names the log."""
        words = [str(word) for word in command]
        lines: list[str] = []
        with self.log.open("a", errors="replace") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            try:
                process = subprocess.Popen(
                    words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise WayFailedError(f"{failed}: {words[0]} cannot be started ({error.strerror})") from error
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    log.write(line)
                    lines.append(line)
                    on_line(line.rstrip())
                code = process.wait()
            except BaseException:
                _end(process)
                raise
        if code:
            raise WayFailedError(f"{failed}: {_telling_line(lines)} (log: {self.log})")
        return "".join(lines)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # a command under sudo ends by itself
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def _telling_line(lines: Sequence[str]) -> str:
    """The line that most likely says why: the first error, else the last that is not empty."""
    texts = [line.strip() for line in lines if line.strip()]
    errors = [
        text
        for text in texts
        if text.startswith(("E: ", "CMake Error", "FAILED:", "fatal")) or "error:" in text
    ]
    return (errors or texts[-1:] or ["no output"])[0][:200]
