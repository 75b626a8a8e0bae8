"""Scenario files: what happens to the emulated pen, and what must come of it."""

from needlepen.scenario.loader import load, names
from needlepen.scenario.model import Scenario, Step

__all__ = ["Scenario", "Step", "load", "names"]
