"""Texts of the firmware's `pen/states.py` and `pen/faults.py`: numbers and masks; the words stay on the host."""

from __future__ import annotations

from collections.abc import Mapping

from needlepen.supervision import Supervision


def state_constants(supervision: Supervision) -> dict[str, int]:
    """Constants of pen/states.py: states, BLOCK_ and WARN_ masks, NOTE_ numbers."""
    constants = {name: state.number for name, state in supervision.states.items()}
    constants |= {f"BLOCK_{name}": blocker.mask for name, blocker in supervision.blockers.items()}
    constants |= {f"WARN_{name}": warning.mask for name, warning in supervision.warnings.items()}
    constants |= {f"NOTE_{name}": note.number for name, note in supervision.notes.items()}
    return constants


def fault_constants(supervision: Supervision) -> dict[str, int]:
    """Constants of pen/faults.py: NONE and the number of each fault."""
    return {"NONE": 0} | {name: fault.number for name, fault in supervision.faults.items()}


def states_module(supervision: Supervision) -> str:
    """Source of pen/states.py. `MAY_FOLLOW[state]` is a mask of the states that may come next."""
    follow = [0] * (1 + max(state.number for state in supervision.states.values()))
    for way in supervision.ways:
        for source in way.sources:
            follow[supervision.states[source].number] |= 1 << supervision.states[way.to].number
    return _module("states.toml", state_constants(supervision)) + f"MAY_FOLLOW = {tuple(follow)!r}\n"


def faults_module(supervision: Supervision) -> str:
    """Source of pen/faults.py. `LOCKOUTS`: faults that no acknowledgement leaves; `LATCHED_MS`: those that wait;
    `STANDS_WHILE`: the BLOCK_ mask that tells that the cause is still there."""
    faults = supervision.faults.values()
    lockouts = tuple(fault.number for fault in faults if fault.severity == "lockout")
    latched = {fault.number: fault.latched_ms for fault in faults if fault.latched_ms}
    stands = {f.number: supervision.blockers[f.stands_while].mask for f in faults if f.stands_while}
    return (
        _module("faults.toml", fault_constants(supervision))
        + f"LOCKOUTS = {lockouts!r}\nLATCHED_MS = {latched!r}\nSTANDS_WHILE = {stands!r}\n"
    )


def _module(source: str, constants: Mapping[str, int]) -> str:
    head = f"# Generated from firmware/{source}: change the entries there.\n"
    return head + "".join(f"{name} = {value}\n" for name, value in constants.items())
