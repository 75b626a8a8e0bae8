"""Tables in documents and explanations at the command line: all from the data, nothing left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from needlepen import documents, explanation, protocol_tables, requirements, signals, supervision
from needlepen.cli.docs import docs
from needlepen.cli.explain import explain
from needlepen.errors import ProductFailure, UsageError
from needlepen.firmware_modules import firmware_module

SIGNALS = signals.load()
TABLES = supervision.load()


# ---------------------------------------------------------------- documents
@pytest.mark.parametrize("name", ["signals", "supervision", "protocol"])
def test_the_tables_in_the_documents_are_the_data(name: str) -> None:
    assert documents.parts()[name].is_current(), "run: needlepen docs --write"


@pytest.mark.parametrize(
    ("name", "known"),
    [("signals", "fast blinking"), ("supervision", "nose hot"), ("protocol", "The seated cartridge")],
)
def test_a_drifted_table_fails_the_check_and_is_written_again(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, name: str, known: str
) -> None:
    part = documents.parts()[name]
    good = part.document.read_text()
    copy = tmp_path / "README.md"
    copy.write_text(good.replace(known, "dead quiet"))
    drifted = documents.Part(name, copy, part.command, part.make)
    monkeypatch.setattr(documents, "parts", lambda: {name: drifted})
    assert isinstance(CliRunner().invoke(docs, ["--check"]).exception, ProductFailure)
    assert CliRunner().invoke(docs, [name, "--write"]).exit_code == 0
    assert copy.read_text() == good and list(tmp_path.iterdir()) == [copy]
    assert CliRunner().invoke(docs, ["--check"]).exit_code == 0


@pytest.mark.parametrize("arguments", [["buttons"], ["--check", "--write"]])
def test_wrong_arguments_for_documents_are_refused(arguments: list[str]) -> None:
    assert isinstance(CliRunner().invoke(docs, arguments).exception, UsageError)


def test_the_tables_name_everything_that_the_pen_can_report() -> None:
    text = documents.parts()["supervision"].make()
    for table in (TABLES.states, TABLES.blockers, TABLES.warnings, TABLES.faults):
        for entry in table.values():  # type: ignore[attr-defined]
            assert entry.text in text
    for light_entry in SIGNALS.pixel.values():
        assert f"| {light_entry.rhythm} | {light_entry.colour} |" in documents.parts()["signals"].make()


def test_the_protocol_document_holds_each_message_with_its_fields_and_what_it_is() -> None:
    messages = firmware_module("pen.link.messages").MESSAGES
    text = documents.parts()["protocol"].make()
    described = protocol_tables.descriptions()
    for kind, (name, _, fields) in messages.items():
        assert f"| 0x{kind:02X} | {name.upper()} |" in text
        assert all(f"`{field}` " in text for field in fields.split())
        assert described[name.upper()], (
            f"write a comment above {name.upper()} in messages.py: it is its description"
        )


def test_what_the_readme_says_about_the_buttons_is_what_they_do() -> None:
    buttons = firmware_module("pen.buttons")
    text = documents.parts()["signals"].document.read_text()
    assert f"hold for {buttons.ACKNOWLEDGE_MS / 1000:g} s: acknowledge" in text
    assert f"held for {buttons.STUCK_MS / 1000:g} s" in text
    assert f"one step of {requirements.load().limit('PR-05', 'depth_step_mm'):g} mm deeper" in text
    acknowledge = f"hold DOWN for {buttons.ACKNOWLEDGE_MS / 1000:g} s"
    assert acknowledge in SIGNALS.pixel["safe"].text


# ---------------------------------------------------------------- explain
def _explained(*arguments: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(explain, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    answer: list[dict[str, Any]] = json.loads(result.stdout)
    return answer


def test_everything_that_the_pen_reports_is_explained_with_requirement_and_remedy() -> None:
    entries = _explained("all")
    counts = {
        kind: sum(e["kind"] == kind for e in entries) for kind in ("state", "blocker", "warning", "fault")
    }
    assert counts == {"state": len(TABLES.states), "blocker": len(TABLES.blockers),
                      "warning": len(TABLES.warnings), "fault": len(TABLES.faults)}  # fmt: skip
    for entry in entries:
        assert entry["text"].endswith("."), entry
        if entry["kind"] in ("blocker", "warning", "fault"):
            assert entry["remedy"].endswith(".") and entry["requirement"] and entry["hazard"], entry


@pytest.mark.parametrize("name", ["nose hot", "NOSE_HOT", "nose-hot", "Nose  Hot", "16"])
def test_a_fault_is_found_by_name_in_any_spelling_and_by_number(name: str) -> None:
    entries = _explained(*name.split())
    assert [(e["kind"], e["number"]) for e in entries] == [("fault", TABLES.faults["NOSE_HOT"].number)]


def test_one_name_for_two_things_explains_both() -> None:
    assert [entry["kind"] for entry in _explained("battery_low")] == ["blocker", "warning"]


def test_the_explanation_says_what_the_pixel_shows() -> None:
    entry = SIGNALS.pixel["idle_external_power"]
    blocker, fault = _explained("external power")
    assert entry.rhythm in blocker["shown"] and SIGNALS.pixel["safe"].rhythm in fault["shown"]
    assert _explained("depth moving")[0]["shown"] == ""
    assert "10 s" in _explained("overcurrent")[0]["facts"][0]


@pytest.mark.parametrize(("name", "hint"), [("nosehot", "'nose hot'"), ("xyzzy", "explain all")])
def test_an_unknown_name_is_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        explanation.find(name)


def test_text_for_people_holds_name_remedy_and_requirement() -> None:
    said = CliRunner().invoke(explain, ["stall"]).stdout
    fault = TABLES.faults["STALL"]
    assert all(part in said for part in (fault.name, fault.text, fault.remedy, fault.requirement))
