"""Stores what the black box holds after a fault, as one record in flash. Imported when there is something to store.

The payload of the record: how the pen stood (HEAD), then the records of the ring that are sound, as they lie there; the
reader puts them in order by their times. `keep` is a job of the main loop.
"""

import struct

from micropython import const

from pen.store import envelope
from pen.store.numbers import (
    BLACK_BOX_FORMAT,
    BLACK_BOX_MARK,
    BLACK_BOX_PATH,
    BLACK_BOX_RECORD_BYTES,
    KIND_BLACK_BOX,
)

HEAD = "<BBHIIIIHHBBhhHII12s"
HEAD_NAMES = (
    "fault note boot log_sequence now_ms uptime_ms date_s rate_hz depth_um needles profile nose_dc winding_dc "
    "cell_mv blockers warnings application_hash"
)
RECORD_NAMES = (  # rates in 4 mHz, levels: of the GPIO, i2_sum: (mA)^2 / 1024 summed over the ticks, 30 bits
    "mark state stop_reason time_ms levels set_4mhz rate_4mhz current_ma cell_mv on_counts depth_um i2_sum"
)
_PATIENCE = const(400)  # passes, 2 s: the log goes first


def sound(ring):
    """The records of the ring that were written, as bytes."""
    mark = struct.pack("<H", BLACK_BOX_MARK)
    found = []
    for at in range(0, len(ring), BLACK_BOX_RECORD_BYTES):
        if ring[at : at + 2] == mark:
            found.append(bytes(ring[at : at + BLACK_BOX_RECORD_BYTES]))
    return b"".join(found)


def keep(app, now_ms, box, unique_id, application_hash):
    """Generator: store the frozen box as soon as the flash may be written, then let the box go on."""
    store, monitor = app.store, app.monitor
    passes = 0
    while not store.files.may_write or (store.log.pending and passes < _PATIENCE):
        passes += 1
        yield
    head = struct.pack(
        HEAD,
        box.frozen,
        app.supervisor.note,
        store.log.boot & 0xFFFF,
        store.log.last_sequence,
        now_ms,
        store.log.uptime_ms & 0xFFFF_FFFF,
        store.log.date_s,
        app.drive.rate_hz,
        store.settings.depth_um,
        app.cartridge.needles,
        app.profile,
        monitor.nose_dc,
        monitor.winding_dc,
        monitor.cell_mv,
        app.supervisor.blockers,
        app.warnings,
        application_hash[:12].encode(),
    )
    payload = head + sound(box.ring)
    yield
    record = envelope.pack(KIND_BLACK_BOX, BLACK_BOX_FORMAT, store.log.boot, unique_id, payload)
    store.files.write(BLACK_BOX_PATH, record)
    box.clear()
