"""CR-04 on a pen: a certificate is compared, field by field, with the record that the pen itself gives back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace

from support import calibrations as factory
from support.bench import MS, Pens
from support.forks import in_fork

from needlepen.calibration.certificate import verify
from needlepen.calibration.certificate.code import code
from needlepen.calibration.database import open_database
from needlepen.calibration.model import Calibration
from needlepen.emulator.factory_image import unique_id
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages
from needlepen.link.operations import Operations
from needlepen.records import making

PEN = unique_id(0).hex()
KEY = making.technician_key(making.development_keys(unique_id(0)).pen)
S = 1e9


@dataclass
class Asked:
    """An emulated pen in this process, with what `needlepen.Pen` offers."""

    pen: EmulatedPen
    unique_id: str = PEN

    @property
    def identity(self) -> SimpleNamespace:
        return SimpleNamespace(unique_id=self.unique_id)

    def read_calibration(self) -> bytes | None:
        return Operations.read_calibration(self.pen)  # type: ignore[arg-type]


def _differs(
    pens: Pens, tmp_path: Path, printed: Calibration, stored: Calibration, pen_id: str = PEN
) -> dict[str, bool | None]:
    """What `verify` says of the certificate `printed`, where the pen was given the record of `stored`."""
    database = str(tmp_path / "c.db")
    with open_database(database) as opened:
        opened.add(printed)

    def run(pen: EmulatedPen) -> dict[str, bool | None]:
        pen.command(messages.OPEN_SERVICE)
        pen.wait_state("service")
        pen.run_for(1_200 * MS)
        Operations.put_calibration(pen, bytes.fromhex(stored.record_hex))  # type: ignore[arg-type]
        pen.run_for(2 * S)
        with open_database(database) as opened:
            checks = verify(printed.number, code(printed, KEY), opened, Asked(pen, pen_id))
        return {check.name: check.agrees for check in checks}

    return in_fork(run, pens.ready())


def _wrong(found: dict[str, bool | None]) -> set[str]:
    return {name for name, agrees in found.items() if agrees is not True}


def _made() -> Calibration:
    return factory.calibration(1, pen=PEN)


def test_the_pen_confirms_its_certificate(pens: Pens, tmp_path: Path) -> None:
    made = _made()
    found = _differs(pens, tmp_path, made, made)
    assert _wrong(found) == set()
    assert {
        "pen: unique ID",
        "pen: authentic",
        "pen: certificate",
        "pen: points",
        "pen: whole record",
    } <= set(found)


def test_a_pen_with_another_calibration_is_found(pens: Pens, tmp_path: Path) -> None:
    """It was calibrated again: the old certificate does not speak of what the pen does now."""
    later = factory.calibration(7, seed=3, pen=PEN, day=date(2026, 6, 1))
    assert {"pen: certificate", "pen: points", "pen: day", "pen: whole record"} <= _wrong(
        _differs(pens, tmp_path, _made(), later)
    )


def test_another_pen_is_found(pens: Pens, tmp_path: Path) -> None:
    assert _wrong(_differs(pens, tmp_path, _made(), _made(), "e660000000000009")) == {"pen: unique ID"}


def test_a_withdrawn_pen_is_found(pens: Pens, tmp_path: Path) -> None:
    """A later calibration failed; what the pen has now is its withdrawal."""
    failed = factory.calibration(8, pen=PEN, bent_after_um=150.0, day=date(2026, 7, 1))
    assert {"pen: status", "pen: certificate"} <= _wrong(_differs(pens, tmp_path, _made(), failed))
