"""What a trace is made of: places in the code, tests, links from both to requirements, and gaps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from needlepen.errors import UsageError
from needlepen.requirements import Requirement, Requirements

if TYPE_CHECKING:
    from needlepen.trace.results import Results
    from needlepen.trace.reviewed import Reviewed

CodeHow = Literal["constant", "table", "host", "named", "reviewed"]
TestHow = Literal["measures", "figure", "claims", "reads"]

SHOWING: tuple[TestHow, ...] = ("measures", "figure", "claims")
"""Links that make a test evidence for a requirement. To read its limit alone does not: another test may need it."""


@dataclass(frozen=True)
class Project:
    """The folders of a checkout that are searched."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("firmware/requirements.toml", "hil_tests"):
            if not (self.root / name).exists():
                raise UsageError(
                    f"{self.root}: no {name}, so that there is nothing to trace; run this in a checkout of the "
                    "project, or name one with --project"
                )

    def relative(self, path: Path) -> str:
        """A path as the trace writes it: from the root of the checkout, with slashes."""
        return path.relative_to(self.root).as_posix()


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands: a file from the root of the checkout, a line, and the symbol that it belongs to."""

    file: str
    line: int
    symbol: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" {self.symbol}" if self.symbol else "")


@dataclass(frozen=True, order=True)
class CodeLink:
    """One place in the code that belongs to a requirement, or to one of its limits.

    `how`: "constant" the firmware uses the limit's constant; "table" an entry of a TOML table names it; "host" the
    host tools read the limit; "named" a docstring or a comment names the requirement; "reviewed" the reviewed list
    says so, where nothing names it.
    """

    requirement: str
    limit: str
    place: Place
    how: CodeHow

    @property
    def is_firmware(self) -> bool:
        """Whether it runs on the pen, or describes its board; else it belongs to the host tools."""
        return self.place.file.startswith(("firmware/", "boards/"))


@dataclass(frozen=True)
class Test:
    """A test function. `marks`: names of its pytest marks, "nightly" or "xfail" for example."""

    __test__ = False

    id: str
    place: Place
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class TestLink:
    """What a test has to do with a requirement, or with one of its limits ("" where it is the whole requirement).

    `how`: "measures" against the limit; "figure": against a goal of the project; "claims": the test, its section or
    its file begins with the requirement; "reads": the test needs the limit, as a boundary for example.
    """

    __test__ = False

    requirement: str
    limit: str
    test: str
    how: TestHow


@dataclass(frozen=True, order=True)
class Gap:
    """Something without its counterpart. `kind` is a key of gaps.KINDS; `text` says what to do about it."""

    kind: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.text}"


@dataclass
class Trace:
    """All of a project: what is required, where the code keeps it, what tests it, what came of it last."""

    project: Project
    requirements: Requirements
    code: list[CodeLink] = field(default_factory=list)
    tests: dict[str, Test] = field(default_factory=dict)
    links: list[TestLink] = field(default_factory=list)
    found: list[Gap] = field(default_factory=list)
    """Gaps that showed while reading: names that do not exist."""
    reviewed: Reviewed | None = None
    results: Results | None = None

    def hazards(self) -> dict[str, list[Requirement]]:
        """Each hazard with the requirements that control it."""
        found: dict[str, list[Requirement]] = {}
        for requirement in self.requirements.values():
            if requirement.hazard:
                found.setdefault(requirement.hazard, []).append(requirement)
        return found

    def code_of(self, requirement: str, limit: str | None = None) -> list[CodeLink]:
        """Places in the code that belong to a requirement; with `limit`, only to that limit of it."""
        found = [link for link in self.code if link.requirement == requirement]
        return sorted((link for link in found if limit in (None, link.limit)), key=lambda link: link.place)

    def links_of(self, requirement: str, limit: str | None = None) -> list[TestLink]:
        """Links of tests to a requirement; with `limit`, only to that limit of it."""
        return [
            link for link in self.links if link.requirement == requirement and limit in (None, link.limit)
        ]

    def tests_of(self, requirement: str) -> list[Test]:
        """The tests that are evidence for a requirement, in the order of the files."""
        names = dict.fromkeys(link.test for link in self.links_of(requirement) if link.how in SHOWING)
        return [self.tests[name] for name in names]
