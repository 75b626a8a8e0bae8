"""Many random runs, each judged by the one definition of unsafe; every one can be replayed from its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from needlepen.emulator.forks import Forks
from needlepen.files import write_whole
from needlepen.safety import generator
from needlepen.safety.unsafe import Unsafe, unsafe

if TYPE_CHECKING:
    from needlepen.emulator.bench import Bench

RUN_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Run:
    """One run. `ended` is the pen's last word, `stopped` why the run ended early ("" if it did not)."""

    seed: int
    faults: tuple[str, ...]
    ended: str
    stopped: str
    unsafe: tuple[Unsafe, ...]
    device_s: float
    driven_s: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "unsafe": [str(each) for each in self.unsafe], "faults": list(self.faults)}


@dataclass
class Campaign:
    """All runs, by seed."""

    runs: list[Run] = field(default_factory=list)

    @property
    def unsafe(self) -> list[Run]:
        """Those with an unsafe outcome."""
        return [run for run in self.runs if run.unsafe]

    @property
    def broken_off(self) -> list[Run]:
        """Those that prove nothing: the emulation ended early."""
        return [run for run in self.runs if run.stopped and not run.unsafe]

    @property
    def endings(self) -> Counter[str]:
        """How the runs ended, by the pen's last word."""
        return Counter(run.ended for run in self.runs)


def run_one(bench: Bench, seed: int) -> Run:
    """One run, the same in every process. Raises UsageError for a scenario that is none (a fault of this program)."""
    from needlepen.scenario.loader import parse
    from needlepen.scenario.runner import Runner

    runner = Runner(parse(generator.scenario(seed), f"campaign-{seed}"), bench)
    record = runner.run()
    s = runner.situation
    seen = s.witness.seen()
    last = s.reported[-1].telemetry if s.reported else None
    driven_s = sum(end_ns - begin_ns for begin_ns, end_ns in seen.driven()) / 1e9
    return Run(
        seed,
        tuple(injected.fault.name for injected in seen.faults),
        f"{last.state}, {last.fault}" if last else "silent",
        record.stopped_because,
        tuple(unsafe(seen)),
        record.device_s,
        driven_s,
    )


def _run_or_report(bench: Bench, seed: int) -> Run:
    """A run that the emulation itself could not do proves nothing, but does not end the campaign."""
    try:
        return run_one(bench, seed)
    except Exception as error:
        return Run(seed, (), "broken off", f"{type(error).__name__}: {error}", (), 0.0, 0.0)


def run(
    bench: Bench,
    seeds: Iterable[int],
    workers: int | None = None,
    done: Callable[[int], None] = lambda _n: None,
) -> Campaign:
    """Run these seeds side by side, each in a process of its own. `done` hears of each start."""
    with Forks(workers, RUN_TIMEOUT_S) as forks:
        for number, seed in enumerate(seeds):
            done(number)
            forks.start(_run_or_report, bench, seed)
        return Campaign(forks.results())


def save(campaign: Campaign, folder: Path, everything: bool = False) -> list[Path]:
    """Write the scenarios of the unsafe runs, or of all, as files for `needlepen run`; returns their paths."""
    chosen = campaign.runs if everything else [*campaign.unsafe, *campaign.broken_off]
    paths = []
    for each in chosen:
        path = folder / f"campaign-{each.seed}.toml"
        write_whole(path, generator.scenario(each.seed))
        paths.append(path)
    return paths
