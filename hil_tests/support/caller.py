"""A host at the console of a pen: requests of any shape, also such as `needlepen.Pen` would never send."""

from __future__ import annotations

import struct
from typing import Any

from needlepen.access import Role, answer, role_key
from needlepen.access.keys import Key
from needlepen.link.client import LinkClient, frames, kinds, messages
from needlepen.link.values import Reply, Telemetry
from needlepen.records import making
from support.targets.protocols import Console

WAIT_S, SLICE_S, REPEAT_S = 5.0, 0.05, 0.7
_MOST_SLICES = 200


class Caller:
    """One host. `frames`: the telemetry that has come, in order; `unique_id`: the pen's, as it says to `greet`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._client = LinkClient(console.write)
        self._client.on_telemetry(lambda frame: self.frames.append(frame))
        self._number = 0
        self.frames: list[Telemetry] = []
        self.unique_id = ""

    @property
    def heard(self) -> int:
        """How many frames of any kind the pen has sent."""
        return self._client.frames_heard

    def now_s(self) -> float:
        """The console's clock."""
        return self._console.now_s()

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self._console.write(data)

    def listen(self, seconds: float, number: int | None = None) -> bytes:
        """What comes in some time, or until the answer to the request of a number."""
        end_s, heard = self.now_s() + seconds, b""
        while self.now_s() < end_s and (number is None or self._client.reply(number) is None):
            heard += self._take(SLICE_S)
        return heard

    def _take(self, timeout_s: float) -> bytes:
        data = self._console.read(timeout_s)
        self._client.feed(data)
        return data

    # ------------------------------------------------------------------ requests
    def answer(self, kind: int, body: bytes = b"", wait_s: float = WAIT_S) -> Reply | None:
        """Ask with any kind of request and any body; None if no answer comes. Said again meanwhile: it counts once."""
        self._number = number = (self._number + 1) & 0xFF
        end_s = self.now_s() + wait_s
        while self._client.reply(number) is None and self.now_s() < end_s:
            self.write(frames.encode(kind, number, body))
            self.listen(min(REPEAT_S, wait_s), number)
        return self._client.reply(number)

    def refusal(self, kind: int, body: bytes = b"") -> str | None:
        """Why the pen refuses a request; None if it does not. A pen that gives no answer fails the test."""
        reply = self.answer(kind, body)
        assert reply is not None, f"the pen does not answer a request of kind 0x{kind:02X}"
        return reply.refused

    def command(self, kind: int, *values: Any) -> dict[str, Any]:
        """A request that must not be refused; the fields of its answer."""
        reply = self.answer(kind, messages.pack(kind, *values))
        assert reply is not None, f"the pen does not answer {messages.MESSAGES[kind][0]!r}"
        assert reply.refused is None, f"{messages.MESSAGES[kind][0]!r}: {reply.refused}"
        return reply.fields

    def greet(self) -> None:
        """Say hello: a development build gives every role for it. What a host before wanted to be told ends."""
        self.unique_id = self.command(messages.HELLO, kinds.PROTOCOL_VERSION)["unique_id"].hex()
        self.command(messages.SUBSCRIBE, 0, 0)

    # ------------------------------------------------------------------ roles
    def challenge(self, role: Role) -> dict[str, Any]:
        """Ask for a role: the nonce to answer, and for how long nobody can unlock."""
        return self.command(messages.GET_CHALLENGE, int(role))

    def right(self, role: Role, nonce: bytes, unique_id: str | None = None) -> bytes:
        """The answer to a challenge by the published development key of this pen, or of another one."""
        whose = unique_id or self.unique_id
        key = role_key(Key(making.development_keys(bytes.fromhex(whose)).pen), role)
        return answer(key, self.unique_id, role, nonce)

    def give(self, role: Role, given: bytes) -> str | None:
        """Answer the last challenge; the refusal."""
        return self.refusal(messages.UNLOCK, messages.pack(messages.UNLOCK, int(role), given))

    def take(self, role: Role) -> bytes:
        """Get a role by the right answer, which is returned; for none, give up what is held."""
        if role is Role.NONE:
            self.command(messages.LOCK)
            return b""
        given = self.right(role, bytes(self.challenge(role)["nonce"]))
        refused = self.give(role, given)
        assert refused is None, f"the right answer for {role.name.lower()}: {refused}"
        return given

    # ------------------------------------------------------------------ time
    def fresh(self) -> Telemetry:
        """The newest frame of telemetry, after which nothing waits to be read. Wants telemetry that flows."""
        for _ in range(_MOST_SLICES):
            count = len(self.frames)
            self._take(SLICE_S)
            if len(self.frames) > count and not self._take(0.0):
                return self.frames[-1]
        raise AssertionError("no telemetry comes")

    def answered_in_ms(self, kind: int, body: bytes = b"") -> tuple[float, Reply]:
        """How long an answer took by the console's clock, what the host needs for it included, and the answer."""
        begun_s = self.now_s()
        reply = self.answer(kind, body)
        took_ms = 1e3 * (self.now_s() - begun_s)
        assert reply is not None, f"the pen does not answer a request of kind 0x{kind:02X}"
        return took_ms, reply


def greeted(console: Console, period_ms: int = 0) -> Caller:
    """A host that has said hello, with telemetry every `period_ms` if that is not 0."""
    made = Caller(console)
    made.greet()
    if period_ms:
        made.command(messages.SUBSCRIBE, period_ms, 60_000)
    return made


def odd_body(kind: int) -> bytes:
    """A body of a length that no pen takes for this kind of request, so that nothing can come of it."""
    size = struct.calcsize(messages.MESSAGES[kind][1]) if kind in messages.MESSAGES else 0
    return bytes(2 if size == 1 else 1)
