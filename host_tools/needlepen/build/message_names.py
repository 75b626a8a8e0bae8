"""Leaves the names of the messages out of what the pen gets: they are for people, and each costs 50 bytes of heap."""

from __future__ import annotations

import ast

MODULE = "pen.link.messages"
_TABLE = "MESSAGES"


def without_names(source: str) -> str:
    """The source with 0 in place of the first text of each entry of MESSAGES; line numbers stay the same.

    A text that has no such table is returned as it is: whatever is wrong with it, the compiler says.
    """
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return source
    tables = [
        node.value
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == _TABLE and isinstance(node.value, ast.Dict)
    ]  # fmt: skip
    lines = source.split("\n")
    for table in tables:
        for entry in table.values:
            name = entry.elts[0] if isinstance(entry, ast.Tuple) and entry.elts else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                row, end = name.lineno - 1, name.end_col_offset
                assert end is not None and name.end_lineno == name.lineno and lines[row].isascii()
                lines[row] = lines[row][: name.col_offset].ljust(end - 1) + "0" + lines[row][end:]
    return "\n".join(lines)
