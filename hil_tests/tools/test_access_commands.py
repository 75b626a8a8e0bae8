"""Provisioning, unlocking and the REPL by the commands, on a production pen in another process (SR-25)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from support.line import Emulation

from needlepen import Pen
from needlepen.access import Key, KeyStore, Role, role_key, unlock
from needlepen.access.keystore import KeyFile
from needlepen.errors import Refused
from needlepen.link.client import LinkClient, messages

ID = "e660000000000019"


@pytest.fixture(scope="module")
def blank(emulate: Callable[..., Emulation]) -> Emulation:
    """A production pen that was never given keys nor calibration."""
    return emulate("blank", "--seed", str(0x19), "--kind", "production", "--no-factory")


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of keys of a computer; the same for all tests of this file."""
    path = tmp_path_factory.getbasetemp() / "access" / "keys.json"
    monkeypatch.setenv("NEEDLEPEN_KEYS", str(path))
    yield path


def _run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def _needlepen(*words: str, **environment: str) -> dict[str, Any]:
    done = _run("needlepen", *words, "--json", **environment)
    assert done.returncode == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _refused_without_hello(port: Path) -> str | None:
    """What a program hears that comes after another one and just asks for another rate."""
    with serial.serial_for_url(str(port), timeout=0.1) as line:
        link = LinkClient(line.write)
        sequence = link.request(messages.SET_RATE, 90)
        deadline_s = time.monotonic() + 10
        while (reply := link.reply(sequence)) is None:
            assert time.monotonic() < deadline_s
            link.feed(line.read(1000))
        return reply.refused


def _secrets(path: Path) -> list[str]:
    return list(json.loads(path.read_text())["keys"].values())


def test_a_pen_is_provisioned_unlocked_and_opened_by_commands(
    blank: Emulation, keys: Path, tmp_path: Path
) -> None:
    """In this order, as it happens in the life of a pen. No command says a key."""
    said = ""
    for fresh in (True, False):
        done = _run("needlepen", "provision", "--device", ID, "--json")
        assert done.returncode == 0, done
        said += done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert (told["unique_id"], told["fresh"], told["proven"]) == (ID, fresh, True)

    store = KeyStore(KeyFile(keys))
    with Pen.open(str(blank.link)) as pen:
        assert pen.request(messages.SET_RATE, 100).refused == "needs the role operator"
        assert unlock(pen, "technician", store) is Role.TECHNICIAN
        pen.set_rate(120)
        assert pen.about().role == "technician" and pen.about().provisioned
        assert pen.request(messages.OPEN_REPL).refused == "needs the role engineer"
    assert _refused_without_hello(blank.link) == "needs the role operator", "the role went with the program"

    done = _run("needlepen", "keys", "export", ID, str(tmp_path / "tech.key"), "--role", "technician")
    assert done.returncode == 0, done
    said += done.stdout + done.stderr
    other = {"NEEDLEPEN_KEYS": str(tmp_path / "other.json")}
    assert _needlepen("keys", "import", str(tmp_path / "tech.key"), **other)["key"] == f"role/{ID}/technician"
    done = _run("needlepen", "repl", "--device", ID, **other)
    assert done.returncode == Refused.exit_code and "no key for the role engineer" in done.stderr, done
    said += done.stdout + done.stderr

    assert _needlepen("repl", "--device", ID)["port"]
    done = _run("mpremote", "connect", str(blank.link), "exec", "print(6 * 7)")
    assert done.stdout.strip() == "42", done
    assert _run("mpremote", "connect", str(blank.link), "reset").returncode == 0
    said += json.dumps(_needlepen("keys", "list"))
    for secret in _secrets(keys):
        digits = [secret, role_key(Key.parse(secret), Role.TECHNICIAN).reveal().hex()]
        assert not any(text[at : at + 8] in said for text in digits for at in range(57))


def test_a_wrong_key_is_refused_with_the_reason(blank: Emulation, tmp_path: Path) -> None:
    store = KeyStore(KeyFile(tmp_path / "wrong.json"))
    store.set(f"pen/{ID}", Key.new())
    with Pen.open(str(blank.link), timeout_s=10) as pen, pytest.raises(Refused, match="attempts left: 4"):
        unlock(pen, "engineer", store)
