"""The sections of the page by their paths."""

from __future__ import annotations

from nicegui import ui

from needlepen.bench_page import choose, daily, guide, history, live_view
from needlepen.bench_page.layout import frame
from needlepen.bench_page.workbench import Workbench


def register(workbench: Workbench) -> None:
    """Make the sections; each window gets a view of its own on the one workbench."""

    @ui.page("/")
    async def calibrate() -> None:
        running = workbench.work is not None
        with frame("/", "Calibrate"):
            await (guide.show(workbench) if running else choose.show(workbench))

    @ui.page("/check")
    async def check() -> None:
        with frame("/check", "Daily check"):
            await daily.show(workbench)

    @ui.page("/live")
    async def live() -> None:
        with frame("/live", "Live view"):
            await live_view.show(workbench)

    @ui.page("/history")
    async def past() -> None:
        with frame("/history", "History"):
            await history.show(workbench)
