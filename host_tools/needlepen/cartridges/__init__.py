"""Cartridges and treatment profiles on the host: types and profiles as data, records, emulated cartridges."""

from needlepen.cartridges.tables import (
    CartridgeType,
    CartridgeTypes,
    Profile,
    Profiles,
    load_profiles,
    load_types,
)

__all__ = ["CartridgeType", "CartridgeTypes", "Profile", "Profiles", "load_profiles", "load_types"]
