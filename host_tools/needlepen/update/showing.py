"""How an installation shows itself: a bar on a terminal, nothing elsewhere, and a sentence at its end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from needlepen.update.install import Installed
from needlepen.update.transfer import Progress

_STEPS = {
    "start": "self-tests of the pen",
    "list": "list of the program",
    "modules": "modules",
    "restart": "restart and health check",
}


@contextlib.contextmanager
def shown(silent: bool) -> Iterator[Progress]:
    """A Progress that draws on standard error if that is a terminal and `silent` is False."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress as Bar, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=silent or not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(_STEPS[what], total=total or None)
            bar.update(tasks[what], completed=done)

        yield step


def tell(done: Installed) -> dict[str, Any]:
    """The facts of an installation, with a sentence as `text`."""
    if not done.changed:
        text = f"The pen runs this program already ({done.program}): nothing was sent."
    else:
        count = len(done.modules)
        signature = f"; it verified the signature in {done.verify_ms / 1000:.1f} s" if done.verify_ms else ""
        text = (
            f"The pen runs {done.program} and has confirmed it: {count} module{'' if count == 1 else 's'} and the "
            f"list, {done.bytes} bytes, {done.seconds:.1f} s{signature}."
        )
    return {
        "program": done.program,
        "before": done.before,
        "changed": done.changed,
        "modules": list(done.modules),
        "bytes": done.bytes,
        "seconds": round(done.seconds, 2),
        "verify_ms": done.verify_ms,
        "text": text,
    }
