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
import re
import threading
import tokenize
from collections.abc import Iterable, Mapping
from typing import Any

from needlepen.errors import UsageError

_ATTRIBUTE = re.compile(r"\.([A-Z][A-Z0-9_]*)\b")
_DEEPEST_IMPORT = 4
_PARSING = threading.Lock()


def fold_constants(
    source: str,
    name: str,
    modules: Mapping[str, Mapping[str, Any]],
    partly: Mapping[str, Mapping[str, Any]] | None = None,
    own: Iterable[str] = (),
) -> str:
    """Replace top-level `from MODULE import NAME` of the given modules by constants.

    `modules` maps a module of nothing but constants to them, `partly` other modules to those of their constants that
    nobody needs by name on the pen; `own` are such constants of this module. A text that does not parse is returned
    unchanged: mpy-cross says what is wrong. Raises UsageError for a constant that a module of constants does not have.
    """
    tree = _parsed(source)
    if tree is None:
        return source
    lines = source.split("\n")
    private = set(own)
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or node.level:
            continue
        if node.module in modules:
            folded, kept = node.names, []
            constants = modules[str(node.module)]
        else:
            constants = (partly or {}).get(str(node.module), {})
            folded = [alias for alias in node.names if alias.name in constants]
            kept = [alias for alias in node.names if alias.name not in constants]
        if folded:
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            texts = [_constant(alias, node, name, constants) for alias in folded]
            if kept:
                texts.append(ast.unparse(ast.ImportFrom(node.module, kept, 0)))
            lines[first : last + 1] = ["; ".join(texts)] + [""] * (last - first)
            private |= {alias.asname or alias.name for alias in folded}
    return _with_private_names("\n".join(lines), {name for name in private if not name.startswith("_")})


def needless_names(
    sources: Mapping[str, str], modules: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Constants (`NAME = const(...)` at top level) that no module looks up by name, by module and name.

    `sources`: text by module name; `modules`: the constants of modules of nothing but constants. A name that appears
    after a dot anywhere stays: somebody may mean this one.
    """
    looked_up = {name for text in sources.values() for name in _ATTRIBUTE.findall(text)}
    found: dict[str, dict[str, Any]] = {}
    for _ in range(_DEEPEST_IMPORT):
        for module, text in sources.items():
            found[module] = _own_constants(text, {**found, **modules})
    return {
        module: {name: value for name, value in constants.items() if name not in looked_up}
        for module, constants in found.items()
    }


def _own_constants(source: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Public constants of a module whose values follow from literals and from constants that it imports."""
    tree = _parsed(source)
    if tree is None:
        return {}
    values: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            given = known.get(str(node.module), {})
            values |= {a.asname or a.name: given[a.name] for a in node.names if a.name in given}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_const(node.value):
            text = compile(ast.Expression(node.value.args[0]), "const", "eval")  # type: ignore[attr-defined]
            try:
                value = eval(text, {"__builtins__": {}}, values)
            except Exception:  # something that only the pen knows
                continue
            name = node.targets[0].id
            values[name] = value
            if isinstance(value, int) and not name.startswith("_"):
                own[name] = value
    return own


def _parsed(source: str) -> ast.Module | None:
    """The tree of a source, None if it does not parse. One at a time: CPython 3.11 fails when threads do it at once."""
    with _PARSING:
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError):
            return None


def _is_const(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const"


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
