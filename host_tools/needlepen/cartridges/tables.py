"""Cartridge types and treatment profiles as data: firmware/cartridges.toml and firmware/profiles.toml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from needlepen import requirements, toml_tables
from needlepen.errors import UsageError

TYPES_FILE = "cartridges.toml"
PROFILES_FILE = "profiles.toml"
SESSION_MIN = (30, 60)
PEN_DEPTH_UM = 2500
Name = Annotated[str, Field(min_length=3, max_length=20)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CartridgeType(_Entry):
    """One type: `number` stands in the record, `depth_limit_um` bounds the limit there."""

    number: Annotated[int, Field(ge=1, le=254)]
    name: Name
    needles: Annotated[int, Field(ge=1, le=255)]
    depth_limit_um: Annotated[int, Field(ge=50, le=PEN_DEPTH_UM)]


class Energy(_Entry):
    """SR-24: work of a stroke into the skin, and how much of it the rotor has to hold."""

    force_per_needle_n: Annotated[float, Field(gt=0.0, le=1.0)]
    margin: Annotated[float, Field(ge=1.0, le=10.0)]


class CartridgeTypes(_Entry):
    """All types by their name in the file."""

    energy: Energy
    types: Annotated[Mapping[str, CartridgeType], Field(min_length=1)]

    @model_validator(mode="after")
    def _numbers_are_unique(self) -> CartridgeTypes:
        _unique("types", [entry.number for entry in self.types.values()])
        return self

    def numbered(self, number: int) -> CartridgeType:
        """The type of this number. Raises UsageError that lists the known ones."""
        for entry in self.types.values():
            if entry.number == number:
                return entry
        known = ", ".join(f"{entry.number} ({entry.name})" for entry in self.types.values())
        raise UsageError(f"there is no cartridge type {number}; known: {known}")

    def with_needles(self, needles: int) -> CartridgeType:
        """The type with this many needles. Raises UsageError that lists the known ones."""
        for entry in self.types.values():
            if entry.needles == needles:
                return entry
        known = ", ".join(str(entry.needles) for entry in self.types.values())
        raise UsageError(f"there is no cartridge type with {needles} needles; known: {known}")


class Profile(_Entry):
    """One profile: an example, no clinical advice. `session_min` counts from the first stroke, pauses included."""

    number: Annotated[int, Field(ge=0, le=254)]
    name: Name
    text: Annotated[str, Field(min_length=1)]
    depth_cap_um: Annotated[int, Field(ge=50, multiple_of=50)]
    rate_hz: int
    session_min: Annotated[int, Field(ge=SESSION_MIN[0], le=SESSION_MIN[1])]

    @model_validator(mode="after")
    def _inside_the_requirements(self) -> Profile:
        limit = requirements.load().limit
        cap_um = round(1000 * limit("SR-01", "default_cap_mm"))
        if self.depth_cap_um > cap_um:
            raise ValueError(f"depth_cap_um {self.depth_cap_um} is above {cap_um} (SR-01)")
        lowest, highest, step = (limit("PR-01", f"rate_{name}_hz") for name in ("min", "max", "step"))
        if not lowest <= self.rate_hz <= highest or self.rate_hz % step:
            raise ValueError(
                f"rate_hz {self.rate_hz} is not one of {lowest} to {highest} in steps of {step} (PR-01)"
            )
        return self


class Profiles(RootModel[Mapping[str, Profile]]):
    """All profiles by their name in the file; number 0 is the one that a pen without settings takes."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _numbers_are_unique_and_one_is_the_default(self) -> Profiles:
        numbers = [entry.number for entry in self]
        _unique("profiles", numbers)
        if 0 not in numbers:
            raise ValueError("no profile has number 0, which a pen without settings takes")
        return self

    def __iter__(self) -> Iterator[Profile]:  # type: ignore[override]
        return iter(sorted(self.root.values(), key=lambda profile: profile.number))

    def numbered(self, number: int) -> Profile:
        """The profile of this number. Raises UsageError that lists the known ones."""
        for entry in self:
            if entry.number == number:
                return entry
        known = ", ".join(f"{entry.number} ({entry.name})" for entry in self)
        raise UsageError(f"there is no treatment profile {number}; known: {known}")


def load_types(folder: Path | None = None) -> CartridgeTypes:
    """Cartridge types of a firmware folder, the project's own where it has none. Raises UsageError, one line."""
    return _parse(CartridgeTypes, *_text(TYPES_FILE, folder))


def load_profiles(folder: Path | None = None) -> Profiles:
    """Profiles of a firmware folder, the project's own where it has none. Raises UsageError, one line."""
    return _parse(Profiles, *_text(PROFILES_FILE, folder))


def parse_types(text: str, where: str = TYPES_FILE) -> CartridgeTypes:
    """Cartridge types in a TOML text. Raises UsageError, one line that begins with `where`."""
    return _parse(CartridgeTypes, text, where)


def parse_profiles(text: str, where: str = PROFILES_FILE) -> Profiles:
    """Profiles in a TOML text. Raises UsageError, one line that begins with `where`."""
    return _parse(Profiles, text, where)


def _unique(what: str, numbers: list[int]) -> None:
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise ValueError(f"two {what} have the number {twice[0]}; a record could mean either")


def _text(name: str, folder: Path | None) -> tuple[str, str]:
    return toml_tables.read(name, folder, "the pen's tables are made from it")


@cache
def _parse(model: type[Any], text: str, where: str) -> Any:
    return toml_tables.validated(model.model_validate, toml_tables.parse(text, where), where)
