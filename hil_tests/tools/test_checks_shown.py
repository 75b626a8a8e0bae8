"""What monitor, doctor, log and explain say of a calibration and of a daily check that are due (SR-05)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from support.commands import Commands
from support.served import ServedPen

from needlepen import Pen
from needlepen.emulator.factory import FACTORY_DAY

DUE = datetime.combine(FACTORY_DAY, datetime.min.time()) + timedelta(days=380, hours=12)


def test_a_calibration_and_a_check_that_are_due_are_told_by_every_command(
    pen: ServedPen, commands: Commands
) -> None:
    with Pen.open(pen.link) as found:
        record = found.read_calibration()
        found.set_time(DUE)
        found.note_check(DUE.date() - timedelta(days=2), -37, True)
    assert record is not None and len(record) > 100
    pen.let_pass(2_500)

    watched = commands.run("monitor", "--device", pen.link, "--json", "--period-ms", "50", "--for", "1")
    last = json.loads(watched.stdout.splitlines()[-1])
    assert set(last["warnings"]) == {"calibration_due", "check_due"} and last["state"] == "armed"
    plain = commands.run("monitor", "--device", pen.link, "--plain", "--for", "1").stdout
    assert "The depth calibration is due soon." in plain and "Do the daily check;" in plain, plain

    examined = json.loads(commands.run("doctor", "--device", pen.link, "--json").stdout)
    causes = [finding["cause"] for finding in examined if finding["pen"]]
    assert "the pen warns: check_due" in causes and "the pen warns: calibration_due" in causes

    told = commands.run("log", "--device", pen.link).stdout
    assert f"daily check of {DUE.date() - timedelta(days=2)} passed: worst error -37 um" in told
    assert "Do the daily check" in commands.run("explain", "check_due").stdout
