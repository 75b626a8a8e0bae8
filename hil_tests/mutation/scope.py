"""Which modules are tested by mutation, and which requirement tests judge what the fast tests let through.

In scope is what decides whether the motor may turn, how deep the needles go, whether a cartridge counts, who may
change something, and what is kept of it. Listed are the modules that CPython can run: what touches registers (drive,
cutoff, axis, proofs, self-tests) is measured on the emulated pen and by the seeded defects of the requirement tests;
the control tick is judged here too, with a table in the place of its registers (unit/test_tick.py).
Left out on purpose: cpu_expected, places, numbers, kinds (tables of constants), player, reports, about (what is shown),
link (its own fuzz tests), reduced views for hosts.
"""

from __future__ import annotations

LIMITS = "pen.limits"

_DEPTH = ("test_depth_pen.py", "test_depth_watch.py", "test_depth_caps.py")
_RECORDS = ("test_store_on_chip.py", "test_event_log.py")
_CARTRIDGE = ("test_cartridge_start.py", "test_cartridge_mark.py", "test_cartridge_lost.py")

REQUIREMENT_TESTS: dict[str, tuple[str, ...]] = {
    "pen.supervisor": ("test_power_on.py", "test_release.py", "test_cutoff_proofs.py", "test_service.py"),
    "pen.trigger": ("test_power_on.py", "test_release.py"),
    "pen.control": ("test_overspeed.py", "test_stall.py", "test_release.py", "test_stroke_rate.py"),
    "pen.speed": ("test_underspeed.py", "test_stroke_rate.py"),
    "pen.run_watch": ("test_underspeed.py", "test_no_contact.py", "test_winding.py"),
    "pen.contact": ("test_no_contact.py",),
    "pen.thermal": ("test_winding.py", "test_nose_temperature.py"),
    "pen.ripple": ("test_winding.py", "test_no_contact.py"),
    "pen.monitor": (
        "test_battery.py",
        "test_nose_temperature.py",
        "test_external_power.py",
        "test_winding.py",
    ),
    "pen.depth": _DEPTH,
    "pen.axis_homing": ("test_depth_moves.py", "test_depth_retract.py"),
    "pen.axis_profile": ("test_depth_moves.py", "test_settings.py"),
    "pen.analogue": ("test_battery.py", "test_nose_temperature.py"),
    "pen.buttons": ("test_panel_on_pen.py",),
    "pen.cartridge": _CARTRIDGE,
    "pen.cartridge_record": _CARTRIDGE,
    "pen.cartridge_use": _CARTRIDGE,
    "pen.ds2431": _CARTRIDGE,
    "pen.onewire_crc": _CARTRIDGE,
    "pen.access": ("test_access.py",),
    "pen.access_records": ("test_access.py", "test_provisioning.py"),
    "pen.unlocking": ("test_access.py",),
    "pen.calibration_records": ("test_calibration_record.py",),
    "pen.integrity": ("test_self_tests.py",),
    "pen.settle": (),
    "pen.update": (),
    "pen.ed25519": (),
    "pen.store.auth": ("test_access.py",),
    "pen.store.calibration": ("test_calibration_record.py",),
    "pen.store.counters": _RECORDS,
    "pen.store.dates": ("test_calibration_record.py",),
    "pen.store.envelope": _RECORDS,
    "pen.store.event": _RECORDS,
    "pen.store.keys": ("test_provisioning.py",),
    "pen.store.log": _RECORDS,
    "pen.store.pair": _RECORDS,
    "pen.store.settings": ("test_settings_link.py",),
    "pen.store.store": _RECORDS,
    LIMITS: (),  # each by the tests that measure its requirement: see `tests_of_limit`
}
"""Module to the requirement tests that run its survivors on the emulated pen."""
