"""gauges.toml: loaded, checked with one line per mistake, added to and cut from; and gauges of other packages."""

from __future__ import annotations

import importlib.metadata
import json
import re
import socket
import sys
import threading
import tomllib
import types
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from needlepen.calibration import gauges
from needlepen.calibration.gauges import (
    KINDS,
    Plugin,
    digimatic,
    kinds,
    load_gauges,
    load_identity,
    open_gauge,
    open_named,
    shelf,
)
from needlepen.calibration.gauges.kinds import ENTRY_POINTS
from needlepen.calibration.gauges.typed import TypedGauge
from needlepen.calibration.model import GaugeIdentity
from needlepen.cli import cli
from needlepen.errors import InfrastructureError, UsageError

GOOD = """# the gauges of this bench
[left]   # the good one
kind = "mitutoyo"
port = "/dev/ttyUSB0"
model = "543-790B"
serial = "21004533"
resolution_um = 0.5
error_um = 2.5
repeatability_um = 2
certificate = "2026-03"
due = 2027-03-31

# kept for Fridays
[dial]
kind = "manual"
unit = "inch"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the gauges of this test are; not there yet."""
    monkeypatch.setenv("NEEDLEPEN_CONFIG", str(tmp_path))
    monkeypatch.setenv("NEEDLEPEN_STATE", str(tmp_path / "state"))
    return tmp_path / "gauges.toml"


def test_what_its_papers_say_is_loaded(file: Path) -> None:
    assert load_gauges() == {}
    file.write_text(GOOD)
    assert load_identity("left") == GaugeIdentity(
        kind="mitutoyo", model="543-790B", serial="21004533", resolution_um=0.5, error_um=2.5, repeatability_um=2.0,
        certificate="2026-03", due=date(2027, 3, 31),
    )  # fmt: skip
    left = load_gauges()["left"]
    assert (left.is_overdue(date(2027, 3, 31)), left.is_overdue(date(2027, 4, 1))) == (False, True)
    dial = open_named("dial")
    assert dial.parse("0.05").value_mm == 1.27 and dial.identity.kind == "manual"
    with pytest.raises(UsageError, match=r"No gauge is called 'right' .* there are: left, dial"):
        load_identity("right")
    with pytest.raises(UsageError, match=r"neither a gauge of .* nor a kind"):
        open_named("right")


def test_each_mistake_has_a_line(file: Path) -> None:
    file.write_text(
        'colour = "red"\n[a]\nkind = "laser"\n[b]\nport = "x"\n[c]\nkind = "manual"\nerror_um = -1\nresolution_um = 0\n'
        'due = 2027-03-31T10:00:00\n[d]\nkind = "manual"\nserail = "1"\nmodel = 5\nunit = "um"\n[e]\nkind = "manual"\n'
        "due = 20270331\n"
    )
    with pytest.raises(UsageError) as refused:
        load_gauges()
    lines = str(refused.value).splitlines()
    expected = (
        "colour: begin each gauge with its name", "[a] kind: 'laser' is no kind of gauge; there are: manual,",
        "[b] kind: is missing", "[c] resolution_um:", "[c] error_um:", "[c] due: give a day as 2027-03-31",
        "[d] unit:", "[d] model:", "[d] serail: there is no such key; possible: kind, port", "[e] due: give a day",
    )  # fmt: skip
    assert len(lines) == len(expected), lines
    for text in expected:
        assert sum(text in line for line in lines) == 1, (text, lines)
    assert all(line.startswith(str(file)) for line in lines)


@pytest.mark.parametrize("text", ["[left\n", "\x00", 'kind = "manual'])
def test_a_file_that_is_no_toml_is_one_line(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match="not valid TOML") as refused:
        load_gauges()
    assert "\n" not in str(refused.value)


def test_a_gauge_is_added_and_cut_out_and_the_rest_stays(file: Path) -> None:
    file.write_text(GOOD)
    made = shelf.add(
        "right", {"kind": "digimatic", "port": 'socket://"odd"', "due": date(2027, 1, 2), "model": None}
    )
    assert load_gauges()["right"] == made and made.port == 'socket://"odd"' and made.due == date(2027, 1, 2)
    assert file.read_text().startswith(GOOD.rstrip())
    shelf.remove("left")
    assert list(load_gauges()) == ["dial", "right"]
    assert "# the gauges of this bench" in file.read_text() and "543-790B" not in file.read_text()
    shelf.remove("dial")
    shelf.remove("right")
    assert load_gauges() == {}


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("left", {"kind": "manual"}, "called 'left' already"), ("manual", {"kind": "manual"}, "is a kind of gauge"),
        ("two words", {"kind": "manual"}, "no name for a gauge"),
        ("new", {"kind": "mitutoyo"}, "say which with --port"),
        ("new", {"kind": "laser"}, "no kind of gauge"), ("new", {"kind": "manual", "error_um": -1}, "error_um"),
    ],
)  # fmt: skip
def test_a_gauge_that_cannot_be_is_not_added(
    file: Path, name: str, values: dict[str, object], said: str
) -> None:
    file.write_text(GOOD)
    with pytest.raises(UsageError, match=said):
        shelf.add(name, values)
    assert file.read_text() == GOOD


# ---------------------------------------------------------------------- other packages
LASER = Plugin("laser", "a laser", TypedGauge)
NOT_A_PLUGIN = object()


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as installed packages declare them."""
    group = {
        "laser": f"{__name__}:LASER", "broken": "no_such_module:PLUGIN", "odd": f"{__name__}:NOT_A_PLUGIN",
        "manual": f"{__name__}:LASER",
    }  # fmt: skip
    points = [importlib.metadata.EntryPoint(name, value, ENTRY_POINTS) for name, value in group.items()]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: points if group == ENTRY_POINTS else []
    )


@pytest.mark.usefixtures("packages")
def test_another_package_adds_a_kind_and_a_bad_one_harms_no_other(file: Path) -> None:
    assert set(kinds()) == {*KINDS, "laser", "broken", "odd"}
    assert open_gauge("laser").parse("1.5").value_mm == 1.5
    assert open_gauge("manual").identity.kind == "manual"  # ours stays ours
    file.write_text('[bench]\nkind = "laser"\nserial = "7"\n')
    assert open_named("bench").identity.serial == "7"
    with pytest.raises(InfrastructureError, match=r"'broken' of the package no_such_module cannot be used"):
        open_gauge("broken")
    with pytest.raises(InfrastructureError, match="is no Plugin of this kind"):
        open_gauge("odd")
    with pytest.raises(UsageError, match=r"'lasers' is no kind of gauge; there are: manual, .*laser"):
        open_gauge("lasers")


# ---------------------------------------------------------------------- commands
def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["gauge", *arguments], input=typed, standalone_mode=False)


def test_the_commands_add_list_show_and_remove(file: Path) -> None:
    due = ("--due", "2020-02-29")
    assert (
        run("add", "dial", "--kind", "manual", "--serial", "42", "--error-um", "2.5", *due).exception is None
    )
    listed = json.loads(run("list", "--json").output)
    assert listed["gauges"]["dial"]["error_um"] == 2.5 and listed["gauges"]["dial"]["overdue"] is True
    assert set(listed["kinds"]) == set(kinds())
    assert "dial            manual, 42, +-2.5 um, OVERDUE since 2020-02-29" in run("list").output
    shown = json.loads(run("show", "dial", "--json").output)
    assert (shown["serial"], shown["due"]) == ("42", "2020-02-29")
    assert "repeatability_um  3.0" in run("show", "dial").output
    assert run("remove", "dial").exception is None
    assert isinstance(run("show", "dial").exception, UsageError)


def test_typed_readings_are_read_from_the_input(file: Path) -> None:
    lines = "1.250\n1,252 mm\n0.0492 in\n"
    result = run("read", "keyboard", "--count", "3", "--json", typed=lines)
    said = json.loads(result.stdout)
    assert [one["raw"] for one in said["readings"]] == lines.splitlines()
    assert [one["value_mm"] for one in said["readings"]] == [1.25, 1.252, 1.24968]
    assert "mean 1.2510 mm" in run("read", "manual", "--count", "2", typed=lines).stdout
    assert "ended before reading 2 of 2" in str(
        run("read", "manual", "--count", "2", typed="1.0\n").exception
    )
    assert "is no reading" in str(run("read", "manual", typed="one\n").exception)


# ---------------------------------------------------------------------- what the README says
README = Path(gauges.__file__).with_name("README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_of_a_file_loads(file: Path) -> None:
    file.write_text(_blocks("toml")[0])
    left = load_gauges()["left-bench"]
    assert (left.kind, left.certificate, left.due) == ("mitutoyo", "2026-0311", date(2027, 3, 31))


def test_the_example_of_a_plug_in_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("my_laser")
    exec(_blocks("python")[0], module.__dict__)
    monkeypatch.setitem(sys.modules, "my_laser", module)
    declared = tomllib.loads(_blocks("toml")[1])["project"]["entry-points"][ENTRY_POINTS]
    points = [importlib.metadata.EntryPoint(name, value, ENTRY_POINTS) for name, value in declared.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gauge = open_gauge("laser", f"socket://127.0.0.1:{listener.getsockname()[1]}")
        end, _ = listener.accept()
        threading.Timer(0.05, lambda: end.sendall(b"1.2345\n")).start()
        assert gauge.read(2.0).value_mm == 1.2345 and end.recv(9) == b"MV\n"
        gauge.close()
        end.close()


def test_every_kind_every_fault_and_the_frames_are_in_the_readme() -> None:
    for kind in KINDS:
        assert f"| `{kind}` |" in README
    folder = Path(gauges.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    faults = set(re.findall(r"GaugeError\(\s*\"([a-z ]+)\"", code)) | {
        "short",
        "long",
        "sign",
        "digit",
        "unit",
    }
    assert len(faults) >= 12
    for fault in faults:
        assert f"`{fault}`" in README, fault
    assert digimatic.to_bits("FFFF801234530").hex(" ") in README
