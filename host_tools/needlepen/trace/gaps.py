"""What has no counterpart. Each gap says what is missing, why that matters, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from needlepen.build.limits_module import constant_name
from needlepen.requirements import Requirement
from needlepen.trace import results, reviewed
from needlepen.trace.model import SHOWING, CodeLink, Gap, Trace

KINDS: Mapping[str, str] = {
    "untested": "an implemented requirement for which no test is evidence",
    "uncontrolled": "a hazard that no implemented requirement controls",
    "no code": "an implemented requirement that no code names or uses: firmware or, for CR, host tools",
    "untested limit": "a limit that no test measures or goes to",
    "loose limit": "a limit that the firmware does not use and no test measures",
    "unused constant": "a limit that nothing uses at all, or an import of one that is never used",
    "test of nothing": "a requirement test that names and measures no requirement",
    "unknown ID": "an ID that is not in the requirements",
    "unknown limit": "a limit that its requirement does not have",
    "unknown place": "a place of the reviewed list that is not there",
    "not needed": "an entry of the reviewed list that excuses nothing",
    "no result": "an implemented requirement without a measurement or a passed test in the results",
    "result of no test": "a result of a test that the project does not have",
    "other limit": "a measurement that was compared with another limit than today's",
}
"""Kinds of gaps, and what each of them is."""

_IN_FIRMWARE = ("constant", "table")


def gaps(trace: Trace) -> list[Gap]:
    """All gaps of a project, in the order of KINDS."""
    found = {
        *trace.found,
        *_untested(trace),
        *_uncontrolled(trace),
        *_without_code(trace),
        *_untested_limits(trace),
        *_loose(trace),
        *_unused(trace),
        *_of_nothing(trace),
        *_not_needed(trace),
        *results.gaps(trace),
    }
    order = list(KINDS)
    return sorted(found, key=lambda gap: (order.index(gap.kind), gap.subject, gap.text))


def _untested(trace: Trace) -> Iterator[Gap]:
    for requirement in trace.requirements.implemented():
        if not trace.tests_of(requirement.id):
            yield Gap(
                "untested", requirement.id,
                f"no test measures or claims {requirement.title!r}, so that nothing shows it; write one in "
                f"hil_tests/requirements that begins with {requirement.id}",
            )  # fmt: skip


def _uncontrolled(trace: Trace) -> Iterator[Gap]:
    for hazard, controls in trace.hazards().items():
        if not any(requirement.status == "implemented" for requirement in controls):
            names = ", ".join(requirement.id for requirement in controls)
            text = f"only {names} would control it, and that is planned; implement it or control the hazard otherwise"
            yield Gap("uncontrolled", hazard, text)


def _without_code(trace: Trace) -> Iterator[Gap]:
    for requirement in trace.requirements.implemented():
        if not _kept_in(trace, requirement.id):
            where = "host tools" if _is_on_host(requirement.id) else "the firmware"
            yield Gap(
                "no code", requirement.id,
                f"nothing in {where} names {requirement.title!r}; name it in the docstring of what keeps it, or say in "
                f"{reviewed.FILE} which symbol it is",
            )  # fmt: skip


def _is_on_host(requirement: str) -> bool:
    return requirement.startswith("CR-")


def _kept_in(trace: Trace, requirement: str) -> list[CodeLink]:
    """Places that may keep a requirement. The host tools calibrate; of all else they only speak."""
    return [link for link in trace.code_of(requirement) if link.is_firmware or _is_on_host(requirement)]


def _untested_limits(trace: Trace) -> Iterator[Gap]:
    for requirement, limit in _limits(trace):
        if not trace.links_of(requirement.id, limit):
            name = f"{requirement.id}.{limit}"
            text = (
                f"no test measures it or goes to it; write measure({requirement.id!r}, {limit!r}, ...) in one"
            )
            yield Gap("untested limit", name, text)


def _loose(trace: Trace) -> Iterator[Gap]:
    for requirement, limit in _limits(trace):
        name = f"{requirement.id}.{limit}"
        if not _is_held(trace, requirement.id, limit) and name not in _excused(trace):
            yield Gap(
                "loose limit", name,
                "the firmware does not use it and no test measures it, so that it may be missed unseen; measure it "
                f"with measure({requirement.id!r}, {limit!r}, ...), or say in {reviewed.FILE} what keeps it",
            )  # fmt: skip


def _unused(trace: Trace) -> Iterator[Gap]:
    for requirement, limit in _limits(trace):
        if not trace.code_of(requirement.id, limit) and not trace.links_of(requirement.id, limit):
            yield Gap(
                "unused constant", constant_name(requirement.id, limit),
                f"neither firmware, host tools nor tests use {requirement.id}.{limit}; use it or drop the limit",
            )  # fmt: skip


def _of_nothing(trace: Trace) -> Iterator[Gap]:
    evidence = {link.test for link in trace.links if link.how in SHOWING}
    for test in trace.tests.values():
        if test.place.file.startswith("hil_tests/requirements/") and test.id not in evidence:
            yield Gap(
                "test of nothing", test.id,
                "it names and measures no requirement, so that nobody knows what its result means; begin its "
                "docstring, or that of its file, with the ID",
            )  # fmt: skip


def _not_needed(trace: Trace) -> Iterator[Gap]:
    for name in _excused(trace):
        requirement_id, _, limit = name.partition(".")
        requirement = trace.requirements.get(requirement_id)
        if (
            requirement is None
            or requirement.status != "implemented"
            or (limit and limit not in requirement.limits)
        ):
            why = "there is no such limit or implemented requirement"
        elif limit and _is_held(trace, requirement_id, limit):
            why = "the firmware uses it or a test measures it"
        elif not limit and (
            places := [link for link in _kept_in(trace, requirement_id) if link.how != "reviewed"]
        ):
            why = f"{places[0].place} names it"
        else:
            continue
        yield Gap(
            "not needed", name, f"{why}; remove the entry from {reviewed.FILE}, or it would hide a gap later"
        )


def _excused(trace: Trace) -> list[str]:
    return [*trace.reviewed.limits, *trace.reviewed.code] if trace.reviewed else []


def _limits(trace: Trace) -> Iterator[tuple[Requirement, str]]:
    for requirement in trace.requirements.implemented():
        for limit in requirement.limits:
            yield requirement, limit


def _is_held(trace: Trace, requirement: str, limit: str) -> bool:
    """Whether the firmware uses a limit or a test measures it."""
    in_firmware = any(link.how in _IN_FIRMWARE for link in trace.code_of(requirement, limit))
    return in_firmware or any(link.how == "measures" for link in trace.links_of(requirement, limit))
