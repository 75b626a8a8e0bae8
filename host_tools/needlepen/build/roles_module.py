"""Text of the firmware's `pen/roles.py`: the role that each kind of request needs."""

from __future__ import annotations

from collections.abc import Mapping

from needlepen.access_table import NOBODY, ROLES
from needlepen.errors import UsageError


def roles_module(needed: Mapping[str, str], kinds: str) -> str:
    """Source of pen/roles.py. `needed`: role by name of the request; `kinds`: source of pen/link/kinds.py."""
    numbers: dict[str, int] = {}
    exec(compile(kinds, "kinds.py", "exec"), {"__builtins__": {}}, numbers)
    unknown = sorted(needed.keys() - numbers.keys())
    if unknown:
        raise UsageError(
            f"access.toml: there is no request {unknown[0]} in pen/link/kinds.py; correct the name"
        )
    table = bytearray([NOBODY] * (1 + max(numbers[name] for name in needed)))
    for name, role in needed.items():
        table[numbers[name]] = ROLES.index(role)
    return (
        "# Generated from firmware/access.toml: change the entries there.\n"
        f"ROLES = {ROLES!r}\n"
        "# by kind of request: number of the role that it needs; what is missing nobody may ask for\n"
        f"NEEDED = {bytes(table)!r}\n"
    )
