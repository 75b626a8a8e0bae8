"""Texts of the firmware's `pen/cartridge_types.py` and `pen/profiles.py`; the words stay on the host."""

from __future__ import annotations

from needlepen.cartridges.tables import CartridgeTypes, Profiles


def cartridge_types_module(tables: CartridgeTypes) -> str:
    """Source of pen/cartridge_types.py: TYPES by number, and what the minimum rate follows from."""
    types = {entry.number: (entry.needles, entry.depth_limit_um) for entry in tables.types.values()}
    return (
        "# Generated from firmware/cartridges.toml: change the entries there.\n"
        f"FORCE_PER_NEEDLE_N = {tables.energy.force_per_needle_n!r}\n"
        f"ENERGY_MARGIN = {tables.energy.margin!r}\n"
        "# number: needles, depth limit in um\n"
        f"TYPES = {types!r}\n"
    )


def profiles_module(profiles: Profiles) -> str:
    """Source of pen/profiles.py: PROFILES by number."""
    rows = {entry.number: (entry.depth_cap_um, entry.rate_hz, entry.session_min) for entry in profiles}
    return (
        "# Generated from firmware/profiles.toml: change the entries there.\n"
        "# number: depth cap in um, rate in Hz, session limit in min\n"
        f"PROFILES = {rows!r}\n"
    )
