"""What an operator sets on a pen, from the host: checked, applied as a whole or not at all, kept in files, undone."""

from needlepen.config.apply import Talks, apply, read
from needlepen.config.model import NAMES, parse_assignments, validated

__all__ = ["NAMES", "Talks", "apply", "parse_assignments", "read", "validated"]
