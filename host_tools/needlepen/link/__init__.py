"""The host's end of the link to a pen; the firmware's `pen.link` declares frames and messages.

`LinkClient` works over any stream of bytes, `Pen` and `AsyncPen` over a port.
"""

from needlepen.link.client import LinkClient
from needlepen.link.values import About, Identity, Reply, Status, Telemetry

__all__ = ["About", "Identity", "LinkClient", "Reply", "Status", "Telemetry"]
