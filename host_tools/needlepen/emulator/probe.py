"""A probe on the emulated pen: pads, lines and analog quantities with exact device time, and export as
VCD."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import vcd.writer

if TYPE_CHECKING:
    from needlepen.emulator.chip import Chip

Kind = Literal["wire", "real", "string"]
Value = int | float | str | None


@dataclass
class Channel:
    """One recorded quantity: (t_ns, value) of each change. A wire is 0, 1 or None for high impedance."""

    name: str
    kind: Kind
    unit: str = ""
    t_ns: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def put(self, t_ns: float, value: Value) -> None:
        """Record a value at t_ns, not before the last one; an unchanged value is not recorded again."""
        if not self.values or self.values[-1] != value:
            self.t_ns.append(int(t_ns))
            self.values.append(value)

    def at(self, t_ns: float) -> Value:
        """The value at t_ns; None before the first one."""
        index = bisect.bisect_right(self.t_ns, t_ns)
        return self.values[index - 1] if index else None

    def changes(self, from_ns: float = 0, to_ns: float = float("inf")) -> Iterator[tuple[int, Value]]:
        """The changes in a span of device time, both ends included."""
        for index in range(bisect.bisect_left(self.t_ns, from_ns), len(self.t_ns)):
            if self.t_ns[index] > to_ns:
                return
            yield self.t_ns[index], self.values[index]

    def first(self, value: Value, from_ns: float = 0) -> int | None:
        """The instant of the first change to `value` at or after from_ns, None if there is none."""
        return next((t for t, v in self.changes(from_ns) if v == value), None)


class Probe:
    """Records channels of one chip until it is thrown away. Recording changes nothing in the emulation,
    except that sampled quantities are alarms."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self.channels: dict[str, Channel] = {}

    def channel(self, name: str, kind: Kind = "wire", unit: str = "") -> Channel:
        """A channel into which the caller puts values; the one of this name if there is one."""
        return self.channels.setdefault(name, Channel(name, kind, unit))

    def pin(self, gpio: int, name: str) -> Channel:
        """Record the electrical level of a pad, whoever drives it.

        A pad under PWM changes here only while somebody listens to its edges; `pwm` is the cheap way.
        """
        channel = self.channel(name)
        channel.put(self._chip.now_ns, self._chip.pin_level(gpio))
        self._chip.on_level(gpio, channel.put)
        return channel

    def output(self, gpio: int, name: str) -> Channel:
        """Record what the chip drives on a pad, None for high impedance; each edge also of PWM."""
        channel = self.channel(name)
        channel.put(self._chip.now_ns, self._chip.output(gpio))
        self._chip.on_output(gpio, channel.put)
        return channel

    def pwm(self, gpio: int, name: str) -> Channel:
        """Record the duty of a pad, the fraction of time at high level; None for high impedance."""
        channel = self.channel(name, "real")
        self._chip.on_pwm(gpio, lambda t_ns, duty, _frequency_hz: channel.put(t_ns, duty))
        return channel

    def sampled(self, name: str, fn: Callable[[int], float], period_ns: int, unit: str = "") -> Channel:
        """Record fn(t_ns) every period_ns of device time, from now on."""
        channel = self.channel(name, "real", unit)

        def sample() -> None:
            t_ns = self._chip.now_ns
            channel.put(t_ns, fn(t_ns))
            alarm.schedule_at(t_ns + period_ns)

        alarm = self._chip.create_alarm(sample)
        sample()
        return channel

    def write_vcd(self, path: Path, comment: str = "") -> None:
        """Write all channels for a waveform viewer, 1 ns time scale; whole or not at all."""
        temporary = path.with_name(path.name + ".part")
        try:
            with temporary.open("w") as file:
                self._write(file, comment)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _write(self, file: IO[str], comment: str) -> None:
        with vcd.writer.VCDWriter(
            file, timescale="1 ns", date="", comment=comment, check_values=False
        ) as writer:
            variables = {
                name: writer.register_var(
                    "pen", _identifier(c), c.kind, 1 if c.kind == "wire" else None, _unset(c.kind)
                )
                for name, c in self.channels.items()
            }
            events = sorted(
                ((t, name, value) for name, c in self.channels.items() for t, value in c.changes()),
                key=lambda event: event[0],
            )
            for t_ns, name, value in events:
                shown = _unset(self.channels[name].kind) if value is None else value
                writer.change(variables[name], t_ns, shown)


def _identifier(channel: Channel) -> str:
    return channel.name.replace(" ", "_") + (f"_{channel.unit}" if channel.unit else "")


def _unset(kind: Kind) -> str | float:
    if kind == "wire":
        return "z"
    return float("nan") if kind == "real" else ""
