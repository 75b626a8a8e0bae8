"""Keys on this computer: kept where only the user reads them, never overwritten, never shown (SR-25)."""

from __future__ import annotations

import json
import logging
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from click.testing import CliRunner
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from needlepen.access import Key, KeyStore, PenKeys, Role, open_store, role_key, unlock
from needlepen.access.exchange import export, read
from needlepen.access.keystore import KeyFile
from needlepen.access.provisioning import provision
from needlepen.cli import cli
from needlepen.errors import InfrastructureError, Refused, UsageError
from needlepen.link.client import Reply, messages

PEN = "e660000000000001"


class MemoryKeyring(KeyringBackend):
    """A keyring of an operating system."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture(params=["file", "keyring"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A computer with a keyring, or without one."""
    monkeypatch.setenv("NEEDLEPEN_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("NEEDLEPEN_KEYS", raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(MemoryKeyring() if request.param == "keyring" else NoKeyring())
    yield request.param
    keyring.set_keyring(before)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(KeyFile(tmp_path / "keys.json"))


# ---------------------------------------------------------------------- a key
def test_a_key_shows_its_fingerprint_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    key = Key.new()
    digits, shown = key.reveal().hex(), [repr(key), str(key), f"{key}", repr(PenKeys(key, key, bytes(32)))]
    logging.getLogger("needlepen").error("keys %s %r", key, {"key": key})
    shown += [caplog.text, json.dumps({"key": key}, default=str)]
    assert not any(digits[at : at + 8] in text for text in shown for at in range(57))
    assert all(key.fingerprint in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        vars(key)


@pytest.mark.parametrize("text", ["", "00" * 32, "ab" * 31, "xy" * 32, "ab" * 33])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as told:
        Key.parse(text)
    assert not text or text not in str(told.value)


def test_keys_are_random_and_those_of_roles_follow_from_the_pens() -> None:
    pen = Key.new()
    assert pen != Key.new() and role_key(pen, Role.OPERATOR) == role_key(pen, Role.OPERATOR)
    assert len({role_key(pen, role).fingerprint for role in Role if role}) == 3


# ---------------------------------------------------------------------- where they are kept
def test_keys_are_kept_listed_and_forgotten(kept: str) -> None:
    store, key = open_store(), Key.new()
    assert ("keyring" in store.where) == (kept == "keyring")
    store.set("cartridge", key)
    store.set(f"pen/{PEN}", Key.new())
    again = open_store()
    assert again.get("cartridge") == key and again.names() == ["cartridge", f"pen/{PEN}"]
    again.forget("cartridge")
    assert open_store().get("cartridge") is None and open_store().names() == [f"pen/{PEN}"]
    with pytest.raises(UsageError, match="no such key"):
        again.forget("cartridge")


def test_with_a_keyring_no_secret_is_in_a_file(kept: str, tmp_path: Path) -> None:
    key = open_store().get_or_make(f"pen/{PEN}")
    written = [path.read_text() for path in (tmp_path / "config").iterdir()]
    assert any(key.reveal().hex() in text for text in written) == (kept == "file")


def test_a_key_is_never_overwritten(store: KeyStore) -> None:
    first = store.get_or_make("cartridge")
    with pytest.raises(Refused, match="export it first"):
        store.set("cartridge", Key.new())
    store.set("cartridge", first)
    assert store.get_or_make("cartridge") == first


def test_the_file_is_the_users_alone(store: KeyStore, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    store.set("cartridge", Key.new())
    store.set("release", Key.new())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(list(tmp_path.iterdir())) == 1
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(Refused, match="others may read it"):
            store.get("cartridge")
        with pytest.raises(Refused, match="others may read it"):
            store.set("another", Key.new())


def test_a_file_behind_a_link_is_not_followed(store: KeyStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("{}")
    (tmp_path / "keys.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InfrastructureError, match="cannot be read"):
        store.get("cartridge")


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9, "keys": {}}', '{"format": 1}', "\x00"])
def test_a_damaged_file_is_left_alone(store: KeyStore, tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="not a file of keys"):
        store.set("cartridge", Key.new())
    assert path.read_text() == text


def test_the_file_stays_in_use_when_a_keyring_comes(kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kept == "file":
        key = open_store().get_or_make("cartridge")
        keyring.set_keyring(MemoryKeyring())
        assert open_store().get("cartridge") == key


# ---------------------------------------------------------------------- carrying one elsewhere
def test_a_technicians_file_opens_no_other_role(store: KeyStore, tmp_path: Path) -> None:
    pen = store.get_or_make(f"pen/{PEN}")
    path = tmp_path / "tech.key"
    export(store, PEN, Role.TECHNICIAN, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = path.read_text()
    for other in (pen, role_key(pen, Role.OPERATOR), role_key(pen, Role.ENGINEER)):
        assert other.reveal().hex() not in told
    elsewhere = KeyStore(KeyFile(tmp_path / "elsewhere.json"))
    carried = read(path)
    elsewhere.set(carried.entry, carried.key)
    wanted = role_key(pen, Role.TECHNICIAN)
    assert elsewhere.key_for(PEN, Role.TECHNICIAN) == (Role.TECHNICIAN, wanted)
    assert elsewhere.key_for(PEN, Role.OPERATOR) == (Role.TECHNICIAN, wanted), "a higher role will do"
    with pytest.raises(Refused, match="no key for the role engineer"):
        elsewhere.key_for(PEN, Role.ENGINEER)
    with pytest.raises(Refused, match="no such key"):
        export(elsewhere, PEN, None, tmp_path / "none.key")
    with pytest.raises(UsageError, match="is there already"):
        export(store, PEN, None, path)
    path.chmod(0o644)
    with pytest.raises(Refused, match="others may read it"):
        read(path)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "pen": "e6", "role": null, "key": ""}', "[1]"])
def test_a_file_that_holds_no_exported_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="not a key that"):
        read(path)


def test_commands_show_no_key(kept: str, tmp_path: Path) -> None:
    path, said = tmp_path / "pen.key", ""
    key = open_store().get_or_make(f"pen/{PEN}")
    for words in (
        ["list"], ["list", "--json"], ["export", PEN, str(path), "--json"], ["forget", f"pen/{PEN}", "--yes"],
        ["import", str(path)], ["import", str(path), "--json"], ["list"],
    ):  # fmt: skip
        done = CliRunner().invoke(cli, ["keys", *words])
        assert done.exit_code == 0, (words, done.output, done.exception)
        said += done.output
    digits = key.reveal().hex()
    assert not any(digits[at : at + 8] in said for at in range(57)) and key.fingerprint in said
    assert open_store().get(f"pen/{PEN}") == key


# ---------------------------------------------------------------------- with a pen
class ToldPen:
    """Answers as it is told to, and notes what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def request(self, kind: int, *values: Any) -> Reply:
        name = messages.MESSAGES[kind][0]
        self.asked.append(name)
        hello = {"unique_id": bytes.fromhex(PEN), "development": 0}
        default = {"hello": hello, "get_challenge": {"role": 1, "nonce": bytes(16), "wait_s": 0}}
        told = self.answers.get(name, default.get(name, {}))
        return Reply(told, {}) if isinstance(told, str) else Reply(None, told)


def test_a_locked_pen_and_a_wrong_key_are_refused_with_what_to_do(store: KeyStore) -> None:
    store.get_or_make(f"pen/{PEN}")
    assert unlock(ToldPen(), "operator", store) is Role.OPERATOR
    with pytest.raises(Refused, match="locked after too many wrong answers, for another 42 s"):
        unlock(ToldPen(get_challenge={"role": 1, "nonce": bytes(16), "wait_s": 42}), "operator", store)
    with pytest.raises(Refused, match="wrong answer, attempts left: 4; if the key on this computer"):
        unlock(ToldPen(unlock="wrong answer, attempts left: 4"), "operator", store)
    with pytest.raises(UsageError, match="is no role"):
        unlock(ToldPen(), "surgeon", store)


def test_a_development_build_is_asked_for_nothing(store: KeyStore) -> None:
    pen = ToldPen(hello={"unique_id": bytes.fromhex(PEN), "development": 1})
    assert unlock(pen, "technician", store) is Role.ENGINEER and pen.asked == ["hello"]


def test_keys_are_kept_before_the_pen_gets_them_so_that_an_interruption_loses_no_pen(store: KeyStore) -> None:
    class Torn(ToldPen):
        def request(self, kind: int, *values: Any) -> Reply:
            if kind == messages.PROVISION:
                assert store.get(f"pen/{PEN}") == Key(values[0]) and store.get("cartridge") == Key(values[1])
                raise InfrastructureError("unplugged")
            return super().request(kind, *values)

    with pytest.raises(InfrastructureError):
        provision(Torn(), store)
    key = store.get(f"pen/{PEN}")
    done = provision(ToldPen(provision="the pen holds keys: they are given once"), store)
    assert not done.fresh and done.proven and store.get(f"pen/{PEN}") == key
    assert provision(ToldPen(), store).fresh


def test_a_pen_of_another_computer_leaves_no_key_here(store: KeyStore) -> None:
    with pytest.raises(Refused, match="takes no keys"):
        provision(ToldPen(provision="the pen holds keys: they are given once"), store)
    assert f"pen/{PEN}" not in store.names()
