"""`python -m mutation`: see README.md of this folder."""

from __future__ import annotations

import difflib
import json
import os
import sys
from pathlib import Path

import click
from support import starting

from mutation import campaign, emulated, report, review
from mutation.mutants import Mutant, mutants, staged
from mutation.scope import REQUIREMENT_TESTS

_STARTED_IN = Path.cwd()
OUT = campaign.REPOSITORY / "reports" / "mutation"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Mutation testing of the firmware's safety code.

    Exit codes: 0 every mutant is killed or justified, 1 some are not, 2 infrastructure, 4 usage.
    """


@main.command()
@click.argument("modules", nargs=-1)
@click.option(
    "--sample", type=click.IntRange(1), help="Only so many mutants of each module, always the same."
)
@click.option(
    "--tests",
    "tests",
    multiple=True,
    help="Only this test file (repeatable): a path, or a name in hil_tests/unit.",
)
@click.option("--function", help="Only mutants of this function, e.g. Trigger.update.")
@click.option("--seconds", default=20.0, show_default=True, help="Most test time of one mutant, s.")
@click.option("--within", type=float, help="Begin no further module after so many seconds.")
@click.option(
    "--emulated", "emulated_s", type=float, help="Run survivors on the emulated pen, for so many seconds."
)
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default="reports/mutation")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of the table.")
@click.option(
    "--draft", is_flag=True, help="Print what nobody has justified in the form of the reviewed list."
)
def run(
    modules: tuple[str, ...],
    sample: int | None,
    tests: tuple[str, ...],
    function: str | None,
    seconds: float,
    within: float | None,
    emulated_s: float | None,
    out: Path,
    as_json: bool,
    draft: bool,
) -> None:
    """Run the mutants of MODULES (all in scope), e.g. `python -m mutation run pen.trigger pen.store.pair`."""
    reviews = review.load()
    out = _STARTED_IN / out
    names = modules or tuple(REQUIREMENT_TESTS)
    plan = campaign.Plan(names, _files(tests), sample, seconds, within, function)

    def so_far(result: report.Result) -> None:
        report.write(result, reviews, out)

    result = campaign.run(plan, lambda text: click.echo(text, err=True), so_far)
    if emulated_s is not None:
        emulated.survivors(result, reviews, emulated_s, lambda text: click.echo(text, err=True))
    result.problems = review.stale(reviews, result.mutants, names)
    result.problems += review.killed_after_all(reviews, result.outcomes)
    report.write(result, reviews, out)
    missing = report.open_mutants(result, reviews)
    if as_json:
        click.echo(json.dumps(report.as_json(result, reviews)))
    elif draft:
        click.echo(review.draft(missing))
    else:
        click.echo(report.table(result, reviews))
        for mutant in missing:
            click.echo(f"{result.outcomes[mutant.id].verdict}: {mutant.place}  {mutant.text}")
        for problem in result.problems:
            click.echo(f"reviewed list: {problem}")
        click.echo(f"in full: {out / 'mutation.txt'} and mutation.json")
    broken = any(o.verdict == "infrastructure" for o in result.outcomes.values())
    sys.exit(1 if missing or result.problems else 2 if broken else 0)


def _files(tests: tuple[str, ...]) -> list[Path]:
    if not tests:
        return campaign.unit_tests()
    unit = campaign.HIL_TESTS / "unit"
    files = [unit / test if (unit / test).is_file() else _STARTED_IN / test for test in tests]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise click.UsageError(f"{missing[0]}: no such file; give a path, or a name in hil_tests/unit")
    return files


@main.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_modules(as_json: bool) -> None:
    """The modules in scope, and how many mutants each has."""
    files = staged()
    counts = {module: len(mutants(module, files)) for module in REQUIREMENT_TESTS}
    if as_json:
        click.echo(json.dumps(counts))
    else:
        for module, count in [*counts.items(), ("all", sum(counts.values()))]:
            click.echo(f"{module:28}{count:6}")


@main.command()
@click.argument("identity", metavar="ID")
def show(identity: str) -> None:
    """What a mutant changes, as a diff."""
    files = staged()
    module = identity.split(":")[0]
    found = [m for m in mutants(module, files) if m.id == identity]
    if not found:
        raise click.UsageError(f"{identity}: no such mutant; IDs are in mutation.txt")
    click.echo(_diff(found[0], files))


def _diff(mutant: Mutant, files: dict[str, bytes]) -> str:
    before, after = files[mutant.file].decode().splitlines(), mutant.source.splitlines()
    return "\n".join(difflib.unified_diff(before, after, mutant.file, mutant.id, lineterm="", n=2))


def start() -> None:
    """The entry."""
    os.chdir(campaign.REPOSITORY)  # the firmware's file names are relative to it
    starting.run(main, "mutation")


if __name__ == "__main__":
    start()
