"""The pure part of an update, step by step: which lists fit, what is lacking, what is written in which order."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from generators import ended
from ram_files import RamFiles

from needlepen.firmware_modules import firmware_module

loader = firmware_module("pen_loader")
update = firmware_module("pen.update")

NOWHERE = 0xFFFF_FFFF
RUNNING = "0123456789abcdef"
HEAD = b"needlepen-set 1 pico_pen development 2.0 1.25 1 3 app pen"
FILES = [b"first file", b"the second one", b"x" * 40, b"last"]


def hash_of(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest()[:32].encode()


def path_of(data: bytes) -> str:
    return "/code/" + hash_of(data)[:16].decode()


def line(data: bytes, module: bytes, place: int = NOWHERE) -> bytes:
    return b"%08x %d %08x %s %s" % (zlib.crc32(data), len(data), place, hash_of(data), module)


def list_of(lines: list[bytes], head: bytes = HEAD) -> bytes:
    """A list with a right CRC."""
    text = b"".join(part + b"\n" for part in (head, *lines))
    return text + b"%08x\n" % zlib.crc32(text)


LINES = [line(data, b"pen/m%d.mpy" % k) for k, data in enumerate(FILES)]


class Flash:
    """`at`: bytes by place; `running`: lines of the program that runs; `found`: places by contents."""

    def __init__(self, files: RamFiles) -> None:
        self.files = files
        self.at: dict[int, bytes] = {}
        self.running: list[bytes] = []
        self.found: dict[bytes, int] = {}
        self.looked: list[tuple[Any, ...]] = []

    def part(self, place: int, size: int) -> bytes:
        self.looked.append(("part", place))
        return self.at.get(place, b"\xff" * size)[:size]

    def find(self, head: bytes, size: int, crc: int) -> int:
        self.looked.append(("find", head, size))
        for data, place in self.found.items():
            if data.startswith(head) and (len(data), zlib.crc32(data)) == (size, crc):
                return place
        return NOWHERE

    def lines(self, path: str) -> Iterator[list[bytes]]:
        assert path == f"/sets/{RUNNING}"
        return (one.split() for one in self.running)

    def check(self, path: str) -> tuple[int, int] | None:
        self.looked.append(("check", path))
        data = self.files.held.get(path)
        return None if data is None else (len(data), zlib.crc32(data))


def run(steps: Generator[None, None, Any]) -> tuple[Any, int]:
    """The value of a generator, and in how many steps it came."""
    value, yielded = ended(steps)
    return value, len(yielded)


def staging() -> tuple[Any, RamFiles, Flash]:
    files = RamFiles()
    flash = Flash(files)
    return update.Staging(files, flash, RUNNING), files, flash


def begin(one: Any, manifest: bytes, counter: int = 0) -> tuple[str | None, int]:
    """Judge a list that lies in a longer buffer."""
    buffer = bytearray(manifest) + b"rest of the buffer"
    return run(one.begin(buffer, len(manifest), b"pico_pen", b"development", b"1.25", counter))


def lacking(one: Any) -> list[int]:
    return [k for k in range(256) if one.lacking[k // 8] >> k % 8 & 1]


def looked(*there: bytes, lines: list[bytes] = LINES, thorough: bool = True) -> tuple[Any, RamFiles, Flash]:
    """A staging that has seen that these files are there."""
    one, files, flash = staging()
    files.held |= {path_of(data): data for data in there}
    assert begin(one, list_of(lines))[0] is None
    assert run(one.look(thorough)) == (None, len(lines))
    files.calls.clear()
    return one, files, flash


# ---------------------------------------------------------------------- the list
def test_at_first_nothing_is_staged() -> None:
    one, files, flash = staging()
    about = {key: value for key, value in vars(one).items() if key not in ("_digest", "_places", "lacking")}
    assert about == {
        "_files": files, "_flash": flash, "_program": RUNNING, "name": "", "counter": 0, "wanted": 0, "received": 0,
        "_list": b"", "_placed_list": bytearray(), "_line": 0, "_number": -1, "_file": None, "_head": b"",
        "_filled": 0, "_crc": 0,
    }  # fmt: skip
    assert one._digest.digest() == hashlib.sha256().digest()
    assert one.lacking == bytes(32) and len(one._places) == 256 and not any(one._places)
    assert one.commit() == "files are missing" and update.NOWHERE == NOWHERE


def test_a_list_that_fits_gives_name_and_counter() -> None:
    one, _, _ = staging()
    assert begin(one, list_of(LINES), counter=3) == (None, 3)
    assert one.name == hashlib.sha256(list_of(LINES)).hexdigest()[:16] and one.counter == 3
    assert one._list == list_of(LINES)


@pytest.mark.parametrize(("count", "steps"), [(1, 3), (8, 3), (9, 4), (16, 4), (17, 5)])
def test_eight_lines_are_judged_in_a_step(count: int, steps: int) -> None:
    assert begin(staging()[0], list_of(LINES[:1] * count)) == (None, steps)


def test_a_list_names_up_to_256_files() -> None:
    assert begin(staging()[0], list_of(LINES[:1] * 256))[0] is None
    assert begin(staging()[0], list_of(LINES[:1] * 257))[0] == "the list names files that cannot be"


@pytest.mark.parametrize(
    ("head", "refusal"),
    [
        (b" pico_pen development 2.0 1.25 1 3 app pen", None),
        (b" pico_pen development 9.9 1.25 0 4 other folders", None),
        (b" other_pen development 2.0 1.25 1 3 app pen", "made for another board"),
        (b" pico_pen production 2.0 1.25 1 3 app pen", "not a development build"),
        (b" pico_pen development 2.0 1.26 1 3 app pen", "made for another MicroPython"),
        (b" pico_pen development 2.0 1.25 2 3 app pen", "needs a newer loader: flash the pen"),
        (b" pico_pen development 2.0 1.25 1 2 app pen", "security counter 2, the pen demands 3"),
        (b" pico_pen development 2.0 1.25 1", "the list of the program is of another format"),
        (b" pico_pen development 2.0 1.25 x 3", "the list of the program is of another format"),
        (b" pico_pen development 2.0 1.25 1 x", "the list of the program is of another format"),
    ],
)
def test_the_first_line_has_to_fit_to_the_pen(head: bytes, refusal: str | None) -> None:
    assert begin(staging()[0], list_of(LINES, b"needlepen-set 1" + head), counter=3)[0] == refusal


def test_a_damaged_list_and_the_running_one_are_refused() -> None:
    assert begin(staging()[0], list_of(LINES)[:-2] + b"x\n")[0] == "the list of the program is damaged"
    one, _, _ = staging()
    one._program = hashlib.sha256(list_of(LINES)).hexdigest()[:16]
    assert begin(one, list_of(LINES))[0] == "this program runs already"


GOOD = (b"00000000", b"16384", b"ffffffff", b"0" * 32, b"pen/m.mpy")


@pytest.mark.parametrize(
    ("place", "word", "fits"),
    [
        (0, b"ffffffff", True),
        (0, b"0000000", False),
        (0, b"000000000", False),
        (0, b"0000000g", False),
        (0, b"-0000001", False),
        (0, b"-0000000", True),
        (1, b"0", True),
        (1, b"1", True),
        (1, b"-1", False),
        (1, b"16385", False),
        (1, b"1k", False),
        (2, b"fffffffe", False),
        (3, b"0" * 30, False),
        (3, b"0" * 34, False),
        (3, b"g" * 32, False),
    ],
)
def test_a_line_is_crc_size_no_place_hash_and_module(place: int, word: bytes, fits: bool) -> None:
    words = [*GOOD[:place], word, *GOOD[place + 1 :]]
    assert update._fits(words) == fits
    refused = begin(staging()[0], list_of([b" ".join(words)]))[0]
    assert refused == (None if fits else "the list names files that cannot be")


def test_a_line_has_five_words() -> None:
    assert update._fits(list(GOOD)) and not update._fits(list(GOOD[:4])) and not update._fits([*GOOD, b"x"])


# ---------------------------------------------------------------------- what is lacking
def test_all_files_are_lacking_on_a_pen_without_them() -> None:
    one, _, flash = looked()
    assert lacking(one) == [0, 1, 2, 3] and one.wanted == sum(map(len, FILES)) and one.received == 0
    assert list(one._places[:4]) == [NOWHERE] * 4
    assert flash.looked == [("check", path_of(data)) for data in FILES]


def test_after_the_last_line_there_are_no_words() -> None:
    lines = iter([[b"a"]])
    assert [update._following(lines) for _ in range(3)] == [[b"a"], [], []]


def test_a_file_that_is_there_is_not_lacking_and_its_place_is_looked_for() -> None:
    one, files, flash = staging()
    files.held |= {
        path_of(FILES[2]): FILES[2],
        path_of(FILES[0]): FILES[0] + b"!",
        path_of(FILES[1]): b"other",
    }
    flash.found = {FILES[2]: 0x3000}
    begin(one, list_of(LINES))
    run(one.look(False))
    assert lacking(one) == [0, 1, 3] and list(one._places[:4]) == [NOWHERE, NOWHERE, 0x3000, NOWHERE]
    assert one.wanted == len(FILES[0]) + len(FILES[1]) + len(FILES[3])
    assert ("find", FILES[2][:16], 40) in flash.looked


def test_the_ninth_file_has_its_bit_in_the_second_byte() -> None:
    data = [b"file %d" % k for k in range(12)]
    one, _, _ = looked(*data[:9], *data[10:], lines=[line(d, b"m%02d" % k) for k, d in enumerate(data)])
    assert lacking(one) == [9] and one.lacking[1] == 2 and one.wanted == 6 and one._number == 9


RUNS = [line(b"removed", b"pen/a.mpy"), line(FILES[0], b"pen/m0.mpy", 0x1000), line(b"old", b"pen/m1.mpy", 0x2000),
        line(b"gone", b"pen/m1x.mpy"), line(FILES[2], b"pen/m2.mpy")]  # fmt: skip
"""The program that runs: with m0 at a place, another m1, m2 in pieces, without m3."""


@pytest.mark.parametrize("thorough", [False, True])
def test_what_the_running_program_names_is_taken_from_its_place(thorough: bool) -> None:
    one, files, flash = staging()
    files.held |= {path_of(FILES[0]): FILES[0], path_of(FILES[2]): FILES[2]}
    flash.running, flash.at = RUNS, {0x1000: FILES[0] + b"rest of the block"}
    begin(one, list_of(LINES))
    run(one.look(thorough))
    assert lacking(one) == [1, 3] and list(one._places[:4]) == [0x1000, NOWHERE, NOWHERE, NOWHERE]
    first = [("check", path_of(FILES[0])) if thorough else ("part", 0x1000), ("part", 0x1000)]
    assert flash.looked == [*first, *[("check", path_of(data)) for data in FILES[1:]]]


def test_what_lies_elsewhere_by_now_is_looked_for_and_what_is_damaged_is_lacking() -> None:
    one, files, flash = staging()
    files.held[path_of(FILES[0])] = FILES[0]
    flash.running, flash.at, flash.found = RUNS[:2], {0x1000: b"something else"}, {FILES[0]: 0x5000}
    begin(one, list_of(LINES[:1]))
    run(one.look(True))
    assert lacking(one) == [] and one._places[0] == 0x5000
    assert flash.looked == [("check", path_of(FILES[0])), ("part", 0x1000), ("find", FILES[0][:16], 10)]
    one, files, flash = staging()
    files.held[path_of(FILES[0])] = FILES[0]
    flash.running, flash.at = RUNS[:2], {0x1000: b"something else"}
    begin(one, list_of(LINES[:1]))
    run(one.look(False))
    assert lacking(one) == [0] and flash.looked == [("part", 0x1000)]


def test_a_module_of_another_name_with_the_same_contents_is_known() -> None:
    one, files, flash = staging()
    files.held[path_of(FILES[1])] = FILES[1]
    flash.running, flash.at = [line(FILES[1], b"pen/z.mpy", 0x1000)], {0x1000: FILES[1]}
    begin(one, list_of(LINES[1:2]))
    run(one.look(False))
    assert one._places[0] == 0x1000 and lacking(one) == []


# ---------------------------------------------------------------------- the files
@pytest.mark.parametrize("size", [1, 3, 10, 24, 1_000])
def test_files_come_as_one_stream_in_any_parts(size: int) -> None:
    one, files, flash = looked(FILES[1])
    flash.found = {FILES[0]: 0x1000, FILES[2]: 0x2000}
    stream = FILES[0] + FILES[2] + FILES[3]
    for at in range(0, len(stream), size):
        assert one.take(stream[at : at + size]) is None
        assert one.received == min(at + size, len(stream)) and files.depth == 0
    assert {path: data for path, data in files.held.items() if path.startswith("/code")} == {
        path_of(data): data for data in FILES
    }
    assert list(one._places[:4]) == [0x1000, NOWHERE, 0x2000, NOWHERE] and one._file is None
    assert one.take(b"more than was wanted") is None and one.received == one.wanted


def test_a_file_is_written_beside_checked_and_renamed() -> None:
    one, files, flash = looked(*FILES[1:])
    assert one.take(FILES[0]) is None
    new = path_of(FILES[0]) + ".new"
    assert files.calls == [
        ("make_folder", "/code"), ("create", new), ("write part", new), ("close", new), ("rename", new),
    ]  # fmt: skip
    assert flash.looked[-2:] == [("check", new), ("find", FILES[0][:16], 10)]
    assert files.begun == 2 and files.depth == 0


@pytest.mark.parametrize("sent", [b"first FILE", b"FIRST file"])
def test_a_file_that_is_not_what_the_list_says_comes_again(sent: bytes) -> None:
    one, files, _ = looked(*FILES[1:])
    assert one.take(sent[:4]) is None and one.received == 4
    assert one.take(sent[4:]) == "a file is not what the list says"
    assert one.received == 0 and one._filled == 0 and one._file is None and files.depth == 0
    assert path_of(FILES[0]) not in files.held and one.commit() == "files are missing"
    assert one.take(FILES[0]) is None and one.commit() is None


def test_hash_and_crc_both_have_to_agree() -> None:
    good = LINES[0].split()
    for place, word in ((0, b"00000000"), (3, hash_of(b"other"))):
        words = [*good[:place], word, *good[place + 1 :]]
        one, _, _ = looked(lines=[b" ".join(words)])
        assert one.take(FILES[0]) == "a file is not what the list says"


def test_an_error_in_a_later_file_keeps_the_earlier_ones() -> None:
    one, _, _ = looked()
    assert one.take(FILES[0] + b"the wrong one!") == "a file is not what the list says"
    assert one.received == len(FILES[0])
    assert one.take(FILES[1] + FILES[2] + FILES[3]) is None and one.received == one.wanted


def test_a_file_that_reads_back_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (None, (10, 0), (9, zlib.crc32(FILES[0]))):
        one, files, flash = looked(*FILES[1:])
        flash.check = lambda path, found=found: found  # type: ignore[method-assign,misc]
        assert one.take(FILES[0]) == "a file cannot be read back" and one.received == 0
        assert path_of(FILES[0]) not in files.held and files.depth == 0


@pytest.mark.parametrize("call", ["make_folder", "create", "write part", "close", "rename"])
def test_a_write_that_fails_is_told_with_its_number(call: str) -> None:
    one, files, _ = looked(*FILES[1:])
    files.refused = {call}
    assert one.take(FILES[0]) == "cannot write a file (error 5)" and one.received == 0 and files.depth == 0
    assert one._file is None and one._filled == 0
    files.refused = set()
    assert one.take(FILES[0]) is None and files.held[path_of(FILES[0])] == FILES[0]


@pytest.mark.parametrize("call", ["create", "rename"])
def test_an_error_without_a_number_is_0(call: str) -> None:
    one, files, _ = looked(*FILES[1:])

    def fails(*_: str) -> None:
        raise OSError

    setattr(files, call, fails)
    assert one.take(FILES[0]) == "cannot write a file (error 0)"


def test_a_transfer_that_ends_early_closes_its_file() -> None:
    one, files, _ = looked(*FILES[1:])
    one.take(FILES[0][:3])
    one.close()
    assert files.calls[-1] == ("close", path_of(FILES[0]) + ".new") and one._file is None and one._filled == 0
    files.calls.clear()
    one.close()
    assert not files.calls
    one.take(FILES[0][:3])
    files.refused = {"close"}
    one.close()
    assert one._file is None and one._filled == 0, "what there is of it is removed later"


# ---------------------------------------------------------------------- the switch
def test_the_switch_writes_the_list_with_its_places_and_then_the_record() -> None:
    one, files, flash = looked(FILES[1])
    flash.found = {FILES[0]: 0x1000}
    one.take(FILES[0] + FILES[2])
    assert one.commit() == "files are missing" and not any(path.startswith("/sets") for path in files.held)
    one.take(FILES[3])
    files.calls.clear()
    assert one.commit() is None and files.depth == 0
    assert files.calls == [("make_folder", "/sets"), ("write", f"/sets/{one.name}"), ("write", "/boot")]
    placed = [line(FILES[0], b"pen/m0.mpy", 0x1000), *LINES[1:]]
    assert files.held[f"/sets/{one.name}"] == list_of(placed) and loader.is_sound(list_of(placed))
    assert files.held["/boot"] == loader.pack(RUNNING, one.name, "new")
    assert one._placed_list[len(list_of(placed)) :] == b"rest of the buffer", (
        "nothing else in the buffer changes"
    )


def test_a_switch_without_missing_files_needs_none_to_come() -> None:
    one, files, _ = looked(*FILES)
    assert one.wanted == 0 and one.commit() is None and files.held[f"/sets/{one.name}"] == list_of(LINES)


def test_a_switch_that_fails_is_told() -> None:
    one, files, _ = looked(*FILES)
    files.refused = {"write"}
    assert one.commit() == "cannot switch (error 5)" and files.depth == 0 and "/boot" not in files.held

    def fails(*_: str) -> None:
        raise OSError

    files.make_folder = fails  # type: ignore[method-assign]
    assert one.commit() == "cannot switch (error 0)"


def test_the_signature_is_made_of_the_hash_of_the_list() -> None:
    assert update.signed_text(b"list") == b"needlepen set 1" + hashlib.sha256(b"list").digest()
