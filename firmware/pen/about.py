"""What the pen says about itself when it is asked in detail. Imported only then."""

import sys

from micropython import const

from pen.build_info import BUILD_KIND, REVISION
from pen.link import messages as m
from pen.link.kinds import ABOUT
from pen.states import BLOCK_CALIBRATION_EXPIRED, WARN_CALIBRATION_DUE
from pen.store.numbers import EMPTY, MISSING
from pen.store.reason_texts import text

_NONE, _VALID, _DUE, _EXPIRED, _REFUSED = const(0), const(1), const(2), const(3), const(4)


def body(app):
    """The body of the ABOUT frame."""
    store = app.store
    development = BUILD_KIND == "development"
    return m.pack(
        ABOUT,
        ".".join([str(n) for n in sys.implementation.version[:3]]).encode(),
        REVISION.encode(),
        app.host.access.role,
        _calibration(store),
        1 if store.keys else 0,
        1 if development else 0,
        store.log.uptime_ms // 1000,
        store.counters.boots,
        text(store.calibration_reason).encode() if store.calibration is None else b"",
    )


def _calibration(store):
    if store.calibration is None:
        return _NONE if store.calibration_reason in (MISSING, EMPTY) else _REFUSED
    if store.blockers & BLOCK_CALIBRATION_EXPIRED:
        return _EXPIRED
    return _DUE if store.warnings & WARN_CALIBRATION_DUE else _VALID
