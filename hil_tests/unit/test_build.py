"""The application image: same input, same bytes; the firmware gets what board and requirements say."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from littlefs import LittleFS
from littlefs.context import UserContext

from needlepen import board, paths, requirements
from needlepen.board.codegen import board_constants
from needlepen.build import AppImage, app_image, compiler, export, host_words, image, stage
from needlepen.build.fold import fold_constants
from needlepen.build.limits_module import constant_name, constants, limits_module
from needlepen.build.staging import GENERATED
from needlepen.cli.build import build as build_command
from needlepen.errors import InfrastructureError, UsageError
from needlepen.firmware_modules import firmware_module

PEN = board.load()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEEDLEPEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """A small firmware in the shape of the real one."""
    files = {
        "main.py": "import pen.app\n",
        "requirements.toml": "",
        "pen/__init__.py": "",
        "pen/app.py": "from pen.limits import SR06_THRESHOLD_HZ\nlimit_hz = SR06_THRESHOLD_HZ\n",
        "pen/link/__init__.py": "",
        "pen/link/frames.py": "SIZE = 4\n",
    }
    for name, text in files.items():
        path = tmp_path / "firmware" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "firmware"


def read_littlefs(data: bytes, **geometry: int) -> dict[str, bytes]:
    context = UserContext(buffsize=len(data))
    context.buffer[:] = data
    size = {"block_size": PEN.flash.block_bytes, "block_count": PEN.flash.filesystem_blocks, **geometry}
    filesystem = LittleFS(context=context, mount=True, **size)  # type: ignore[arg-type]
    files = {}
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with filesystem.open(path, "rb") as file:
                files[path.lstrip("/")] = file.read()
    return files


# ------------------------------------------------------------------ staging


def test_staged_modules_are_the_sources_and_the_generated_ones(firmware: Path, tmp_path: Path) -> None:
    target = stage(PEN, tmp_path / "staged", firmware=firmware)
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    copied = {"main.py", "pen/__init__.py", "pen/app.py", "pen/link/__init__.py", "pen/link/frames.py"}
    assert found == copied | {*GENERATED, "pen/build_info.py"}


def test_generated_modules_import_on_cpython(
    firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(stage(PEN, tmp_path / "staged", firmware=firmware)))
    # Other tests import the real firmware through a finder of its own.
    ordinary = [finder for finder in sys.meta_path if type(finder).__name__ != "_FirmwareLoader"]
    monkeypatch.setattr(sys, "meta_path", ordinary)
    for name in [name for name in sys.modules if name == "pen" or name.startswith("pen.")]:
        monkeypatch.delitem(sys.modules, name)
    import pen.app
    import pen.board
    import pen.build_info

    assert pen.app.limit_hz == requirements.load().limit("SR-06", "threshold_hz")
    assert PEN.gpio("PWM_N") == pen.board.PIN_PWM_N
    assert pen.build_info.BUILD_KIND == "development"
    for name in [name for name in sys.modules if name == "pen" or name.startswith("pen.")]:
        sys.modules.pop(name)


def test_every_limit_of_every_requirement_is_in_the_limits_module() -> None:
    namespace: dict[str, Any] = {}
    exec(limits_module(requirements.load()), namespace)
    for requirement in requirements.load().values():
        for name, value in requirement.limits.items():
            assert namespace[constant_name(requirement.id, name)] == value
            assert type(namespace[constant_name(requirement.id, name)]) is type(value)


def test_the_application_hash_covers_sources_board_and_kind(firmware: Path, tmp_path: Path) -> None:
    def build_info(**options: Any) -> str:
        return (stage(PEN, tmp_path / "s", firmware=firmware, **options) / "pen/build_info.py").read_text()

    first = build_info()
    assert build_info() == first
    assert build_info(kind="production") != first
    (firmware / "pen/link/frames.py").write_text("SIZE = 5\n")
    assert build_info() != first


def test_a_firmware_without_main_is_refused(firmware: Path) -> None:
    (firmware / "main.py").unlink()
    with pytest.raises(UsageError, match=r"no main\.py"):
        app_image(PEN, firmware=firmware)


def test_a_source_that_is_not_utf_8_is_refused(firmware: Path) -> None:
    (firmware / "pen/app.py").write_bytes(b"# \xff\n")
    with pytest.raises(UsageError, match=r"app\.py: not UTF-8 at byte 2"):
        app_image(PEN, firmware=firmware)


@pytest.mark.parametrize("name", ["board", "limits", "build_info"])
def test_a_source_that_the_build_generates_is_refused(firmware: Path, name: str) -> None:
    (firmware / f"pen/{name}.py").write_text("")
    with pytest.raises(UsageError, match="generates this module"):
        app_image(PEN, firmware=firmware)


# ------------------------------------------------------------------ folding of constants

MODULES = {"pen.limits": {"A_HZ": 165, "B_A": 1.5}, "pen.board": {"NAME": "x", "PINS": ((1, 0),)}}


@pytest.mark.parametrize(
    ("source", "folded"),
    [
        ("from pen.limits import A_HZ\n", "_A_HZ = const(165)\n"),
        ("from pen.limits import A_HZ as _A, B_A\nx = 1\n", "_A = const(165); _B_A = const(1.5)\nx = 1\n"),
        (
            "from pen.limits import (\n    A_HZ,\n    B_A,\n)\nx",
            "_A_HZ = const(165); _B_A = const(1.5)\n\n\n\nx",
        ),
        (
            "from pen.limits import A_HZ\ny.A_HZ = A_HZ  # A_HZ\n",
            "_A_HZ = const(165)\ny.A_HZ = _A_HZ  # A_HZ\n",
        ),
        ("from pen.board import NAME, PINS\n", "_NAME = 'x'; _PINS = ((1, 0),)\n"),
        ("import pen.limits\nfrom pen import limits\nfrom os import sep\n", None),
        ("def f():\n    from pen.limits import A_HZ\n", None),
        ("this is not Python\n", None),
    ],
)
def test_imported_constants_are_folded_and_lines_stay(source: str, folded: str | None) -> None:
    result = fold_constants(source, "pen/x.py", MODULES)
    assert result == (source if folded is None else folded)
    assert result.count("\n") == source.count("\n")


def test_a_constant_that_does_not_exist_stops_the_build_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"^pen/x\.py:2: pen\.limits has no constant 'C'"):
        fold_constants("\nfrom pen.limits import C\n", "pen/x.py", MODULES)


def test_folding_takes_the_look_up_out_of_the_bytecode() -> None:
    source = "from pen.limits import SR06_THRESHOLD_HZ as _LIMIT\ndef over(x):\n    return x > _LIMIT\n"
    modules = {"pen.limits": constants(requirements.load())}
    plain = compiler.compile_module(source.encode(), "pen/x.py")
    folded = compiler.compile_module(fold_constants(source, "pen/x.py", modules).encode(), "pen/x.py")
    assert b"_LIMIT" in plain and b"_LIMIT" not in folded and len(folded) < len(plain)


def test_viper_takes_a_folded_constant_as_a_machine_integer() -> None:
    source = "from pen.limits import A_HZ\n@micropython.viper\ndef f(x: int) -> int:\n    return x + A_HZ\n"
    with pytest.raises(UsageError, match="ViperTypeError"):
        compiler.compile_module(source.encode(), "pen/x.py")
    assert compiler.compile_module(fold_constants(source, "pen/x.py", MODULES).encode(), "pen/x.py")


# ------------------------------------------------------------------ compiling


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\ndef f(:\n", 2, "SyntaxError"),
        ("import micropython\n@micropython.viper\ndef f(x: int):\n    return x + 'a'\n", 3, "ViperTypeError"),
        ("x = 1\n  y = 2\n", 2, "IndentationError"),
        ("x = \0\n", 1, "SyntaxError"),
    ],
)
def test_a_compile_error_is_one_line_with_file_and_line(
    firmware: Path, source: str, line: int, reason: str
) -> None:
    (firmware / "pen/app.py").write_text(source)
    with pytest.raises(UsageError) as caught:
        app_image(PEN, firmware=firmware)
    text = str(caught.value)
    assert text.startswith(f"pen/app.py:{line}: {reason}") and "\n" not in text, text


def test_modules_are_bytecode_that_the_pinned_micropython_loads() -> None:
    code = compiler.compile_module(b"x = 1\n", "x.py")
    assert code[0:2] == b"M\x06"


def test_a_compiler_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "MPY_VERSION", 7)
    with pytest.raises(InfrastructureError, match=r"made \.mpy version 6"):
        compiler.compile_module(b"x = 1\n", "x.py")


# ------------------------------------------------------------------ the image


def test_the_image_holds_main_as_source_and_modules_compiled(firmware: Path) -> None:
    built = app_image(PEN, firmware=firmware)
    files = read_littlefs(built.image)
    assert {name: len(data) for name, data in files.items()} == dict(built.files)
    assert files["main.py"] == (firmware / "main.py").read_bytes()
    assert {"pen/app.mpy", "pen/link/frames.mpy", "pen/board.mpy", "pen/limits.mpy"} <= built.modules.keys()
    lists = [name for name in files if name.startswith("sets/")]
    assert (
        files.keys() == {"main.py", "boot", "manifest.crc", *built.modules.values(), *lists}
        and len(lists) == 1
    )
    assert all(files[name].startswith(b"M\x06") for name in built.modules.values())


def test_a_module_lies_under_the_hash_of_its_content(firmware: Path) -> None:
    built = app_image(PEN, firmware=firmware)
    files = read_littlefs(built.image)
    for name in built.modules.values():
        digest = hashlib.sha256(files[name]).hexdigest()
        assert name == f"code/{digest[:16]}"


def test_a_changed_module_changes_its_file_and_the_build_info_alone(firmware: Path) -> None:
    before = app_image(PEN, firmware=firmware).modules
    (firmware / "pen/link/frames.py").write_text("SIZE = 5\n")
    after = app_image(PEN, firmware=firmware).modules
    changed = {module for module in after if after[module] != before[module]}
    assert changed == {"pen/link/frames.mpy", "pen/build_info.mpy"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "None"), ("security_counter = 0", "0"), ("security_counter = true", "True"), ("=", "")],
)
def test_a_security_counter_that_is_none_is_refused(firmware: Path, text: str, reason: str) -> None:
    (firmware / "release.toml").write_text(text)
    with pytest.raises(UsageError, match=rf"release.toml: .*{reason}"):
        app_image(PEN, firmware=firmware)


def test_a_module_too_long_for_a_pen_is_refused(firmware: Path) -> None:
    (firmware / "pen/app.py").write_text(f"x = {'a' * 20_000!r}\n")
    with pytest.raises(UsageError, match=r"pen/app.mpy: \d+ bytes compiled"):
        app_image(PEN, firmware=firmware)


def test_the_image_fills_the_file_system_area_with_disk_version_2_0(firmware: Path) -> None:
    built = app_image(PEN, firmware=firmware)
    assert len(built.image) == PEN.flash.filesystem_bytes
    at = (
        built.image.index(b"littlefs") + 8
    )  # the superblock's inline structure: tag (4), disk version (4), ...
    assert int.from_bytes(built.image[at + 4 : at + 8], "little") == 0x00020000


def test_the_same_input_gives_the_same_bytes(
    firmware: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = app_image(PEN, firmware=firmware)
    monkeypatch.setenv("NEEDLEPEN_CACHE", str(tmp_path / "other"))
    second = app_image(PEN, firmware=firmware)
    assert first.path != second.path and first.image == second.image and first.sha256 == second.sha256


@pytest.mark.parametrize("change", ["source", "board", "kind"])
def test_changed_input_gives_another_image(firmware: Path, change: str) -> None:
    first = app_image(PEN, firmware=firmware)
    changed, kind = PEN, "development"
    if change == "source":
        (firmware / "pen/link/frames.py").write_text("SIZE = 5\n")
    elif change == "board":
        changed = PEN.model_copy(update={"motor": PEN.motor.model_copy(update={"resistance_ohm": 1.2})})
    else:
        kind = "production"
    assert app_image(changed, kind=kind, firmware=firmware).sha256 != first.sha256  # type: ignore[arg-type]


def test_a_cached_image_is_not_compiled_again(firmware: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = app_image(PEN, firmware=firmware)
    monkeypatch.setattr(compiler, "compile_module", lambda *_: pytest.fail("compiled again"))
    assert app_image(PEN, firmware=firmware) == first


@pytest.mark.parametrize("name", ["app.littlefs", "about.json", "staged/main.py", "program.npb"])
@pytest.mark.parametrize("damage", ["changed", "cut", "removed"])
def test_a_damaged_cache_entry_is_built_again(firmware: Path, name: str, damage: str) -> None:
    first = app_image(PEN, firmware=firmware)
    victim = first.path.parent / name
    if damage == "removed":
        victim.unlink()
    else:
        data = victim.read_bytes()
        victim.write_bytes(data[: len(data) // 2] if damage == "cut" else b"\0" + data[1:])
    second = app_image(PEN, firmware=firmware)
    assert second == first and (second.staged_dir / "main.py").read_text() == "import pen.app\n"


def test_an_image_cache_that_cannot_be_written_is_an_infrastructure_error(
    firmware: Path, cache: Path
) -> None:
    cache.mkdir()
    (cache / "images").write_text("")
    with pytest.raises(InfrastructureError, match="NEEDLEPEN_CACHE"):
        app_image(PEN, firmware=firmware)


def test_simultaneous_builds_give_one_intact_entry(firmware: Path, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: app_image(PEN, firmware=firmware), range(4)))
    assert all(one == built[0] for one in built)
    assert [path.name for path in (cache / "images").iterdir()] == [built[0].path.parent.name]


def test_a_failed_build_leaves_nothing_in_the_cache(firmware: Path, cache: Path) -> None:
    (firmware / "pen/app.py").write_text("def\n")
    with pytest.raises(UsageError):
        app_image(PEN, firmware=firmware)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_an_application_that_does_not_fit_is_refused_with_sizes() -> None:
    small = PEN.flash.model_copy(update={"filesystem_blocks": 8})
    with pytest.raises(UsageError, match=r"does not fit into the file system of 32768 bytes"):
        image.littlefs_image({"main.py": b"x" * 40_000}, small)


def test_export_writes_the_image_and_nothing_else(firmware: Path, tmp_path: Path) -> None:
    built = app_image(PEN, kind="production", firmware=firmware)
    path = export(built, tmp_path / "out")
    assert path.name == "pico_pen-production.littlefs" and path.read_bytes() == built.image
    assert list((tmp_path / "out").iterdir()) == [path]


def test_an_output_folder_that_is_a_file_is_refused(firmware: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        export(app_image(PEN, firmware=firmware), tmp_path / "file")


# ------------------------------------------------------------------ the real firmware


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> AppImage:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEEDLEPEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return app_image(PEN)


def test_the_firmware_builds_and_leaves_room_for_the_log(real: AppImage) -> None:
    used = sum(real.files.values())
    assert used <= len(real.image) // 4, f"{used} of {len(real.image)} bytes"


def test_the_firmware_takes_every_number_of_board_and_requirements_by_name(real: AppImage) -> None:
    """`import pen.limits` would hide the names from the build, which could then not fold or check them."""
    known = {"pen.board": board_constants(PEN), "pen.limits": constants(requirements.load())}
    for path in (paths.firmware_dir() / "pen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & known.keys(), f"{path}:{node.lineno}"
            if isinstance(node, ast.ImportFrom) and node.module in known:
                assert {alias.name for alias in node.names} <= known[node.module].keys(), (
                    f"{path}:{node.lineno}"
                )


def test_the_command_prints_sizes_and_writes_the_image(tmp_path: Path) -> None:
    result = CliRunner().invoke(build_command, ["--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert Path(answer["path"]).stat().st_size == answer["filesystem_bytes"]
    assert answer["used_bytes"] == sum(answer["files"].values())
    listing = CliRunner().invoke(build_command, []).stdout
    assert f"{answer['used_bytes']}  bytes of {answer['filesystem_bytes']}" in listing


def test_the_pen_gets_formats_and_the_fields_of_requests_but_no_words_for_the_host() -> None:
    source = (paths.firmware_dir() / "pen/link/messages.py").read_text()
    kinds, messages = firmware_module("pen.link.kinds"), firmware_module("pen.link.messages")
    numbers = {name: value for name, value in vars(kinds).items() if isinstance(value, int)}
    stripped = host_words.without_host_words(source, numbers)
    assert stripped.count("\n") == source.count("\n")
    found: dict[str, Any] = {}
    exec(compile(stripped, "messages", "exec"), found)
    assert found["MESSAGES"] == {
        kind: ("", layout, "" if kind >= 0x80 else fields)
        for kind, (_, layout, fields) in messages.MESSAGES.items()
    }
    assert host_words.without_host_words("not python", {}) == "not python"
