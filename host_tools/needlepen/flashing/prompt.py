"""MicroPython's prompt on a port, by mpremote: what files are there, writing and removing files, BOOTSEL mode, restart.

Works with a board whose main program can be interrupted or is missing; it is restarted without its main program first,
so that nothing of that is in the way.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import serial
from mpremote.transport import TransportError  # type: ignore[import-untyped]
from mpremote.transport_serial import SerialTransport  # type: ignore[import-untyped]

from needlepen.board.model import Flash
from needlepen.errors import InfrastructureError

XIP = 0x1000_0000
HEAD_BYTES = 512
"""What littlefs does not keep inside a directory is longer than this."""
_CHUNK = 2048
_ENTER_S = 4
# Whatever the program has mounted in place of the board's own file system, or around it
_MOUNT = """
import os, rp2, vfs
for _, place in vfs.mount():
    vfs.umount(place)
vfs.mount(vfs.VfsLfs2(rp2.Flash(), progsize=256), '/')
"""
_LIST = """
import os, binascii
def _walk(folder, found):
    for entry in os.ilistdir(folder or '/'):
        path = folder + '/' + entry[0]
        if entry[1] & 0x4000:
            found[path] = None
            _walk(path, found)
        else:
            crc = 0
            with open(path, 'rb') as file:
                while part := file.read(1024):
                    crc = binascii.crc32(part, crc)
            found[path] = (os.stat(path)[6], crc)
    return found
print(_walk('', {}))
"""


class Prompt:
    """The prompt of a board whose main program is stopped. Methods raise InfrastructureError if it does not answer."""

    def __init__(self, transport: SerialTransport, port: str) -> None:
        self._transport = transport
        self._port = port

    def run(self, code: str) -> str:
        """Run code on the board; returns what it prints."""
        with self._explained("an answer"):
            return bytes(self._transport.exec(code)).decode()

    @property
    def is_rp2040(self) -> bool:
        """Whether the board says that it is one."""
        return "RP2040" in self.run("import os; print(os.uname().machine)")

    @property
    def unique_id(self) -> str:
        """16 hex digits."""
        return self.run("import machine; print(machine.unique_id().hex())").strip()

    def files(self) -> dict[str, tuple[int, int] | None]:
        """Size and CRC-32 of each file by path; None for a folder."""
        found: dict[str, tuple[int, int] | None] = ast.literal_eval(self.run(_LIST).strip())
        return found

    def write(self, path: str, data: bytes) -> None:
        """Replace a file."""
        with self._explained(f"writing {path}"):
            self._transport.fs_writefile(path, data, chunk_size=_CHUNK)

    def read(self, path: str) -> bytes:
        """The content of a file."""
        with self._explained(f"content of {path}"):
            return bytes(self._transport.fs_readfile(path, chunk_size=_CHUNK))

    def block_heads(self, flash: Flash) -> dict[int, int]:
        """CRC-32 of the first 512 bytes of each block of the file system, by offset: a file begins with a block."""
        first = XIP + flash.filesystem_offset
        code = (
            "import uctypes, binascii\n"
            f"print([binascii.crc32(uctypes.bytearray_at({first} + {flash.block_bytes} * n, {HEAD_BYTES})) "
            f"for n in range({flash.filesystem_blocks})])"
        )
        crcs: list[int] = ast.literal_eval(self.run(code).strip())
        return {n * flash.block_bytes: crc for n, crc in enumerate(crcs)}

    def holds(self, flash: Flash) -> Callable[[int, bytes], bool]:
        """Whether data lie in one piece at an offset of the file system."""

        def ask(place: int, data: bytes) -> bool:
            at = XIP + flash.filesystem_offset + place
            crc = self.run(
                f"import uctypes, binascii\nprint(binascii.crc32(uctypes.bytearray_at({at}, {len(data)})))"
            )
            return int(crc) == zlib.crc32(data)

        return ask

    def make_folder(self, path: str) -> None:
        """Make a folder that is not there."""
        self.run(f"os.mkdir({path!r})")

    def remove(self, path: str) -> None:
        """Remove a file or an empty folder."""
        self.run(f"os.remove({path!r})")

    def leave(self, code: str) -> None:
        """Run code that ends the connection, such as a restart."""
        with contextlib.suppress(TransportError, OSError):
            self._transport.exec_raw_no_follow(code)
            time.sleep(0.2)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (TransportError, OSError, ValueError, SyntaxError) as error:
            raise InfrastructureError(
                f"{self._port}: no {what} from MicroPython's prompt ({_first_line(error)}); plug the board in again "
                "and run this again."
            ) from None


@contextlib.contextmanager
def prompt(port: str) -> Iterator[Prompt]:
    """Stop what runs on the board and talk to its prompt. Raises InfrastructureError if no prompt comes."""
    transport: Any = None
    with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what it does not understand
        try:
            transport = SerialTransport(port)
            _enter(transport)
            transport.exec(_MOUNT)
        except (TransportError, OSError) as error:
            if transport is not None:
                _close(transport)
            raise InfrastructureError(
                f"{port}: MicroPython's prompt does not come ({_first_line(error)}); if the board hangs, hold BOOTSEL, "
                "plug it in, and run this again."
            ) from None
    try:
        yield Prompt(transport, port)
    finally:
        _close(transport)


def wait_for_prompt(port: str, timeout_s: float = 6.0) -> None:
    """Listen until the prompt has said that it is there, or for `timeout_s`. A pen that is just stopping starts anew if
    it hears anything."""
    heard = b""
    end_s = time.monotonic() + timeout_s
    with (
        contextlib.suppress(serial.SerialException, OSError),
        serial.serial_for_url(port, timeout=0.1) as listening,
    ):
        while b">>> " not in heard and time.monotonic() < end_s:
            heard += listening.read(200)


def _enter(transport: Any) -> None:
    """Again if nothing comes: a program that is just ending may still have taken what was sent first."""
    for last in (False, False, True):
        try:
            transport.enter_raw_repl(soft_reset=True, timeout_overall=_ENTER_S)
            return
        except TransportError:
            if last:
                raise


def _close(transport: Any) -> None:
    with contextlib.suppress(OSError):
        if os.name == "nt":
            transport.close()
        else:
            transport.serial.close()  # its own close() moves lines that a pseudo-terminal does not have


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
