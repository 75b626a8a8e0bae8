"""Text of the firmware's `pen/limits.py`: every limit of the requirements as a constant."""

from __future__ import annotations

from needlepen.requirements import Requirements


def constant_name(requirement_id: str, limit_name: str) -> str:
    """Name of a limit in the firmware: SR-06 threshold_hz is SR06_THRESHOLD_HZ."""
    return f"{requirement_id.replace('-', '')}_{limit_name.upper()}"


def constants(requirements: Requirements) -> dict[str, int | float]:
    """All limits by their name in the firmware."""
    return {
        constant_name(requirement.id, name): value
        for requirement in requirements.values()
        for name, value in requirement.limits.items()
    }


def limits_module(requirements: Requirements) -> str:
    """Source of pen/limits.py; it imports on MicroPython and on CPython."""
    lines = ["# Generated from firmware/requirements.toml: change the limits there."]
    for requirement in requirements.values():
        if requirement.limits:
            lines += ["", f"# {requirement.id} {requirement.title} ({requirement.status})"]
            lines += [f"{constant_name(requirement.id, k)} = {v!r}" for k, v in requirement.limits.items()]
    return "\n".join(lines) + "\n"
