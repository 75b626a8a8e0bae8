"""The two kinds of result files: the JSON of `pytest --measurements`, and the JUnit XML of `pytest --junit-xml`."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from needlepen.errors import UsageError
from needlepen.evidence import Measurement
from needlepen.trace.model import Trace
from needlepen.trace.results import Outcome, Taken

Read = tuple[str, list[Taken], list[tuple[str, Outcome]]]
_FORMAT = 1
_FIELDS = ("name", "value", "unit", "limit", "relation", "requirement", "note", "lower", "time_s")


def measurements(path: Path, content: bytes, trace: Trace) -> Read:
    """When, measurements, and no outcomes. Raises UsageError if it is not that file."""
    try:
        data = json.loads(content)
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']} instead of {_FORMAT}")
        taken = [Taken(row["test"], _measurement(_with_infinity(row))) for row in data["measurements"]]
    except (ValueError, TypeError, KeyError) as error:
        raise _unusable(path, error) from None
    when = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return when, taken, []


def junit(path: Path, content: bytes, trace: Trace) -> Read:
    """When, measurements and outcomes. Raises UsageError if it is not that file."""
    try:
        root = ElementTree.fromstring(content)
        cases = list(root.iter("testcase"))
        names = {_module(test.place.file): test.place.file for test in trace.tests.values()}
        outcomes = [(_case(case, names), _outcome(case)) for case in cases]
        taken = [Taken(_case(case, names), m) for case in cases for m in _properties(case)]
        suites = root.iter("testsuite")
        when = min((suite.get("timestamp", "") for suite in suites), default="")
    except (ElementTree.ParseError, ValueError, TypeError, KeyError, SyntaxError) as error:
        raise _unusable(path, error) from None
    return when, taken, outcomes


def _unusable(path: Path, error: Exception) -> UsageError:
    why = " ".join(str(error).split()) if not isinstance(error, KeyError) else f"no {error}"
    return UsageError(
        f"{path}: no results ({why}); give a file of `pytest --junit-xml FILE` or `pytest --measurements FILE`"
    )


def _module(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


def _case(case: ElementTree.Element, files: Mapping[str, str]) -> str:
    """A test case as pytest names it on the command line, from the dotted name of its class or module."""
    dotted, name = case.get("classname", ""), case.get("name", "")
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if module in files:
            return "::".join([files[module], *parts[length:], name])
    return f"{dotted.replace('.', '/')}.py::{name}"


def _outcome(case: ElementTree.Element) -> Outcome:
    if case.find("failure") is not None:
        return "failed"
    if case.find("error") is not None:
        return "error"
    skipped = case.find("skipped")
    if skipped is None:
        return "passed"
    return "xfail" if skipped.get("type") == "pytest.xfail" else "skipped"


def _properties(case: ElementTree.Element) -> Iterator[Measurement]:
    """The measurements of a test case: the plugin keeps each as the text of a dictionary."""
    for found in case.iter("property"):
        if found.get("name") == "measurement":
            tree = _Infinite().visit(ast.parse(found.get("value", ""), mode="eval"))
            yield _measurement(ast.literal_eval(tree))


class _Infinite(ast.NodeTransformer):
    """Makes numbers of `inf` and `nan`, which Python writes and does not read."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(float(node.id)), node)


def _with_infinity(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: a value that never came is null there, with a verdict."""
    never = row["value"] is None and row["verdict"] != "unset"
    return {**row, "value": math.inf if never else row["value"]}


def _measurement(row: Mapping[str, Any]) -> Measurement:
    return Measurement(**{name: row[name] for name in _FIELDS})
