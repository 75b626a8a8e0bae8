"""The tables of the protocol document: messages with their fields, and the numbers of the link."""

from __future__ import annotations

import re
import struct
from itertools import count, takewhile

from needlepen import paths
from needlepen.documents import table
from needlepen.firmware_modules import firmware_module

_ENTRY = re.compile(r"    ([A-Z_]+): \(")
_COMMENT = re.compile(r"    # (.*)")
_FORMAT = re.compile(r"(\d*)([a-zA-Z])")
_TYPES = {"B": "u8", "H": "u16", "I": "u32", "h": "i16", "b": "i8", "i": "i32", "Q": "u64"}
_FROM_PEN = 0x80


def protocol_tables() -> str:
    """Markdown: requests of the host, answers and reports of the pen, numbers."""
    messages, kinds = firmware_module("pen.link.messages"), firmware_module("pen.link.kinds")
    said = descriptions()
    header = ("kind", "message", "bytes", "fields", "what it is")
    rows = [
        (
            f"0x{kind:02X}",
            name.upper(),
            struct.calcsize(layout),
            ", ".join(_fields(layout, fields)) or "-",
            said.get(name.upper(), ""),
        )
        for kind, (name, layout, fields) in sorted(messages.MESSAGES.items())
    ]
    to_pen = [row for row in rows if int(row[0], 16) < _FROM_PEN]
    from_pen = [row for row in rows if int(row[0], 16) >= _FROM_PEN]
    parts = (
        "From host to pen:",
        table(header, to_pen),
        "From pen to host:",
        table(header, from_pen),
        "Numbers:",
        table(("what", "value"), _numbers(kinds)),
    )
    return "\n\n".join(parts)


def descriptions() -> dict[str, str]:
    """What the comments above the messages in their declaration say, by name."""
    lines = (paths.firmware_dir() / "pen" / "link" / "messages.py").read_text(encoding="utf-8").splitlines()
    found = {}
    for number, line in enumerate(lines):
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        above = takewhile(bool, (_COMMENT.fullmatch(lines[number - back]) for back in count(1)))
        found[entry[1]] = " ".join(match[1] for match in reversed([m for m in above if m is not None]))
    return found


def _fields(layout: str, names: str) -> list[str]:
    """`name` with its type, in the order of the bytes."""
    types = []
    for number, letter in _FORMAT.findall(layout):
        if letter == "s":
            types.append(f"{number or 1} bytes")
        else:
            types += [_TYPES[letter]] * int(number or 1)
    return [f"`{name}` {kind}" for name, kind in zip(names.split(), types, strict=True)]


def _numbers(kinds: object) -> list[tuple[str, object]]:
    from needlepen.link import pen as host
    from needlepen.link.client import SEEN_EVERY, frames

    return [
        ("protocol version", kinds.PROTOCOL_VERSION),  # type: ignore[attr-defined]
        (
            "longest body",
            f"{frames.MAX_BODY} bytes; PUT_DATA, while the pen takes an update: {frames.DATA_BODY}",
        ),
        ("what the pen sends without credit", f"{kinds.WINDOW_BYTES} bytes"),  # type: ignore[attr-defined]
        ("frames of telemetry and status per SEEN", SEEN_EVERY),
        ("the host says a request again after", f"{host.REPEAT_S} s"),
        ("the host gives an answer up after", f"{host.TIMEOUT_S} s, if the caller says nothing else"),
        ("the host asks for telemetry again after", f"{host.LEASE_MS / 2000:.0f} s"),
        ("the host takes a silent telemetry for lost after", f"{host.SILENCE_S} s, or 5 periods"),
        ("the host tries to get a connection back for", f"{host.RECONNECT_S:.0f} s"),
    ]
