"""`python -m covering`: the gate of `make coverage`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from mutation.baseline import HIL_TESTS, REPOSITORY
from support import starting

from covering import exceptions, gate, measuring
from covering.measuring import Covered
from needlepen.files import write_whole

if TYPE_CHECKING:
    from covering.emulated import Found

_STARTED_IN = Path.cwd()
OUT = REPOSITORY / "reports" / "coverage"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("tests", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default="reports/coverage")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--emulated",
    is_flag=True,
    help="Then the modules that only the chip can run, by scenarios; some minutes.",
)
def main(tests: tuple[str, ...], out: Path, as_json: bool, emulated: bool) -> None:
    """Run the fast tests (or TESTS, files of hil_tests/unit) and demand every line and branch of the safety modules.

    With --emulated also what scenarios reach of the modules that touch hardware; shown, not demanded.

    Exit codes: 0 all covered or on the list of exceptions, 1 not, 2 tests fail, 4 usage.
    """
    allowed = exceptions.load()
    out = _STARTED_IN / out
    files = [HIL_TESTS / "unit" / name for name in tests] or [HIL_TESTS / "unit"]
    missing = [str(file) for file in files if not file.exists()]
    if missing:
        raise click.UsageError(f"{missing[0]}: no such file; give names of files in hil_tests/unit")
    with measuring.in_scratch() as folder:
        code = measuring.run_tests(files, Path(folder) / "coverage.json")
        covered, stale = measuring.read(Path(folder) / "coverage.json", measuring.MODULES, allowed)
    result = {"modules": [_entry(module) for module in covered], "stale": stale, "tests": int(code)}
    write_whole(out / "coverage.json", json.dumps(result, indent=1) + "\n")
    text = gate.text(covered, stale)
    if emulated:
        reached = _on_the_emulated_pen()
        result["emulated"] = [
            {"module": each.module, "probes": each.probes, "missing": [str(probe) for probe in each.missing]}
            for each in reached
        ]
        write_whole(out / "coverage.json", json.dumps(result, indent=1) + "\n")
        text += "\n\n" + _emulated_text(reached)
    write_whole(out / "coverage.txt", text + "\n")
    click.echo(json.dumps(result) if as_json else text)
    if code:
        click.echo("coverage: tests failed; what they did not run says nothing", err=True)
        sys.exit(2)
    sys.exit(1 if stale or any(module.gaps for module in covered) else 0)


def _on_the_emulated_pen() -> list[Found]:
    from rich.console import Console

    from covering import emulated

    with Console(stderr=True).status("coverage on the emulated pen") as shown:
        return [
            found
            for group in emulated.GROUPS
            for found in emulated.measure(
                group,
                emulated.scenarios(),
                lambda name, group=group: shown.update(f"{group[0]} and others: {name}"),
            )
        ]


def _emulated_text(found: list[Found]) -> str:
    from covering import emulated

    return emulated.text(found)


def _entry(module: Covered) -> dict[str, object]:
    return {
        "module": module.module,
        "lines": module.lines,
        "branches": module.branches,
        "covered_pct": round(module.pct([*module.gaps, *module.allowed]), 2),
        "gaps": [str(gap) for gap in module.gaps],
        "allowed": [str(gap) for gap in module.allowed],
    }


def start() -> None:
    """The entry."""
    os.chdir(REPOSITORY)  # the firmware's file names are relative to it
    starting.run(main, "coverage")


if __name__ == "__main__":
    start()
