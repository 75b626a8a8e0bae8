"""Stock rp2040py on a guest program: `python -m needlepen.benchmark.stock UF2 WORKLOAD WALL_S` prints its pace.

A process of its own, because needlepen replaces modules of rp2040py in the process that uses its engine.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from needlepen.benchmark.workloads import WORKLOADS

BOOT_TIMEOUT_S = 60.0
SETTLE_S = 3.0


async def _pace(uf2: str, workload: str, wall_s: float) -> float:
    from rp2040py.boards import BoardSpec, FlashLayout
    from rp2040py.device import MicroPythonDevice

    layout = FlashLayout(fs_start=0xA0000, fs_blockcount=352, fs_blocksize=4096)
    device = MicroPythonDevice(board=BoardSpec(image=uf2, layout=layout))
    await device.astart(BOOT_TIMEOUT_S)
    running = device.exec_async(WORKLOADS[workload], timeout=None)
    await asyncio.sleep(SETTLE_S)
    clock = device.simulator.clock
    device_ns, wall = clock.nanos, time.perf_counter()
    await asyncio.sleep(wall_s)
    pace = (clock.nanos - device_ns) / 1e9 / (time.perf_counter() - wall)
    running.cancel()
    device.stop()
    return pace


def main() -> None:
    """Print {"pace": device seconds per wall second}."""
    uf2, workload, wall_s = sys.argv[1:]
    print(json.dumps({"pace": asyncio.run(_pace(uf2, workload, float(wall_s)))}), flush=True)


if __name__ == "__main__":
    main()
