"""Random scenarios: every seed gives a scenario that can be run, always the same one, and nothing is left out."""

from __future__ import annotations

from collections import Counter

from needlepen.emulator.injection import ENTRIES
from needlepen.safety import generator
from needlepen.scenario import actions, fault_actions, loader

SEEDS = range(600)


def test_every_seed_gives_a_scenario_that_loads() -> None:
    for seed in SEEDS:
        loaded = loader.parse(generator.scenario(seed), f"campaign-{seed}")
        assert loaded.header.seed == seed and loaded.header.judged_by == "safety"


def test_a_seed_gives_one_scenario_for_ever() -> None:
    assert all(generator.scenario(seed) == generator.scenario(seed) for seed in range(20))
    assert len({generator.scenario(seed) for seed in range(20)}) == 20


def _injected(seed: int) -> list[fault_actions.Inject]:
    steps = loader.parse(generator.scenario(seed), "x").steps
    return [step.action for step in steps if isinstance(step.action, fault_actions.Inject)]


def test_a_nightly_campaign_can_meet_every_fault() -> None:
    drawn = Counter((a.target, a.kind) for seed in range(3000) for a in _injected(seed))
    assert set(drawn) == set(ENTRIES), set(ENTRIES) - set(drawn)


def test_only_one_fault_of_the_pen_itself_is_drawn() -> None:
    for seed in SEEDS:
        targets = [a.target for a in _injected(seed)]
        assert 1 <= len(targets) <= 2
        assert len([t for t in targets if t not in generator.BYSTANDERS]) == 1, f"seed {seed}: {targets}"


def test_the_hazard_that_a_broken_sensor_guards_does_not_come_with_it() -> None:
    for seed in SEEDS:
        steps = loader.parse(generator.scenario(seed), "x").steps
        done = {getattr(step.action, "do", "") for step in steps}
        for a in _injected(seed):
            assert not done & set(generator.GUARDS.get(a.target, ())), f"seed {seed}"


def test_the_operator_does_everything_sooner_or_later() -> None:
    done = {
        step.action.do
        for seed in SEEDS
        for step in loader.parse(generator.scenario(seed), "x").steps
        if not isinstance(step.action, actions.Assert)
    }
    assert done >= {
        *("press_trigger", "release_trigger", "touch_skin", "lift", "set_rate", "set_depth", "acknowledge"),
        *("connect_charger", "disconnect_charger", "press_button", "release_button", "inject"),
        *("remove_cartridge", "seat_cartridge", "power_cycle", "set_nose"),
    }
