"""The journal of a calibration: whole lines are kept, a torn one is left out, damage is refused, one program writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from needlepen.calibration.journal import FORMAT, Journal, read
from needlepen.errors import InfrastructureError, Refused


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A journal of three lines."""
    path = tmp_path / "NP-1.jsonl"
    with Journal(path) as book:
        for number, event in enumerate(("begun", "taken", "kept")):
            book.add(event, {"value": number, "text": "µ \n é"})
    return path


def test_what_was_added_is_read_again(written: Path) -> None:
    lines = read(written)
    assert [line.event for line in lines] == ["begun", "taken", "kept"]
    assert [line.data["value"] for line in lines] == [0, 1, 2]
    assert json.loads(written.read_bytes().splitlines()[0])["format"] == FORMAT


def test_a_torn_last_line_is_left_out_wherever_it_was_torn(written: Path, tmp_path: Path) -> None:
    whole = written.read_bytes()
    last_begins = whole[:-1].rfind(b"\n") + 1
    for end in range(last_begins, len(whole)):
        path = tmp_path / f"torn{end}.jsonl"
        path.write_bytes(whole[:end])
        assert [line.event for line in read(path)] == ["begun", "taken"]
        with Journal(path) as book:
            book.add("again")
        assert [line.event for line in read(path)] == ["begun", "taken", "again"]


def test_damage_anywhere_else_is_refused(written: Path, tmp_path: Path) -> None:
    whole = written.read_bytes()
    for place in range(0, len(whole), 3):
        if whole[place] == ord("\n"):
            continue
        path = tmp_path / f"damaged{place}.jsonl"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Refused, match=r"damaged|format"):
            read(path)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(whole.splitlines(keepends=True)[1:]))
    with pytest.raises(Refused, match="damaged"):
        read(cut)


def test_a_newer_format_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.jsonl"
    monkeypatch.setattr("needlepen.calibration.journal.FORMAT", FORMAT + 1)
    with Journal(path) as book:
        book.add("begun")
    monkeypatch.undo()
    with pytest.raises(Refused, match="version of needlepen that began it"):
        read(path)


def test_one_program_at_a_time(written: Path) -> None:
    with Journal(written), pytest.raises(Refused, match="another program works on this calibration"):
        Journal(written)
    Journal(written).close()


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with Journal(tmp_path / "full.jsonl") as book:
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(InfrastructureError, match="No space left"):
            book.add("begun")
        assert not book.lines
