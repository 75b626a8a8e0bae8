"""What every run measures without being asked: boots, starts, control tick, cut-offs and what followed them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from needlepen import requirements
from needlepen.evidence import CutOff, Measurement, Relation, RunRecord, Series
from needlepen.link.client import messages
from needlepen.safety.unsafe import unsafe
from needlepen.scenario import observe
from needlepen.scenario.cutoffs import KINDS, STROKE_BEFORE_NS, Cut
from needlepen.scenario.recording import TWO_PI
from needlepen.scenario.situation import Boot, Situation, Start

START_WINDOW_NS = 500e6
SILENT_NS = 50e6
_AFTER_NS = 12e6


def measure_safety(record: RunRecord, s: Situation) -> None:
    """Append what is judged in every run, whatever breaks in it."""
    found = unsafe(s.witness.seen())
    for each in found:
        s.event("fault", f"unsafe: {each}", each.t_ns)
    note = "; ".join(map(str, found[:3])) or "judged at the pins and in the mechanics"
    record.measurements.append(Measurement("unsafe outcomes", float(len(found)), "", 0.0, "<=", "", note))


def measure(record: RunRecord, s: Situation) -> None:
    """Append the standard measurements and the cut-offs to the record."""
    record.measurements += [*_boots(s), *_starts(s), *_tick(s)]
    for cut in s.cutoffs.all:
        _add_cutoff(record, cut, s)
        record.measurements += list(_consequences(cut, s))
    record.measurements.append(_unexplained(s))


def read_statistics(s: Situation) -> None:
    """Ask the firmware what its control tick cost since it booted; a pen that is silent is not asked."""
    if not s.host.is_up or not s.reported or s.pen.now_ns - s.reported[-1].t_ns > SILENT_NS:
        return
    reply = s.host.request(messages.GET_STATISTICS)
    if reply.refused is None:
        s.statistics.append((s.pen.now_ns, reply.fields))


def _limit(requirement: str, name: str) -> float:
    return float(requirements.load().limit(requirement, name))


def _made(
    name: str, value: float | None, requirement: str, limit: str, unit: str, note: str = "",
    relation: Relation = "<=",
) -> Measurement:  # fmt: skip
    return Measurement(name, value, unit, _limit(requirement, limit), relation, requirement, note)


# boots


def _boots(s: Situation) -> Iterator[Measurement]:
    ready = [
        (boot.ready_ns - boot.t_ns) / 1e6
        for boot in s.boots
        if boot.ready_ns is not None and _cold(boot.cause)
    ]
    if ready:
        note = "as the host sees it, with the time that USB takes"
        yield _made("power-on to ready", max(ready), "PR-09", "ready_ms", "ms", note)
    quiet = [(t_ns - boot.t_ns) / 1e6 for boot, t_ns in _first_drives(s)]
    if quiet:
        note = f"shortest of {len(quiet)}: from power-on or reset until the bridge first drives"
        yield _made("quiet after power-on and reset", min(quiet), "SR-11", "quiet_ms", "ms", note, ">=")


def _cold(cause: str) -> bool:
    return cause != "watchdog"


def _first_drives(s: Situation) -> Iterator[tuple[Boot, float]]:
    """When the bridge first drove after each boot: gate open, supply closed and a duty."""
    t_ns, duty = s.recording.column("t_ns"), s.recording.column("duty")
    for boot, end_ns in zip(s.boots, [*(b.t_ns for b in s.boots[1:]), math.inf], strict=True):
        for t, d in zip(t_ns, duty, strict=True):
            if (
                boot.t_ns < t < end_ns
                and d > 0
                and not s.signals.level("BRAKE", t)
                and s.signals.level("SUPPLY", t)
            ):
                yield boot, float(t)
                break


# starts


def _starts(s: Situation) -> Iterator[Measurement]:
    least_ns = _limit("PR-04", "start_ms") * 1e6
    known = [start for start in s.starts if (start.end_ns or s.pen.now_ns) - start.t_ns > least_ns]
    if not known:
        return
    rows: list[tuple[str, Callable[[Start, float], float | None], str, str]] = [
        ("trigger press to rate within 5 %",
         lambda b, end: observe.settling_ms(s, b.t_ns, end, b.set_hz), "start_ms", "ms"),
        ("overshoot", lambda b, end: observe.overshoot_pct(s, b.t_ns, end, b.set_hz), "overshoot_pct", "%"),
        ("highest motor current", lambda b, end: s.recording.highest("current_a", b.t_ns, end), "current_max_a", "A"),
    ]  # fmt: skip
    for name, value, limit, unit in rows:
        found = [(value(b, min(b.end_ns or s.pen.now_ns, b.t_ns + START_WINDOW_NS)), b) for b in known]
        worst, start = max(found, key=lambda pair: math.inf if pair[0] is None else pair[0])
        note = f"worst of {len(found)}: at {start.t_ns / 1e9:.2f} s to {start.set_hz:g} Hz"
        yield _made(f"every start: {name}", worst, "PR-04", limit, unit, note)


# control tick


def _tick(s: Situation) -> Iterator[Measurement]:
    seen = [fields for _, fields in s.statistics if fields["ticks"] > 0]
    for key, name, limit in (
        ("tick_cost_us", "control tick: longest", "cost_us"),
        ("tick_jitter_us", "control tick: largest jitter of its start", "jitter_us"),
    ):
        value = max((float(fields[key]) for fields in seen), default=None)
        yield _made(name, value, "PR-07", limit, "us", "as the firmware measures it")


# cut-offs


def _add_cutoff(record: RunRecord, cut: Cut, s: Situation) -> None:
    made = _card(cut, s)
    if cut.judged & {"reaction_us", "reaction_ms"} and not cut.bridge_stuck:
        record.cutoffs.append(made)
    else:
        record.add_cutoff(made)


def _card(cut: Cut, s: Situation) -> CutOff:
    reaction_ns = cut.reaction_ns
    t0_ns, t1_ns = _window(cut, s)
    names = cut.kind.series
    detail = {name: s.recording.series(name, t0_ns - 1e6, t1_ns + 1e6) for name in names}
    if "rate_hz" in names:
        detail["rate_hz"] = s.recording.stroke_series(t0_ns - STROKE_BEFORE_NS, t1_ns)
    return CutOff(
        name=cut.kind.title,
        requirement=cut.kind.requirement,
        cause_t_ns=round(cut.cause_ns),
        cause_text=cut.cause_text,
        reaction_t_ns=None if reaction_ns is None else round(reaction_ns),
        reaction_text=cut.kind.reaction,
        limit=cut.limit,
        unit=cut.unit,
        window_s=(t0_ns / 1e9, t1_ns / 1e9),
        signals=cut.kind.signals,
        series=names,
        detail=_without_empty(detail),
        steps=tuple(sorted((round(t), text) for t, text in _steps(cut, s))),
        note=_note(cut),
    )


def _without_empty(detail: dict[str, Series]) -> dict[str, Series]:
    return {name: series for name, series in detail.items() if len(series.t_s)}


def _window(cut: Cut, s: Situation) -> tuple[float, float]:
    """From a little before the fault to standstill, or as long as the kind of cut-off needs."""
    start_ns = min(cut.stimulus_ns, cut.cause_ns) - cut.kind.before_ns
    still_ns = cut.standstill_ns or cut.cause_ns
    after_ns = _AFTER_NS if cut.kind.longest_ns > 1e6 else cut.kind.longest_ns
    moments = [still_ns, cut.reaction_ns or 0.0]
    tips_ns = cut.tips_out_ns
    if tips_ns is not None and math.isfinite(tips_ns):
        moments.append(tips_ns)
    latest_ns = max(moments) + after_ns
    end_ns = min(latest_ns, cut.cause_ns + cut.kind.longest_ns, s.pen.now_ns)
    return max(start_ns, 0.0), max(end_ns, start_ns + 1e3)


def _steps(cut: Cut, s: Situation) -> Iterator[tuple[float, str]]:
    """What happened between cause and standstill, for the card."""
    end_ns = min(cut.end_ns, cut.cause_ns + 0.3e9)
    if cut.cause_ns != cut.stimulus_ns:
        yield cut.stimulus_ns, f"fault injected: {cut.kind.title.lower()}"
    for t_ns, text in cut.joined:
        yield t_ns, f"also: {text}"
    trip_ns = s.signals.first("TRIP_N", 0, cut.stimulus_ns, end_ns)
    run_ns = s.signals.first("RUN_N", 1, cut.stimulus_ns, end_ns)
    if cut.supply_off_ns != cut.reaction_ns and cut.supply_off_ns is not None:
        yield cut.supply_off_ns, "supply switch open"
    if cut.braked_ns != cut.reaction_ns and cut.braked_ns is not None:
        yield cut.braked_ns, "braked at the gate"
    for name, level, text in (
        ("TRIP_N", 0, "overcurrent latch set"), ("LATCH_BRAKE", 1, "the latch brakes too"),
        ("WDT_EXPIRED", 1, "external watchdog expired"),
    ):  # fmt: skip
        at_ns = s.signals.first(name, level, cut.stimulus_ns, end_ns)
        if at_ns is not None:
            yield at_ns, text
    if run_ns is not None:
        after = (
            f", {run_ns - trip_ns:.0f} ns after TRIP_N" if trip_ns is not None and run_ns >= trip_ns else ""
        )
        yield run_ns, f"drive permission withdrawn{after}"
    if cut.freed_ns is not None and cut.freed_ns < end_ns:
        yield cut.freed_ns, "the rotor is free again"
    if cut.standstill_ns is not None:
        yield cut.standstill_ns, "standstill: the first stop"
    if cut.rest_ns is not None:
        yield cut.rest_ns, "at rest"
    if cut.reset_ns is not None:
        yield cut.reset_ns, "chip reset"


def _note(cut: Cut) -> str:
    if cut.kind is KINDS["release"]:
        return "wired into the gate: no delay but that of the logic, which the model takes as none"
    return ""


def _consequences(cut: Cut, s: Situation) -> Iterator[Measurement]:
    """Standstill, strokes, peak, tips and reset, where the kind's requirement limits them and no assert did."""
    title, requirement = cut.kind.title, cut.kind.requirement
    limits = requirements.load()[requirement].limits

    def wanted(limit: str, quantity: str) -> bool:
        return limit in limits and quantity not in cut.judged

    if cut.bridge_stuck and wanted("trip_ms", "supply_off_ms"):
        yield _made(
            f"{title}: supply switch open", _since(cut, cut.supply_off_ns), requirement, "trip_ms", "ms"
        )
    if cut.bridge_stuck:
        shot = s.signals.count("SHOOT_THROUGH", 1, cut.stimulus_ns, cut.end_ns)
        yield Measurement(
            f"{title}: supply open before the brake", float(not shot), "", 1.0, "==", requirement
        )
    if wanted("peak_hz", "rate_peak_hz"):
        peak = s.recording.highest("shaft_hz", cut.stimulus_ns, cut.end_ns)
        yield _made(f"{title}: highest rate", peak, requirement, "peak_hz", "Hz", "the shaft at any instant")
    if wanted("strokes", "standstill_strokes"):
        strokes = math.inf if cut.strokes is None else cut.strokes
        yield _made(f"{title}: strokes to standstill", strokes, requirement, "strokes", "strokes")
    if wanted("standstill_ms", "standstill_ms"):
        yield _made(
            f"{title}: standstill", _since(cut, cut.standstill_ns), requirement, "standstill_ms", "ms"
        )
    # Tips of a cam that stays locked can not move, whatever the pen does.
    if wanted("tips_out_ms", "tips_out_ms") and cut.kind is KINDS["jam"] and cut.freed_ns is not None:
        yield _tips_out(cut, s)
    if wanted("reset_ms", "reset_ms"):
        yield _made(f"{title}: chip reset", _since(cut, cut.reset_ns), requirement, "reset_ms", "ms")
    if cut.kind is KINDS["release"] and "retracted" not in cut.judged and cut.standstill_ns is not None:
        angle = s.recording.at("theta_rad", min(cut.end_ns, s.pen.now_ns)) % TWO_PI
        inside = abs(angle - math.pi) <= math.radians(s.pen.parameters.tdc_width_deg / 2)
        note = f"{abs(math.degrees(angle - math.pi)):.1f} degrees from top dead centre"
        yield Measurement(f"{title}: needles retracted", float(inside), "", 1.0, "==", requirement, note)


def _since(cut: Cut, t_ns: float | None) -> float:
    return math.inf if t_ns is None else (t_ns - cut.cause_ns) / 1e6


def _tips_out(cut: Cut, s: Situation) -> Measurement:
    found = cut.tips_out_ns
    value = None if found is None else max(found - cut.tips_from_ns, 0.0) / 1e6
    freed = cut.freed_ns is not None and cut.freed_ns > cut.cause_ns
    note = "from the moment the locked rotor was free again" if freed else f"from: {cut.cause_text}"
    return _made(f"{cut.kind.title}: tips out", value, "SR-08", "tips_out_ms", "ms", note)


def _unexplained(s: Situation) -> Measurement:
    found = s.cutoffs.unexplained_ns
    note = (
        ", ".join(f"at {t / 1e9:.4f} s" for t in found[:5])
        or "a protection that acts without a fault is one too"
    )
    return Measurement("cut-offs without a cause", float(len(found)), "", 0.0, "<=", "", note)
