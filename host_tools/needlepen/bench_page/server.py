"""Serves the page on the loopback address, until Ctrl-C."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from nicegui import core, ui

from needlepen.bench_page import pages
from needlepen.bench_page.guard import Guard, new_token
from needlepen.bench_page.workbench import Workbench
from needlepen.errors import InfrastructureError

HOST = "127.0.0.1"
_RECONNECT_S = 10.0
"""For so long a window may lose its connection, for example in a computer that sleeps, and finds itself again."""
_GRACE_S = 3
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0f6a7c"/>'
    '<path d="M16 5v15m-3 0h6l-3 8z" stroke="#fff" stroke-width="2.4" fill="#fff" stroke-linejoin="round"/></svg>'
)


def serve(workbench: Workbench, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C; `ready` gets its address as soon as it can be opened.

    `port` 0: any free one. Raises InfrastructureError if the port is taken.
    """
    listener = _listener(port)
    token, number = new_token(), listener.getsockname()[1]
    pages.register(workbench)
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    ui.run_with(
        outer, mount_path=f"/{token}", title="needlepen bench", favicon=_ICON, dark=None, tailwind=False,
        language="en-US", reconnect_timeout=_RECONNECT_S, show_welcome_message=False,
    )  # fmt: skip
    core.app.on_startup(lambda: ready(f"http://{HOST}:{number}/{token}/"))
    config = uvicorn.Config(
        Guard(outer, token, number),
        log_level="error",
        timeout_graceful_shutdown=_GRACE_S,
        server_header=False,
    )
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        workbench.close()
        listener.close()


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise InfrastructureError(
            f"Port {port} of {HOST} cannot be used ({error.strerror}); leave --port away, and a free one is taken."
        ) from None
