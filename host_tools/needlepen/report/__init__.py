"""The report of a run: a folder with one self-contained page, measurements as data, scenario and trace."""

from needlepen.report.folder import write
from needlepen.report.terminal import summary

__all__ = ["summary", "write"]
