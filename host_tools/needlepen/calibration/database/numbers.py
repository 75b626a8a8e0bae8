"""Numbers of certificates: NP-YYMMDD-XXXXXC, e.g. NP-260115-7F3K2Q.

The date, five random characters, and a check character over date and random part. The alphabet has 31 characters (no I,
L, O, U, Z, which are misread), a prime: with the sum of value times place, modulo 31, every single wrong character and
every swap of two different characters is found.
"""

from __future__ import annotations

import re
import secrets
from datetime import date

from needlepen.errors import UsageError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXY"
_RANDOM = 5
_FORM = re.compile(rf"NP-(\d{{6}})-([{ALPHABET}]{{{_RANDOM}}})([{ALPHABET}])")
_MISREAD = str.maketrans("OIL", "011")


def new_number(day: date) -> str:
    """A number of that day: 28.6 million are possible, so that benches without a common database rarely meet."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(_RANDOM))
    return f"NP-{day:%y%m%d}-{random}{check_character(f'{day:%y%m%d}' + random)}"


def check_character(text: str) -> str:
    """The last character for date and random part."""
    total = sum(place * ALPHABET.index(character) for place, character in enumerate(text, start=1))
    return ALPHABET[total % len(ALPHABET)]


def find_numbers(text: str) -> set[str]:
    """The numbers in a text whose check character is right."""
    return {found[0] for found in _FORM.finditer(text) if check_character(found[1] + found[2]) == found[3]}


def read_number(text: str) -> str:
    """A number as a person typed it. Raises UsageError if it is none or was mistyped."""
    given = text.strip().upper()
    head, tail = given[:10], given[10:].translate(_MISREAD)
    found = _FORM.fullmatch(head + tail)
    if found is None:
        raise UsageError(f"{text!r} is no number of a certificate; they look like NP-260115-7F3K2Q")
    if check_character(found[1] + found[2]) != found[3]:
        raise UsageError(
            f"{text!r}: mistyped, its last character does not fit the others; compare it with the certificate"
        )
    return found[0]
