"""What all commands have in common: help with an example, --json, exit codes, one line for an error, a light --help."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from needlepen.cli import COMMANDS, OUTPUT_CLOSED, cli, main

WITHOUT_JSON = {
    ("completion",): "prints a script for a shell",
    ("devices", "name"): "changes the list that `devices --json` prints",
    ("devices", "forget"): "changes the list that `devices --json` prints",
}
"""Commands that print no result as JSON, and why."""

HEAVY = (
    "cryptography", "jinja2", "keyring", "littlefs", "numpy", "plotly", "pydantic", "rich", "rp2040py", "serial",
    "filelock", "asyncio", "needlepen.board", "needlepen.firmware_modules", "needlepen.emulator.pen",
)  # fmt: skip
"""What --help and completion must not import: each of them costs 20 ms or more."""


def _walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, f"{path} lists {name} but has none"
            yield from _walk(found, (*path, name))


ALL = dict(_walk(cli))
LEAVES = {
    path: command
    for path, command in ALL.items()
    if not isinstance(command, click.Group) or command.invoke_without_command
}
each = pytest.mark.parametrize("path", ALL, ids=" ".join)


def _run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> None:
    """click keeps a command's help option from its first use, and other tests use commands without their group."""
    for command in ALL.values():
        command._help_option = None


@each
def test_every_command_has_help(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--help", "-h"):
        code, out, err = _run([*path, option], capsys)
        assert code == 0 and out.startswith(f"Usage: needlepen {' '.join(path)}") and err == ""
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.opts} says nothing"


@each
def test_every_command_has_an_example_that_it_takes(path: tuple[str, ...]) -> None:
    """Parsed, not run: a command or option that is not there any more is found."""
    epilog = ALL[path].epilog or ""
    label, _, examples = epilog.partition(":  ")
    assert label in ("Example", "Examples"), "help without an example"
    for example in examples.split("  |  "):
        words = shlex.split(
            example.partition("  (")[0].partition(" > ")[0]
        )  # without a remark, or where it goes
        assert words[: 1 + len(path)] == ["needlepen", *path], example
        context, command, rest = click.Context(cli, info_name="needlepen"), cli, words[1:]
        while rest and isinstance(command, click.Group) and not rest[0].startswith("-"):
            found = command.get_command(context, rest[0])
            assert found is not None, example
            command, rest = found, rest[1:]
        command.make_context(path[-1], list(rest), parent=context)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_that_prints_a_result_has_json(path: tuple[str, ...]) -> None:
    names = [name for parameter in LEAVES[path].params for name in parameter.opts]
    assert ("--json" in names) != (path in WITHOUT_JSON)


@each
def test_an_unknown_option_is_a_usage_error_in_one_line(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = _run([*path, "--no-such-option"], capsys)
    assert code == 4 and out == ""
    assert err.count("\n") == 1 and err.startswith("needlepen: ") and "--no-such-option" in err
    assert f"`needlepen {' '.join(path)} --help`" in err


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["explain"], ["campaign", "--runs", "many"], ["run", "--engine", "steam"]],
    ids=" ".join,
)
def test_other_usage_errors_are_one_line_too(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = _run(arguments, capsys)
    assert (code, out, err.count("\n")) == (4, "", 1)


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        (["devices"], "NEEDLEPEN_CACHE"),
        (["gauge", "list"], "NEEDLEPEN_CONFIG"),
        (["calibration", "list"], "NEEDLEPEN_DATA"),
        (["calibrate", "--list"], "NEEDLEPEN_DATA"),
        (["build"], "NEEDLEPEN_CACHE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_home_that_cannot_be_written_is_one_line_that_says_what_to_set(
    arguments: list[str],
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "home").touch()  # holds for root, too, whom no mode of a folder stops
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith(("NEEDLEPEN_", "XDG_"))]:
        monkeypatch.delenv(name)
    code, out, err = _run(arguments, capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path / "home") in err and variable in err


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "/a/place"), OSError("a\nb"), OSError(28, "full")]
)
def test_an_error_of_this_computer_that_no_command_expects_is_no_traceback(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "invoke", fail)
    code, out, err = _run(["faults"], capsys)
    assert (code, out, err.count("\n")) == (2, "", 1) and (error.filename or "") in err


def test_the_list_of_commands_is_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The list exists so that --help imports no command; a module that nobody lists could not be called."""
    folder = Path(sys.modules["needlepen.cli"].__file__ or "").parent
    modules = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert {name.replace("-", "_") for name in COMMANDS} == modules
    _, out, _ = _run(["--help"], capsys)
    assert all(f"\n  {name} " in out for name in COMMANDS)


LIGHT = f"""
import json, sys
from needlepen.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)
"""


def _heavy(arguments: list[str], **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], env=os.environ | environment, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return found


def test_help_imports_nothing_heavy() -> None:
    """`needlepen --help` in under 0.5 s: what it imports decides, and does not depend on this machine's load."""
    assert _heavy(["--help"]) == []


def test_help_of_the_commands_imports_nothing_heavy() -> None:
    """Several at once, since each --help ends its process: the modules of all commands and their options."""
    program = f"import sys, needlepen.cli\n{_IMPORT_ALL}\nprint([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


_IMPORT_ALL = """
for name in needlepen.cli.COMMANDS:
    needlepen.cli.cli.get_command(None, name)
"""


# ---------------------------------------------------------------------- completion
def _completed(words: str, tmp_path: Path) -> list[str]:
    """What bash gets for these words, the last one unfinished."""
    environment = os.environ | {
        "_NEEDLEPEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")),
        "NEEDLEPEN_CACHE": str(tmp_path / "cache"), "NEEDLEPEN_CONFIG": str(tmp_path / "config"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "needlepen"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert _completed("needlepen mo", tmp_path) == ["monitor"]
    assert {"--record", "--period-ms"} <= set(_completed("needlepen monitor --", tmp_path))
    assert _completed("needlepen completion z", tmp_path) == ["zsh"]


def test_names_of_pens_are_completed(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "names.json").write_text(
        '{"left": "e660000000000001", "right": "e660000000000002"}'
    )
    assert _completed("needlepen log --device l", tmp_path) == ["left"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_each_shell_is_sound(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, script, _ = _run(["completion", shell], capsys)
    assert code == 0 and "_NEEDLEPEN_COMPLETE" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, timeout=20, check=False).returncode == 0


# ---------------------------------------------------------------------- colours
def test_no_color_and_pipes_are_respected() -> None:
    """Styles of click on a terminal: coloured, unless NO_COLOR is set."""
    program = (
        "import click, sys\nfrom needlepen.cli import cli\n"
        "cli.add_command(click.Command('x', callback=lambda: click.secho('red', fg='red')))\n"
        "cli.get_command = lambda context, name: cli.commands.get(name)\n"
        "cli.main(['x'], standalone_mode=False, color=True)\n"
    )
    shown = {
        value: subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"NO_COLOR": value}, capture_output=True, timeout=60,
            check=True,
        ).stdout
        for value in ("", "1")
    }  # fmt: skip
    assert b"\x1b[" in shown[""] and shown["1"] == b"red\n"


# ---------------------------------------------------------------------- pipes
@pytest.mark.parametrize("arguments", [["--help"], ["explain", "3"]])
def test_who_has_read_enough_makes_no_failure_of_the_product(arguments: list[str]) -> None:
    """`needlepen ... | head`: the reader is gone before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "needlepen", *arguments],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (OUTPUT_CLOSED, "")
