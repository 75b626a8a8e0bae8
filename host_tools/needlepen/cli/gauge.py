"""`needlepen gauge`: the user's depth gauges, and what they show."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from needlepen.calibration.gauges import Gauge, OwnGauge
    from needlepen.calibration.model import Reading

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group(
    epilog="Examples:  needlepen gauge list  |  needlepen gauge read simulated  |  "
    "needlepen gauge add left --kind mitutoyo --port /dev/ttyUSB0 --serial 21004533 --due 2027-03-31"
)
def gauge() -> None:
    """Gauges that measure the needle protrusion for a calibration.

    Yours are in gauges.toml of the configuration folder: how each is reached, and what its own certificate says.
    """


@gauge.command("list", epilog="Examples:  needlepen gauge list  |  needlepen gauge list --json")
@AS_JSON
def list_gauges(as_json: bool) -> None:
    """List your gauges, those of emulated pens, the serial ports that are there, and the kinds that can be used."""
    from needlepen.calibration.gauges import kinds, load_gauges
    from needlepen.devices import registry
    from needlepen.devices.search import serial_ports

    own = load_gauges()
    emulated = {entry.name: entry.gauge for entry in registry.entries() if entry.gauge}
    ports = {str(port.device): str(port.description) for port in serial_ports()}
    if as_json:
        gauges = {name: _facts(found) for name, found in own.items()}
        _print({"gauges": gauges, "emulated": emulated, "ports": ports, "kinds": kinds()})
        return
    _section("your gauges", {name: _line(found) for name, found in own.items()})
    _section("simulated, of emulated pens", emulated)
    _section("serial ports", ports)
    _section("kinds", kinds())


@gauge.command(epilog="Examples:  needlepen gauge show left  |  needlepen gauge show left --json")
@click.argument("name")
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show what is known of your gauge NAME."""
    from needlepen.calibration.gauges import load_gauges
    from needlepen.calibration.gauges.shelf import known

    found = known(name, load_gauges())
    if as_json:
        _print({"name": name, **_facts(found)})
        return
    for key, value in _facts(found).items():
        click.echo(f"{key:16}  {'' if value is None else value}".rstrip())


@gauge.command(
    epilog="Examples:  needlepen gauge read left  |  needlepen gauge read left --count 5 --json  |  "
    "needlepen gauge read mitutoyo --port /dev/ttyUSB0"
)
@click.argument("name")
@click.option("--port", help="Where it is, if gauges.toml does not say; for `simulated` the name of its pen.")
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=1, show_default=True, help="So many readings."
)
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 600), default=5.0, show_default=True,
    help="How many seconds to wait for each.",
)  # fmt: skip
@click.option(
    "--place",
    type=click.Choice(["plate", "pen"]),
    help="Put a simulated gauge there first; with others it is up to you.",
)
@AS_JSON
def read(name: str, port: str | None, count: int, timeout_s: float, place: Any, as_json: bool) -> None:
    """Read a gauge: NAME is one of yours, or a kind. Each reading is printed as it comes, with its raw text.

    A gauge that cannot be asked sends when its DATA key is pressed; of one that is typed, each line is a reading.
    """
    from needlepen.calibration.gauges import open_named

    found = open_named(name, port)
    try:
        if place is not None:
            found.place(place)
        readings: list[Reading] = []
        for number in range(1, count + 1):
            readings.append(_next(found, number, count, timeout_s))
            if not as_json:
                click.echo(_said(readings[-1]))
    finally:
        found.close()
    if as_json:
        identity = found.identity.model_dump(mode="json")
        _print({"gauge": identity, "readings": [one.model_dump(mode="json") for one in readings]})
    elif count > 1:
        values_um = [1e3 * one.value_mm for one in readings]
        mean_um = sum(values_um) / count
        deviation_um = (sum((um - mean_um) ** 2 for um in values_um) / (count - 1)) ** 0.5
        click.echo(
            f"mean {mean_um / 1e3:.4f} mm, standard deviation {deviation_um:.2f} um of {count} readings"
        )


@gauge.command(
    epilog="Examples:  needlepen gauge add left --kind mitutoyo --port /dev/ttyUSB0 --serial 21004533 "
    "--error-um 3 --due 2027-03-31"
)
@click.argument("name")
@click.option(
    "--kind", required=True, help="How it says what it shows; `needlepen gauge list` lists the kinds."
)
@click.option("--port", help="Its serial port, or a URL such as socket://HOST:PORT.")
@click.option(
    "--unit", type=click.Choice(["mm", "inch"]), help="What its display shows, if its text does not say."
)
@click.option("--model", help="Make and model.")
@click.option("--serial", help="Serial number.")
@click.option("--resolution-um", type=float, help="Last digit of its display.")
@click.option("--error-um", type=float, help="Largest error of indication by its certificate, half width.")
@click.option("--repeatability-um", type=float, help="Standard deviation of a reading.")
@click.option("--certificate", help="Number of its own calibration certificate.")
@click.option("--due", type=_DAY, help="Day on which its own calibration is due.")
@AS_JSON
def add(name: str, due: datetime | None, as_json: bool, **values: Any) -> None:
    """Add a gauge to gauges.toml under a NAME; the rest of the file stays as it is."""
    from needlepen.calibration.gauges import shelf

    made = shelf.add(name, values | {"due": due.date() if due else None})
    if as_json:
        _print({"name": name, "file": str(shelf.file_path()), **_facts(made)})
    else:
        click.echo(f"{name}: {_line(made)}\nkept in {shelf.file_path()}")


@gauge.command(epilog="Examples:  needlepen gauge remove left")
@click.argument("name")
@AS_JSON
def remove(name: str, as_json: bool) -> None:
    """Take the gauge NAME out of gauges.toml; calibrations that were made with it keep what it was."""
    from needlepen.calibration.gauges import shelf

    shelf.remove(name)
    if as_json:
        _print({"removed": name, "file": str(shelf.file_path())})
    else:
        click.echo(f"{name} is no longer in {shelf.file_path()}")


def _next(found: Gauge, number: int, count: int, timeout_s: float) -> Reading:
    """One reading: from the gauge, with what is awaited on a terminal, or the next line of the input."""
    from needlepen.errors import UsageError

    if found.automatic:
        with _Waiting(f"reading {number} of {count}"):
            return found.read(timeout_s)
    click.echo(f"reading {number} of {count}: ", err=True, nl=False)
    line = sys.stdin.readline()
    if not line:
        raise UsageError(f"The input ended before reading {number} of {count}.")
    return found.parse(line.rstrip("\r\n"))


class _Waiting:
    """A line on a terminal as long as something is awaited; nothing in a pipe."""

    def __init__(self, text: str) -> None:
        from rich.console import Console

        self._status = Console(stderr=True).status(f"{text} ...")
        self._shows = sys.stderr.isatty()

    def __enter__(self) -> None:
        if self._shows:
            self._status.start()

    def __exit__(self, *_: object) -> None:
        if self._shows:
            self._status.stop()


def _said(one: Reading) -> str:
    shown = f"  ({one.value_mm / 25.4:+.5f} inch)" if one.unit == "inch" else ""  # exact: 25.4 mm
    return f"{one.at:%H:%M:%S}  {one.value_mm:+.4f} mm{shown}  {one.raw}"


def _line(found: OwnGauge) -> str:
    """One gauge in a list."""
    parts = [found.kind, found.port or "", " ".join(filter(None, (found.model, found.serial)))]
    parts.append(f"+-{found.error_um:g} um")
    if found.due is None:
        parts.append("due date unknown")
    else:
        parts.append(f"{'OVERDUE since' if found.is_overdue(_today()) else 'due'} {found.due}")
    return ", ".join(filter(None, parts))


def _facts(found: OwnGauge) -> dict[str, Any]:
    return found.model_dump(mode="json") | {"overdue": found.is_overdue(_today())}


def _today() -> date:
    return datetime.now(UTC).date()


def _section(title: str, lines: dict[str, Any]) -> None:
    click.echo(click.style(title, bold=True))
    for name, text in lines.items():
        click.echo(f"  {name:14}  {text}")
    if not lines:
        click.echo("  none")


def _print(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=2))
