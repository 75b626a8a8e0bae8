"""One line of the catalogue: a target, a kind of fault it can have, and how the emulated pen gets it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from needlepen.emulator.injection.vocabulary import Fault
from needlepen.errors import UsageError

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

Undo = Callable[[], None]
Act = Callable[["EmulatedPen", Fault], Undo]


@dataclass(frozen=True)
class Value:
    """What `=VALUE` means for an entry: a number with a unit from `low` to `high`, or one of some words.

    `usual` is used where none is given; None leaves it to the entry.
    """

    meaning: str
    usual: float | str | None
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()

    def checked(self, fault: Fault) -> float | str | None:
        """The value of a fault, or the usual one. Raises UsageError for one that is not possible."""
        value = self.usual if fault.value is None else fault.value
        if value is None:
            return None
        if self.words:
            if value not in self.words:
                raise UsageError(f"{fault.name}: {self.meaning} is one of {', '.join(self.words)}")
        elif isinstance(value, str) or not self.low <= value <= self.high:
            raise UsageError(
                f"{fault.name}: {self.meaning} is a number from {self.low:g} to {self.high:g} {self.unit}".rstrip()
            )
        return value

    @property
    def described(self) -> str:
        """For listings."""
        usual = ""
        if self.usual is not None:
            usual = f", usually {self.usual}" if isinstance(self.usual, str) else f", usually {self.usual:g}"
        possible = "|".join(self.words) if self.words else f"{self.low:g} to {self.high:g}"
        return f"{self.meaning}, {possible}{' ' + self.unit if self.unit else ''}{usual}"


@dataclass(frozen=True)
class Entry:
    """A supported pair.

    Attributes:
        requirement: ID of the requirement that the fault provokes; "" if it is none's.
        text: what happens to the pen.
        act: does it now and returns what takes it back.
        cutoff: the kind of cut-off (scenario.cutoffs) that has to end a drive under way; "" if none has to.
        is_fast: whether what follows happens within microseconds.
        told_above: no word is needed about a smaller value.
        told_within: the limit of a requirement after which a pen that drives on must have said something.
        lasts: False for what can not be taken back by repairing it: a hung CPU waits for the chip's reset.
    """

    target: str
    kind: str
    requirement: str
    text: str
    act: Act
    value: Value | None = None
    cutoff: str = ""
    is_fast: bool = False
    lasts: bool = True
    told_within: str | None = None
    told_above: float = 0.0

    def must_be_told(self, fault: Fault) -> bool:
        """Whether a requirement states a time within which the pen has to say something about this fault."""
        amount = abs(fault.value) if isinstance(fault.value, int | float) else math.inf
        return self.told_within is not None and amount > self.told_above


def number(fault: Fault) -> float:
    """The value of a fault whose entry has made sure that there is one."""
    assert isinstance(fault.value, int | float), fault
    return float(fault.value)


def word(fault: Fault) -> str:
    """As `number`, for a word."""
    assert isinstance(fault.value, str), fault
    return fault.value
