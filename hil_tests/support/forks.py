"""Snapshots of an emulated pen by fork, for the tests; the tools use the same."""

from needlepen.emulator.forks import TIMEOUT_S, ChildFailedError, Forks, each_in_fork, in_fork

__all__ = ["TIMEOUT_S", "ChildFailedError", "Forks", "each_in_fork", "in_fork"]
