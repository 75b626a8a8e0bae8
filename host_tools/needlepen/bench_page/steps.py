"""A measurement as the page leads through it: a calibration or a daily check. The engines are those of the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from needlepen.calibration.automatic import Measured
from needlepen.calibration.checking import Checking
from needlepen.calibration.model import Calibration, DailyCheck, Phase, Taken
from needlepen.calibration.procedure import Procedure
from needlepen.errors import UsageError

Result = Calibration | DailyCheck


class Steps(Protocol):
    """An engine and the rest of it."""

    @property
    def at(self) -> Measured:
        """The engine, at its present point."""

    @property
    def path(self) -> Path | None:
        """The journal with which it can be gone on, None if it is begun anew instead."""

    @property
    def readings(self) -> tuple[Taken, ...]:
        """All that count so far, in the order of the points."""

    @property
    def result(self) -> Result | None:
        """What came of it, as soon as it is finished."""

    def back(self) -> None:
        """One point back. Raises UsageError where that cannot be."""

    def finish(self) -> None:
        """Decide and keep, once all readings are there. May be called again after InfrastructureError."""

    def close(self) -> None:
        """Leave it."""


class CalibrationSteps:
    """A calibration."""

    def __init__(self, procedure: Procedure) -> None:
        self.at = procedure

    @property
    def path(self) -> Path | None:
        """See Steps."""
        return self.at.path

    @property
    def readings(self) -> tuple[Taken, ...]:
        """See Steps."""
        return tuple(self.at.session.of(*Phase))

    @property
    def result(self) -> Result | None:
        """See Steps."""
        return self.at.result if self.at.is_finished else None

    def back(self) -> None:
        """See Steps."""
        self.at.back()

    def finish(self) -> None:
        """See Steps."""
        self.at.finish()

    def close(self) -> None:
        """See Steps."""
        self.at.close()


class CheckSteps:
    """A daily check; `store` keeps its result."""

    path: Path | None = None

    def __init__(self, checking: Checking, store: Callable[[DailyCheck], object]) -> None:
        self.at = checking
        self.result: Result | None = None
        self._store = store
        self._readings: dict[int, Taken] = {}

    @property
    def readings(self) -> tuple[Taken, ...]:
        """See Steps."""
        present = self.at.present
        if present is not None:
            self._readings[present.point.number] = present
        return tuple(taken for _, taken in sorted(self._readings.items()))

    def back(self) -> None:
        """See Steps."""
        raise UsageError("a check is too short to step back in: leave it, and begin anew")

    def finish(self) -> None:
        """See Steps."""
        self.result = self.at.finish(self._store)

    def close(self) -> None:
        """Nothing is kept of a check that was left."""
