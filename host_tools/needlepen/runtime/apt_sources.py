"""The Debian mirror that this machine's own apt uses, with a second suite: only the suite is changed.

Formats: sources.list(5), both the one-line style (`*.list`) and the deb822 style (`*.sources`).
"""

from __future__ import annotations

import email.parser
import platform
import re
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from needlepen.runtime.model import WayFailedError

_DEBIAN_SUITES = {"stable", "testing", "unstable", "sid", "oldstable", "bookworm", "trixie", "forky"}
_ONE_LINE = re.compile(r"^(deb|deb-src)\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)(?:\s+(.*))?$")
_OWN_FIELDS = {"types", "uris", "suites", "components", "enabled", "architectures", "arch"}


@dataclass(frozen=True)
class AptEntry:
    """One entry of apt's source lists."""

    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    """Further fields as written: Signed-By (a keyring's path or a whole key), Trusted, Check-Valid-Until."""

    def for_suite(self, suite: str) -> str:
        """A deb822 source list with this entry's mirror and options, for packages and sources of `suite`."""
        fields = [
            ("Types", "deb deb-src"),
            ("URIs", " ".join(self.uris)),
            ("Suites", suite),
            ("Components", "main"),
        ]
        return "".join(f"{name}: {value}\n" for name, value in [*fields, *self.options])


def configured_entries() -> list[AptEntry]:
    """The entries of this machine. Raises WayFailedError where there is no apt."""
    query = ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise WayFailedError("this machine has no apt (the build needs a Debian-like system)") from error
    folders = dict(word.split("=", 1) for word in shlex.split(answer))
    entries: list[AptEntry] = []
    parts = Path(folders.get("PARTS", "/nonexistent"))
    for path in [Path(folders.get("LIST", "/nonexistent")), *sorted(parts.glob("*.list"))]:
        entries += parse_one_line(_text(path))
    for path in sorted(parts.glob("*.sources")):
        entries += parse_deb822(_text(path))
    return entries


def debian_entry(entries: Iterable[AptEntry], codename: str | None = None) -> AptEntry:
    """The entry for the Debian archive itself. `codename`: this machine's release, default from os-release.

    Raises WayFailedError if there is none.
    """
    release = codename if codename is not None else _codename()
    found = [
        entry
        for entry in entries
        if "deb" in entry.types
        and "main" in entry.components
        and {*entry.suites} & {release, *_DEBIAN_SUITES}
    ]
    if not found:
        raise WayFailedError(
            "this machine's apt sources name no Debian archive (an entry with suite and `main`)"
        )
    # A third party may also call its suite "stable" and its component "main": the own release comes first.
    return min(
        found, key=lambda e: (release not in e.suites, not any("debian" in uri.lower() for uri in e.uris))
    )


def parse_one_line(text: str) -> list[AptEntry]:
    """Entries of a `*.list` file; other lines are passed over, apt itself complains of them."""
    entries = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match:
            kind, options, uri, suite, components = match.groups()
            pairs = (word.split("=", 1) for word in (options or "").split() if "=" in word)
            entries.append(
                AptEntry((kind,), (uri,), (suite,), tuple((components or "").split()), _foreign_fields(pairs))
            )
    return entries


def parse_deb822(text: str) -> list[AptEntry]:
    """Entries of a `*.sources` file that are enabled."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries = []
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = email.parser.HeaderParser().parsestr(stanza.strip() + "\n")
        if fields.get("URIs") and fields.get("Enabled", "yes").strip().lower() not in {
            "no",
            "false",
            "0",
            "off",
        }:
            types, uris, suites, components = (
                tuple(fields.get(name, "").split()) for name in ("Types", "URIs", "Suites", "Components")
            )
            entries.append(AptEntry(types, uris, suites, components, _foreign_fields(fields.items())))
    return entries


def _foreign_fields(pairs: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs if name.lower() not in _OWN_FIELDS)


def _codename() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
