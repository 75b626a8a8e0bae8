"""A place of a shared bench: labgrid's coordinator lends it, and its exporter says where the pen's port is.

Everything goes by the command `labgrid-client`, so that labgrid may live in an environment of its own: it brings its
own edition of pyserial. NEEDLEPEN_LABGRID is the folder of its commands where they are neither on the PATH nor where
`make labgrid` puts them; which coordinator, and who asks, labgrid takes from its own LG_COORDINATOR, LG_USERNAME,
LG_HOSTNAME and LG_TOKEN.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from needlepen.errors import InfrastructureError, NeedlepenError, Refused, UsageError
from support.targets.boards import LinkTarget
from support.targets.protocols import Lost
from support.targets.specification import Specification

WAIT_S = 30.0
OWN = Path(__file__).resolve().parents[3] / ".venv-labgrid" / "bin"
_MONITOR_S, _TRIES = 4.0, 5
_PORT = "NetworkSerialPort"
_FORMS = {"raw": "socket://{host}:{port}", "rfc2217": "rfc2217://{host}:{port}?ign_set_control"}
"""How pyserial opens each protocol. Not every server answers to flow control: that is not waited for."""
_TAKEN = ("already acquired", "is reserved", "not owner", "acquired by a different user")


def open_place(specification: Specification) -> PlaceTarget:
    """Acquire a place and open its pen. Raises UsageError, InfrastructureError, Refused."""
    return PlaceTarget(specification)


def command(name: str) -> str | None:
    """Where a command of labgrid is; None if it is not installed."""
    places = (os.environ.get("NEEDLEPEN_LABGRID", os.devnull), os.environ.get("PATH"), str(OWN))
    return next(filter(None, (shutil.which(name, path=place) for place in places)), None)


def client() -> str:
    """The command that everybody uses. Raises UsageError if there is none."""
    found = command("labgrid-client")
    if found is None:
        raise UsageError(
            "labgrid is not installed: `make labgrid` puts it into .venv-labgrid; where it is elsewhere, set "
            "NEEDLEPEN_LABGRID to the folder of its commands."
        )
    return found


class Place:
    """One place, acquired until `release`. `taken`: why it is ours no longer, as soon as the coordinator says so.

    `name`: of the place, or "+" for the one that the reservation LG_TOKEN has got, or "+TOKEN".
    """

    def __init__(self, name: str) -> None:
        self.name = _reserved(name) if name.startswith("+") else name
        self.taken: str | None = None
        self._acquired = threading.Event()
        self._ended = False
        self._monitor = subprocess.Popen(
            [client(), "monitor"],
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._is_ours = False
        try:
            self._acquire()
        except BaseException:
            self._stop_watching()
            raise

    def url(self) -> str:
        """Where its pen's port is. Raises UsageError if the place has none, or several."""
        import yaml

        said = yaml.safe_load(self._run("env"))
        resources = said["targets"][self.name]["resources"]
        ports = [arguments for entry in resources for cls, arguments in entry.items() if cls == _PORT]
        if len(ports) != 1 or ports[0].get("protocol", "rfc2217") not in _FORMS:
            raise UsageError(
                f"Place {self.name} has {len(ports)} {_PORT}s with a protocol of {' or '.join(_FORMS)}, not one: "
                "match the port of one pen (`labgrid-client add-match`)."
            )
        return _FORMS[ports[0].get("protocol", "rfc2217")].format(**ports[0])

    def release(self) -> None:
        """Give it back, if it is still ours."""
        self._ended = True
        if self._is_ours and self.taken is None:
            with contextlib.suppress(NeedlepenError):
                self._run("release")
        self._is_ours = False
        self._stop_watching()

    def _acquire(self) -> None:
        """Until the monitor has seen it: from then on nothing escapes it."""
        for _ in range(_TRIES):
            said = self._run("acquire")
            self._is_ours = True
            if f"acquired place {self.name}" not in said.splitlines():  # labgrid takes a part of a name too
                self._run("release")
                raise UsageError(
                    f"{self.name!r} is not the whole name of a place; `labgrid-client places` lists them."
                )
            if self._acquired.wait(_MONITOR_S):
                return
            self._run("release")
            self._is_ours = False
        raise InfrastructureError(
            f"Place {self.name}: `labgrid-client monitor` does not say that it was acquired; see LG_COORDINATOR."
        )

    def _run(self, command: str) -> str:
        return _ask(self.name, command)

    # ------------------------------------------------------------------ what the coordinator says meanwhile
    def _watch(self) -> None:
        assert self._monitor.stdout is not None
        about_us = False
        for line in self._monitor.stdout:
            if not line.startswith(" "):
                about_us = line.startswith(f"Place {self.name} ")
                if about_us and " deleted" in line:
                    self._lose(f"place {self.name} was removed")
            elif about_us and (found := re.match(r"\s+acquired: (.*) -> (.*)", line)):
                self._changed(found[1], found[2])
        self._lose("the coordinator went away")

    def _changed(self, before: str, after: str) -> None:
        if before in ("None", ""):
            self._acquired.set()
            return
        if not self._acquired.is_set():
            return  # given back in order to be acquired again
        by = "nobody has it now" if after in ("None", "") else f"{after} has it now"
        self._lose(f"place {self.name} was taken away from this session ({by})")

    def _lose(self, why: str) -> None:
        if not self._ended and self.taken is None:
            self.taken = why[0].upper() + why[1:]

    def _stop_watching(self) -> None:
        self._ended = True
        self._monitor.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._monitor.wait(WAIT_S)
        self._thread.join(WAIT_S)


def _ask(place: str, command: str) -> str:
    """What `labgrid-client` answers about a place. Raises Refused, InfrastructureError."""
    line = [client(), "-p", place, command]
    try:
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise InfrastructureError(
            f"Place {place}: `{' '.join(line[1:])}` says nothing within {WAIT_S:.0f} s; see LG_COORDINATOR."
        ) from None
    if done.returncode == 0:
        return done.stdout
    said = " ".join((done.stderr or done.stdout).split())
    error = Refused if any(text in said for text in _TAKEN) else InfrastructureError
    raise error(f"Place {place}: {said} (`labgrid-client -p {place} {command}`); see `labgrid-client who`.")


def _reserved(token: str) -> str:
    """The name of the place that a reservation has got. Raises UsageError if there is no reservation to look for."""
    if token == "+" and not os.environ.get("LG_TOKEN"):
        raise UsageError(
            'labgrid:+ means what LG_TOKEN has reserved, and there is none: `eval "$(labgrid-client reserve --wait '
            '--shell NAME=VALUE)"` first, or name the place.'
        )
    found = re.search(r"^Place '(.+)':", _ask(token, "show"), re.MULTILINE)
    if found is None:
        raise InfrastructureError(f"Place {token}: `labgrid-client -p {token} show` names no place.")
    return found[1]


class PlaceTarget:
    """The pen of a place."""

    def __init__(self, specification: Specification) -> None:
        self.name = str(specification)
        self.lost: str | None = None
        self._place = Place(specification.where)
        try:
            self._board = LinkTarget(specification, url=self._place.url())
        except BaseException:
            self._place.release()
            raise
        self.identity = replace(self._board.identity, target=self.name)

    @property
    def offers(self) -> frozenset[str]:
        """What a port has."""
        return self._board.offers

    @contextlib.contextmanager
    def use(self, capability: str) -> Iterator[Any]:
        """As LinkTarget, while the place is ours."""
        if self.lost is not None:
            raise Lost(self.lost)
        with self._board.use(capability) as found:
            yield found

    def is_there(self) -> bool:
        """Whether the place is ours and its pen answers."""
        return self._place.taken is None and self._board.is_there()

    def noticed(self) -> str | None:
        """That the place was taken away, its coordinator has gone, or its pen was flashed."""
        return self._place.taken or self._board.noticed()

    def close(self) -> None:
        """Hang up, and give the place back."""
        self._board.close()
        self._place.release()
