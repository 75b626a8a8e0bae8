"""Sweeps of which a part is run every day and the whole every night."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_nightly(values: Iterable[Any], *daily: Any) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: the `daily` ones of `values` every day, the others every night."""
    listed = list(values)
    assert daily and all(value in listed for value in daily), "what is run every day is one of them"
    return [
        value
        if value in daily
        else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.nightly)
        for value in listed
    ]
