"""Who is on the port? One HELLO, and what the different boards say to it."""

from __future__ import annotations

import re

from needlepen.errors import InfrastructureError, Refused
from needlepen.link.client import LinkClient, frames, kinds, messages
from needlepen.link.transport import Transport
from needlepen.link.values import Identity

REPEAT_S = 0.7
_OTHER_VERSION = re.compile(r"pen speaks protocol (\d+)")
_PROMPT = (b">>>", b"SyntaxError", b"raw REPL")
_FRAME = re.compile(rb"~([A-Za-z0-9+/=]+)")
_KEPT_NOISE = 400


class NotAPen(Refused):
    """Something answers, but not a pen. `is_prompt`: MicroPython's prompt."""

    def __init__(self, text: str, is_prompt: bool) -> None:
        super().__init__(text)
        self.is_prompt = is_prompt


class Greeting:
    """Identifies what is behind a transport. It writes nothing but HELLO frames."""

    def __init__(self, link: LinkClient, transport: Transport, url: str) -> None:
        self._link = link
        self._transport = transport
        self._url = url

    def identify(self, timeout_s: float, hellos: int = 100) -> Identity:
        """The pen's identity. HELLO is said again every 0.7 s of silence, at most `hellos` times in all.

        Raises InfrastructureError for silence, NotAPen for another board, Refused for another protocol version.
        """
        link, clock = self._link, self._transport.now_s
        echoes, noise = link.echoes, b""
        begun_s = said_s = clock()
        sequence = link.request(messages.HELLO, kinds.PROTOCOL_VERSION)
        while (reply := link.reply(sequence)) is None:
            now_s = clock()
            is_foreign = link.echoes > echoes or _is_prompt(noise)
            if is_foreign or now_s - begun_s >= timeout_s:
                raise self._nobody(noise, link.echoes > echoes, now_s - begun_s)
            if now_s - said_s >= REPEAT_S and hellos > 1:
                link.repeat()
                said_s, hellos = now_s, hellos - 1
            data = self._transport.read(min(0.05, max(0.001, begun_s + timeout_s - now_s)))
            heard = link.frames_heard
            link.feed(data)
            noise = b"" if link.frames_heard > heard else (noise + data)[-_KEPT_NOISE:]
        if reply.refused is not None:
            raise self._refused(reply.refused)
        identity = Identity.of(reply.fields)
        if identity.protocol_version != kinds.PROTOCOL_VERSION:
            raise self._refused(f"pen speaks protocol {identity.protocol_version}")
        return identity

    def _nobody(self, noise: bytes, echoed: bool, waited_s: float) -> Exception:
        if echoed or _is_prompt(noise):
            return NotAPen(
                f"{self._url}: MicroPython's prompt answers, not the pen's firmware, so nothing is sent to it; "
                "reset the board, or install the firmware with `needlepen flash`.",
                True,
            )
        if noise:
            return NotAPen(
                f"{self._url}: something answers, but no pen ({noise[:40]!r}), so nothing more is sent to it; "
                "`needlepen devices` lists what is there.",
                False,
            )
        return InfrastructureError(
            f"{self._url}: nothing answered within {waited_s:.1f} s; is it a pen, is it on, or does it hang? "
            "Reset it, and try again."
        )

    def _refused(self, reason: str) -> Refused:
        found = _OTHER_VERSION.search(reason)
        if found is None:
            return Refused(f"{self._url}: the pen does not want to talk: {reason}.")
        theirs, ours = int(found[1]), kinds.PROTOCOL_VERSION
        remedy = "update the pen (`needlepen update`)" if theirs < ours else "install a newer needlepen (pip)"
        return Refused(
            f"{self._url}: the pen speaks protocol {theirs}, this program {ours}: they would misunderstand each "
            f"other, so nothing is done; {remedy}."
        )


def _is_prompt(noise: bytes) -> bool:
    """Whether MicroPython's prompt sent this: its own words, or our request without the end of the line."""
    echoes = (frames.decode(line) for line in _FRAME.findall(noise))
    return any(sign in noise for sign in _PROMPT) or any(
        echo and echo[0] == messages.HELLO for echo in echoes
    )
