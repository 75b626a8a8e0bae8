"""What all actions have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ActionBase(BaseModel):
    """One thing that a step does. Frozen: the runner dispatches on the class and reads the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @property
    def is_stimulus(self) -> bool:
        """True for everything that changes the pen or its surroundings."""
        return True


class PassiveAction(ActionBase):
    """An action that only looks, waits or labels."""

    @property
    def is_stimulus(self) -> bool:
        return False
