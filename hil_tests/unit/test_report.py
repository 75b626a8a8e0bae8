"""The report folder: complete or absent, self-contained, readable without JavaScript, with no peak lost."""

import base64
import html.parser
import json
import math
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
import recording
from rich.console import Console

from needlepen import report, requirements
from needlepen.errors import InfrastructureError, UsageError
from needlepen.evidence import Digital, Event, Measurement, RunRecord, Series
from needlepen.report import words
from needlepen.report.decimate import keep_extremes
from needlepen.report.overview import overview
from needlepen.report.zoom import zoom

LARGEST_PAGE_BYTES = 8_000_000


@pytest.fixture(scope="module")
def record():
    return recording.record()


@pytest.fixture(scope="module")
def page(record, tmp_path_factory):
    return report.write(record, tmp_path_factory.mktemp("report") / "run", trace=b"$end\n").read_text("utf-8")


class Tags(html.parser.HTMLParser):
    """All tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._inside = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.text += data


def figure(page, name):
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    return json.loads(found.group(1))


def unpacked(array):
    kinds = {"f4": "<f4", "f8": "<f8", "i1": "<i1"}
    return np.frombuffer(base64.b64decode(array["bdata"]), dtype=kinds[array["dtype"]])


# -------------------------------------------------------------------------------- the page
def test_the_page_loads_nothing_from_anywhere(page):
    allowed = re.compile(r"#.*|data:,")
    tags = Tags(page).tags
    fetched = [
        (tag, value)
        for tag, attributes in tags
        for key, value in attributes.items()
        if key in ("src", "srcset", "href", "action", "poster", "data") and not allowed.fullmatch(value or "")
    ]
    assert not fetched
    policies = [
        a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1 and {"default-src 'none'", "form-action 'none'"} <= set(policies[0].split("; "))
    assert "showSendToCloud: false" in page, "the plot library would offer to post the data to its maker"


def test_the_plot_library_is_inlined_once(page):
    assert page.count("* plotly.js v") == 1


def test_every_measurement_stands_in_the_page_without_javascript(record, page):
    text = Tags(page).text
    missing = [m.name for m in record.measurements if m.name not in text or words.value(m) not in text]
    assert not missing
    assert text.count("marginal") >= sum(m.marginal for m in record.measurements) > 0
    for requirement_id in {m.requirement for m in record.measurements}:
        assert requirements.load()[requirement_id].title in text, requirement_id


def test_the_page_says_what_it_is_and_what_it_is_not(record, page):
    text = Tags(page).text
    for expected in (
        "not a cleared medical device",
        "Not shown",
        record.runtime_sha256,
        record.firmware_build,
    ):
        assert expected in text
    assert "penetration" not in text


def test_text_from_outside_can_not_become_markup(tmp_path):
    hostile = "</script><script>alert(1)</script><b>&"
    bad = replace(recording.record(), title=hostile, description=hostile, scenario_text=hostile)
    bad.measurements.append(Measurement(hostile, 1.0, hostile, 2.0, "<=", hostile, note=hostile))
    bad.cutoffs[0] = replace(bad.cutoffs[0], name=hostile, cause_text=hostile, signals=(hostile,))
    bad.digital[hostile] = bad.digital["RUN_N"]
    page = report.write(bad, tmp_path / "run").read_text("utf-8")
    assert "<script>alert" not in page and "<b>&<" not in page
    assert hostile in Tags(page).text


def test_a_long_run_stays_below_the_size_limit(tmp_path):
    long = recording.record()
    t_s = np.linspace(0, 120, 1_000_000)
    for name, one in long.series.items():
        long.series[name] = Series(t_s, np.random.default_rng(1).normal(100, 10, len(t_s)), one.unit)
    size = report.write(long, tmp_path / "run").stat().st_size
    assert size < LARGEST_PAGE_BYTES, f"{size} bytes, limit {LARGEST_PAGE_BYTES}"


def test_a_run_without_recorded_signals_still_has_its_tables(tmp_path):
    bare = RunRecord(
        "bare", complete=True, measurements=[Measurement("ready", 800.0, "ms", 2500.0, "<=", "PR-09")]
    )
    page = report.write(bare, tmp_path / "run").read_text("utf-8")
    assert "800 ms" in Tags(page).text and "Plotly.newPlot" not in page


def test_a_run_stopped_at_power_on_can_be_reported(tmp_path):
    stopped = RunRecord(
        "stopped", stopped_because="interrupted with Ctrl-C", events=[Event(0.0, "mark", "power-on")]
    )
    stopped.series["rate_hz"] = Series([0.0], [0.0], "Hz")
    stopped.series["current_a"] = Series([0.0], [math.nan], "A")
    stopped.digital["RUN_N"] = Digital([], [])
    page = report.write(stopped, tmp_path / "run").read_text("utf-8")
    assert "Stopped after 0.000 s" in page and figure(page, "figure-run")["data"]


def test_a_run_that_measured_nothing_says_so(tmp_path):
    text = Tags(report.write(RunRecord("empty", complete=True), tmp_path / "run").read_text("utf-8")).text
    assert "Nothing was measured" in text and "incomplete" in text


# -------------------------------------------------------------------------------- partial runs
def test_a_partial_run_is_marked_everywhere(tmp_path):
    partial = recording.record(complete=False)
    path = report.write(partial, tmp_path / "run")
    page = path.read_text("utf-8")
    assert "<title>[partial]" in page and "Partial run." in page and "interrupted with Ctrl-C" in page
    assert "no evidence of a pass" in page
    notes = [note["text"] for note in figure(page, "figure-run")["layout"]["annotations"]]
    assert any("stopped here" in note for note in notes)
    data = json.loads((path.parent / "measurements.json").read_text("utf-8"))
    assert (data["complete"], data["verdict"], data["exit_code"]) == (False, "unset", 2)
    assert "PARTIAL" in printed(partial)


def test_a_complete_run_carries_no_mark_of_a_partial_one(page, record):
    assert "partial" not in Tags(page).text.lower() and "PARTIAL" not in printed(record)


def printed(record):
    console = Console(width=140, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(report.summary(record))
    return capture.get()


def test_the_terminal_summary_has_every_measurement_and_the_verdict(record):
    text = printed(record)
    assert all(m.name in text for m in record.measurements)
    assert f"PASS  {words.tally(record)}" in text
    failed = replace(
        record, measurements=[*record.measurements, Measurement("x", 9.0, "ms", 5.0, "<=", "SR-06")]
    )
    assert "FAIL" in printed(failed) and "1 fail" in printed(failed)


# -------------------------------------------------------------------------------- data beside the page
def test_measurements_json_holds_what_the_page_shows(record, tmp_path):
    folder = report.write(record, tmp_path / "run", trace=b"$end\n").parent
    data = json.loads((folder / "measurements.json").read_text("utf-8"))
    assert [m["name"] for m in data["measurements"]] == [m.name for m in record.measurements]
    keys = {"name", "value", "unit", "limit", "relation", "verdict", "requirement", "margin"}
    assert all(keys <= set(m) for m in data["measurements"])
    assert (data["verdict"], data["seed"], data["complete"]) == ("pass", record.seed, True)
    assert (folder / "scenario.toml").read_text("utf-8") == record.scenario_text
    assert (folder / "trace.vcd").read_bytes() == b"$end\n"


def test_a_trace_can_be_a_file(record, tmp_path):
    (tmp_path / "raw.vcd").write_bytes(b"$date $end\n")
    folder = report.write(record, tmp_path / "run", trace=tmp_path / "raw.vcd").parent
    assert (folder / "trace.vcd").read_bytes() == b"$date $end\n" and (tmp_path / "raw.vcd").exists()


# -------------------------------------------------------------------------------- nothing half-written
def test_a_failed_write_leaves_nothing_and_keeps_the_older_report(record, tmp_path):
    with pytest.raises(InfrastructureError, match="can not be written"):
        report.write(record, tmp_path / "run", trace=tmp_path / "missing.vcd")
    assert list(tmp_path.iterdir()) == []
    report.write(record, tmp_path / "run")
    before = (tmp_path / "run" / "index.html").read_bytes()
    with pytest.raises(InfrastructureError):
        report.write(recording.record(complete=False), tmp_path / "run", trace=tmp_path / "missing.vcd")
    assert (tmp_path / "run" / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_newer_report_replaces_the_older_one_whole(record, tmp_path):
    report.write(record, tmp_path / "run", trace=b"$end\n")
    report.write(recording.record(complete=False), tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "index.html", "measurements.json", "scenario.toml",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_with_other_files_is_never_replaced(record, tmp_path):
    (tmp_path / "thesis.odt").write_text("precious")
    with pytest.raises(UsageError, match=r"thesis\.odt"):
        report.write(record, tmp_path)
    assert (tmp_path / "thesis.odt").read_text() == "precious"
    with pytest.raises(UsageError, match="is a file"):
        report.write(record, tmp_path / "thesis.odt")


# -------------------------------------------------------------------------------- plots
@pytest.mark.parametrize("count", [10, 4_000, 4_001, 50_000])
def test_decimation_keeps_the_ends_and_every_extreme(count):
    rng = np.random.default_rng(count)
    times = np.sort(rng.uniform(0, 9, count))
    values = rng.normal(0, 1, count)
    values[count // 3], values[count // 2] = 100.0, -100.0
    kept_t, kept = keep_extremes(times, values, 1000)
    assert len(kept) <= 4000 and np.all(np.diff(kept_t) >= 0)
    assert (kept.max(), kept.min()) == (100.0, -100.0)
    assert (kept_t[0], kept_t[-1], kept[0], kept[-1]) == (times[0], times[-1], values[0], values[-1])
    assert set(zip(kept_t, kept, strict=True)) <= set(zip(times, values, strict=True))


def test_decimation_does_not_touch_a_short_series():
    times = np.arange(100.0)
    assert keep_extremes(times, times, 25)[0] is times


def test_a_single_sample_peak_is_drawn_in_the_overview(record):
    spiked = replace(record, series=dict(record.series))
    current = record.series["current_a"]
    values = current.values.copy()
    values[31_234] = 2.71
    spiked.series["current_a"] = Series(current.t_s, values, "A")
    drawn = overview(spiked, requirements.load())
    trace = next(t for t in drawn.data if t.name == "motor current")
    assert max(trace.y) == pytest.approx(2.71, rel=1e-6)


def test_the_overview_draws_the_limits_of_the_requirements(record):
    limits = requirements.load()
    drawn = overview(record, limits)
    levels = {shape.y0 for shape in drawn.layout.shapes if shape.type == "line" and shape.xref == "paper"}
    assert {limits["SR-06"].limits["threshold_hz"], limits["PR-04"].limits["current_max_a"]} <= levels
    part = limits["PR-02"].limits["loaded_error_pct"] / 100
    bounds = [(min(t.y), max(t.y)) for t in drawn.data if t.hoverinfo == "skip" and t.yaxis == "y2"]
    assert [b for pair in bounds for b in pair] == pytest.approx(
        [100 * (1 - part), 150 * (1 - part), 100 * (1 + part), 150 * (1 + part)]
    )


def test_series_without_a_known_name_get_their_own_panel(record):
    more = replace(record, series={**record.series, "supply_a": Series([0.0, 9.0], [20.0, 25.0], "C")})
    titles = [note.text for note in overview(more, requirements.load()).layout.annotations]
    assert any("supply a" in title for title in titles)


def test_a_zoom_keeps_nanoseconds_late_in_a_run(record):
    """8.5 s as a 32-bit float is only good to 1 us: times have to be relative before they are packed."""
    cutoff = replace(record.cutoffs[4], window_s=(8.4999999, 8.5000201), unit="ns", limit=20_000.0)
    drawn = zoom(record, cutoff)
    run_n = next(t for t in drawn.data if t.name == "RUN_N")
    edge = next(x for x, level in zip(run_n.x, run_n.customdata, strict=True) if level == 1)
    in_us = 1 if "µs" in drawn.layout.xaxis.title.text else 1e-3
    assert edge * in_us == pytest.approx(12.0, abs=1e-3)


def test_every_zoom_marks_cause_reaction_and_limit(record, page):
    for number, cutoff in enumerate(record.cutoffs, start=1):
        layout = figure(page, f"figure-cutoff-{number}")["layout"]
        texts = [note["text"] for note in layout["annotations"]]
        assert "cause" in texts and f"<b>{words.amount(cutoff.value, cutoff.unit)}</b>" in texts, cutoff.name
        assert "limit" in texts, cutoff.name


def test_a_cut_off_that_never_came_is_drawn_without_a_reaction(record, tmp_path):
    missed = replace(record, cutoffs=[], measurements=[])
    missed.add_cutoff(replace(record.cutoffs[0], reaction_t_ns=None))
    page = report.write(missed, tmp_path / "run").read_text("utf-8")
    assert "never" in Tags(page).text and missed.verdict == "fail"
    texts = [note["text"] for note in figure(page, "figure-cutoff-1")["layout"]["annotations"]]
    assert not any("<b>" in text for text in texts)


def test_the_embedded_figures_are_valid_plots(page):
    names = re.findall(r'id="(figure-[a-z0-9-]+)"', page)
    assert len(names) == 6
    for name in names:
        data = figure(page, name)
        go.Figure(data)
        lengths = [len(unpacked(trace["x"])) for trace in data["data"]]
        assert lengths and all(lengths), name


# -------------------------------------------------------------------------------- words
@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.000043, "ms", "43 ns"), (0.012, "ms", "12 µs"), (4.9, "ms", "4.9 ms"), (99.96, "%", "100 %"),
     (1234.5, "us", "1234 µs"),
     (0.0, "A", "0 A"), (-1.5, "mm", "−1.5 mm"), (math.inf, "ms", "never"), (None, "ms", "not measured"),
     (math.nan, "ms", "not measured"), (2.0, "strokes", "2 strokes"), (0.05, "A", "0.05 A")],
)  # fmt: skip
def test_amounts_are_written_with_their_unit(value, unit, text):
    assert words.amount(value, unit) == text


@pytest.mark.parametrize(
    ("relation", "lower", "value", "use"),
    [("<=", None, 5.0, 0.5), ("<=", None, 10.0, 1.0), ("<=", None, 20.0, 2.0), (">=", None, 20.0, 0.5),
     ("in", 0.0, 5.0, 0.0),
     ("in", 0.0, 10.0, 1.0), ("==", None, 10.0, None), ("<=", None, None, None),
     ("<=", None, math.inf, math.inf)],
)  # fmt: skip
def test_the_bar_is_full_exactly_at_the_limit(relation, lower, value, use):
    made = Measurement("x", value, "ms", 10.0, relation, "", lower=lower)
    assert words.use_of_limit(made) == (None if use is None else pytest.approx(use))
