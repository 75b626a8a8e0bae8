"""Settings at the limits of PR-01 and PR-05, and the authentication codes that records stand on."""

from __future__ import annotations

import hashlib
import hmac
import struct

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

auth = firmware_module("pen.store.auth")
settings = firmware_module("pen.store.settings")
n = firmware_module("pen.store.numbers")

LIMIT = requirements.load().limit
RATE_MIN_HZ, RATE_MAX_HZ = (int(LIMIT("PR-01", f"rate_{end}_hz")) for end in ("min", "max"))
DEPTH_MAX_UM = round(1_000 * LIMIT("PR-05", "depth_max_mm"))


def payload(rate_hz: int = 100, depth_um: int = 0, volume: int = 2, profile: bytes = b"") -> bytes:
    return struct.pack("<HHB16s", rate_hz, depth_um, volume, profile)


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({}, True),
        ({"rate_hz": RATE_MIN_HZ}, True),
        ({"rate_hz": RATE_MIN_HZ - 5}, False),
        ({"rate_hz": RATE_MAX_HZ}, True),
        ({"rate_hz": RATE_MAX_HZ + 5}, False),
        ({"rate_hz": 101}, False),
        ({"rate_hz": 104}, False),
        ({"rate_hz": 105}, True),
        ({"depth_um": 50}, True),
        ({"depth_um": 25}, False),
        ({"depth_um": 49}, False),
        ({"depth_um": 51}, False),
        ({"depth_um": 1_250}, True),
        ({"depth_um": DEPTH_MAX_UM}, True),
        ({"depth_um": DEPTH_MAX_UM + 50}, False),
        ({"volume": 0}, True),
        ({"volume": 3}, True),
        ({"volume": 4}, False),
        ({"rate_hz": 0}, False),
        ({"rate_hz": 0, "volume": 4}, False),
        ({"rate_hz": 0, "depth_um": 25}, False),
    ],
)
def test_settings_fit_up_to_their_limits_and_in_whole_steps(values: dict[str, int], fits: bool) -> None:
    reason = n.OK if fits else n.OUT_OF_RANGE
    assert settings.Settings(**values).check() == reason
    found, made = settings.unpack(payload(**values))
    assert found == reason and (made is not None) == fits
    if fits:
        assert made.pack() == payload(**values)


@pytest.mark.parametrize("values", [{"depth_um": -50}, {"volume": -1}])
def test_nothing_is_set_below_0(values: dict[str, int]) -> None:
    assert settings.Settings(**values).check() == n.OUT_OF_RANGE


def test_stored_settings_have_their_length_and_a_printable_name() -> None:
    for other in (payload()[:-1], payload() + b"\0"):
        assert settings.unpack(other) == (n.WRONG_LENGTH, None)
    for name in (b"a\x80", b"\xff", b"\x1f", b"\x7f"):
        assert settings.unpack(payload(profile=name)) == (n.OUT_OF_RANGE, None)
    assert settings.unpack(payload(profile=b"cheek"))[1].profile == "cheek"


# ---------------------------------------------------------------------- authentication codes
@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65, 100])
def test_a_code_is_that_of_the_standard_for_keys_of_any_length(length: int) -> None:
    key = bytes(range(1, length + 1))
    for message in (b"", b"message"):
        assert auth.hmac_sha256(key, message) == hmac.new(key, message, hashlib.sha256).digest()


def test_codes_are_the_same_or_not() -> None:
    code = bytes(range(32))
    assert auth.same(code, bytes(code)) is True and auth.same(b"", b"") is True
    for other in (code[:-1], code + b"\0", b"", code[1:] + b"\0", b"\x01" + code[1:], code[:-1] + b"\x9f"):
        assert auth.same(code, other) is False
