"""Certificates (CR-04): what they say, as PDF and HTML, and whether one is genuine.

paths = make(calibration, folder)
checks = verify(number, code, database, pen)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from needlepen.calibration.certificate.making import Paths
    from needlepen.calibration.certificate.verifying import AskedPen, FieldCheck
    from needlepen.calibration.database.store import Database
    from needlepen.calibration.model import Calibration


def make(calibration: Calibration, folder: Path, history: Sequence[Calibration] = ()) -> Paths:
    """Write the certificate, or the refusal report, as PDF and HTML; see `making.make`."""
    from needlepen.calibration.certificate import making  # matplotlib takes 0.5 s

    return making.make(calibration, folder, history)


def verify(
    number: str, code: str | None, database: Database, pen: AskedPen | None = None
) -> list[FieldCheck]:
    """Compare all that is known of a certificate with each other; see `verifying.verify`."""
    from needlepen.calibration.certificate import verifying

    return verifying.verify(number, code, database, pen)
