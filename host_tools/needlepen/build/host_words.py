"""Leaves out of the pen's table of messages the words that only a host reads: they would take 2 KiB of its heap.

One declaration serves both sides (firmware/pen/link/messages.py). The pen packs its reports by their format alone, and
calls no message by its name; a host has the whole table.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

MODULE = "pen.link.messages"
_FIRST_OF_THE_PEN = 0x80


def without_host_words(source: str, kinds: Mapping[str, int]) -> str:
    """`source` with empty texts for each name, and for the fields of the messages from pen to host.

    `kinds`: numbers of the messages by name (pen.link.kinds). A text that does not parse, or has no table, comes back
    as it is: the compiler says what is wrong. Lines keep their numbers.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    needless: list[ast.expr] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MESSAGES":
            assert isinstance(node.value, ast.Dict)
            for key, entry in zip(node.value.keys, node.value.values, strict=True):
                assert isinstance(key, ast.Name) and isinstance(entry, ast.Tuple)
                needless.append(entry.elts[0])
                if kinds.get(key.id, 0) >= _FIRST_OF_THE_PEN:
                    needless.append(entry.elts[2])
    lines = source.split("\n")
    for text in sorted(needless, key=lambda expr: (expr.lineno, expr.col_offset), reverse=True):
        first, last = text.lineno - 1, (text.end_lineno or text.lineno) - 1
        rest = lines[last][text.end_col_offset :]
        lines[first] = lines[first][: text.col_offset] + '""' + (rest if first == last else "")
        if last > first:
            lines[first + 1 : last + 1] = [*[""] * (last - first - 1), rest]
    return "\n".join(lines)
