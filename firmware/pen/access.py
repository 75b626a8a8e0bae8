"""Who may ask for what over the port (SR-25), by the table of firmware/access.toml, and how long a role is held.

How a role is got is in pen.unlocking, which is in memory only while somebody asks for one. A development build gives
every role to whoever says hello: it says of itself that it is one, and takes none but development cartridges.
"""

import time

from micropython import const

from pen.roles import NEEDED, ROLES

_LEASE_MS = const(600_000)
_UNPLUGGED_MS = const(300)
_ENGINEER = const(3)


class Access:
    """`role`: what the host holds now. For pen.unlocking: `asked`: (role, nonce, time) of the challenge that waits for
    its answer, or None; `attempts`: wrong answers in a row, None before the record of them was read; `locked_ms`: since
    when nobody can unlock, if there were too many.
    """

    def __init__(self, development):
        self.attempts = None
        self.locked_ms = time.ticks_ms()  # after a reset a lock begins anew: nobody knows how long that took
        self._most = _ENGINEER if development else 0
        self._heard_ms = self._frame = self._frame_ms = 0
        self.drop(False)

    def drop(self, hello):
        """Give up the role. `hello`: a host begins; it holds nothing of what another one was given."""
        self.role = self._most if hello else 0
        self.asked = None

    def may(self, kind, now_ms):
        """None if the host may ask for this now, else why not. What is not in the table nobody may."""
        self._heard_ms = now_ms
        needed = NEEDED[kind] if kind < len(NEEDED) else 255
        if needed > _ENGINEER:
            return "unknown request"
        return None if needed <= self.role else "needs the role " + ROLES[needed]

    def watch(self, now_ms, frame):
        """Drop the role of a host that is gone. `frame`: number of the last USB frame; without a computer it stands."""
        if frame != self._frame:
            self._frame = frame
            self._frame_ms = now_ms
        if (
            time.ticks_diff(now_ms, self._frame_ms) >= _UNPLUGGED_MS
            or time.ticks_diff(now_ms, self._heard_ms) >= _LEASE_MS
        ):
            self.drop(False)
