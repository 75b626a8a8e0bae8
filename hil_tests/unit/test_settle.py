"""SR-26: what becomes of a program that has reached ready, and of the one before: record, counter, events, tidying."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from support.update_rig import Log, loader, program, settle

from needlepen.build import code_set
from needlepen.build.code_set import CodeSet
from needlepen.firmware_modules import firmware_module

E = firmware_module("pen.events")
N = firmware_module("pen.store.numbers")
envelope = firmware_module("pen.store.envelope")
UNIQUE_ID = bytes(range(8))
COUNTERS = ["/data/release.a", "/data/release.b"]
NONE = loader.NONE


class Files:
    """Files in memory; each change has to lie between `begin` and `end`. `changes`: what was done, in its order."""

    def __init__(self, *sets: CodeSet, record: bytes | None = None) -> None:
        self.contents: dict[str, bytes] = {} if record is None else {loader.RECORD: record}
        for made in sets:
            self.contents[f"/sets/{made.name}"] = made.manifest
            self.contents |= {f"/code/{name[:16]}": data for name, data in made.files.items()}
        self.open = False
        self.refused = "nothing"
        self.changes: list[str] = []

    def begin(self) -> None:
        assert not self.open
        self.open = True

    def end(self) -> None:
        assert self.open
        self.open = False

    def read(self, path: str) -> bytes | None:
        return self.contents.get(path)

    def names(self, folder: str) -> list[str]:
        return sorted(path.split("/")[2] for path in self.contents if path.startswith(folder + "/"))

    def write(self, path: str, data: bytes) -> None:
        assert self.open
        if path == self.refused:
            raise OSError(28, path)
        self.contents[path] = data
        self.changes.append(path)

    def remove(self, path: str) -> None:
        assert self.open
        del self.contents[path]
        self.changes.append(f"- {path}")

    @property
    def record(self) -> Any:
        return loader.parse(self.contents[loader.RECORD])


def settled(files: Files, name: str, came: int) -> Log:
    """Settle this program to the end; the events."""
    log = Log()
    for _ in settle.settle(files, UNIQUE_ID, name, came, log, lambda: files.changes.append("settled")):
        assert not files.open
    assert not files.open
    return log


def _short(name: str) -> int:
    return int(name[:7], 16)


def _counter(files: Files) -> int:
    return int(settle.read_counter(settle.counter_pair(files, UNIQUE_ID)))


def _on_trial(new_counter: int = 1, old_counter: int = 1) -> tuple[Files, CodeSet, CodeSet]:
    old, new = program("1.0", counter=old_counter), program("2.0", counter=new_counter)
    return Files(old, new, record=loader.pack(old.name, new.name, loader.TRIED)), old, new


# ---------------------------------------------------------------------- a program on trial
def test_a_program_on_trial_is_confirmed_and_the_one_before_stays_beside_it() -> None:
    files, old, new = _on_trial()
    log = settled(files, new.name, loader.TRIAL)
    assert files.record == (new.name, old.name, loader.OLD)
    assert log.events == [(E.PROGRAM_CONFIRMED, _short(new.name), 1)]
    for copy in COUNTERS:
        reason, _, payload = envelope.parse(files.read(copy), N.KIND_RELEASE, N.RELEASE_FORMAT, UNIQUE_ID)
        assert (reason, payload) == (N.OK, struct.pack("<I", 1))
    assert sorted(files.changes[:2]) == COUNTERS, "first the counter: a cut could leave it behind for ever"
    assert files.changes[2:] == [loader.RECORD, "settled"], "nothing is removed"


def test_a_counter_that_was_confirmed_is_not_written_again() -> None:
    files, old, new = _on_trial(3, 3)
    settled(files, new.name, loader.TRIAL)
    assert _counter(files) == 3
    files.changes.clear()
    files.contents[loader.RECORD] = loader.pack(old.name, new.name, loader.TRIED)
    settled(files, new.name, loader.TRIAL)
    assert files.changes == [loader.RECORD, "settled"] and _counter(files) == 3


@pytest.mark.parametrize(("old_counter", "stays"), [(1, False), (2, True), (3, True)])
def test_a_program_with_a_lower_counter_is_not_kept_for_the_way_back(old_counter: int, stays: bool) -> None:
    files, old, new = _on_trial(2, old_counter)
    settled(files, new.name, loader.TRIAL)
    assert files.record == ((new.name, old.name, loader.OLD) if stays else (new.name, NONE, NONE))
    assert files.names("/sets") == sorted([new.name, old.name] if stays else [new.name])


@pytest.mark.parametrize("counter", [0, 1])
def test_a_program_whose_list_is_damaged_is_not_kept(counter: int) -> None:
    files, old, new = _on_trial(counter, counter)
    files.contents[f"/sets/{old.name}"] = old.manifest[:-1]
    settled(files, new.name, loader.TRIAL)
    assert files.record == (new.name, NONE, NONE)


@pytest.mark.parametrize("record", [None, b"torn"])
def test_without_a_record_there_is_no_program_before(record: bytes | None) -> None:
    files, _, new = _on_trial()
    del files.contents[loader.RECORD]
    if record is not None:
        files.contents[loader.RECORD] = record
    settled(files, new.name, loader.TRIAL)
    assert files.record == (new.name, NONE, NONE) and files.names("/sets") == [new.name]


def test_a_program_that_was_confirmed_before_is_not_its_own_way_back() -> None:
    files, old, new = _on_trial()
    files.contents[loader.RECORD] = loader.pack(new.name, old.name, loader.OLD)
    settled(files, new.name, loader.TRIAL)
    assert files.record == (new.name, NONE, NONE)


@pytest.mark.parametrize("copy", COUNTERS)
def test_a_program_whose_counter_cannot_be_kept_is_not_confirmed(copy: str) -> None:
    files, old, new = _on_trial()
    files.refused = copy
    log = settled(files, new.name, loader.TRIAL)
    assert files.record == (old.name, new.name, loader.TRIED) and log.events == []
    assert "settled" not in files.changes and files.names("/sets") == sorted([old.name, new.name])


# ---------------------------------------------------------------------- after a start that had to be saved
def test_a_program_that_was_taken_back_stays_alone_and_the_other_is_named() -> None:
    files, old, new = _on_trial()
    log = settled(files, old.name, loader.ROLLED_BACK)
    assert log.events == [(E.PROGRAM_ROLLED_BACK, _short(new.name), _short(old.name))]
    assert files.record == (old.name, NONE, NONE) and files.names("/sets") == [old.name]
    assert files.names("/code") == sorted({name[:16] for name in old.files})


@pytest.mark.parametrize("record", [None, loader.pack("0123456789abcdef", NONE, NONE)])
def test_a_program_that_was_taken_back_from_an_unknown_one_says_0(record: bytes | None) -> None:
    old = program("1.0")
    files = Files(old, record=record)
    assert settled(files, old.name, loader.ROLLED_BACK).events == [
        (E.PROGRAM_ROLLED_BACK, 0, _short(old.name))
    ]


def test_a_start_from_damage_is_recorded_anew() -> None:
    files, old, _ = _on_trial()
    files.contents[loader.RECORD] = b"damaged"
    assert settled(files, old.name, loader.DAMAGED).events == [(E.PROGRAM_SAVED, _short(old.name))]
    assert files.record == (old.name, NONE, NONE) and _counter(files) == 0, "only a trial raises the counter"


# ---------------------------------------------------------------------- the counter
@pytest.mark.parametrize(
    ("payload", "counter"),
    [
        (None, 0),
        (struct.pack("<I", 5), 5),
        (struct.pack("<I", 2**31), 2**31),
        (b"\5\0\0", 0),
        (b"\5\0\0\0\0", 0),
    ],
)
def test_the_counter_is_one_number_of_four_bytes(payload: bytes | None, counter: int) -> None:
    class Kept:
        def load(self) -> bytes | None:
            return payload

    assert settle.read_counter(Kept()) == counter


# ---------------------------------------------------------------------- tidying
def test_tidying_removes_what_no_set_names_one_file_a_step() -> None:
    kept, left = program("1.0"), program("2.0")
    files = Files(kept, left)
    files.contents["/code/" + "1" * 16 + ".new"] = b"torn"
    counts = []
    for _ in settle.tidy(files, (kept.name, NONE)):
        counts.append(len(files.changes))
    assert files.names("/sets") == [kept.name]
    assert files.names("/code") == sorted({name[:16] for name in kept.files})
    assert all(after - before <= 1 for before, after in itertools.pairwise(counts))


def test_a_set_whose_list_is_missing_keeps_no_file() -> None:
    kept = program("1.0")
    files = Files(kept)
    del files.contents[f"/sets/{kept.name}"]
    list(settle.tidy(files, (kept.name,)))
    assert files.contents == {}


@pytest.mark.parametrize(("modules", "breaths"), [(1, 0), (15, 0), (16, 1), (31, 1), (32, 2), (33, 2)])
def test_a_step_of_tidying_reads_16_lines_at_most(modules: int, breaths: int) -> None:
    contents = {f"pen/m{k}.mpy": b"module %d" % k for k in range(modules)}
    kept = code_set.make(contents, "pico_pen", "development", "1.0", "ab", 1)
    assert kept.manifest.count(b"\n") == modules + 2
    files = Files(kept)
    lists, folders = 1, 2
    assert len(list(settle.tidy(files, (kept.name,)))) == lists + breaths + folders
    assert files.changes == []
