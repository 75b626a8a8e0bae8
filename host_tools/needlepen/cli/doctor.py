"""`needlepen doctor`: what is wrong with this computer or a pen, why, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from needlepen.doctor import Finding


@click.command(
    epilog="Examples:  needlepen doctor  |  needlepen doctor --json  |  needlepen doctor --udev-rule 70-needlepen.rules"
)
@device_option
@click.option(
    "--udev-rule",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Only write the udev rule that opens RP2040 boards to users of a Linux computer, to this file (-: show it).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(device: str | None, udev_rule: Path | None, as_json: bool) -> int:
    """Examine this computer and the pens that are connected: causes, and what to do, one action per line.

    Looks at Python and its libraries, compiler, runtime, engine, folders, keys, drivers and rights of ports, and at
    each pen: protocol, build, keys, calibration, faults, gaps in the log. It changes nothing.

    Exit code: 0 nothing is wrong, 1 something is wrong with a pen, 2 something is wrong with this computer.
    """
    from needlepen.doctor import examine, exit_code
    from needlepen.doctor.ports import RULE
    from needlepen.runtime.progress import TerminalProgress

    if udev_rule is not None:
        _write_rule(udev_rule, RULE)
        return 0
    with TerminalProgress("doctor") as shown:
        findings = list(examine(None, device, lambda what: shown.step(f"examining {what}")))
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        _print(findings)
    return exit_code(findings)


def _write_rule(path: Path, rule: str) -> None:
    from needlepen.build.staging import write_files
    from needlepen.errors import UsageError

    if str(path) == "-":
        click.echo(rule, nl=False)
        return
    try:
        write_files({path.name: rule.encode()}, path.parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); give another file") from None
    click.echo(f"{path}; now: sudo cp {path} /etc/udev/rules.d/ && sudo udevadm control --reload")


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    styles = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}
    console = Console()
    for finding in findings:
        line = Text(f"{finding.level:8}", style=styles[finding.level])
        pen = f"pen {finding.pen}, " if finding.pen else ""
        line.append(f"{pen}{finding.check}: {finding.cause}", style="default")
        console.print(line, soft_wrap=True)
        for action in finding.actions:
            console.print(Text(f"          -> {action}"), soft_wrap=True)
    problems = sum(finding.level == "problem" for finding in findings)
    console.print("Nothing is wrong." if not problems else f"Problems: {problems}.", highlight=False)
