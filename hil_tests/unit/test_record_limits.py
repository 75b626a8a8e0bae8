"""Records and settings at their limits: the shortest envelope, the longest name, the last character."""

from __future__ import annotations

import struct

import pytest

from needlepen.firmware_modules import firmware_module

envelope = firmware_module("pen.store.envelope")
settings = firmware_module("pen.store.settings")
n = firmware_module("pen.store.numbers")
depth = firmware_module("pen.depth")
UNIQUE_ID = bytes(range(8))


def test_a_record_without_payload_is_one() -> None:
    data = envelope.pack(n.KIND_SETTINGS, 1, 7, UNIQUE_ID, b"")
    assert envelope.parse(data, n.KIND_SETTINGS, 1, UNIQUE_ID) == (n.OK, 7, b"")
    assert envelope.parse(data[:-1], n.KIND_SETTINGS, 1, UNIQUE_ID) == (n.TRUNCATED, 0, None)
    assert envelope.parse(None, n.KIND_SETTINGS, 1, UNIQUE_ID) == (n.MISSING, 0, None)


@pytest.mark.parametrize(
    ("profile", "fits"),
    [
        ("", True),
        ("x" * 16, True),
        ("x" * 17, False),
        (" ", True),
        ("~", True),
        ("\x1f", False),
        ("\x7f", False),
        ("\u00e9", False),
    ],
)
def test_a_profile_is_named_by_up_to_16_printable_characters(profile: str, fits: bool) -> None:
    made = settings.Settings(profile=profile)
    assert (made.check() == n.OK) == fits
    stored = struct.pack("<HHB16s", made.rate_hz, 0, 2, profile.encode())
    reason, found = settings.unpack(stored)
    if len(profile) <= 16:
        assert (reason == n.OK) == fits and (found is not None) == fits
        assert found is None or found.profile == profile


def test_a_new_pen_beeps_at_the_middle_volume() -> None:
    assert settings.Settings().volume == 2 == settings.VOLUME_MAX - 1


@pytest.mark.parametrize(
    ("um", "text"), [(990, "0.99"), (999, "0.99"), (1_000, "1.00"), (2_000, "2.00"), (1_999, "1.99")]
)
def test_mm_are_cut_off_to_hundredths(um: int, text: str) -> None:
    assert depth.mm_text(um) == text


def test_what_a_drift_forgets_is_gone_from_every_bin() -> None:
    drift = depth.Drift()
    for _ in range(10):
        drift.take(500, 96)
    drift.forget()
    for _ in range(9):
        drift.take(0, 96)
    assert drift.mean_um == 0


def test_a_sensor_is_compared_with_where_it_was() -> None:
    follower = depth.Follower()
    follower.begin(0, 300)
    assert follower.stood_still(349) and not follower.stood_still(350) and not follower.stood_still(-300)
