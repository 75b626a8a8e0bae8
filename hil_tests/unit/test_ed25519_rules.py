"""The pen's Ed25519 piece by piece: what stands for a point, tables of multiples, the limits of key and signature."""

from __future__ import annotations

import hashlib

import pytest
from generators import ended

from needlepen.firmware_modules import firmware_module

ed25519 = firmware_module("pen.ed25519")
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P
# RFC 8032, 7.1, test 2.
KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
IDENTITY = (1).to_bytes(32, "little")


def plain(point: tuple[int, int, int, int]) -> tuple[int, int]:
    """x and y of a point in extended coordinates, which have to agree with one another."""
    x, y, z, t = point
    assert (x * y - z * t) % P == 0
    inverse = pow(z, -1, P)
    return x * inverse % P, y * inverse % P


def added(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
    """RFC 8032, 5.1.4, by fractions."""
    (x1, y1), (x2, y2) = one, two
    k = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P,
    )


def test_the_constants_are_those_of_the_standard() -> None:
    assert (ed25519._P, ed25519._L, ed25519._D) == (P, L, D) and pow(2, (P - 1) // 4, P) == ed25519._I
    assert ed25519._BASE[1] == BASE_Y and ed25519._BASE[0] % 2 == 0
    x2 = (BASE_Y**2 - 1) * pow(D * BASE_Y**2 + 1, -1, P) % P
    assert ed25519._BASE[0] ** 2 % P == x2
    assert (ed25519._WINDOW, ed25519._MASK) == (4, 2**64 - 1)


# ---------------------------------------------------------------------- points
@pytest.mark.parametrize("odd", [0, 1])
def test_a_point_is_read_as_its_negative(odd: int) -> None:
    x, y, z, t = ed25519._point((BASE_Y | odd << 255).to_bytes(32, "little"))
    assert y == BASE_Y and z == 1 and t == x * y % P and x % 2 == 1 - odd
    assert x in (ed25519._BASE[0], P - ed25519._BASE[0])


def test_some_numbers_stand_for_points_and_some_for_none() -> None:
    """By Euler's criterion, for the first 40 numbers and the last 20 below the prime."""
    seen = set()
    for y in [*range(40), *range(P - 20, P)]:
        x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        found = ed25519._point(y.to_bytes(32, "little"))
        assert (found is None) == (pow(x2, (P - 1) // 2, P) not in (0, 1)), y
        if found is not None:
            assert plain(found)[1] == y and found[0] ** 2 % P == x2
        seen.add(found is None)
    assert seen == {True, False}


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1])
def test_a_number_from_the_prime_on_stands_for_no_point(y: int) -> None:
    assert ed25519._point(y.to_bytes(32, "little")) is None


@pytest.mark.parametrize("y", [1, P - 1])
def test_x_0_has_no_odd_sign(y: int) -> None:
    assert ed25519._point(y.to_bytes(32, "little"))[:3] in ((0, y, 1), (P, y, 1))
    assert ed25519._point((y | 1 << 255).to_bytes(32, "little")) is None


def test_a_table_holds_16_multiples() -> None:
    base = (*ed25519._BASE, 1, ed25519._BASE[0] * ed25519._BASE[1] % P)
    table, steps = ended(ed25519._table(base))
    assert len(table) == 16 and steps == [None] * 2 and table[0] == (0, 1, 1, 0) and table[1] == base
    expected = (0, 1)
    for k in range(16):
        assert plain(table[k]) == expected, k
        assert (
            plain(ed25519._double(table[k]))
            == plain(ed25519._add(table[k], table[k]))
            == added(expected, expected)
        )
        expected = added(expected, ed25519._BASE)


def test_a_step_of_a_table_is_up_to_eight_additions(monkeypatch: pytest.MonkeyPatch) -> None:
    done, add = [0], ed25519._add

    def counted(*points: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        done[-1] += 1
        result: tuple[int, int, int, int] = add(*points)
        return result

    monkeypatch.setattr(ed25519, "_add", counted)
    for _ in ed25519._table((0, 1, 1, 0)):
        done.append(0)
    assert done == [6, 8, 0]


# ---------------------------------------------------------------------- SHA-512
@pytest.mark.parametrize("length", [0, 1, 63, 64, 110, 111, 112, 119, 120, 127, 128, 129, 239, 240, 256])
def test_each_length_is_padded_as_the_standard_says(length: int) -> None:
    for message in (bytes(length), bytes(k * 7 & 0xFF for k in range(length)), b"\xff" * length):
        assert ed25519.sha512(message) == hashlib.sha512(message).digest()


# ---------------------------------------------------------------------- signatures
def test_a_signature_is_judged_in_70_steps() -> None:
    assert ended(ed25519.verify(KEY, b"\x72", SIGNATURE)) == (True, [None] * 70)
    assert ended(ed25519.verify(KEY, b"\x73", SIGNATURE)) == (False, [None] * 70)


def test_another_length_or_no_point_is_refused_before_the_first_step() -> None:
    for key, signature in (
        (KEY[:31], SIGNATURE),
        (KEY + b"\0", SIGNATURE),
        (KEY, SIGNATURE[:63]),
        (KEY, SIGNATURE + b"\0"),
        (P.to_bytes(32, "little"), SIGNATURE),
        ((2).to_bytes(32, "little"), SIGNATURE),
    ):
        assert ended(ed25519.verify(key, b"\x72", signature)) == (False, [None] * 0)


@pytest.mark.parametrize("s", [L, L + 1, 2**253, 2**256 - 1])
def test_a_second_half_from_the_order_on_is_refused(s: int) -> None:
    """Also where the equation would hold: key and first half stand for the neutral point, and L times a point is it."""
    signature = IDENTITY + s.to_bytes(32, "little")
    assert ended(ed25519.verify(IDENTITY, b"", signature)) == (False, [None] * 0)


def test_the_highest_second_half_is_looked_at() -> None:
    signature = SIGNATURE[:32] + (L - 1).to_bytes(32, "little")
    assert ended(ed25519.verify(KEY, b"\x72", signature)) == (False, [None] * 70)
