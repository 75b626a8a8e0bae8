"""The event log in words: from an image of a pen, which part, with requirement and remedy of each fault, gaps named."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.flash import FLASH, UNIQUE_ID, RecordedFlash, settle, store

from needlepen import board, events as event_tables, provision, supervision
from needlepen.cli import main
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.records import telling
from needlepen.records.images import read_image
from needlepen.records.log import EPOCH, LoggedEvent, decode

E = firmware_module("pen.events")
faults = firmware_module("pen.faults")
states = firmware_module("pen.states")
event = firmware_module("pen.store.event")
DATE_S = 820_000_000
DATE = EPOCH + timedelta(seconds=DATE_S)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The file system of a pen that had a stall, got a date later, and was switched on twice."""
    flash = RecordedFlash(provision.provisioned(bytes(RecordedFlash().buffer), board.load(), UNIQUE_ID))
    pen = store(flash)
    pen.log.begin_run()
    pen.log.end_run(E.FAULT, faults.STALL, 1_500, 140)
    pen.log.add(E.START_REFUSED, states.BLOCK_CARTRIDGE_USED | states.BLOCK_STORE)
    settle(pen)
    pen.set_time(DATE_S)
    pen.log.add(E.ACKNOWLEDGED, faults.STALL)
    settle(pen)
    pen = store(flash)
    settle(pen)
    path = tmp_path / "filesystem.bin"
    path.write_bytes(bytes(flash.buffer))
    return path


def _told(path: Path) -> str:
    _, events = read_image(path)
    return "\n".join(line for _, line in telling.lines(events, events))


def test_an_image_says_whose_it_is_and_what_happened(image: Path) -> None:
    unique_id, events = read_image(image)
    assert unique_id == UNIQUE_ID.hex()
    assert [e.name for e in events] == ["BOOT", "FAULT", "START_REFUSED", "TIME_SET", "ACKNOWLEDGED", "BOOT"]


def test_a_fault_comes_with_its_requirement_and_remedy(image: Path) -> None:
    text = _told(image)
    stall = supervision.load().fault_named("stall")
    assert stall is not None
    assert f"{stall.requirement}: {stall.text}" in text and f"What to do: {stall.remedy}" in text
    assert "after 1.5 s and 140 strokes" in text


def test_numbers_and_masks_are_words(image: Path) -> None:
    text = _told(image)
    assert "start refused: " in text and "cartridge used" in text and "0x" not in text
    assert "fault acknowledged: stall" in text and "switched on; was armed or running before: " in text


def test_a_start_leaves_a_gap_that_is_named(image: Path) -> None:
    assert "is missing: left out at a start" in _told(image)


def test_the_whole_flash_is_read_too(image: Path, tmp_path: Path) -> None:
    whole = tmp_path / "flash.bin"
    whole.write_bytes(bytes(FLASH.filesystem_offset) + image.read_bytes())
    assert read_image(whole) == read_image(image)


def test_another_pens_id_reads_nothing_and_a_wrong_one_is_refused(image: Path) -> None:
    assert read_image(image, "e660000000000099") == ("e660000000000099", [])
    with pytest.raises(UsageError, match="is no unique ID"):
        read_image(image, "e66")


@pytest.mark.parametrize("content", [b"", bytes(4096), b"\xff" * FLASH.filesystem_bytes])
def test_a_file_that_is_no_image_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_an_image_without_records_asks_for_the_id(tmp_path: Path) -> None:
    path = tmp_path / "empty.bin"
    path.write_bytes(bytes(RecordedFlash().buffer))
    with pytest.raises(UsageError, match="--pen-id"):
        read_image(path)


# ---------------------------------------------------------------------- which part
def _event(sequence: int, date: datetime | None) -> LoggedEvent:
    return LoggedEvent(sequence, 1, 1_000 * sequence, date, "ARMED", "armed", (0, 0, 0), "armed")


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENTS = [_event(1, None), *(_event(n, NOW - timedelta(hours=10 - n)) for n in range(2, 8)), _event(8, None)]


@pytest.mark.parametrize(
    ("since", "first"),
    [(None, 1), ("5", 5), ("99", None), ("6h", 4), ("330min", 5), ("7d", 2), ("2026-11-23T07:30+00:00", 6),
     ("10min", None)],
)  # fmt: skip
def test_since_a_number_a_date_or_a_time_ago(since: str | None, first: int | None) -> None:
    part = telling.part_since(EVENTS, since, NOW)
    assert [e.sequence for e in part] == ([] if first is None else list(range(first, 9)))


@pytest.mark.parametrize("since", ["soon", "2026-13-01", "-3", "3 weeks"])
def test_any_other_since_is_refused_in_one_line(since: str) -> None:
    with pytest.raises(UsageError, match="--since") as caught:
        telling.part_since(EVENTS, since, NOW)
    assert "\n" not in str(caught.value)


def test_a_date_without_any_dated_event_is_said() -> None:
    with pytest.raises(UsageError, match="no event has a date"):
        telling.part_since([_event(1, None)], "2h", NOW)


# ---------------------------------------------------------------------- the command
def _log(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["log", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_the_command_prints_words_json_and_csv(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = _log([str(image)], capsys)
    assert code == 0 and "6 events, 1 faults" in text and "\x1b" not in text
    code, text = _log([str(image), "--json"], capsys)
    content: dict[str, Any] = json.loads(text)
    stall = content["events"][1]
    assert code == 0 and content["pen"] == UNIQUE_ID.hex() and content["gaps"]
    assert stall["fault"] == "stall" and stall["requirement"] == "SR-08" and stall["remedy"]
    code, text = _log([str(image), "--csv", "--faults"], capsys)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert code == 0 and [row["fault"] for row in rows] == ["stall"]


def test_an_image_and_a_device_exclude_each_other(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _log([str(image), "--device", "x"], capsys)[0] == 4
    assert _log([str(image), "--json", "--csv"], capsys)[0] == 4


def test_every_event_of_the_table_is_told_in_words() -> None:
    """With any values: nothing of braces is left, and nothing fails."""
    for name, kind in event_tables.load().items():
        for values in ((0, 0, 0), (1, 1, 1), (255, 1 << 20, 7), (-1, -1, -1), ((1 << 31) - 1, 0, 0)):
            raw = event.pack(UNIQUE_ID, 1, 1_000, 0, 1, kind.number, 3, [v & 0xFFFFFFFF for v in values])
            found = decode([raw], UNIQUE_ID)[0]
            assert found.name == name and found.text and "{" not in found.text
