"""Cartridges and treatment profiles on the host: `tables` (types and profiles as data), `records` (what a chip holds)."""

from needlepen.cartridges.tables import (
    CartridgeType,
    CartridgeTypes,
    Profile,
    Profiles,
    load_profiles,
    load_types,
)

__all__ = ["CartridgeType", "CartridgeTypes", "Profile", "Profiles", "load_profiles", "load_types"]
