"""Scenario files: what is accepted at its boundaries, and one clear line for everything else."""

import re

import pytest

from needlepen import requirements, scenario
from needlepen.errors import UsageError
from needlepen.scenario import actions, loader, quantities, reference

HEADER = 'title = "try"\n'
READY = '[[step]]\nwhen = "ready"\ntimeout_s = 2.5\ndo = "wait"\n'


@pytest.fixture
def file(tmp_path):
    """Writes steps under a minimal header; the first given step is step 1 and begins in line 2."""

    def write(steps, header=HEADER):
        path = tmp_path / "try.toml"
        path.write_text(header + steps, encoding="utf-8")
        return path

    return write


def refusal(path):
    with pytest.raises(UsageError) as caught:
        scenario.load(path)
    text = str(caught.value)
    assert "\n" not in text, f"more than one line: {text}"
    return text


# -------------------------------------------------------------------------------- what ships
def test_there_are_scenarios_and_the_default_is_among_them():
    assert {"treatment", "startup_sweep", "overspeed", "cpu_hang", "stall", "glitches"} <= set(
        scenario.names()
    )


@pytest.mark.parametrize("name", scenario.names())
def test_every_shipped_scenario_loads_and_checks_something(name):
    loaded = scenario.load(name)
    asserts = [step.action for step in loaded.steps if isinstance(step.action, actions.Assert)]
    assert asserts and loaded.name == name
    unnamed = [a.title for a in asserts if a.requirement not in requirements.load()]
    assert not unnamed, f"{name}: asserts without a requirement: {unnamed}"


def test_the_default_scenario_has_a_treatment_and_at_least_three_faults():
    kinds = [type(step.action) for step in scenario.load("treatment").steps]
    faults = {actions.Jam, actions.HaltCpu, actions.StickBridge, actions.ShortWinding}
    assert len(faults & set(kinds)) >= 3
    assert {actions.PressTrigger, actions.TouchSkin, actions.Lift, actions.ReleaseTrigger} <= set(kinds)
    assert kinds.index(actions.TouchSkin) < min(kinds.index(fault) for fault in faults & set(kinds))


def test_every_action_is_described_in_the_reference():
    readme = (loader._LIBRARY.parent / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- reference: begin -->\n")[2].partition("<!-- reference: end -->")[0]
    assert shown == reference.markdown(), (
        "scenario/README.md is behind; put reference.markdown() between its marks"
    )


# -------------------------------------------------------------------------------- right files
def test_steps_keep_their_order_lines_and_values(file):
    path = file(READY + '\n[[step]]\nafter_s = 0.5\ndo = "touch_skin"\nneedles = 24\nprotrusion_mm = 1.5\n')
    loaded = scenario.load(path)
    first, second = loaded.steps
    assert (first.number, first.line, first.timing.when, first.timing.timeout_s) == (1, 2, "ready", 2.5)
    assert (second.number, second.line, second.timing.after_s) == (2, 7, 0.5)
    assert (second.action.needles, second.action.protrusion_mm) == (24, 1.5)
    assert loaded.text == path.read_text(encoding="utf-8")


def test_a_step_without_a_time_follows_at_once(file):
    assert scenario.load(file('[[step]]\ndo = "press_trigger"\n')).steps[0].timing.after_s == 0.0


def test_named_limits_become_numbers_in_the_unit_that_is_needed(file):
    limits = requirements.load()["PR-04"].limits
    step = '[[step]]\ndo="assert"\nquantity="settling_ms"\nrelation="<="\nvalue="PR-04.start_ms"\n'
    action = scenario.load(file(step)).steps[0].action
    assert (action.value, action.requirement) == (limits["start_ms"], "PR-04")
    step = '[[step]]\ndo="assert"\nquantity="standstill"\nvalue=true\nwithin_s="SR-12.standstill_ms"\n'
    action = scenario.load(file(step)).steps[0].action
    expected_s = requirements.load()["SR-12"].limits["standstill_ms"] / 1000
    assert (action.within_s, action.requirement) == (pytest.approx(expected_s), "SR-12")
    step = '[[step]]\nwhen="ready"\ntimeout_s="PR-09.ready_ms"\ndo="wait"\n'
    loaded = scenario.load(file(step)).steps[0]
    expected_s = requirements.load()["PR-09"].limits["ready_ms"] / 1000
    assert (loaded.timing.timeout_s, loaded.timeout_requirement) == (pytest.approx(expected_s), "PR-09")


@pytest.mark.parametrize("kind", loader.ACTIONS.values(), ids=list(loader.ACTIONS))
def test_every_action_is_frozen_and_knows_whether_it_is_a_stimulus(kind):
    passive = kind in (actions.Wait, actions.Mark, actions.Assert)
    assert kind.model_config["frozen"] and kind.model_construct().is_stimulus is not passive


# -------------------------------------------------------------------------------- limits of values
def rate_cases():
    limits = requirements.load()["PR-01"].limits
    low, high, step = limits["rate_min_hz"], limits["rate_max_hz"], limits["rate_step_hz"]
    return [
        (low - step, False),
        (low, True),
        (low + 1, False),
        (high, True),
        (high + step, False),
        (high - step, True),
    ]


@pytest.mark.parametrize(("rate_hz", "accepted"), rate_cases())
def test_set_rate_accepts_the_range_and_grid_of_pr01(file, rate_hz, accepted):
    path = file(f'[[step]]\ndo = "set_rate"\nrate_hz = {rate_hz}\n')
    if accepted:
        assert scenario.load(path).steps[0].action.rate_hz == rate_hz
    else:
        assert "PR-01" in refusal(path), f"{rate_hz} Hz"


@pytest.mark.parametrize(
    ("needles", "protrusion_mm", "accepted"),
    [(12, 0.0, True), (24, 1.5, True), (36, 2.5, True), (24, 2.51, False), (24, -0.01, False),
     (13, 1.5, False),
     (0, 1.5, False), ("'24'", 1.5, False), (24, "nan", False), (24, "inf", False), (24, "true", False)],
)  # fmt: skip
def test_touch_skin_accepts_the_cartridges_and_protrusions_there_are(file, needles, protrusion_mm, accepted):
    path = file(f'[[step]]\ndo = "touch_skin"\nneedles = {needles}\nprotrusion_mm = {protrusion_mm}\n')
    if accepted:
        scenario.load(path)
    else:
        assert "line 4" in (text := refusal(path)) or "line 5" in text, text


@pytest.mark.parametrize(("cell_v", "accepted"), [(2.99, False), (3.0, True), (4.2, True), (4.21, False)])
def test_cell_voltage_is_one_cells(file, cell_v, accepted):
    path = file(READY, header=HEADER + f"cell_v = {cell_v}\n")
    if accepted:
        assert scenario.load(path).header.cell_v == cell_v
    else:
        assert "line 2: header: cell_v" in refusal(path)


# -------------------------------------------------------------------------------- wrong files
WRONG_STEPS = [
    ('do = "explode"', r"line 3, step 1: 'explode' is no action; possible: set_rate"),
    ('do = "set_rates"', r"did you mean set_rate"),
    ('do = "drop_pen"', r"line 3.*not possible: acceleration is not part"),
    ('do = "inject"\ntarget = "motr"\nkind = "stuck"', r"line 3.*no target 'motr'.*did you mean motor"),
    ('do = "inject"\ntarget = "motor"\nkind = "late"', r"no kind of fault 'late'; motor can be stuck"),
    ('do = "inject"\ntarget = "tdc"\nkind = "off"', r"tdc can not be 'off'.*it can be open, short"),
    ('do = "inject"\ntarget = "index"\nkind = "stuck"\nvalue = 3.0', r"level is one of low, high, now"),
    ('do = "repair"\nwhat = "window"', r"nothing 'window' to repair; possible: all, jam"),
    ("rate_hz = 100", r"line 2, step 1: no action; add do = "),
    ("do = 7", r"no action"),
    ('do = "set_rate"', r"step 1 \(set_rate\): rate_hz is missing \(stroke rate, in Hz\)"),
    (
        'do = "set_rate"\nrate_rpm = 6000',
        r"line 4.*rate_rpm is not a key here: write rate_hz, stroke rate, in Hz",
    ),
    (
        'do = "touch_skin"\nneedles = 24\nprotrusion_um = 1500',
        r"line 5.*protrusion_um is not a key here: write protrusion_mm",
    ),
    ('do = "touch_skin"\nneedles = 13\nprotrusion_mm = 1.5', r"line 4.*needles = 13: should be 12, 24 or 36"),
    (
        'do = "touch_skin"\nneedles = 24\nprotrusion_mm = 3',
        r"line 5.*protrusion_mm = 3: possible: 0 to 2.5",
    ),
    ('do = "set_rate"\nrate_hz = "100"', r"line 4.*rate_hz = '100'"),
    ('do = "lift"\nheight_mm = 3', r"line 4.*height_mm is not a key here"),
    ('do = "lift"', r"line 3.*not on skin"),
    ('do = "release_trigger"', r"line 3.*not pressed"),
    ('at_s = 1\nafter_s = 1\ndo = "jam"', r"line 4.*at_s and after_s together"),
    ('at_s = -1\ndo = "jam"', r"line 3.*at_s = -1"),
    ('at_s = 21\ndo = "jam"', r"line 3.*duration_limit_s = 20"),
    ('after_s = 21\ndo = "jam"', r"duration_limit_s = 20"),
    ('when = "ready"\ndo = "jam"', r"line 3.*a wait needs an end"),
    ('timeout_s = 1\ndo = "jam"', r"line 3.*belong together"),
    ('when = "redy"\ntimeout_s = 1\ndo = "jam"', r"line 3.*'redy' is no condition; did you mean ready"),
    ('when = "ready"\ntimeout_s = "PR-04.overshoot_pct"\ndo = "jam"', r"line 4.*is in %, but s is needed"),
    (
        'do = "glitch_index"\nperiod_us = 100\nwidth_us = 100\nduration_ms = 10',
        r"width_us = 100 must be shorter",
    ),
    ('do = "assert"\nquantity = "rate"\nvalue = 100', r"'rate' is no quantity; did you mean rate_hz"),
    (
        'do = "assert"\nquantity = "rate_hz"\nvalue = true',
        r"rate_hz is compared with a number, not with True",
    ),
    ('do = "assert"\nquantity = "braked"\nvalue = 1', r"braked is compared with true or false"),
    ('do = "assert"\nquantity = "state"\nvalue = "safe"\nrelation = "<="', r"only the relation"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = 100\nrelation = "<"', r"line 6.*relation = '<'"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = 100\nrelation = "in"', r"lower and the relation"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = 9\nlower = 10\nrelation = "in"', r"nothing could pass"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = 9\nover_s = 1\nwithin_s = 1', r"exclude each other"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = "PR-99.x_hz"', r"names no requirement"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = "PR-01.x_hz"', r"PR-01 has no limit 'x_hz'"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = "PR-04.start_ms"', r"is in ms, but Hz is needed"),
    ('do = "assert"\nquantity = "rate_hz"\nvalue = 9\nrequirement = "XX-1"', r"'XX-1' is no requirement"),
]


@pytest.mark.parametrize(
    ("step", "expected"), WRONG_STEPS, ids=[expected[:40] for _, expected in WRONG_STEPS]
)
def test_a_wrong_step_is_refused_with_place_and_remedy(file, step, expected):
    text = refusal(file("[[step]]\n" + step + "\n"))
    assert "try.toml" in text and "step 1" in text, text
    assert re.search(expected, text), text


def test_steps_out_of_order_are_refused(file):
    later = '[[step]]\nat_s = 2\ndo = "jam"\n[[step]]\nat_s = 1\ndo = "repair"\n'
    assert "line 6, step 2 (repair): the steps before it end at 2 s" in refusal(file(later))


@pytest.mark.parametrize(
    ("first", "second"), [("press_trigger", "press_trigger"), ("touch_skin", "touch_skin")]
)
def test_doing_twice_what_can_be_done_once_is_refused(file, first, second):
    fields = "needles = 12\nprotrusion_mm = 1\n" if first == "touch_skin" else ""
    steps = "".join(f'[[step]]\ndo = "{do}"\n{fields}' for do in (first, second))
    assert f"step 2 ({second})" in refusal(file(steps))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title = ", "not readable as TOML"),
        (HEADER, "no steps"),
        (HEADER + "step = 3\n", "no steps"),
        (HEADER + "step = []\n", "no steps"),
        (READY, "header: title is missing"),
        (HEADER + 'boord = "x"\n' + READY, "line 2: header: boord is not a key here; did you mean board"),
        (HEADER + 'board = "../x"\n' + READY, "line 2: header: board"),
        (HEADER + "seed = -1\n" + READY, "line 2: header: seed = -1"),
        (HEADER + "rate_hz = 52\n" + READY, "line 2: header: rate_hz = 52"),
        (HEADER + "duration_limit_s = 0\n" + READY, "line 2: header: duration_limit_s = 0"),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_remedy(file, text, expected):
    assert expected in refusal(file("", header=text))


def test_a_missing_file_a_folder_and_no_text_are_refused(tmp_path):
    assert "treatment" in refusal("no_such_scenario")
    assert "is a folder" in refusal(tmp_path)
    (tmp_path / "image.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(tmp_path / "image.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * 1_000_001)
    assert "larger than 1 MB" in refusal(tmp_path / "huge.toml")


def test_a_step_inside_a_long_string_does_not_shift_the_line(file):
    header = 'title = "try"\ndescription = """\n[[step]]\ndo = "x"\n"""\n'
    assert "line 7, step 1" in refusal(file('[[step]]\ndo = "explode"\n', header=header))


# -------------------------------------------------------------------------------- asserts
def made(**fields):
    return actions.Assert.model_validate({"do": "assert", **fields})


def test_the_evidence_of_an_assert_has_the_value_the_limit_and_the_unit():
    check = made(quantity="rate_error_pct", relation="<=", value="PR-02.free_error_pct", over_s=0.2)
    limit = requirements.load()["PR-02"].limits["free_error_pct"]
    evidence = check.measurement(limit + 0.1, 2.0)
    assert (evidence.value, evidence.limit, evidence.unit, evidence.requirement, evidence.verdict) == (
        limit + 0.1, limit, "%", "PR-02", "fail",
    )  # fmt: skip


def test_an_assert_within_a_time_is_judged_by_that_time():
    check = made(quantity="standstill", value=True, within_s=0.09, requirement="SR-12")
    assert check.measurement(True, 1.0, elapsed_s=0.09).verdict == "pass"
    assert check.measurement(True, 1.0, elapsed_s=0.0901).verdict == "fail"
    never = check.measurement(False, 1.0)
    assert (never.verdict, never.unit, never.limit) == ("fail", "ms", pytest.approx(90))


@pytest.mark.parametrize(
    ("value", "observed", "holds"),
    [(True, True, True), (True, False, False), ("safe", "safe", True), ("safe", "ready", False),
     (5, 5, True), (5, 5.1, False)],
)  # fmt: skip
def test_an_assert_of_equality_holds_only_for_the_same(value, observed, holds):
    quantity = {bool: "braked", str: "state", int: "rate_hz"}[type(value)]
    assert made(quantity=quantity, value=value).holds(observed) is holds


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": "rate_hz", "value": 5},
        {"quantity": "braked", "value": True},
        {"quantity": "state", "value": "safe"},
        {"quantity": "rate_hz", "value": 5, "within_s": 1},
    ],
)
def test_an_assert_that_was_not_reached_is_unset(fields):
    assert made(**fields).unmeasured().verdict == "unset"
    if "within_s" not in fields:
        assert made(**fields).measurement(None, 1.0).verdict == "unset"


@pytest.mark.parametrize(
    ("relation", "lower", "worst"),
    [("<=", None, 9.0), (">=", None, 2.0), ("in", 4.0, 2.0), ("==", None, 2.0)],
)
def test_the_worst_of_a_window_is_the_one_nearest_to_failing(relation, lower, worst):
    check = made(quantity="rate_hz", relation=relation, value=7.0, lower=lower)
    assert check.worst([5.0, 2.0, 9.0, 7.0]) == worst
    assert check.worst([]) is None and check.worst([5.0, None]) is None


def test_every_number_quantity_has_a_unit():
    bare = [q.name for q in quantities.QUANTITIES.values() if q.kind == "number" and not q.unit]
    assert not bare
