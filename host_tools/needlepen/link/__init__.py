"""The host's end of the link to a pen; the firmware's `pen.link` declares frames and messages."""

from needlepen.link.client import LinkClient, Reply, Telemetry

__all__ = ["LinkClient", "Reply", "Telemetry"]
