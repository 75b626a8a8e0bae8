"""The reviewed list: what no link can be found for, and why. An entry that is not needed is a gap itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from needlepen import toml_tables
from needlepen.errors import UsageError
from needlepen.trace.model import CodeLink, Gap, Place, Project
from needlepen.trace.source import Source

FILE = "hil_tests/reviewed_trace.toml"
Reason = Annotated[str, Field(min_length=20)]


class Keeper(BaseModel):
    """What keeps a requirement without naming it: `place` is FILE:SYMBOL."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    place: Annotated[str, Field(pattern=r"^[^:]+\.py:[A-Za-z_][\w.]*$")]
    reason: Reason


class Reviewed(BaseModel):
    """`limits`: reason by "SR-09.current_a". `code`: keeper by "PR-03"."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    limits: Mapping[Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{2}\.\w+$")], Reason] = {}
    code: Mapping[Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{2}$")], Keeper] = {}


@dataclass
class Found:
    """The list, the links that it makes, and entries whose place is not there."""

    reviewed: Reviewed
    links: list[CodeLink] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def read(project: Project) -> Found:
    """The reviewed list of a project; empty without the file. Raises UsageError if it cannot be used."""
    path = project.root / FILE
    if not path.exists():
        return Found(Reviewed())
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error}); it excuses gaps, so it has to be known"
        ) from None
    found = Found(
        toml_tables.validated(Reviewed.model_validate, toml_tables.parse(text, str(path)), str(path))
    )
    for requirement, keeper in found.reviewed.code.items():
        file, _, symbol = keeper.place.partition(":")
        line = Source(project.root / file, file).line_of(symbol) if (project.root / file).exists() else None
        if line is None:
            text = f"{FILE} says that {keeper.place} keeps it, which is not there; correct the place"
            found.gaps.append(Gap("unknown place", requirement, text))
        else:
            found.links.append(CodeLink(requirement, "", Place(file, line, symbol), "reviewed"))
    return found
