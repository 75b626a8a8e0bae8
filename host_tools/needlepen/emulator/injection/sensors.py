"""Faults of what the pen senses: four analogue inputs, rotation sensors, switches and buttons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from needlepen.emulator.injection import analogue, inputs
from needlepen.emulator.injection.entry import Act, Entry, Undo, Value, number, word
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

LEVELS: dict[str, int | None] = {"low": 0, "high": 1, "now": None}
LEVEL = Value("level", "now", words=tuple(LEVELS))

# target: converter, requirement, name, unit, V per unit, what an open input reads in V (None: the input before it)
_ANALOGUE: dict[str, tuple[str, str, str, str, float, float | None]] = {
    "motor_current": ("MOTOR_CURRENT", "SR-19", "motor current amplifier", "A", 1.0, None),
    "depth_position": ("DEPTH_POSITION", "SR-04", "Hall sensor of the depth", "mm", 0.64, None),
    "nose_temperature": ("NOSE_TEMPERATURE", "SR-18", "NTC of the nose", "V", 1.0, 3.3),
    "battery": ("BATTERY", "SR-20", "battery divider", "V", 1.0 / 3.0, 0.0),
}


def _stage(target: str, make: Callable[[EmulatedPen, Fault, int], analogue.Stage]) -> Act:
    def act(pen: EmulatedPen, fault: Fault) -> Undo:
        channel = pen.board.converters[_ANALOGUE[target][0]].channel
        return analogue.insert(pen, channel, make(pen, fault, channel))

    return act


def _open(open_v: float | None) -> Callable[[EmulatedPen, Fault, int], analogue.Stage]:
    """A floating input keeps, on the converter's capacitor, the voltage of the input converted before."""

    def make(pen: EmulatedPen, fault: Fault, channel: int) -> analogue.Stage:
        if open_v is not None:
            return analogue.fixed(analogue.converter(pen, fault.seed), open_v)
        before = pen.faults.chain((channel - 1) % 4).sound
        return lambda t_ns, _sound: before(t_ns)

    return make


def _analogue(target: str) -> Iterator[Entry]:
    _, requirement, name, unit, v_per_unit, open_v = _ANALOGUE[target]

    def entry(
        kind: str, text: str, make: Callable[[EmulatedPen, Fault, int], analogue.Stage], **more: object
    ) -> Entry:
        return Entry(target, kind, requirement, f"{name}: {text}", _stage(target, make), **more)  # type: ignore[arg-type]

    reads = "reads the input converted before" if open_v is None else f"reads {open_v:g} V"
    told = {"depth_position": "SR-04.detect_ms", "nose_temperature": "SR-18.sensor_fault_s"}.get(target)
    yield entry("open", f"broken wire, {reads}", _open(open_v), told_within=told)
    yield entry(
        "short",
        "shorted to ground, reads 0 V",
        lambda p, f, _c: analogue.fixed(analogue.converter(p, f.seed), 0.0),
        told_within=told,
    )
    yield entry(
        "stuck", "stays at what it says", lambda p, f, _c: analogue.frozen(p, analogue.converter(p, f.seed))
    )
    yield entry("garbage", "random readings", lambda _p, f, _c: analogue.garbage(f.seed))
    yield entry(
        "wrong", "off by a constant", lambda p, f, _c: analogue.shifted(p, number(f) * v_per_unit),
        value=Value("error", {"A": 0.5, "mm": 0.3, "V": 0.3}[unit], unit, -5.0, 5.0),
    )  # fmt: skip
    yield entry(
        "slow", "follows with a time constant", lambda _p, f, _c: analogue.lagging(number(f)),
        value=Value("time constant", 200.0, "ms", 0.1, 60_000.0),
    )  # fmt: skip
    yield entry(
        "delayed", "reads what was some time ago", lambda _p, f, _c: analogue.late(number(f)),
        value=Value("delay", 50.0, "ms", 0.1, 10_000.0),
    )  # fmt: skip
    yield entry(
        "intermittent", "bad contact, open now and then",
        lambda p, f, _c: analogue.chattering(analogue.converter(p, f.seed), open_v or 0.0, f.seed),
    )  # fmt: skip


def _stuck(signal: str) -> Act:
    return lambda pen, fault: inputs.stuck(pen, signal, LEVELS[word(fault)])


def _fixed(signal: str, level: int) -> Act:
    return lambda pen, _fault: inputs.stuck(pen, signal, level)


def _line(
    target: str, signal: str, requirement: str, name: str, pull: int, cutoff: str = "", short: str = ""
) -> Iterator[Entry]:
    """What every line into the chip can have: open (its pull decides), shorted to ground, stuck, a bad contact."""
    pulled = "its pull-up makes it high" if pull else "it reads low"
    yield Entry(
        target, "open", requirement, f"{name}: broken wire, {pulled}", _fixed(signal, pull), cutoff=cutoff
    )
    if pull:
        text = short or "shorted to ground"
        yield Entry(target, "short", requirement, f"{name}: {text}", _fixed(signal, 0), cutoff=cutoff)
    yield Entry(target, "stuck", requirement, f"{name}: stays at a level", _stuck(signal), LEVEL, cutoff)
    yield Entry(
        target, "intermittent", requirement, f"{name}: bad contact, open now and then",
        lambda pen, fault: inputs.chatter(pen, signal, pull, fault.seed),
    )  # fmt: skip


def _rotation(target: str, signal: str, requirement: str, name: str, cutoff: str = "") -> Iterator[Entry]:
    yield from _line(target, signal, requirement, name, 1, cutoff)
    yield Entry(
        target, "garbage", "SR-27" if target == "index" else requirement, f"{name}: random pulses up to 0.3 ms",
        lambda pen, fault: inputs.noise(pen, signal, fault.seed),
    )  # fmt: skip
    yield Entry(
        target, "delayed", requirement, f"{name}: every edge comes late",
        lambda pen, fault: inputs.late(pen, signal, number(fault)), Value("delay", 500.0, "us", 1.0, 10_000.0),
    )  # fmt: skip
    yield Entry(
        target, "wrong", requirement, f"{name}: inverted", lambda pen, _f: inputs.inverted(pen, signal)
    )


ENTRIES: tuple[Entry, ...] = (
    *(entry for target in _ANALOGUE for entry in _analogue(target)),
    *_rotation("index", "INDEX", "SR-08", "rotation sensor", "index"),
    *_rotation("tdc", "TDC", "SR-12", "top dead centre sensor"),
    *_line("home", "HOME_N", "SR-02", "home switch of the depth", 1, short="shorted: always at home"),
    *_line("trigger", "TRIGGER_N", "SR-12", "trigger", 1, short="contact welded: always pressed"),
    *_line("depth_up", "DEPTH_UP_N", "SR-01", "button for more depth", 1, short="always pressed"),
    *_line("depth_down", "DEPTH_DOWN_N", "SR-01", "button for less depth", 1, short="always pressed"),
    *_line(
        "cartridge_seat", "CARTRIDGE_N", "SR-14", "seat switch of the cartridge", 1, short="always seated"
    ),
    *_line("vbus", "VBUS_SENSE", "SR-22", "external power sense", 0),
)
