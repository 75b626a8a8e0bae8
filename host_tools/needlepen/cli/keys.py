"""`needlepen keys`: the keys of pens that this computer keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from needlepen.errors import UsageError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
ROLES = click.Choice(["operator", "technician", "engineer"])


@click.group(epilog="Examples:  needlepen keys export e660000000000001 tech.key --role technician")
def keys() -> None:
    """Keys of pens on this computer: list, export, import, forget. They are never shown.

    They are kept in the keyring of the operating system, or in a file that only you can read where there is none;
    NEEDLEPEN_KEYS names another file.
    """


@keys.command("list", epilog="Examples:  needlepen keys list --json")
@AS_JSON
def list_keys(as_json: bool) -> None:
    """List the keys with their fingerprints, and say where they are kept."""
    from needlepen.access import open_store

    store = open_store()
    found = {name: store.get(name) for name in store.names()}
    prints = {name: key.fingerprint if key else None for name, key in found.items()}
    if as_json:
        click.echo(json.dumps({"where": store.where, "keys": prints}, indent=2))
        return
    click.echo(f"In {store.where}:")
    for name, fingerprint in prints.items():
        click.echo(f"  {name:40} {fingerprint or 'gone'}")
    if not prints:
        click.echo("  none; 'needlepen provision' makes them, 'needlepen keys import' takes them from a file")


@keys.command(epilog="Examples:  needlepen keys export e660000000000001 tech.key --role technician")
@click.argument("unique_id")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--role", type=ROLES, help="Only what opens this role. Without: the pen's own key, for a safe place."
)
@AS_JSON
def export(unique_id: str, file: Path, role: str | None, as_json: bool) -> None:
    """Write a key of the pen UNIQUE_ID to FILE, which only you can read, for another computer.

    With the key of a role nobody can open another role.
    """
    from needlepen.access import Role, open_store
    from needlepen.access.exchange import export as export_key

    carried = export_key(open_store(), _unique_id(unique_id), Role.named(role) if role else None, file)
    _say(carried.entry, f"written to {file}; delete it when it has arrived", carried.key.fingerprint, as_json)


@keys.command("import", epilog="Examples:  needlepen keys import tech.key")
@click.argument("file", type=click.Path(path_type=Path))
@AS_JSON
def import_key(file: Path, as_json: bool) -> None:
    """Keep the key in FILE on this computer."""
    from needlepen.access import open_store
    from needlepen.access.exchange import read

    carried, store = read(file), open_store()
    store.set(carried.entry, carried.key)
    _say(carried.entry, f"kept in {store.where}; delete {file} now", carried.key.fingerprint, as_json)


@keys.command(epilog="Examples:  needlepen keys forget pen/e660000000000001 --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def forget(name: str, yes: bool, as_json: bool) -> None:
    """Delete the key NAME, as 'keys list' shows it. Without a copy nobody can open that pen any more."""
    from needlepen.access import open_store

    store = open_store()
    key = store.get(name)
    if key is None:
        raise UsageError(f"{name}: no such key in {store.where}; 'needlepen keys list' says which there are")
    if not yes:
        click.confirm(f"Delete {name} ({key.fingerprint}) from {store.where} for good?", abort=True, err=True)
    store.forget(name)
    _say(name, f"deleted from {store.where}", key.fingerprint, as_json)


def _say(name: str, done: str, fingerprint: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"key": name, "fingerprint": fingerprint, "done": done}, indent=2))
    else:
        click.echo(f"{name} ({fingerprint}): {done}")


def _unique_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{16}", text):
        raise UsageError(
            f"{text}: not the unique ID of a pen, 16 hexadecimal digits; 'needlepen devices' shows it"
        )
    return text.lower()
