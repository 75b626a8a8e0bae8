"""Boot one UF2 on the emulated chip and print, as JSON, what the MicroPython in it says of itself.

Run as `python -m needlepen.runtime.boot IMAGE`: a process of its own, so that an image that hangs or crashes
the emulator cannot take the caller along. It uses rp2040py as it is, without this project's additions to it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rp2040py.boards import BoardSpec
from rp2040py.device import MicroPythonDevice

_QUESTION = """
import json, os, rp2, sys
flash = rp2.Flash()
print(json.dumps({
    "version": os.uname().version,
    "machine": os.uname().machine,
    "board": getattr(sys.implementation, "_build", None),
    "mpy_version": sys.implementation._mpy & 0xFF,
    "filesystem_blocks": flash.ioctl(4, 0),
    "block_bytes": flash.ioctl(5, 0),
}))
"""


async def _ask(image: Path) -> bytes:
    device = MicroPythonDevice(board=BoardSpec(image=image))
    async with device:
        answer, error = await device.aexec(_QUESTION, timeout=None)
    if error:
        raise SystemExit(error.decode(errors="replace").strip().splitlines()[-1])
    return answer


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(_ask(Path(sys.argv[1]))).decode().strip() + "\n")
