"""Production pens with keys of their own, and how a test asks them for roles."""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

from needlepen import access_table
from needlepen.access import Key, Role, answer, role_key
from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.emulator.factory_image import unique_id as serial_id
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import NotInTime
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import Reply, frames, kinds, messages
from needlepen.records.making import public_key
from support.bench import MS, Pens

S = 1e9
REQUESTS = {name: getattr(kinds, name) for name in access_table.load() if name != "SEEN"}
"""Every request that the table of access knows, by name; SEEN has no answer."""
NEEDED = {name: Role[role.upper()] for name, role in access_table.load().items()}
EVERYTHING = b"\r\x03\x03\x01\x04\x02\x05print(6*7)\x04\r\n~AAAA\n~\x00\xff\x03"
"""What leads to a REPL where there is one, and garbage."""
PROMPTS = (b">>>", b"raw REPL", b"42\r\n", b"Traceback", b"paste mode")


def secret(name: str) -> bytes:
    """32 bytes that nobody published."""
    return hashlib.sha256(b"a key of the tests: " + name.encode()).digest()


@lru_cache
def real_keys(seed: int = 0) -> Any:
    """What the pen of a seed was provisioned with."""
    release = public_key(secret("release"))
    return firmware_module("pen.store.keys").Keys(secret(f"pen {seed}"), secret("cartridge"), release)


def production(pens: Pens, firmware: Path | None = None, keys: Any = "real", **options: Any) -> EmulatedPen:
    """A production pen at the moment of power-on, with a cartridge of its maker."""
    kept = real_keys() if keys == "real" else keys
    pen = pens.new(firmware=firmware, **({"kind": "production", "keys": kept} | options))
    pen.unseat_cartridge()
    pen.seat_cartridge(emulated_cartridge(serial=7, key=secret("cartridge")))
    return pen


_READY: dict[tuple[int, str], EmulatedPen] = {}


def ready(pens: Pens, firmware: Path | None = None) -> EmulatedPen:
    """A production pen that has booted to ready. Fork before changing it."""
    key = (id(pens), str(firmware))
    if key not in _READY:
        _READY[key] = production(pens, firmware)
        _READY[key].power_up()
        _READY[key].run_for(3 * S)  # until everything of the boot is stored
    return _READY[key]


# ---------------------------------------------------------------------- asking
def ask(pen: EmulatedPen, name: str) -> Reply:
    """A request with all its values zero, also one whose format this firmware does not know."""
    kind, link = REQUESTS[name], pen.link
    size = struct.calcsize(messages.MESSAGES[kind][1]) if kind in messages.MESSAGES else 0
    body = bytes(
        size if size <= frames.MAX_BODY else 0
    )  # longer ones only come while the pen takes an update
    if name == "HELLO":
        body = bytes([kinds.PROTOCOL_VERSION])
    sequence = link._sequence
    link._sequence = (sequence + 1) & 0xFF
    link._replies.pop(sequence, None)
    pen.chip.console.write(frames.encode(kind, sequence, body))
    if not pen.run_until(lambda: link.reply(sequence) is not None, 1e9):
        raise NotInTime(f"no answer to {name}")
    reply = link.reply(sequence)
    assert reply is not None
    return reply


def key_of(role: Role, seed: int = 0) -> Key:
    """The key of a role of the pen of a seed."""
    return role_key(Key(real_keys(seed).pen), role)


def right(pen: EmulatedPen, role: Role, nonce: bytes) -> bytes:
    """The right answer to a challenge."""
    return answer(key_of(role, pen.seed), serial_id(pen.seed).hex(), role, nonce)


def nonce_for(pen: EmulatedPen, role: Role) -> bytes:
    """A new challenge."""
    return bytes(pen.command(messages.GET_CHALLENGE, int(role))["nonce"])


def give(pen: EmulatedPen, role: Role, given: bytes) -> str | None:
    """Answer; the refusal."""
    return pen.request(messages.UNLOCK, int(role), given).refused


def take(pen: EmulatedPen, role: Role) -> bytes:
    """Get a role by the right answer, which is returned."""
    if role is Role.NONE:
        pen.command(messages.LOCK)
        return b""
    made = right(pen, role, nonce_for(pen, role))
    assert give(pen, role, made) is None
    return made


def wrong(pen: EmulatedPen, role: Role = Role.ENGINEER) -> str:
    """A wrong answer to a new challenge; what the pen says."""
    told = give(pen, role, bytes(b ^ 1 for b in right(pen, role, nonce_for(pen, role))))
    assert told is not None
    return told


def wait_s(pen: EmulatedPen) -> int:
    """For how long the pen says that nobody can unlock it."""
    return int(pen.command(messages.GET_CHALLENGE, int(Role.ENGINEER))["wait_s"])


def restart(pen: EmulatedPen, how: str) -> None:
    """Have the pen start anew, and greet it."""
    if how == "watchdog":
        pen.chip.spin_cpu()
        assert pen.run_until(lambda: pen.telemetry is None, 2 * S)
    elif how == "power cut":
        pen.cut_power()
        pen.run_for(100 * MS)
        pen.restore_power()
    else:
        pen.chip.reset("run_pin")
    pen.connect()


def flash_operations(pen: EmulatedPen) -> list[tuple[str, int]]:
    """Each erase and program from now on."""
    seen: list[tuple[str, int]] = []
    pen.chip.on_flash_write(lambda _t_ns, kind, address, _length: seen.append((kind, address)))
    return seen


def console(pen: EmulatedPen) -> bytearray:
    """Everything that the pen sends from now on."""
    seen = bytearray()
    pen.chip.console.on_received(lambda data: seen.extend(data))
    return seen
