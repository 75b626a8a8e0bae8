"""A new program for a pen: bundles of it, and its way onto the pen."""

from needlepen.update.bundle import Bundle, make_bundle, read_bundle
from needlepen.update.transfer import Report, Sent, report, transfer

__all__ = ["Bundle", "Report", "Sent", "make_bundle", "read_bundle", "report", "transfer"]
