"""Access to pens (SR-25): their keys on this computer, roles, and the answer to a pen's challenge.

from needlepen.access import unlock
unlock(pen, "technician")          # by the key that this computer keeps for the pen
"""

from needlepen.access.keys import Key, PenKeys, Role, role_key
from needlepen.access.keystore import KeyStore, open_store
from needlepen.access.unlocking import answer, unlock

__all__ = ["Key", "KeyStore", "PenKeys", "Role", "answer", "open_store", "role_key", "unlock"]
