"""The decisions of `needlepen flash`: which drive, what to write, in which order. Nothing here touches a board."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from needlepen import board
from needlepen.build import app_image, code_set, integrity, uf2
from needlepen.build.firmware_uf2 import files_of
from needlepen.devices.volumes import Volume
from needlepen.errors import InfrastructureError, Refused
from needlepen.flashing import drive
from needlepen.flashing.install import (
    STARTED_BY_NAME,
    Listing,
    changes,
    has_records,
    is_record,
    places,
    portable,
    without_places,
)

PEN = board.load()


def volume(name: str, board_id: str = "RPI-RP2") -> Volume:
    return Volume(Path("/media") / name, board_id, "a model")


# ------------------------------------------------------------------------------------------------ which drive
def test_only_a_single_new_drive_of_an_rp2040_is_taken() -> None:
    old, new, other = volume("RPI-RP2"), volume("RPI-RP21"), volume("RP2350", "RP2350")
    assert drive.appeared({old.path}, [old]) is None
    assert drive.appeared({old.path}, [old, other]) is None
    assert drive.appeared({old.path}, [old, new, other]) == new
    with pytest.raises(Refused, match=r"Several boards.*RPI-RP2.*RPI-RP21"):
        drive.appeared((), [old, new])


@pytest.mark.parametrize(
    ("platform", "is_there", "hint"),
    [("linux", True, "udisksctl mount"), ("linux", False, "hold the BOOTSEL"), ("darwin", True, "hold the BOOTSEL"),
     ("win32", True, "hold the BOOTSEL")],
)  # fmt: skip
def test_the_hint_says_what_a_person_can_do(tmp_path: Path, platform: str, is_there: bool, hint: str) -> None:
    label = tmp_path / "RPI-RP2"
    if is_there:
        label.touch()
    assert hint in drive.waiting_hint(platform, label)


@pytest.mark.parametrize("info", [None, "", "hello", "Board-ID: RP2350\r\nModel: Raspberry Pi RP2350\r\n"])
def test_nothing_is_written_to_what_is_no_drive_of_an_rp2040(tmp_path: Path, info: str | None) -> None:
    if info is not None:
        (tmp_path / "INFO_UF2.TXT").write_text(info)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Refused, match="nothing is written"):
        drive.write_uf2(tmp_path, bytes(512))
    assert sorted(tmp_path.iterdir()) == before


def test_a_drive_that_goes_too_early_is_an_error_and_one_that_goes_at_the_end_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    data = uf2.encode([uf2.Segment(uf2.FLASH_BASE, bytes(60_000))])

    def gone(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(drive.os, "fsync", gone)
    seen: list[float] = []
    drive.write_uf2(tmp_path, data, lambda done, _total: seen.append(done))
    assert (tmp_path / drive.FILE_NAME).read_bytes() == data and seen[-1] == len(data)

    def leave(done: float, _total: float) -> None:
        if done > 20_000:
            gone(0)

    with pytest.raises(InfrastructureError, match=rf"took \d+ of {len(data)} bytes.*hold BOOTSEL"):
        drive.write_uf2(tmp_path, data, leave)


# ------------------------------------------------------------------------------------------------ which files
names = st.sampled_from(
    ["/main.py", "/boot.py", "/a", "/p/b", "/p/q/c", "/data/keys.a", "/log/000001", "/old/x", "/z"]
)
trees = st.dictionaries(names, st.binary(max_size=3), max_size=9)


def listing(files: dict[str, bytes]) -> dict[str, tuple[int, int] | None]:
    found: dict[str, tuple[int, int] | None] = {p: (len(d), zlib.crc32(d)) for p, d in files.items()}
    for path in files:
        found.update({str(p): None for p in Path(path).parents if str(p) != "/"})
    return found


@given(there=trees, wanted=trees)
def test_the_changes_lead_to_what_is_wanted_and_leave_records_alone(
    there: dict[str, bytes], wanted: dict[str, bytes]
) -> None:
    """Step by step, on a file system that refuses what littlefs refuses; stopped anywhere, nothing half starts."""
    wanted = {path: data for path, data in wanted.items() if not is_record(path)}
    records = {path: data for path, data in there.items() if is_record(path)}
    now: dict[str, bytes | None] = {**{p: None for p, f in listing(there).items() if f is None}, **there}
    todo = changes(wanted, listing(there))
    steps = [("remove", p) for p in todo.remove] + [("folder", p) for p in todo.folders]
    for what, path in [*steps, *(("write", p) for p in todo.write)]:
        if what == "remove":
            assert path in now and not any(other.startswith(f"{path}/") for other in now), (
                f"{path} is not empty"
            )
            del now[path]
        elif what == "folder":
            assert path not in now
            now[path] = None
        else:
            assert str(Path(path).parent) in (*now, "/")
            now[path] = wanted[path]
        if what != "remove" and path not in STARTED_BY_NAME:
            assert not any(name in now for name in STARTED_BY_NAME), "a half installed program could start"
    assert {p: d for p, d in now.items() if d is not None} == wanted | records
    assert changes(wanted, listing({p: d for p, d in now.items() if d is not None})).none


def test_records_are_seen_where_there_are_any() -> None:
    none: Listing = {"/data": None, "/log": None, "/main.py": (1, 2), "/database": (1, 2)}
    assert not has_records(none)
    assert has_records({**none, "/log/000001": (32, 5)}) and has_records({**none, "/data/keys.bad": (1, 1)})


def test_lists_of_modules_lose_the_places_of_their_image_and_get_those_of_the_board() -> None:
    files = files_of(app_image(PEN).image, PEN.flash)
    changed = {path: data for path, data in portable(files).items() if data != files[path]}
    started = changed.pop(f"/{integrity.MANIFEST}")
    assert {line.split()[2] for line in started.decode().splitlines()[:-1]} == {"ffffffff"}
    assert started == integrity.manifest(
        {line.split()[3][1:]: files[line.split()[3]] for line in started.decode().splitlines()[:-1]}
    )
    (path,) = changed
    bare = changed[path]
    assert code_set.is_sound(bare) and {place for _, _, place, *_ in code_set.entries(bare)} == {
        code_set.NOWHERE
    }
    assert without_places(path, bare) == bare
    given = {name: 4096 * n for n, (*_, name, _path) in enumerate(code_set.entries(bare))}
    assert without_places(path, code_set.with_places(bare, given)) == bare


def test_a_module_gets_a_place_only_where_it_lies_once() -> None:
    once, twice, small, split = (bytes([n]) * 3000 for n in range(4))
    small = small[:400]
    split += bytes(3000)
    wanted = {
        "/code/once": once,
        "/code/twice": twice,
        "/code/small": small,
        "/code/split": split,
        "/main.py": once,
    }
    blocks = {0: once, 4096: twice, 8192: twice, 12288: small.ljust(4096, b"\xff"), 16384: split[:4096]}
    heads = {place: zlib.crc32(data[:512]) for place, data in blocks.items()}
    assert places(wanted, heads, lambda place, data: blocks[place][: len(data)] == data) == {"once": 0}


@given(st.binary(max_size=200))
def test_other_files_come_through_unchanged(data: bytes) -> None:
    assert without_places("/log/journal", data) == data
