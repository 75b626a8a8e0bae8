"""`needlepen log` on a pen in another process: the same events as in its flash, by pseudo-terminal and by TCP."""

from __future__ import annotations

import json
from pathlib import Path

from support.commands import Commands
from support.flash import pen_log
from support.served import ServedPen


def test_the_log_over_the_link_is_the_one_in_the_flash(
    pen: ServedPen, commands: Commands, tmp_path: Path
) -> None:
    pen.let_pass(250)
    pen.do(lambda p: p.press())
    pen.let_pass(600)
    pen.do(lambda p: p.electronics.jam(p.now_ns, True))
    pen.let_pass(300)
    pen.do(lambda p: p.release())
    pen.let_pass(2_500)
    stored = pen.do(pen_log)
    assert "FAULT" in [event.name for event in stored]
    for device in (pen.link, f"socket://127.0.0.1:{pen.tcp_port}"):
        done = commands.run("log", "--device", device, "--json")
        assert done.returncode == 0, done.stderr
        content = json.loads(done.stdout)
        assert content["pen"] == "e660000000000000"
        assert [(e["sequence"], e["text"]) for e in content["events"]] == [
            (e.sequence, e.text) for e in stored
        ]

    told = commands.run("log", "--device", pen.link, "--faults")
    assert "What to do:" in told.stdout and "1 events, 1 faults" in told.stdout
    later = json.loads(commands.run("log", "--device", pen.link, "--json", "--since", "3").stdout)
    assert [e["sequence"] for e in later["events"]] == [e.sequence for e in stored if e.sequence >= 3]

    image = tmp_path / "flash.bin"
    image.write_bytes(pen.do(lambda p: bytes(p.chip.mcu.flash)))
    from_image = json.loads(commands.run("log", str(image), "--json").stdout)
    assert from_image["events"] == content["events"]
