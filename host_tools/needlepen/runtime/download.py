"""The official MicroPython image from its publisher."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from rp2040py.utils.firmware_retrieve import MICROPYTHON

from needlepen.runtime.model import Wanted, WayFailedError
from needlepen.runtime.progress import ProgressLike

SILENCE_LIMIT_S = 5.0
"""Give up when connecting or waiting for the next bytes takes longer, s: without network the next way is soon
tried."""
_CHUNK_BYTES = 64 * 1024
_LARGEST_BYTES = 16 * 1024 * 1024  # the UF2 of a full Pico flash has 4 MiB: more is some other file


def official_address(wanted: Wanted) -> str:
    """The publisher's address of the image, from rp2040py's table. Raises WayFailedError if it has none."""
    for board in (MICROPYTHON.boards or {}).values():
        address = board.fw.get(wanted.version, "")
        if address.rpartition("/")[2].startswith(f"{wanted.board}-"):
            return address
    raise WayFailedError(f"no official address is known for {wanted}")


def download(address: str, progress: ProgressLike, silence_limit_s: float = SILENCE_LIMIT_S) -> bytes:
    """The bytes at `address`. Raises WayFailedError when it cannot be reached, falls silent or breaks off."""
    progress.step(f"download {address}")
    try:
        with urllib.request.urlopen(address, timeout=silence_limit_s) as response:
            announced = int(response.headers.get("Content-Length") or 0)
            content = bytearray()
            while chunk := response.read(_CHUNK_BYTES):
                content += chunk
                progress.amount(len(content), max(announced, len(content)))
                if len(content) > _LARGEST_BYTES:
                    raise WayFailedError(
                        f"{address}: more than {_LARGEST_BYTES // 2**20} MiB, not a Pico image"
                    )
    except urllib.error.HTTPError as error:
        raise WayFailedError(f"{address}: the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise WayFailedError(f"{address}: {text}") from error
    if len(content) < announced:
        raise WayFailedError(f"{address}: broke off after {len(content)} of {announced} bytes")
    return bytes(content)
