"""`needlepen bundle`: make, show and verify bundles of firmware."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from needlepen.cli._build_options import board_option, kind_option

if TYPE_CHECKING:
    from needlepen.update import Bundle

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group(epilog="Example:  needlepen bundle make release.npb --kind production --key release.key")
def bundle() -> None:
    """Bundles of firmware: make, show, verify, and the key that signs them."""


@bundle.command(epilog="Example:  needlepen bundle make release.npb --kind production --key release.key")
@FILE
@board_option
@kind_option("production", "A pen takes only bundles of its own kind.")
@click.option(
    "--key", type=click.Path(path_type=Path), help="File with the signing key; else that of this computer."
)
@click.option("--unsigned", is_flag=True, help="Without a signature: development pens take it.")
@AS_JSON
def make(file: Path, board_name: str, kind: Any, key: Path | None, unsigned: bool, as_json: bool) -> None:
    """Build the firmware and write it as a bundle to FILE."""
    from needlepen import board
    from needlepen.build import app_image
    from needlepen.build.staging import write_files
    from needlepen.errors import UsageError
    from needlepen.update import Bundle, make_bundle
    from needlepen.update.bundle import sign
    from needlepen.update.signing_key import signing_key

    if unsigned and key is not None:
        raise UsageError("--unsigned and --key exclude each other; leave one of them out")
    signer = None if unsigned else signing_key(key)
    program = app_image(board.load(board_name), kind).program
    made = Bundle(program) if signer is None else sign(program, signer)
    try:
        write_files({file.name: make_bundle(made)}, file.parent)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror}); give another place") from None
    _tell(file, made, as_json)


@bundle.command(epilog="Example:  needlepen bundle show release.npb")
@FILE
@AS_JSON
def show(file: Path, as_json: bool) -> None:
    """Say what is in FILE, with everything checked that needs no key."""
    from needlepen.update import read_bundle

    _tell(file, read_bundle(file), as_json)


@bundle.command(epilog="Example:  needlepen bundle verify release.npb --public 1f2e...")
@FILE
@click.option("--public", help="Public key, 64 hexadecimal digits; else that of the key on this computer.")
@click.option("--key", type=click.Path(path_type=Path), help="File with the signing key itself.")
@AS_JSON
def verify(file: Path, public: str | None, key: Path | None, as_json: bool) -> None:
    """Check that FILE is whole and was signed with this key."""
    from needlepen.errors import Refused, UsageError
    from needlepen.update import read_bundle
    from needlepen.update.signing_key import signing_key

    found = read_bundle(file)
    try:
        data = bytes.fromhex(public) if public else signing_key(key).public_key().public_bytes_raw()
    except ValueError:
        data = b""
    if len(data) != 32:
        raise UsageError(
            f"{public}: no public key, 64 hexadecimal digits; 'needlepen bundle keygen' shows it"
        )
    if not found.signature:
        raise Refused(f"{file} is not signed; only development pens take it")
    if not found.is_signed_by(data):
        raise Refused(f"{file} was not signed with this key: a pen that trusts the key refuses it")
    _tell(file, found, as_json, signed_by=data.hex())


@bundle.command(epilog="Example:  needlepen bundle keygen release.key")
@FILE
@AS_JSON
def keygen(file: Path, as_json: bool) -> None:
    """Make a key that signs bundles; FILE can be read by you alone. Prints the public half, which pens are given."""
    from needlepen.update.signing_key import new_key

    public = new_key(file).public_key().public_bytes_raw().hex()
    if as_json:
        click.echo(json.dumps({"file": str(file), "public": public}, indent=2))
        return
    click.echo(f"public key  {public}")
    click.echo(f"The private key is in {file}, for you alone (mode 600). Keep a copy in a safe place.")


def _tell(file: Path, found: Bundle, as_json: bool, signed_by: str | None = None) -> None:
    about = found.program.about
    facts = {
        "file": str(file),
        "program": found.program.name,
        "board": about.board,
        "kind": about.kind,
        "version": about.version,
        "micropython": about.micropython,
        "security_counter": about.counter,
        "application_sha256": about.application,
        "modules": len(found.program.modules),
        "bytes": sum(map(len, found.program.files.values())),
        "signed": bool(found.signature),
        "signed_by": signed_by,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if value is not None:
            shown = ("yes" if value else "no") if isinstance(value, bool) else value
            click.echo(f"{name.replace('_', ' '):20} {shown}")
