"""Bundles of firmware: the same bytes each time, every damage refused, keys for their owner alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.update_rig import program

from needlepen.cli import main
from needlepen.cli.bundle import bundle as command
from needlepen.errors import Refused, UsageError
from needlepen.update import Bundle, make_bundle, read_bundle
from needlepen.update.bundle import parse_bundle, sign
from needlepen.update.signing_key import new_key, read_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SIGNED = sign(program("2.0"), KEY)


def _changed(change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(make_bundle(SIGNED))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def _set(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: data})


FILE = f"code/{next(iter(SIGNED.program.files))}"
DAMAGED: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "no list": (lambda members: members.__delitem__("manifest"), "list of the program is missing or damaged"),
    "altered list": (_set("manifest", SIGNED.program.manifest.replace(b"m1", b"m7")), "missing or damaged"),
    "missing module": (lambda members: members.__delitem__(FILE), "is missing"),
    "altered module": (_set(FILE, b"other"), "altered or damaged"),
    "one more file": (_set("code/" + "0" * 32, b"more"), "belongs to no module"),
    "short signature": (_set("signature", bytes(63)), "63 bytes instead of 64"),
}


def test_a_bundle_comes_back_as_it_was_made_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    path = tmp_path / "a.npb"
    path.write_bytes(make_bundle(SIGNED))
    assert read_bundle(path) == SIGNED and make_bundle(SIGNED) == path.read_bytes()
    assert SIGNED.is_signed_by(PUBLIC) and not SIGNED.is_signed_by(bytes(31) + b"\1")
    assert not Bundle(program("3.0"), SIGNED.signature).is_signed_by(PUBLIC)


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_bundle_is_refused_with_its_reason(how: str) -> None:
    change, reason = DAMAGED[how]
    with pytest.raises(Refused, match=reason):
        parse_bundle(_changed(change))


def test_each_cut_and_each_flipped_byte_of_a_bundle_is_refused_or_harmless() -> None:
    """A zip has bytes that mean nothing; whatever is read has to be what was signed."""
    whole = make_bundle(SIGNED)
    for place in range(0, len(whole), 7):
        bent = bytearray(whole)
        bent[place] ^= 0x10
        for content in (bytes(bent), whole[:place]):
            try:
                read = parse_bundle(content)
            except (ValueError, Refused):
                continue
            assert read.program == SIGNED.program and read.signature in (SIGNED.signature, b"")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 50])
def test_a_file_that_is_no_bundle_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npb"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="no bundle of needlepen"):
        read_bundle(path)


def test_too_long_a_file_is_not_unpacked() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_bundle(_changed(_set("code/zeros", bytes(50_000_000))))


def test_a_signing_key_is_for_its_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "release.key"
    made = new_key(path)
    assert (
        path.stat().st_mode & 0o777 == 0o600
        and read_key(path).private_bytes_raw() == made.private_bytes_raw()
    )
    with pytest.raises(Refused, match="there already"):
        new_key(path)
    path.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        read_key(path)
    path.chmod(0o600)
    path.write_text("needlepen signing key 12")
    with pytest.raises(UsageError, match="no signing key"):
        read_key(path)


def test_the_command_makes_shows_and_verifies_a_signed_bundle(tmp_path: Path) -> None:
    def run(*words: str) -> dict[str, object]:
        result = CliRunner().invoke(command, [*words, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        told: dict[str, object] = json.loads(result.stdout)
        return told

    key, other, file = (str(tmp_path / name) for name in ("a.key", "b.key", "a.npb"))
    public = str(run("keygen", key)["public"])
    run("keygen", other)
    secret = read_key(Path(key)).private_bytes_raw().hex()
    made = run("make", file, "--kind", "production", "--key", key)
    assert made["signed"] is True and made["kind"] == "production" and secret not in json.dumps(made)
    assert run("show", file) == made
    assert run("verify", file, "--public", public)["signed_by"] == public
    with pytest.raises(Refused, match="not signed with this key"):
        run("verify", file, "--key", other)


def test_without_any_key_a_bundle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLEPEN_KEYS", str(tmp_path / "keys.json"))
    with pytest.raises(SystemExit) as ended:
        main(["bundle", "make", str(tmp_path / "a.npb")])
    assert ended.value.code == Refused.exit_code and not [*tmp_path.iterdir()]
