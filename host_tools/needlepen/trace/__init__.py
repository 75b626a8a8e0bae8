"""Traceability: hazard - requirement - limit - symbol of the code - test - last result, both ways.

The links are found in the sources and never listed a second time: limits as constants of the firmware, requirements
named by tables, docstrings and comments, and what tests measure. `needlepen.trace.gaps` names what has no counterpart.
"""

from needlepen.trace.gaps import gaps
from needlepen.trace.model import Gap, Project, Trace
from needlepen.trace.reading import read

__all__ = ["Gap", "Project", "Trace", "gaps", "read"]
