"""The chain of hashes over all records.

Each line of `audit` holds the SHA-256 of its own columns together with the hash of the line before. Who changes or
removes a line has to change all that follow, and whoever noted the last hash elsewhere notices even that.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from needlepen.calibration.database.tables import AuditRow

FIRST = "0" * 64
_HASHED = (
    "entry",
    "who",
    "what",
    "subject",
    "software",
    "firmware",
    "gauge",
    "note",
    "content_hash",
    "previous",
)


def line_hash(row: AuditRow) -> str:
    """What belongs into the row's column `hash`."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _HASHED}
    text = json.dumps({**values, "at": row.at.isoformat()}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
