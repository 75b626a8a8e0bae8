"""What a technician waits for: a whole calibration by the command, of an emulated pen in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from needlepen.errors import InfrastructureError

WHOLE_S = 180.0
"""Goal of the project for the emulated pen with its simulated gauge."""
_SEED = "32"
_TIP_OFFSET_UM = 40
_TIMEOUT_S = 600


def whole_s() -> float:
    """Wall time of `needlepen calibrate`, s, from its start to the certificate."""
    with tempfile.TemporaryDirectory() as folder:
        around = os.environ | {
            f"NEEDLEPEN_{name}": str(Path(folder) / name.lower())
            for name in ("STATE", "DATA", "CONFIG", "KEYS")
        }
        around["NEEDLEPEN_DATABASE"] = f"sqlite:///{Path(folder) / 'calibrations.db'}"
        with _emulated(around):
            begun_s = time.perf_counter()
            command = [sys.executable, "-m", "needlepen", "calibrate", "--yes", "--json", "--out", folder]
            done = subprocess.run(
                command, env=around, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
            took_s = time.perf_counter() - begun_s
        if done.returncode or not json.loads(done.stdout)["accepted"]:
            raise InfrastructureError(f"The calibration did not end as it should: {done.stderr.strip()}")
        return took_s


@contextmanager
def _emulated(around: Mapping[str, str]) -> Iterator[None]:
    """A pen with the dummy cartridge and its gauge, until the end."""
    command = [sys.executable, "-m", "needlepen", "emulate", "--cartridge", "dummy", "--seed", _SEED]
    worn = ["--worn", f"tip_offset_um={_TIP_OFFSET_UM}", "--json"]
    with subprocess.Popen([*command, *worn], env=around, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise InfrastructureError("needlepen emulate did not start.")
            yield
        finally:
            process.terminate()
