"""What gauges send: both directions of each format, and each kind of bad frame refused by its name."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import example, given, settings, strategies as st

from needlepen.calibration.gauges import GaugeError, Shown, digimatic, mitutoyo, open_gauge, reading, typed
from needlepen.calibration.gauges.digimatic import DigimaticGauge
from needlepen.errors import Refused, UsageError

NUMBERS = st.builds(
    lambda value, decimals, minus: Decimal(value).scaleb(-decimals).copy_sign(-1 if minus else 1),
    st.integers(0, 999_999), st.integers(0, 5), st.booleans(),
)  # fmt: skip
SHOWN = st.builds(Shown, NUMBERS, st.sampled_from(["mm", "inch"]))


def same(a: Shown, b: Shown) -> bool:
    """To the last digit: 1.230 is not 1.23, and -0 is not 0."""
    return (a.value.as_tuple(), a.unit) == (b.value.as_tuple(), b.unit)


# ---------------------------------------------------------------------- Digimatic
@pytest.mark.parametrize(
    ("frame", "number", "unit"),
    [("FFFF801234530", "-12.345", "mm"), ("FFFF021076540", "21.0765", "mm"), ("FFFF000492151", "0.04921", "inch")],
)  # fmt: skip
def test_digimatic_frames_that_are_documented(frame: str, number: str, unit: str) -> None:
    assert same(digimatic.decode(frame), Shown(Decimal(number), unit))
    in_groups = f"{frame[:4]} {frame[4]} {frame[5:11]} {frame[11]} {frame[12]}"
    assert same(digimatic.decode(in_groups), Shown(Decimal(number), unit))
    assert digimatic.encode(Shown(Decimal(number), unit)) == frame


def test_the_digits_of_a_digimatic_bit_stream_come_lowest_bit_first() -> None:
    bits = "1111" * 4 + "0001" + "000010000100110000101010" + "1100" + "0000"  # -12.345 mm
    packed = int("".join(reversed(bits)), 2).to_bytes(7, "little")
    assert packed == digimatic.to_bits("FFFF801234530")
    assert digimatic.from_bits(packed) == "FFFF801234530"


@given(SHOWN)
@settings(max_examples=300)
def test_digimatic_both_ways(shown: Shown) -> None:
    frame = digimatic.encode(shown)
    assert same(digimatic.decode(frame), shown)
    assert same(digimatic.decode(digimatic.from_bits(digimatic.to_bits(frame))), shown)
    assert same(digimatic.decode(frame.lower()), shown)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ("", "short"), ("FFFF80123453", "short"), ("FFFF8012345300", "long"), ("FFFE801234530", "header"),
        ("0FFF801234530", "header"), ("FFFF101234530", "sign"), ("FFFFF01234530", "sign"), ("FFFF80A234530", "digit"),
        ("FFFF801234560", "decimal places"), ("FFFF8012345F0", "decimal places"), ("FFFF801234532", "unit"),
        ("FFFF80123453F", "unit"), ("HELLO, WORLD!", "garbage"), ("FFFF80123453 ", "short"), ("ÿÿ", "garbage"),
    ],
)  # fmt: skip
def test_a_bad_digimatic_frame_is_refused_by_name(frame: str, fault: str) -> None:
    with pytest.raises(GaugeError) as refused:
        digimatic.decode(frame)
    assert refused.value.fault == fault and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "short"), (digimatic.to_bits("FFFF801234530")[:6], "short"),
        (digimatic.to_bits("FFFF801234530") + b"\0", "long"),
        (digimatic.to_bits("FFFF801234530")[:6] + b"\x10", "long"),
    ],
)  # fmt: skip
def test_a_bad_bit_stream_is_refused_by_name(data: bytes, fault: str) -> None:
    with pytest.raises(GaugeError) as refused:
        digimatic.from_bits(data)
    assert refused.value.fault == fault


@given(st.text(max_size=16) | st.text(alphabet="0123456789ABCDEF", min_size=12, max_size=14).map("F".__add__))
@settings(max_examples=300)
def test_any_text_is_a_digimatic_frame_or_refused(text: str) -> None:
    try:
        shown = digimatic.decode(text)
    except GaugeError as error:
        assert error.fault
    else:
        assert digimatic.encode(shown) == text.upper()


def test_a_digimatic_frame_with_one_wrong_bit_is_refused_or_another_number() -> None:
    """The format has no check sum: what a wrong bit can do is known here, and the plausibility of a run finds it."""
    frame = digimatic.to_bits("FFFF000123430")
    refused = 0
    for bit in range(52):
        changed = bytearray(frame)
        changed[bit >> 3] ^= 1 << (bit & 7)
        try:
            shown = digimatic.decode(digimatic.from_bits(bytes(changed)))
        except GaugeError:
            refused += 1
        else:
            assert not same(shown, digimatic.decode("FFFF000123430"))
    print(f"{refused} of 52 single wrong bits are refused")
    assert refused >= 16 + 3 + 3  # each of the header, of the sign but its minus, of the unit but its inch


# ---------------------------------------------------------------------- Mitutoyo
MITUTOYO = st.builds(
    lambda value, decimals, minus: Shown(Decimal(value).scaleb(-decimals).copy_sign(-1 if minus else 1)),
    st.integers(0, 9_999_999), st.integers(0, 5), st.booleans(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("01A+0000.123", "0.123"),
        ("01A-0012.345", "-12.345"),
        ("01A+00.12345", "0.12345"),
        ("01A+0000012.", "12"),
    ],
)
def test_mitutoyo_texts_that_are_documented(text: str, number: str) -> None:
    assert same(mitutoyo.decode(text), Shown(Decimal(number)))
    assert mitutoyo.encode(Shown(Decimal(number))) == text


@given(MITUTOYO)
@example(Shown(Decimal("-0.000")))
def test_mitutoyo_both_ways(shown: Shown) -> None:
    assert same(mitutoyo.decode(mitutoyo.encode(shown)), shown)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "short"), ("01A+0000.12", "short"), ("01A+0000.1234", "long"), ("02A+0000.123", "header"),
        ("01B+0000.123", "header"), ("01A 0000.123", "sign"), ("01A00000.123", "sign"), ("01A+0000,123", "digit"),
        ("01A+0000.1Z3", "digit"), ("01A+00000123", "digit"), ("01A+0.0.0123", "digit"), ("01A+-000.123", "digit"),
        ("01A+0.123456", "decimal places"), ("911", "error reply"), ("912", "error reply"), ("918", "error reply"),
        ("9", "garbage"), ("9lives", "garbage"), ("01A+\x000000.1", "garbage"), ("\xff\xff\xff", "garbage"),
    ],
)  # fmt: skip
def test_a_bad_mitutoyo_text_is_refused_by_name(text: str, fault: str) -> None:
    with pytest.raises(GaugeError) as refused:
        mitutoyo.decode(text)
    assert refused.value.fault == fault and "\n" not in str(refused.value)


def test_the_error_replies_say_what_they_mean() -> None:
    with pytest.raises(GaugeError, match="error 911: it gets no data: the gauge is off, or its cable"):
        mitutoyo.decode("911")
    with pytest.raises(GaugeError, match="error 917: its manual says"):
        mitutoyo.decode("917")


@given(st.text(max_size=16) | st.from_regex(r"01A[+-][0-9.]{8}", fullmatch=True))
@settings(max_examples=300)
def test_any_text_is_a_mitutoyo_text_or_refused(text: str) -> None:
    try:
        shown = mitutoyo.decode(text)
    except GaugeError as error:
        assert error.fault
    else:
        assert mitutoyo.encode(shown) == text


@pytest.mark.parametrize("encode", [digimatic.encode, mitutoyo.encode])
@pytest.mark.parametrize("number", ["12345678", "0.000001", "1E+30", "NaN", "Infinity"])
def test_a_number_that_a_format_cannot_hold_is_not_encoded(encode: object, number: str) -> None:
    with pytest.raises(GaugeError) as refused:
        encode(Shown(Decimal(number)))  # type: ignore[operator]
    assert refused.value.fault == "range"


# ---------------------------------------------------------------------- typed lines
@pytest.mark.parametrize(
    ("line", "number", "unit"),
    [
        ("1.234", "1.234", "mm"), ("1,234", "1.234", "mm"), (" -0,005 mm ", "-0.005", "mm"),
        ("+1.234mm", "1.234", "mm"),
        ("0.0492 in", "0.0492", "inch"), ("0.0492 Inch", "0.0492", "inch"), ('0,0492"', "0.0492", "inch"),
        ("\N{MINUS SIGN}.5", "-0.5", "mm"), ("2", "2", "mm"), ("0000.123\r", "0.123", "mm"),
        ("1,25  mm", "1.25", "mm"), ("1.25\N{NO-BREAK SPACE}mm", "1.25", "mm"),
    ],
)  # fmt: skip
def test_lines_as_people_and_keyboards_type_them(line: str, number: str, unit: str) -> None:
    shown = typed.decode(line)
    assert (shown.value, shown.unit) == (Decimal(number), unit)


@given(SHOWN, st.booleans())
def test_typed_lines_both_ways(shown: Shown, comma: bool) -> None:
    assert same(typed.decode(typed.encode(shown, comma, with_unit=True)), shown)
    assert same(typed.decode(typed.encode(shown, comma), shown.unit), shown)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "empty line"), ("   ", "empty line"), ("abc", "is no reading"), ("1.234.5", "more than one decimal mark"),
        ("1,234.5", "more than one decimal mark"), ("1.2 um", "is no reading"), ("--1.2", "is no reading"),
        ("1 234", "is no reading"), (".", "is no reading"), ("1e3", "is no reading"), ("nan", "is no reading"),
        ("1.23456789012", "more digits than a gauge"), ("\u0661.5", "is no reading"), ("01A+0000.123", "is no reading"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_reading_is_refused_with_the_reason(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        typed.decode(line)
    assert "write it as 1.234 or 1,234" in str(refused.value)


@given(st.text(max_size=20))
@settings(max_examples=300)
def test_any_line_is_a_number_or_refused(line: str) -> None:
    try:
        assert typed.decode(line).value.is_finite()
    except UsageError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["manual", "keyboard"])
def test_a_typed_gauge_takes_lines_and_cannot_be_asked(kind: str) -> None:
    gauge = open_gauge(kind)
    assert not gauge.automatic and gauge.identity.kind == kind
    found = gauge.parse(" 1,250 mm")
    assert (found.value_mm, found.unit, found.raw) == (1.25, "mm", " 1,250 mm")
    with pytest.raises(UsageError, match="cannot be asked"):
        gauge.read()
    with pytest.raises(UsageError, match="beyond the stroke"):
        gauge.parse("125")  # a point forgotten
    with pytest.raises(UsageError, match="has no port"):
        open_gauge(kind, "/dev/ttyUSB0")


# ---------------------------------------------------------------------- readings
@given(st.integers(-100_000, 100_000))
def test_inches_are_converted_to_the_last_digit(steps: int) -> None:
    """Of 0.00001 inch, which is 0.000254 mm exactly; in whole numbers here."""
    found = reading("raw", Shown(Decimal(steps).scaleb(-5), "inch"))
    assert found.value_mm == 254 * steps / 1_000_000
    assert found.unit == "inch"


@pytest.mark.parametrize(("number", "unit", "is_reading"), [
    ("25.4", "mm", True), ("-25.4", "mm", True), ("25.401", "mm", False), ("1", "inch", True),
    ("1.00001", "inch", False),
])  # fmt: skip
def test_a_value_that_no_indicator_can_show_is_refused(number: str, unit: str, is_reading: bool) -> None:
    shown = Shown(Decimal(number), unit)  # type: ignore[arg-type]
    if is_reading:
        assert reading("raw", shown).raw == "raw"
        return
    with pytest.raises(GaugeError) as refused:
        reading("raw", shown)
    assert refused.value.fault == "range" and isinstance(refused.value, Refused)


def test_digimatic_noise_is_no_reading() -> None:
    """Random bytes through the same way as those of a port: none of them is taken for a frame."""
    draw = random.Random(5)
    gauge = DigimaticGauge.__new__(DigimaticGauge)
    taken = 0
    for _ in range(2000):
        data = draw.randbytes(draw.randint(1, 20))
        raw = gauge.take(data)
        try:
            gauge.decode(gauge.rest(data) if raw is None else raw)
            taken += 1
        except GaugeError as error:
            assert error.fault
    assert taken == 0
