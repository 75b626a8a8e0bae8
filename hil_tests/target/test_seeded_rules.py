"""Tests of the tests here: firmware that breaks one of their rules is found by the test of that rule.

Those of settings, telemetry and start-up are in test_seeded.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import test_access_refused
import test_answer_times
import test_calibration_refused
import test_console
import test_moves_and_starts
import test_restart
import test_stops
import test_values_told
from support.bench import Pens
from support.caller import greeted
from support.measuring import Measure
from support.nights import mostly_nightly
from support.targets.emulated import SEED, EmulatedTarget

from needlepen.access import Role
from needlepen.errors import NotInTime
from needlepen.evidence import Measurement

Rule = Callable[..., None]


@dataclass(frozen=True)
class Violation:
    """One text of a file replaced, or of several; the rule gets what it needs by name, and `measure`."""

    changes: Mapping[str, tuple[str, str]]
    needs: str
    rule: Rule


def _records(link: Any, measure: Measure) -> None:
    with test_calibration_refused.in_service(link) as kept:
        test_calibration_refused.test_no_wrong_record_is_taken_over(link, kept)


VIOLATIONS: dict[str, Violation] = {
    "nobody is asked for a role": Violation(
        {"pen/access.py": ("None if needed <= self.role else", "None if True else")},
        "console",
        lambda console, measure: test_access_refused.test_exactly_what_the_table_says_needs_a_role(
            greeted(console), Role.NONE
        ),
    ),
    "what nobody knows is looked at": Violation(
        {"pen/access.py": ('return "unknown request"', "return None")},
        "console",
        lambda console, measure: test_access_refused.test_what_is_in_no_table_nobody_may_ask_for(greeted(console)),
    ),
    "an old answer counts once more": Violation(
        {"pen/unlocking.py": ("asked, access.asked = access.asked, None", "asked = access.asked")},
        "console",
        lambda console, measure: test_access_refused.test_wrong_and_replayed_answers_give_no_role(
            greeted(console), measure
        ),
    ),
    "challenges repeat": Violation(
        {"pen/unlocking.py": (
            "hashlib.sha256(os.urandom(2 * NONCE_BYTES) + about).digest()[:NONCE_BYTES]", "bytes(range(NONCE_BYTES))"
        )},
        "console",
        lambda console, measure: test_access_refused.test_no_challenge_comes_twice(greeted(console)),
    ),
    "damage does not matter": Violation(
        {"pen/link/frames.py": ('if struct.unpack("<I", content[-4:])[0] !=', "if None ==")},
        "console",
        lambda console, measure: test_console.test_hundreds_of_damaged_requests_do_nothing(console, measure),
    ),
    "a depth is refused late": Violation(
        {"pen/commands.py": ("            app.store.log.add(EVENT_SETTING_REFUSED,",
                             "            time.sleep_ms(25)\n            app.store.log.add(EVENT_SETTING_REFUSED,")},
        "console",
        lambda console, measure: test_answer_times.test_a_depth_above_the_limit_is_refused_in_time(
            console, measure
        ),
    ),
    "every answer is late": Violation(
        {"pen/host.py": ("        if kind == HELLO:\n", "        time.sleep_ms(60)\n        if kind == HELLO:\n")},
        "console",
        lambda console, measure: test_answer_times.test_a_request_is_answered_soon(
            greeted(console, test_answer_times.PERIOD_MS)
        ),
    ),
    "a profile has no cap": Violation(
        {"pen/app.py": ("= PROFILES[number]", "= (1_500,) + PROFILES[number][1:]")},
        "link",
        lambda link, measure: test_values_told.test_a_profile_sets_its_rate_and_its_cap(link, measure, 1),
    ),
    "no signature is looked at": Violation(
        {"pen/store/auth.py": ("    return difference == 0", "    return True")}, "link", _records
    ),
    "settings are not stored": Violation(
        {"pen/store/store.py": ("        if wanted.pack() != now.pack():", "        if False:")},
        "link",
        lambda link, measure: test_restart.test_a_restart_is_passed_in_time_and_loses_nothing(link, measure),
    ),
    "no rate is too slow": Violation(
        {"pen/cartridge_record.py": ("    return math.ceil(", "    return 0 * math.ceil(")},
        "link plant",
        lambda link, plant, measure: (
            test_moves_and_starts.test_a_depth_is_reached_in_time_and_too_slow_a_rate_does_not_start_there(
                link, plant, measure
            )
        ),
    ),
    "a jam goes on": Violation(
        {
            "pen/control.py": ("1000 * SR08_BRAKE_MS - 2_000", "500_000"),
            "pen/drive.py": ("_WINDOW_TOP + shortest", "_WINDOW_TOP + 8_000 + shortest"),
        },
        "link plant pins faults",
        lambda link, plant, pins, faults, measure: test_stops.test_a_stall_ends_a_run(
            link, plant, pins, faults, measure
        ),
    ),
    "a halted CPU drives on": Violation(
        {"pen/control.py": ("_BEAT_COUNTS = const(62)", "_BEAT_COUNTS = const(400)")},
        "link plant pins probe",
        lambda link, plant, pins, probe, measure: test_stops.test_a_halted_cpu_ends_a_run(
            link, plant, pins, probe, measure
        ),
    ),
    "a charger stops nothing": Violation(
        {"pen/drive.py": ("mask | 1 << PIN_VBUS_SENSE if external_power", "mask if external_power"),
         "pen/monitor.py": ("            run.fail(EXTERNAL_POWER)", "            pass")},
        "link plant pins faults",
        lambda link, plant, pins, faults, measure: test_stops.test_a_charger_ends_a_run(
            link, plant, pins, faults, measure
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", mostly_nightly(VIOLATIONS, "nobody is asked for a role"))
def test_a_violation_is_found(pens: Pens, name: str) -> None:
    made = VIOLATIONS[name]
    firmware = pens.variant(f"rule {name}", made.changes)
    target = EmulatedTarget(lambda: pens.new(seed=SEED, firmware=firmware), "a variant")
    taken: list[Measurement] = []
    missed: list[str] = []
    with ExitStack() as stack:
        stack.callback(target.close)
        given = {need: stack.enter_context(target.use(need)) for need in made.needs.split()}
        try:
            made.rule(**given, measure=Measure(taken))
        except (AssertionError, NotInTime) as error:
            missed.append(str(error))
    missed += [f"{m.requirement} {m.name}: {m.value}" for m in taken if m.verdict != "pass"]
    print("\n".join(missed))
    assert missed, "nothing was noticed"
