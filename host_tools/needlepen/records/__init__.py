"""The records of a pen on the host: read and written with the firmware's own modules, on a file system image."""

from needlepen.records.image_files import ImageFiles
from needlepen.records.log import LoggedEvent, read_log

__all__ = ["ImageFiles", "LoggedEvent", "read_log"]
