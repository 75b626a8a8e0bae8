"""What may be wrong with this computer or a pen, why, and what to do about it: one small function for each check."""

from needlepen.doctor.model import NOTE, OK, PROBLEM, WARNING, Computer, Finding
from needlepen.doctor.run import CHECKS, examine, exit_code

__all__ = ["CHECKS", "NOTE", "OK", "PROBLEM", "WARNING", "Computer", "Finding", "examine", "exit_code"]
