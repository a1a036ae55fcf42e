"""The two roles of a byte stream that HTTP has made way for: who carries the bytes, and who speaks on it.

A carrier is an HTTP/1.1 connection after 101 or an HTTP/2 stream after an extended CONNECT (RFC 9110 section 7.8,
RFC 8441); a speaker is WebSocket, or whatever else wants raw bytes. Plain base classes: compiled, a call through them
is one C call. Never here: protocols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.exchange.roles import Channel

if TYPE_CHECKING:
    from torana.wire.events import Fields


class Speaker:
    """Told by its carrier what happens; on the loop's thread."""

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""

    def drained(self) -> None:
        """What waited to be written fell below the low-water mark."""

    def expired(self, now: float) -> None:
        """The deadline set on the carrier has passed (monotonic seconds)."""

    def go_on(self) -> None:
        """The turn of the loop has come that ``come_back`` asked for."""

    def lost(self) -> None:
        """Nothing can be received or sent any more: the peer ended the stream, or it broke."""

    def stop(self) -> None:
        """The server is stopping or retires: say goodbye in your own way.

        Called again when the time for that is spent (tell whoever answers), and once more (cancel it).
        """

    def is_over(self) -> bool:
        """Whether whoever answers has ended too, so that nothing is left of it."""
        return True


class Carrier:
    """A byte stream, both ways; on the loop's thread."""

    def post(self, data: bytes) -> None:
        """Send a small piece, under load together with those of others (``base/burst``)."""
        raise NotImplementedError

    def write(self, head: bytes, data: Any) -> None:
        """Send two pieces in a row, the second (bytes-like) without a copy where that is possible."""
        raise NotImplementedError

    def is_full(self) -> bool:
        """Whether more is waiting to be written than the high-water mark."""
        raise NotImplementedError

    def set_reading(self, is_reading: bool) -> None:
        """Pause or resume."""
        raise NotImplementedError

    def set_deadline(self, at: float) -> None:
        """Have ``expired`` called once, about a second after ``at`` at the latest; 0 turns it off."""
        raise NotImplementedError

    def come_back(self) -> None:
        """Have ``go_on`` called when others have had their turns: whoever asks for it has had all of his.

        Of all such, one goes on in a turn of the loop, so that twenty of them cost the others no more than one does.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """End the stream properly once all that waits is written (FIN, END_STREAM); the speaker hears no more."""
        raise NotImplementedError

    def cut(self) -> None:
        """End it now, so that the peer sees the break (RST, RST_STREAM CANCEL); the speaker hears no more."""
        raise NotImplementedError

    def settled(self) -> None:
        """The speaker's ``is_over`` has become true."""
        raise NotImplementedError


class Upgradable(Channel):
    """The channel of an exchange that may end as a byte stream."""

    def upgrade(self, fields: Fields, speaker: Speaker) -> Carrier:
        """Answer that the protocol asked for takes over (101; 200 in HTTP/2) and give the stream to ``speaker``.

        The exchange is over for whoever answers, but is accounted for when the stream is. ``fields`` are those of the
        new protocol and of the application. The speaker hears nothing before this has returned.
        """
        raise NotImplementedError
