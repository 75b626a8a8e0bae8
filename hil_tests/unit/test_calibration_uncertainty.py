"""Uncertainty budgets against worked examples that are in print, and the one of a depth reading."""

from __future__ import annotations

import math

import pytest

from needlepen.calibration.model import Contribution, GaugeIdentity
from needlepen.calibration.tolerances import TOLERANCE_UM
from needlepen.calibration.uncertainty import PEN_SCATTER, budget, coverage_factor, depth_budget, tur


def _part(name: str, u: float, freedom: float | None = None) -> Contribution:
    return Contribution(
        name=name, source="", value=u, distribution="normal", divisor=1.0, degrees_of_freedom=freedom
    )


def test_gum_h1_end_gauge() -> None:
    """JCGM 100:2008, H.1, table H.1: u_c = 32 nm, nu_eff = 16, t_99 = 2.92, U_99 = 93 nm.

    The comparison of the two gauges is itself 5.8 nm (24), 3.9 nm (5) and 6.7 nm (8): 9.7 nm with nu_eff 25.6.
    """
    comparison = budget(
        [_part("mean", 5.8, 24), _part("random", 3.9, 5), _part("systematic", 6.7, 8)], unit="nm"
    )
    assert f"{comparison.combined:.1f}" == "9.7"
    assert comparison.effective_dof is not None
    rounded = comparison.effective_dof * (9.7 / comparison.combined) ** 4  # the GUM goes on with 9.7
    assert f"{rounded:.1f}" == "25.6"
    end_gauge = budget(
        [
            _part("standard", 25.0, 18),
            _part("comparison", 9.7, 25.6),
            _part("expansion difference", 2.9, 50),
            _part("temperature difference", 16.6, 2),
        ],
        unit="nm",
        k=None,
        confidence=0.99,
    )
    assert f"{end_gauge.combined:.0f}" == "32"
    assert end_gauge.effective_dof is not None and math.floor(end_gauge.effective_dof) == 16
    assert f"{end_gauge.coverage_factor:.2f}" == "2.92"
    assert f"{end_gauge.expanded:.0f}" == "93"


def test_ea_4_02_s4_gauge_block() -> None:
    """EA-4/02, supplement S4, calibration of a gauge block of 50 mm: u = 36.4 nm, U = 73 nm (k = 2)."""

    def rectangular(half_width: float, sensitivity: float = 1.0) -> Contribution:
        return Contribution(
            name="",
            source="",
            value=half_width,
            distribution="rectangular",
            divisor=math.sqrt(3.0),
            sensitivity=sensitivity,
        )

    parts = [
        _part("standard", 15.0),
        rectangular(30.0),  # drift of the standard
        _part("difference", 12.0 / math.sqrt(5.0)),
        rectangular(32.0),  # comparator
        rectangular(0.05, -575.0),  # temperature difference, K and nm/K
        _part("expansion and temperature", 11.8),
        rectangular(6.7),  # off-centre contact
    ]
    printed = ["15.0", "17.3", "5.37", "18.5", "16.6", "11.8", "3.87"]
    assert [
        f"{part.u:.{len(text.partition('.')[2])}f}" for part, text in zip(parts, printed, strict=True)
    ] == printed
    result = budget(parts, unit="nm")
    assert (f"{result.combined:.1f}", f"{result.expanded:.0f}") == ("36.4", "73")
    assert result.effective_dof is None


@pytest.mark.parametrize(
    ("freedom", "confidence", "printed"),
    [
        (1, 0.6827, "1.84"), (1, 0.9545, "13.97"), (2, 0.95, "4.30"), (4, 0.99, "4.60"), (10, 0.9545, "2.28"),
        (16, 0.99, "2.92"), (50, 0.9545, "2.05"), (100, 0.9545, "2.025"),
        (None, 0.9545, "2.000"), (None, 0.9973, "3.000"),
    ],
)  # fmt: skip
def test_coverage_factors_of_the_gum(freedom: float | None, confidence: float, printed: str) -> None:
    """JCGM 100:2008, table G.2."""
    assert f"{coverage_factor(freedom, confidence):.{len(printed.partition('.')[2])}f}" == printed


def test_degrees_of_freedom_are_rounded_down() -> None:
    assert coverage_factor(16.99, 0.99) == coverage_factor(16, 0.99)


def test_depth_budget_of_a_good_gauge() -> None:
    """An indicator of 3 um error, 1 um resolution and 3 um repeatability."""
    found = depth_budget(GaugeIdentity(kind="manual"))
    printed = {
        "indication": "1.7", "resolution": "0.3", "repeatability": "3.0", "zero": "3.0", "contact deflection": "2.9",
        "tilt": "0.9", "temperature": "0.7",
    }  # fmt: skip
    assert {part.name: f"{part.u:.1f}" for part in found.contributions} == printed
    assert f"{found.combined:.1f}" == "5.5"
    assert f"{found.expanded:.0f}" == "11"
    assert f"{tur(TOLERANCE_UM, found):.0f}" == "9"
    assert f"{(TOLERANCE_UM - found.expanded) / 1e3:.3f}" == "0.089"


def test_the_pen_s_scatter_counts_once_it_is_larger() -> None:
    gauge = GaugeIdentity(kind="manual")
    assert depth_budget(gauge, 2.9) == depth_budget(gauge)
    scattering = depth_budget(gauge, 5.0, readings=90)
    assert scattering.contributions[-1].name == PEN_SCATTER
    assert scattering.contributions[-1].u == pytest.approx(4.0)  # 5^2 = 3^2 + 4^2
    assert scattering.combined == pytest.approx(math.hypot(depth_budget(gauge).combined, 4.0))
    assert scattering.effective_dof is not None and scattering.effective_dof > 90
    assert tur(TOLERANCE_UM, scattering) == tur(TOLERANCE_UM, depth_budget(gauge))  # which judges the gauge


def test_a_coarse_gauge_fails_the_ratio() -> None:
    assert (
        tur(TOLERANCE_UM, depth_budget(GaugeIdentity(kind="manual", error_um=15.0, repeatability_um=8.0)))
        < 4.0
    )
