"""`needlepen campaign`: many random runs with random faults, and what of them was unsafe."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import click


@click.command(epilog="Examples:  needlepen campaign  |  needlepen campaign --runs 100 --seed 1")
@click.option("--runs", type=click.IntRange(1, 100_000), default=30, show_default=True, help="How many.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31), help="Of the first run; the others count on. [default: random]"
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes side by side. [default: one per core]")
@click.option("--runtime", type=click.Path(path_type=Path), help="Use this MicroPython UF2.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports/campaign"), show_default=True,
    help="Folder for the scenarios of unsafe runs.",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Keep the scenarios of all runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def campaign(
    runs: int, seed: int | None, jobs: int | None, runtime: Path | None, out: Path, keep: bool, as_json: bool
) -> int:
    """Run random scenarios on the emulated pen: any operator action, any fault, at any moment.

    Unsafe runs are saved as scenarios; `needlepen run FILE` replays one. Exit code: 0 no unsafe outcome, 1 at least
    one, 2 a run broke off.
    """
    from needlepen.emulator import bench
    from needlepen.safety import campaign as campaigns

    first = secrets.randbelow(2**20) if seed is None else seed
    click.echo(f"seeds {first} to {first + runs - 1}", err=True)
    prepared = bench.prepare(runtime=runtime)

    def count(number: int) -> None:
        if number % 10 == 0:
            click.echo(f"{number}/{runs}", err=True)

    result = campaigns.run(prepared, range(first, first + runs), jobs, count)
    paths = campaigns.save(result, out, keep)
    if as_json:
        click.echo(json.dumps({"seed": first, "runs": [each.as_dict() for each in result.runs]}, indent=2))
    else:
        _show(result, paths)
    if result.unsafe:
        return 1
    return 2 if result.broken_off else 0


def _show(result: object, paths: list[Path]) -> None:
    from needlepen.safety.campaign import Campaign

    assert isinstance(result, Campaign)
    for each in result.unsafe:
        click.echo(
            f"UNSAFE  seed {each.seed}  {', '.join(each.faults)}: {'; '.join(map(str, each.unsafe[:2]))}"
        )
    for each in result.broken_off:
        click.echo(f"BROKEN OFF  seed {each.seed}  {', '.join(each.faults)}: {each.stopped}")
    for ended, count in result.endings.most_common():
        click.echo(f"{count:6}  ended {ended}")
    device_s = sum(each.device_s for each in result.runs)
    driven_s = sum(each.driven_s for each in result.runs)
    click.echo(
        f"{len(result.runs)} runs, {device_s:.0f} s of device time, motor driven for {driven_s:.0f} s: "
        f"{len(result.unsafe)} unsafe outcomes"
    )
    for path in paths:
        click.echo(f"replay: needlepen run {path}")
