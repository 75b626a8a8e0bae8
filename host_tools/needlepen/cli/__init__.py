"""The command `needlepen`. Each command lives in its own module, imported only when it is used."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from needlepen import __version__
from needlepen.errors import InfrastructureError, NeedlepenError, UsageError

# name: first line of its help, so that --help imports nothing heavy
COMMANDS = {
    "run": "Run a scenario on the emulated pen and write a report.",
    "faults": "List what can be broken on the emulated pen, and how.",
    "campaign": "Random runs with random faults: is any of them unsafe?",
    "matrix": "Every fault in every state: what comes of it?",
    "report": "Evidence of test runs: compare two, judge several together, verify one.",
    "devices": "List pens and boards: who they are, where, and who uses them.",
    "emulate": "Keep an emulated pen alive on a pseudo-terminal and on TCP.",
    "runtime": "Provide the MicroPython runtime: cached, downloaded or built.",
    "engine": "Build the fast engine of the emulator.",
    "explain": "Say what a state, blocker, warning or fault of the pen means.",
    "trace": "Trace hazards and requirements to code, tests and results, and back.",
    "docs": "Keep the generated tables of the documents up to date.",
    "cartridge": "Show cartridge types and profiles; make and read chips.",
    "provision": "Give a pen its keys, once.",
    "keys": "Keys of pens on this computer: list, export, import, forget.",
    "repl": "Stop a pen and open its REPL, with the key of an engineer.",
    "board": "Check and show board descriptions.",
    "doctor": "Say what is wrong with this computer or a pen, and what to do.",
    "flash": "Write MicroPython and the pen's firmware to a board, and check them.",
    "deploy": "Build the firmware and install what differs on a development pen.",
    "update": "Install a bundle of firmware on a pen.",
    "bundle": "Bundles of firmware: make, show, verify, and the key that signs them.",
    "build": "Build the pen's application image.",
    "monitor": "Show a pen as it works, live, and record it.",
    "plot": "Draw a recording as one page.",
    "calibrate": "Calibrate the depth of a pen, guided, with a gauge.",
    "check": "Check a calibrated pen at three depths, every day of use.",
    "gauge": "Depth gauges: list, show, read, add, remove.",
    "gauge-study": "Are gauge and operators good enough? Gage R&R by ANOVA.",
    "calibration": "Calibrations of pens: list, show, history, due, export, import, withdraw.",
    "certificate": "Certificates of calibrations: make, show, verify.",
    "log": "Read the event log of a pen in words.",
    "blackbox": "Read a pen's last seconds before a fault, and replay them.",
    "config": "Read, change, keep and undo the settings of a pen.",
    "bench": "Open the technicians' page: calibrate, check and watch pens in the browser.",
    "completion": "Print the script that completes commands in a shell.",
    "benchmark": "Measure the emulator and the firmware.",
}
INTERRUPTED = 130
OUTPUT_CLOSED = 141
"""What shells say of SIGPIPE."""


class _LazyGroup(click.Group):
    """Imports the module of a command when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"needlepen.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands without importing any of them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        found = COMMANDS.items()
        return [CompletionItem(name, help=text) for name, text in found if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Examples:  needlepen run  |  needlepen run overspeed  |  needlepen emulate --link /tmp/pen",
)
@click.version_option(__version__, prog_name="needlepen")
@click.pass_context
def cli(context: click.Context) -> None:
    """Open microneedling pen: firmware, emulated pen, evidence.

    Exit codes: 0 pass, 1 product failure, 2 infrastructure, 3 refused, 4 usage.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False  # rich looks by itself, click does not


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: errors become one line on stderr and their exit code, never a traceback."""
    output = sys.stdout
    try:
        result = cli.main(args=arguments, prog_name="needlepen", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except NeedlepenError as error:
        click.echo(f"needlepen: {error}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except click.ClickException as error:
        click.echo(f"needlepen: {_in_one_line(error)}", err=True)
        sys.exit(UsageError.exit_code)
    except SystemExit:
        if sys.stdout is not output:  # click has put it out of use: who read it has gone, as `head` does
            sys.exit(OUTPUT_CLOSED)
        raise
    except (click.Abort, KeyboardInterrupt):
        click.echo("needlepen: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:  # of this computer, and nobody had more to say about it
        click.echo(f"needlepen: {_of_this_computer(error)}", err=True)
        sys.exit(InfrastructureError.exit_code)


def _of_this_computer(error: OSError) -> str:
    """A folder without rights, a full disk, a device that is gone."""
    reason = " ".join(str(error.strerror or error).split())
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{reason}; `needlepen doctor` looks at this computer"


def _in_one_line(error: click.ClickException) -> str:
    """What is wrong with the command line, and where to look what it takes."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    sign = "" if message.endswith("?") else ";"
    return f"{message}{sign} `{context.command_path} --help` says what it takes" if context else message
