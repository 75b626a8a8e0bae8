"""The pure part of an update: what the pen refuses, what it leaves after a power cut, what it goes back to."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from support.flash import UNIQUE_ID, RecordedFlash, files
from support.update_rig import (
    boot,
    code_names,
    flash_with,
    is_whole,
    loader,
    names_of,
    program,
    send,
    settle,
    stage,
)

from needlepen.build import code_set
from needlepen.firmware_modules import firmware_module

E = firmware_module("pen.events")
OLD = program("1.0")
NEW = program("2.0")
DONE = (0.1, 0.35, 0.5, 0.7, 0.95)
CUTS_MIN = 200


def _updated(counter: int = 1) -> tuple[RecordedFlash, code_set.CodeSet]:
    flash, new = flash_with(OLD), program("2.0", counter=counter)
    staging, refused = stage(flash, new)
    assert refused is None and send(staging, new) is None
    return flash, new


def test_only_what_differs_is_lacking_and_the_next_start_tries_and_confirms() -> None:
    flash = flash_with(OLD)
    staging, refused = stage(flash, NEW)
    assert refused is None
    changed = [size for _, size, _, name, _ in code_set.entries(NEW.manifest) if name not in OLD.files]
    assert staging.wanted == sum(changed) and len(changed) == 3
    assert send(staging, NEW) is None
    name, came, log = boot(flash)
    assert (name, came) == (NEW.name, loader.TRIAL)
    assert log.events == [(E.PROGRAM_CONFIRMED, int(NEW.name[:7], 16), 1)]
    assert boot(flash)[:2] == (NEW.name, loader.ORDINARY) and is_whole(flash, NEW.name)


def test_the_program_before_stays_and_comes_back_when_the_list_of_the_new_one_is_damaged() -> None:
    flash, new = _updated()
    boot(flash)
    assert is_whole(flash, OLD.name)
    files(flash).write(f"/sets/{new.name}", b"damaged")
    name, came, log = boot(flash)
    assert (name, came) == (OLD.name, loader.DAMAGED)
    assert log.events == [(E.PROGRAM_SAVED, int(OLD.name[:7], 16))]
    assert boot(flash)[1] == loader.ORDINARY


def test_a_damaged_record_starts_a_sound_set_and_is_written_anew() -> None:
    flash, _ = _updated()
    files(flash).write("/boot", b"boot 1 what - -\n00000000\n")
    name, came, _ = boot(flash)
    assert name in (OLD.name, NEW.name) and came == loader.DAMAGED
    assert boot(flash)[:2] == (name, loader.ORDINARY)


def test_without_any_sound_set_the_loader_says_so() -> None:
    flash = flash_with(OLD)
    files(flash).write(f"/sets/{OLD.name}", b"")
    assert loader.choose(files(flash)) is None


def test_a_program_that_never_gets_ready_is_taken_back_and_tidied_away() -> None:
    flash, new = _updated()
    assert boot(flash, ready=False)[:2] == (new.name, loader.TRIAL)
    name, came, log = boot(flash)
    assert (name, came) == (OLD.name, loader.ROLLED_BACK)
    assert log.events == [(E.PROGRAM_ROLLED_BACK, int(new.name[:7], 16), int(OLD.name[:7], 16))]
    assert files(flash).names("/sets") == [OLD.name] and code_names(flash) == names_of(OLD)
    assert boot(flash)[1] == loader.ORDINARY


def test_files_that_no_set_names_are_removed_after_the_confirmation() -> None:
    flash, _ = _updated()
    files(flash).write("/code/" + "0" * 16, b"left over")
    files(flash).write("/code/" + "1" * 16 + ".new", b"torn")
    boot(flash)
    assert code_names(flash) == names_of(OLD, NEW)
    third = program("3.0")
    staging, _ = stage(flash, third)
    assert send(staging, third) is None
    boot(flash)
    assert files(flash).names("/sets") == sorted([NEW.name, third.name])
    assert code_names(flash) == names_of(NEW, third)


def test_a_program_with_a_higher_security_counter_forbids_the_way_back() -> None:
    flash, new = _updated(counter=2)
    boot(flash)
    assert settle.read_counter(settle.counter_pair(files(flash), UNIQUE_ID)) == 2
    assert files(flash).names("/sets") == [new.name], "the program before could come back"
    _, refused = stage(flash, OLD, counter=2)
    assert refused == "security counter 1, the pen demands 2"


def _other(**about: str) -> Callable[[], bytes]:
    return lambda: program("2.0", **about).manifest


def _line(old: bytes, new: bytes) -> Callable[[], bytes]:
    """The list with a text replaced and a right CRC."""

    def made() -> bytes:
        listed = NEW.manifest[:-9].replace(old, new, 1)
        assert listed != NEW.manifest[:-9]
        return listed + b"%08x\n" % zlib.crc32(listed)

    return made


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "altered": (lambda: NEW.manifest.replace(b"m3", b"m4"), "the list of the program is damaged"),
    "cut": (lambda: NEW.manifest[:-20], "the list of the program is damaged"),
    "empty": (lambda: b"", "the list of the program is damaged"),
    "another board": (_other(board="other_pen"), "made for another board"),
    "another kind": (_other(kind="production"), "not a development build"),
    "another MicroPython": (_line(b" 1.25 ", b" 1.26 "), "made for another MicroPython"),
    "a newer loader": (_line(b" 1.25 1 ", b" 1.25 9 "), "needs a newer loader: flash the pen"),
    "no counter": (_line(b" 1.25 1 1 ", b" 1.25 1 x "), "the list of the program is of another format"),
    "a path instead of a hash": (
        _line(sorted(NEW.files)[0].encode(), b"../../data/keys.a".ljust(32, b"x")),
        "the list names files that cannot be",
    ),
    "a file too long": (_line(b" ffffffff ", b"99999 ffffffff "), "the list names files that cannot be"),
    "the program that runs": (lambda: OLD.manifest, "this program runs already"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_does_not_fit_is_refused_with_its_reason_and_changes_nothing(how: str) -> None:
    flash = flash_with(OLD)
    flash.record()
    manifest, reason = REFUSED[how]
    assert stage(flash, NEW, manifest=manifest())[1] == reason
    assert flash.operations == [] and boot(flash)[:2] == (OLD.name, loader.ORDINARY)


def test_a_file_that_is_not_what_the_list_says_is_refused() -> None:
    flash = flash_with(OLD)
    staging, _ = stage(flash, NEW)
    assert send(staging, NEW, lambda data: b"X" + data[1:]) == "a file is not what the list says"
    assert staging.commit() == "files are missing"
    assert boot(flash)[:2] == (OLD.name, loader.ORDINARY)


def test_a_file_that_got_damaged_in_the_flash_is_sent_again() -> None:
    flash = flash_with(OLD)
    common = next(name for name in OLD.files if name in NEW.files)
    damaged = bytearray(OLD.files[common])
    damaged[5] ^= 1
    files(flash).write(f"/{code_set.code_path(common)}", bytes(damaged))
    staging, _ = stage(flash, NEW)
    assert send(staging, NEW) is None and is_whole(flash, NEW.name)


def test_an_interrupted_transfer_goes_on_where_it_was() -> None:
    flash = flash_with(OLD)
    staging, _ = stage(flash, NEW)
    first = next(name for _, _, _, name, _ in code_set.entries(NEW.manifest) if name not in OLD.files)
    assert staging.take(NEW.files[first]) is None
    again, _ = stage(flash, NEW)
    assert again.wanted == staging.wanted - len(NEW.files[first])
    assert send(again, NEW) is None and boot(flash)[0] == NEW.name and is_whole(flash, NEW.name)


def test_a_power_cut_in_any_write_of_an_update_leaves_the_old_or_the_new_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Transfer, switch, first start, confirmation, tidying: each flash operation of them, cut at five moments."""
    flash = flash_with(OLD)
    flash.record()
    staging, _ = stage(flash, NEW, thorough=False)
    assert send(staging, NEW) is None
    boot(flash)
    ended = {OLD.name: 0, NEW.name: 0}
    for done in DONE:
        for operation, torn in flash.cuts(done, seed=7):
            what = f"{operation.kind} at {operation.start:#x}, {done:g} of it done"
            name, _, _ = boot(torn)
            assert is_whole(torn, name), f"{what}: the program {name} is not whole"
            ended[name] += 1
            name, came, _ = boot(torn)
            assert came == loader.ORDINARY and is_whole(torn, name), (
                f"{what}: the second start is not an ordinary one"
            )
            if name == OLD.name:  # the update can be done again
                staging, refused = stage(torn, NEW)
                assert refused is None and send(staging, NEW) is None, what
                assert boot(torn)[0] == NEW.name and is_whole(torn, NEW.name), what
    cuts = sum(ended.values())
    with capsys.disabled():
        print(
            f"\n{cuts} power cuts in an update: {ended[OLD.name]} left the old program, {ended[NEW.name]} the new"
        )
    assert cuts >= CUTS_MIN and min(ended.values()) > 0, ended
