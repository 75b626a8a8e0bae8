"""Folds imported constants into the modules that use them, before they are compiled.

MicroPython's `const()` acts inside one module: a limit imported from another is looked up by name each time,
which costs the control tick microseconds and viper a conversion. So in the text given to mpy-cross
`from pen.limits import SR06_THRESHOLD_HZ` becomes `_SR06_THRESHOLD_HZ = const(165)`, and so does the name
wherever it is used: MicroPython keeps a constant out of the module's table of names only if it begins with an
underscore, and a full table costs every look-up in it up to 20 us. Line numbers stay the same. CPython runs
the unchanged source, with the same values.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Mapping
from typing import Any

from needlepen.errors import UsageError


def fold_constants(source: str, name: str, modules: Mapping[str, Mapping[str, Any]]) -> str:
    """Replace top-level `from MODULE import NAME` of the given constant modules by constants.

    `modules` maps a module name to its constants. A text that does not parse is returned unchanged: mpy-cross
    says what is wrong. Raises UsageError for a constant that the module does not have.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    lines = source.split("\n")
    private: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in modules and not node.level:
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            text = "; ".join(_constant(alias, node, name, modules[str(node.module)]) for alias in node.names)
            lines[first : last + 1] = [text] + [""] * (last - first)
            private |= {alias.asname or alias.name for alias in node.names}
    return _with_private_names("\n".join(lines), private - {name for name in private if name.startswith("_")})


def _with_private_names(source: str, names: set[str]) -> str:
    """The source with an underscore before each of these names, except where they are attributes."""
    lines = source.split("\n")
    before = ""
    found: list[tuple[int, int]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string in names and before != ".":
            found.append(token.start)
        before = token.string
    for row, column in reversed(found):
        line = lines[row - 1]
        lines[row - 1] = f"{line[:column]}_{line[column:]}"
    return "\n".join(lines)


def _constant(alias: ast.alias, node: ast.ImportFrom, name: str, constants: Mapping[str, Any]) -> str:
    if alias.name not in constants:
        raise UsageError(
            f"{name}:{node.lineno}: {node.module} has no constant {alias.name!r}, so the module could not be "
            "imported on the pen; correct the name, or add it to the board or requirements file"
        )
    value = constants[alias.name]
    target = alias.asname or alias.name
    return f"{target} = const({value!r})" if isinstance(value, (int, float)) else f"{target} = {value!r}"
