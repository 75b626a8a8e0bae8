"""The sections of the page by their paths."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from fastapi import HTTPException
from fastapi.responses import FileResponse
from nicegui import app, ui

from needlepen.bench_page import connecting, guide, history, live_view
from needlepen.bench_page.choose import Choosing
from needlepen.bench_page.layout import frame
from needlepen.bench_page.workbench import CALIBRATION, CHECK, Workbench
from needlepen.errors import NeedlepenError, UsageError

_SEEN_S = 1.0


def register(workbench: Workbench) -> None:
    """Make the sections; each window gets a view of its own on the one workbench."""

    @contextmanager
    def section(path: str, title: str) -> Iterator[None]:
        with frame(path, title):
            ui.timer(_SEEN_S, workbench.seen)  # as long as any window is open
            yield

    @ui.page("/")
    async def calibrate() -> None:
        if workbench.work is not None and workbench.kind == CHECK:
            ui.navigate.to("/check")
            return
        await _measured(CALIBRATION, "/", "Calibrate")

    @ui.page("/check")
    async def check() -> None:
        await _measured(CHECK, "/check", "Daily check")

    async def _measured(kind: str, path: str, title: str) -> None:
        with section(path, title):
            if workbench.work is not None and workbench.kind == kind:
                await guide.show(workbench, workbench.work)
            elif workbench.work is not None and workbench.work.is_alive:
                guide.busy(workbench)
            else:
                Choosing(workbench, kind)

    @ui.page("/live")
    async def live() -> None:
        with section("/live", "Live view"):
            live_view.show(workbench)

    @ui.page("/history")
    async def past() -> None:
        with section("/history", "History"):
            await history.show(workbench)

    @app.get("/certificates/{number}/{kind}")
    async def certificate(number: str, kind: Literal["pdf", "html"]) -> FileResponse:
        try:
            return FileResponse(await asyncio.to_thread(connecting.certificate_file, number, kind))
        except NeedlepenError as error:
            raise HTTPException(404 if isinstance(error, UsageError) else 500, str(error)) from None
