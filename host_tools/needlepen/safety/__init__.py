"""What must never happen, whatever breaks: one definition, and the runs that look for it."""

from needlepen.safety.unsafe import Unsafe, unsafe
from needlepen.safety.witness import Witness

__all__ = ["Unsafe", "Witness", "unsafe"]
