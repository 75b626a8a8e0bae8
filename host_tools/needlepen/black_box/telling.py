"""A black box in words, as a table, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from needlepen import supervision
from needlepen.black_box import inference
from needlepen.black_box.record import LINES, BlackBox, Sample

_COLUMNS = ("time_s", "state", "set_hz", "rate_hz", "current_a", "cell_v", "duty", "depth_mm", *LINES)
_TOLD = {
    "rate": "rate set to {:g} Hz",
    "skin": "needles touch skin",
    "lift": "lifted off",
    "release": "trigger released",
    "cartridge out": "cartridge taken out",
    "charger": "charger plugged in",
}


def head(box: BlackBox) -> Iterator[str]:
    """What it is about, a line each."""
    when = box.date.isoformat(sep=" ", timespec="seconds") + " UTC" if box.date else "no date"
    yield f"{box.fault}, pen {box.unique_id}, boot {box.boot}, {box.uptime_s:.1f} s after its start ({when})"
    known = supervision.load().fault_named(box.fault)
    if known is not None:
        yield f"  {known.requirement}: {known.text} {known.remedy}"
    yield (
        f"  set {box.rate_hz} Hz, {box.depth_mm:.2f} mm; {box.needles or 'unknown'} needles; cell {box.cell_v:.2f} V, "
        f"nose {box.nose_c:.1f} C, winding {box.winding_c:.0f} C when it was stored"
    )
    yield f"  {len(box.samples)} samples of the last {box.seconds:.1f} s; program {box.application_hash}"
    for each in inference.happenings(box):
        yield f"  {each.time_s:+.2f} s: {_TOLD[each.what].format(each.value)}"


def rows(box: BlackBox, last: int | None = None) -> Iterator[str]:
    """The samples as a table: the `last` ones, or all."""
    yield "   time s  state      set Hz  rate Hz     A   cell V  duty  depth mm  trigger cartridge permission"
    for s in box.samples[-last if last else 0 :]:
        marks = ["x" if line in s.lines else "-" for line in ("trigger", "cartridge", "permission")]
        yield (
            f"{s.time_s:+9.3f}  {s.state:9} {s.set_hz:7.1f} {s.rate_hz:8.1f} {s.current_a:6.2f} {s.cell_v:7.2f} "
            f"{s.duty:5.2f} {s.depth_mm:9.2f}     {marks[0]:7} {marks[1]:9} {marks[2]}"
        )


def as_csv(box: BlackBox) -> str:
    """All samples; lines as 0 and 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for sample in box.samples:
        writer.writerow([_cell(sample, column) for column in _COLUMNS])
    return text.getvalue()


def _cell(sample: Sample, column: str) -> object:
    if column in LINES:
        return int(column in sample.lines)
    value = getattr(sample, column)
    return round(value, 4) if isinstance(value, float) else value
