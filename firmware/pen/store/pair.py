"""A record in two copies, written in turn: whatever happens during a write, the other copy is whole.

A refused copy is renamed to .bad before its place is used again (one is kept for each copy). If any copy was written
by newer firmware, nothing is used and nothing is overwritten: going back to that firmware finds it again.
"""

from pen.store import envelope
from pen.store.numbers import DAMAGED, EMPTY, MISSING, NEWER_FORMAT, NOT_READ_BACK, OK, WRITE_FAILED

_COPIES = ("a", "b")


class Pair:
    """`reasons`: why each copy is refused, OK if it is sound. `set_aside`: how many were renamed so far."""

    def __init__(self, files, kind, version, unique_id):
        self._files = files
        self.kind = kind
        self._version = version
        self._unique_id = unique_id
        self._paths = tuple("/data/%s.%s" % (envelope.KIND_NAMES[kind], copy) for copy in _COPIES)
        self.reasons = [MISSING, MISSING]
        self._sequence = 0
        self._newest = 1
        self.set_aside = 0

    def load(self):
        """The newest sound payload; None if there is none, or if newer firmware wrote a copy. Writes nothing."""
        best = None
        for copy in (0, 1):
            reason, sequence, payload = self._read(copy)
            self.reasons[copy] = reason
            if payload is not None and (best is None or sequence > self._sequence):
                best, self._sequence, self._newest = payload, sequence, copy
        return None if self.newer else best

    def _read(self, copy):
        try:
            data = self._files.read(self._paths[copy])
        except OSError:
            return DAMAGED, 0, None
        return envelope.parse(data, self.kind, self._version, self._unique_id)

    @property
    def newer(self):
        """True if newer firmware wrote a copy: the record is then read only."""
        return NEWER_FORMAT in self.reasons

    @property
    def reason(self):
        """Why there is no payload, from the more telling of the two copies; OK if there is one."""
        if self.newer:
            return NEWER_FORMAT
        first, second = self.reasons
        if OK in self.reasons:
            return OK
        return second if first in (MISSING, EMPTY) else first

    def refuse(self, reason):
        """The envelope of the newest copy is sound but its payload is not: treat the copy as refused.

        Returns the other copy's payload if that is sound, else None.
        """
        self.reasons[self._newest] = reason
        other = 1 - self._newest
        self._newest = other
        if self.reasons[other] != OK:
            return None
        its_reason, _, payload = self._read(other)
        self.reasons[other] = its_reason
        return payload

    def save(self, payload):
        """Write the older copy and read it back. Returns OK or what went wrong; the newer copy stays whole."""
        if self.newer:
            return NEWER_FORMAT
        sound = self.reasons[self._newest] == OK
        copy = 1 - self._newest if sound else self._newest
        path = self._paths[copy]
        try:
            if self.reasons[copy] not in (OK, MISSING, EMPTY):
                self._files.rename(path, path + ".bad")
                self.set_aside += 1
            self.reasons[copy] = MISSING
            data = envelope.pack(self.kind, self._version, self._sequence + 1, self._unique_id, payload)
            self._files.write(path, data)
            if self._files.read(path) != data:
                self.reasons[copy] = NOT_READ_BACK
                return NOT_READ_BACK
        except OSError:
            self.reasons[copy] = DAMAGED
            return WRITE_FAILED
        self._sequence += 1
        self._newest = copy
        self.reasons[copy] = OK
        return OK

    def save_both(self, payload):
        """Write both copies, one after the other. Returns OK or what went wrong."""
        return self.save(payload) or self.save(payload)
