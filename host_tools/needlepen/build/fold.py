"""Folds imported constants into the modules that use them, before they are compiled.

MicroPython's `const()` acts inside one module: a limit imported from another is looked up by name each time,
which costs the control tick microseconds and viper a conversion. So in the text given to mpy-cross
`from pen.limits import SR06_THRESHOLD_HZ` becomes `SR06_THRESHOLD_HZ = const(165)`. Line numbers stay the
same. CPython runs the unchanged source, with the same values.
"""

from __future__ import annotations

import ast
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
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in modules and not node.level:
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            text = "; ".join(_constant(alias, node, name, modules[str(node.module)]) for alias in node.names)
            lines[first : last + 1] = [text] + [""] * (last - first)
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
