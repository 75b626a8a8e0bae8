"""The pen's Ed25519 and SHA-512 against RFC 8032, hashlib and the cryptography library."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st

from needlepen.firmware_modules import firmware_module

ed25519 = firmware_module("pen.ed25519")
L = (1 << 252) + 27742317777372353535851937790883648493

# RFC 8032, 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
        "5141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
        "0d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
        "27beceea1ec40a",
    ),
]


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """The value of the pen's generator."""
    steps: Generator[None, None, bool] = ed25519.verify(key, message, signature)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bool(end.value)


@pytest.mark.parametrize("vector", VECTORS, ids=["empty", "one byte", "two bytes"])
def test_the_vectors_of_rfc_8032_hold(vector: tuple[str, str, str, str]) -> None:
    secret, public, message, signature = map(bytes.fromhex, vector)
    assert Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw() == public
    assert verify(public, message, signature)
    assert not verify(public, message + b"\0", signature)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_sha512_is_that_of_hashlib(message: bytes) -> None:
    assert ed25519.sha512(message) == hashlib.sha512(message).digest()


@settings(max_examples=40, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), message=st.binary(max_size=120), data=st.data())
def test_what_the_library_signs_is_accepted_and_any_other_bit_is_not(
    secret: bytes, message: bytes, data: Any
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify(public, message, signature)
    parts = [bytearray(public), bytearray(message), bytearray(signature)]
    which = data.draw(st.sampled_from([k for k, part in enumerate(parts) if part]))
    place = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    parts[which][place >> 3] ^= 1 << (place & 7)
    assert not verify(*map(bytes, parts))


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_random_keys_and_signatures_are_refused_and_never_crash(key: bytes, signature: bytes) -> None:
    assert verify(key, b"message", signature) is False


def test_a_signature_that_was_made_malleable_is_refused() -> None:
    """s + L instead of s is the same to the equation; RFC 8032 demands s < L."""
    _, public, message, signature = map(bytes.fromhex, VECTORS[1])
    s = int.from_bytes(signature[32:], "little") + L
    assert not verify(public, message, signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    assert not verify(bytes(length), b"", bytes(64))
