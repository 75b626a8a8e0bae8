"""The reviewed list: survivors that a person has read, each with the reason why it may survive."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mutation.mutants import Mutant
from mutation.verdicts import OPEN, Outcome
from needlepen.errors import UsageError

LIST = Path(__file__).with_name("reviewed.toml")
KINDS = ("equivalent", "accepted")
"""equivalent: no input that can occur shows a difference. accepted: there is one, and the reason says why no test has
to see it; it counts as a survivor in the score."""


@dataclass(frozen=True)
class Review:
    """One reviewed mutant; `text` is what the reviewer read."""

    id: str
    text: str
    kind: str
    reason: str


def load(path: Path = LIST) -> dict[str, Review]:
    """The list by mutant ID. Raises UsageError for a file that cannot be used."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}; without it no survivor is justified") from None
    found: dict[str, Review] = {}
    for number, entry in enumerate(data.get("reviewed", []), 1):
        kind, reason, listed = entry.get("kind"), entry.get("reason", ""), entry.get("mutants", {})
        if kind not in KINDS or len(reason) < 20 or not listed:
            raise UsageError(
                f"{path}: entry {number}: needs kind ({' or '.join(KINDS)}), a reason in a sentence, and mutants"
            )
        for identity, text in listed.items():
            if identity in found:
                raise UsageError(f"{path}: {identity} is listed twice; keep one")
            found[identity] = Review(identity, text, kind, reason)
    return found


def stale(reviews: Mapping[str, Review], made: Iterable[Mutant], modules: Iterable[str]) -> list[str]:
    """Entries for mutants that no longer exist, or whose text is another one, in the modules that were made."""
    texts = {mutant.id: mutant.text for mutant in made}
    within = set(modules)
    return [
        f"{identity}: {'the line has changed' if identity in texts else 'there is no such mutant any more'}; "
        "review it again"
        for identity, review in reviews.items()
        if identity.split(":")[0] in within and texts.get(identity) != review.text
    ]


def killed_after_all(reviews: Mapping[str, Review], outcomes: Mapping[str, Outcome]) -> list[str]:
    """Entries whose mutant a test kills by now: they justify nothing."""
    return [
        f"{identity}: killed by {outcomes[identity].by}; take it off the list"
        for identity in reviews
        if identity in outcomes and outcomes[identity].verdict in ("killed", "timeout")
    ]


def unreviewed(
    reviews: Mapping[str, Review], made: Iterable[Mutant], outcomes: Mapping[str, Outcome]
) -> list[Mutant]:
    """Survivors that nobody has justified."""
    return [
        mutant
        for mutant in made
        if mutant.id in outcomes and outcomes[mutant.id].verdict in OPEN and mutant.id not in reviews
    ]


def draft(survivors: Iterable[Mutant]) -> str:
    """Entries to be reviewed, as text for the list: kind and reason are left for the reviewer."""
    lines = ["[[reviewed]]", 'kind = ""', 'reason = ""', "[reviewed.mutants]"]
    lines += [f"{json.dumps(m.id)} = {json.dumps(m.text, ensure_ascii=False)}" for m in survivors]
    return "\n".join(lines) + "\n"
