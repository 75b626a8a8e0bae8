"""The result of the gate as a table."""

from __future__ import annotations

from collections.abc import Sequence

from covering.exceptions import Gap
from covering.measuring import Covered


def text(covered: Sequence[Covered], stale: Sequence[str]) -> str:
    """A line each module, each gap, and each entry of the list of exceptions that is stale."""
    head = f"{'module':28}{'lines':>7}{'branches':>9}{'on CPython':>12}{'excepted':>9}{'missing':>8}"
    rows = [head, "-" * len(head)]
    for module in covered:
        run: list[Gap] = [*module.gaps, *module.allowed]
        rows.append(
            f"{module.module:28}{module.lines:7}{module.branches:9}{module.pct(run):10.1f} %"
            f"{len(module.allowed):9}{len(module.gaps):8}"
        )
    rows += dict.fromkeys(
        str(gap) for module in covered for gap in module.gaps
    )  # a module without a test once
    return "\n".join([*rows, *(f"list of exceptions: {each}" for each in stale)])
