"""What happened to a pen, from its black box: when the run began, skin, settings, lines, and how long it was sound."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from needlepen import requirements
from needlepen.black_box.record import BlackBox, Sample
from needlepen.firmware_modules import firmware_module

_SUM = 1 << 30
_SOUND_PCT = 3.0
"""A rate so near to the set one is that of a sound pen; PR-02 allows a loaded motor less."""
_START_SPARE_V = 0.05
"""What the converter may be off, twice."""
_WINDOW_S = 0.25
"""As the pen judges skin contact, pen.contact.WINDOW_MS."""
_STARTED_S = 0.3
"""After the begin of a run: the current of the start is no sign of skin."""
_RUNNING = "running"


@dataclass(frozen=True)
class Happening:
    """Something that came from outside, `time_s` before the fault (negative). `value`: of a rate in Hz, else 0."""

    time_s: float
    what: str
    value: float = 0.0


def run_of(box: BlackBox) -> list[Sample]:
    """The samples of the run that the fault ended, and after; empty for a fault at rest."""
    last = max((n for n, s in enumerate(box.samples) if s.state == _RUNNING), default=-1)
    first = last
    while first > 0 and box.samples[first - 1].state == _RUNNING:
        first -= 1
    return list(box.samples[first:]) if last >= 0 else []


def begin_is_known(box: BlackBox) -> bool:
    """True if the run began within the black box."""
    run = run_of(box)
    return bool(run) and run[0] is not box.samples[0]


def last_sound_s(box: BlackBox) -> float:
    """The middle between the last sample that shows nothing wrong and the next one, before the fault (negative)."""
    run = run_of(box)
    if not run:
        return 0.0
    sound = [n for n, sample in enumerate(run) if sample.state == _RUNNING and _at_its_rate(sample)]
    place = sound[-1] if sound else 0
    after = run[place + 1].time_s if place + 1 < len(run) else run[place].time_s
    return (run[place].time_s + after) / 2


def begin_v(box: BlackBox) -> float:
    """Voltage of the cell at rest before the fault: as it was stored, or a higher one that the pen has seen before.

    A cell that was empty in the end was not when the run began, and no pen starts with less than SR-20 allows.
    """
    sound_s = last_sound_s(box)
    seen_v = [sample.cell_v for sample in box.samples if sample.time_s <= sound_s]
    start_v = float(requirements.load().limit("SR-20", "start_v"))
    return box.cell_v if box.cell_v >= start_v else max(start_v + _START_SPARE_V, *seen_v)


def more_current_a(box: BlackBox) -> float:
    """Current of the motor after the last sound sample, more than the mean before; 0 if it cannot be told."""
    run, sound_s = [s for s in run_of(box) if s.state == _RUNNING], last_sound_s(box)
    steady = [s.current_a for s in run if s.time_s <= sound_s and _at_its_rate(s)]
    braked = [s.current_a for s in run if s.time_s > sound_s]
    return max(0.0, fmean(braked) - fmean(steady)) if steady and braked else 0.0


def happenings(box: BlackBox) -> list[Happening]:
    """Everything from outside within the run, in order of time: settings, skin, lines."""
    run = run_of(box)
    found = [*_rates(run), *_contacts(run), *_lines(run)]
    return sorted(found, key=lambda each: each.time_s)


def first_rate_hz(box: BlackBox) -> float:
    """The stroke rate that was set when the run began, on the grid of PR-01."""
    steady = [a.set_hz for a, b in itertools.pairwise(run_of(box)) if a.set_hz == b.set_hz and a.set_hz > 0]
    return _on_grid(steady[0] if steady else float(box.rate_hz))


def _at_its_rate(sample: Sample) -> bool:
    return sample.set_hz > 0 and abs(sample.rate_hz / sample.set_hz - 1) <= _SOUND_PCT / 100


def _on_grid(rate_hz: float) -> float:
    limits = requirements.load()["PR-01"].limits
    step_hz = float(limits["rate_step_hz"])
    return min(
        max(round(rate_hz / step_hz) * step_hz, float(limits["rate_min_hz"])), float(limits["rate_max_hz"])
    )


def _rates(run: Sequence[Sample]) -> Iterator[Happening]:
    """Each change from one steady set rate to another; the set rate itself follows a ramp."""
    steady_hz, left_s = 0.0, 0.0
    for before, after in itertools.pairwise([s for s in run if s.state == _RUNNING]):
        if before.set_hz != after.set_hz:
            left_s = left_s or before.time_s
        elif before.set_hz > 0:
            if steady_hz and before.set_hz != steady_hz:
                yield Happening(left_s, "rate", _on_grid(before.set_hz))
            steady_hz, left_s = before.set_hz, 0.0


def _contacts(run: Sequence[Sample]) -> Iterator[Happening]:
    """Skin as the pen itself tells it, by the same module: from the mean square of the current in windows."""
    contact = firmware_module("pen.contact")
    judge = contact.Contact()
    driven = [s for s in run if s.state == _RUNNING]
    touching, begin = False, 0
    for place, sample in enumerate(driven):
        first = driven[begin]
        if sample.set_hz != first.set_hz or sample.time_s - run[0].time_s < _STARTED_S:
            judge.restart()
            begin = place
        elif sample.time_s - first.time_s >= _WINDOW_S:
            seen_ma = contact.root_ma(
                (sample.current_sum - first.current_sum) % _SUM, round(1000 * (sample.time_s - first.time_s))
            )
            now = judge.window(seen_ma, contact.most_free_ma(sample.set_hz, max(sample.cell_v, 0.001)))
            if now != touching:
                yield Happening(first.time_s, "skin" if now else "lift")
            touching, begin = now, place


def _lines(run: Sequence[Sample]) -> Iterator[Happening]:
    for before, after in itertools.pairwise(run):
        middle_s = (before.time_s + after.time_s) / 2
        if "trigger" in before.lines - after.lines:
            yield Happening(middle_s, "release")
        if "cartridge" in before.lines - after.lines:
            yield Happening(middle_s, "cartridge out")
        if "external_power" in after.lines - before.lines:
            yield Happening(middle_s, "charger")
