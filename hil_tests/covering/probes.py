"""Firmware with a probe before each statement: which of them an emulated pen runs.

A probe sets one byte of memory below the stack, which no program of the pen uses and a reset of the chip leaves. Left
out are functions in machine code or for PIO (viper, native, asm_pio): a probe would change what they are. Statements of
a module's own body run when it is imported.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

BASE = 0x2004_0940
"""Behind the black box (pen.black_box)."""
PLACES = 0x380
"""Up to what the stack of the program reaches; a test of the black box measures that."""
_MACHINE_CODE = {"viper", "native", "asm_pio", "asm_thumb"}
_NAME = "_probe"


@dataclass(frozen=True)
class Probe:
    """What one byte stands for: a line that is run, or, with `skipped`, an `if` that is passed by."""

    module: str
    function: str
    number: int
    line: str
    skipped: bool = False

    def __str__(self) -> str:
        what = "never passed by" if self.skipped else "not run"
        return f"{self.module}:{self.number} in {self.function}: {what}: {self.line}"


@dataclass
class Probes:
    """All probes of some modules, by their place in memory."""

    found: list[Probe] = field(default_factory=list)

    def put_into(self, source: str, module: str) -> str:
        """The source of a module with probes. Raises ValueError if there are more than memory has places."""
        tree = ast.parse(source)
        _Inserter(self.found, module, source.splitlines()).visit(tree)
        if len(self.found) > PLACES:
            raise ValueError(
                f"{len(self.found)} probes, there is room for {PLACES}: take fewer modules at once"
            )
        setting_up = ast.parse(f"import uctypes\n{_NAME} = uctypes.bytearray_at({BASE}, {PLACES})").body
        has_docstring = ast.get_docstring(tree) is not None
        tree.body[int(has_docstring) : int(has_docstring)] = setting_up
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


class _Inserter(ast.NodeVisitor):
    """Puts the probes into the bodies of functions."""

    def __init__(self, found: list[Probe], module: str, lines: list[str]) -> None:
        self._found, self._module, self._lines = found, module, lines
        self._path: list[str] = []
        self._inside = False

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._path.append(node.name)
        self.generic_visit(node)
        self._path.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        names = {getattr(each, "attr", getattr(each, "id", "")) for each in node.decorator_list}
        if names & _MACHINE_CODE:
            return
        self._path.append(node.name)
        node.body = self._with_probes(node.body)
        self._path.pop()

    def _with_probes(self, body: list[ast.stmt]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for place, statement in enumerate(body):
            said = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not (place == 0 and said):
                made.append(self._probe(statement))
            self._look_into(statement)
            made.append(statement)
        return made

    def _look_into(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            self.visit(statement)
            return
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, [])
            if inner:
                setattr(statement, name, self._with_probes(inner))
        for handler in getattr(statement, "handlers", []):
            handler.body = self._with_probes(handler.body)
        if isinstance(statement, ast.If) and not statement.orelse:
            statement.orelse = [self._probe(statement, skipped=True)]

    def _probe(self, statement: ast.stmt, skipped: bool = False) -> ast.stmt:
        number = statement.lineno
        text = self._lines[number - 1].strip()
        self._found.append(Probe(self._module, ".".join(self._path), number, text, skipped))
        return ast.parse(f"{_NAME}[{len(self._found) - 1}] = 1").body[0]


def modules_of(firmware: Path, names: tuple[str, ...], target: Path) -> Probes:
    """Put probes into these modules ("pen.drive") of the firmware folder `target`, which is a copy of `firmware`."""
    probes = Probes()
    for name in names:
        path = Path(*name.split(".")).with_suffix(".py")
        (target / path).write_text(
            probes.put_into((firmware / path).read_text(encoding="utf-8"), name), encoding="utf-8"
        )
    return probes
