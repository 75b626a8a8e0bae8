"""Guest faults: what takes a Cortex-M0+ into HardFault, which MicroPython answers by stopping for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# How rp2040py and the interpreter word what would be a bus fault or an undefined instruction on silicon.
_FAULTS = ("invalid memory address", "undefined address", "is undefined", "is not implemented")


@dataclass(frozen=True)
class Fault:
    """Why the core is locked up until the next reset."""

    t_ns: int
    pc: int
    reason: str

    def __str__(self) -> str:
        return f"{self.reason} near {self.pc:#010x} at {self.t_ns / 1e9:.6f} s"


class GuestLog:
    """Takes rp2040py's messages. Registers that it does not model are no news; faults are reported."""

    def __init__(self) -> None:
        self.on_fault: Callable[[str], None] = lambda _reason: None

    def debug(self, component: str, message: str) -> None:
        """Ignored."""

    def info(self, component: str, message: str) -> None:
        """Ignored."""

    def warning(self, component: str, message: str) -> None:
        """Report it if silicon would fault."""
        if any(text in message for text in _FAULTS):
            self.on_fault(message.removeprefix("Warning: ").rstrip("!"))

    def error(self, component: str, message: str) -> None:
        """As a warning."""
        self.warning(component, message)
