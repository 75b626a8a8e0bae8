"""Text of the firmware's `pen/events.py`: the number of each event of the log; the words stay on the host."""

from __future__ import annotations

from collections.abc import Mapping

from needlepen.events import Event


def events_module(events: Mapping[str, Event]) -> str:
    """Source of pen/events.py."""
    head = "# Generated from firmware/events.toml: change the entries there.\n"
    return head + "".join(f"{name} = {event.number}\n" for name, event in events.items())
