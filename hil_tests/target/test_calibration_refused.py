"""SR-05: a calibration record that is not sound, or not for this pen, is refused with the reason, and changes nothing.

Each record is tried first, which stores nothing in any case; only one that was refused then is offered for storing.
The service access is closed at the end, by a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from support.link_session import restarted, skip_if_in_use, until
from support.targets.protocols import Link

from needlepen.firmware_modules import firmware_module
from needlepen.link.client import messages
from needlepen.records import making

_PART_BYTES = 64
OTHER_ID = bytes.fromhex("e6600000000000ff")
envelope, numbers = (firmware_module(f"pen.store.{name}") for name in ("envelope", "numbers"))


def _flipped(record: bytes, _unique_id: bytes) -> bytes:
    place = 2 * len(record) // 3
    return record[:place] + bytes([record[place] ^ 4]) + record[place + 1 :]


def _rewrapped(record: bytes, unique_id: bytes) -> bytes:
    """A payload that was changed, in an envelope whose checksum is right: only the signature tells."""
    _, _, payload = envelope.parse(record, numbers.KIND_CALIBRATION, numbers.CALIBRATION_FORMAT, unique_id)
    changed = bytes([payload[0] ^ 1]) + payload[1:]
    packed: bytes = envelope.pack(numbers.KIND_CALIBRATION, numbers.CALIBRATION_FORMAT, 0, unique_id, changed)
    return packed


def _signed(points: list[tuple[int, int]], signer: bytes, unique_id: bytes) -> bytes:
    key = making.technician_key(making.development_keys(signer).pen)
    return making.calibration_record(making.calibration(points, day=date(2026, 1, 15)), key, unique_id)


WHOLE = [(0, 0), (2500, 2500)]
WRONG: dict[str, tuple[Callable[[bytes, bytes], bytes], str]] = {
    "a bit flipped": (_flipped, "damaged: checksum wrong"),
    "its end missing": (lambda record, _: record[:-9], "cut short"),
    "changed and wrapped anew": (_rewrapped, "not signed with this pen's key"),
    "another pen's": (lambda _, __: _signed(WHOLE, OTHER_ID, OTHER_ID), "belongs to another pen"),
    "signed by another pen's technician": (
        lambda _, unique_id: _signed(WHOLE, OTHER_ID, unique_id),
        "not signed with this pen's key",
    ),
    "of another kind": (
        lambda _, unique_id: envelope.pack(numbers.KIND_CHECK, numbers.CHECK_FORMAT, 0, unique_id, bytes(5)),
        "a record of another kind",
    ),
    "of newer firmware": (
        lambda _, unique_id: envelope.pack(
            numbers.KIND_CALIBRATION, numbers.CALIBRATION_FORMAT + 1, 0, unique_id, bytes(64)
        ),
        "written by newer firmware: update",
    ),
}


def _offer(link: Link, record: bytes, request: int) -> str | None:
    for offset in range(0, len(record), _PART_BYTES):
        link.command(messages.PUT_CALIBRATION, offset, record[offset : offset + _PART_BYTES])
    return link.request(request, len(record)).refused


def _picture(link: Link) -> tuple[object, ...]:
    about = link.about()
    return (
        link.read_calibration(),
        about.calibration,
        about.calibration_reason,
        link.command(messages.GET_SETTINGS),
    )


@contextmanager
def in_service(link: Link) -> Iterator[bytes]:
    """The record that the pen has, which is still the same at the end; the pen is in service meanwhile."""
    skip_if_in_use(link)
    before = _picture(link)
    record = before[0]
    if not isinstance(record, bytes):
        pytest.skip("the pen has no calibration that a wrong one could overwrite: calibrate it")
    link.command(messages.OPEN_SERVICE)
    until(link, "service")
    try:
        yield record
        while_open = _picture(link)
    finally:
        restarted(link, messages.CLOSE_SERVICE)
    assert while_open == before and _picture(link) == before


@pytest.fixture
def kept(link: Link) -> Iterator[bytes]:
    """`in_service`"""
    with in_service(link) as record:
        yield record


def test_no_wrong_record_is_taken_over(link: Link, kept: bytes) -> None:
    unique_id = bytes.fromhex(link.identity.unique_id)
    told: dict[str, list[str | None]] = {}
    for name, (spoil, _) in WRONG.items():
        record = spoil(kept, unique_id)
        told[name] = [_offer(link, record, messages.TRY_CALIBRATION)]
        assert told[name][0] is not None, f"{name}: on trial now, and not offered for storing"
        told[name].append(_offer(link, record, messages.COMMIT_CALIBRATION))
    assert told == {name: [reason, reason] for name, (_, reason) in WRONG.items()}


def test_outside_of_service_nothing_is_taken(link: Link) -> None:
    """Neither a part of a record nor the order to store what has come."""
    before = _picture(link)
    told = [
        link.request(messages.PUT_CALIBRATION, 0, bytes(_PART_BYTES)).refused,
        link.request(messages.TRY_CALIBRATION, 200).refused,
        link.request(messages.COMMIT_CALIBRATION, 200).refused,
    ]
    assert told == ["open the service access first", *["send the record in service first"] * 2]
    assert _picture(link) == before
