"""Who may see the page: whoever has its address, with the token in it, and comes from this computer."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_BYTES = 24
_REFUSED = (
    b"This page belongs to whoever started it: open the whole address that `needlepen bench` printed, "
    b"with its token."
)
_HEADERS = [
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        b"style-src 'self' 'unsafe-inline'; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; "
        b"frame-ancestors 'none'",
    ),
]
"""The browser itself is told to load nothing from elsewhere. (The page's library compiles its templates: 'eval'.)"""


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Guard:
    """Stands before a web application and answers 403 to what does not name the token as its first folder.

    That holds for pages, files and the websocket. A request must also name this computer as its host, and must not
    come from a page of another origin: a foreign web page in the same browser gets nothing through a name that
    points here.
    """

    def __init__(self, application: Application, token: str, port: int) -> None:
        self._application = application
        self._token = token.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        elif self._may(scope):
            await self._application(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: 403
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSED})

    def _may(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        first = str(scope["path"]).removeprefix("/").split("/", 1)[0].encode()
        return (
            secrets.compare_digest(first, self._token)
            and headers.get(b"host") in self._hosts
            and (origin is None or origin.removeprefix(b"http://") in self._hosts)
        )


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await send(message)

    return sending
