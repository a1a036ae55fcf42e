"""The roles an exchange talks to, so that nothing here imports upwards (law A).

``Channel`` is played by ``serve`` (it owns the wire and the transport), ``Gateway`` and ``Answerer`` by whoever
answers: one gateway an application, one answerer a request. All are plain base classes: compiled, a call through them
is one C call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from torana.base.burst import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from torana.wire.events import Fields, WireError


class Channel(Sender):
    """Way out of an exchange, and the valve of its way in."""

    def respond(self, status: int, reason: bytes | None, fields: Fields, length: int, data: Any, is_end: bool) -> None:
        """Write the response head and the first body data.

        ``length``: bytes of body that will follow in all; -1 when unknown; -2 when the message has no body at all
        (1xx, 204, 304 and the answer to HEAD): then ``fields`` already hold what may be said of the length.
        """
        raise NotImplementedError

    def write(self, data: Any, is_end: bool) -> None:
        """Write body data after the head; ``is_end`` ends the message."""
        raise NotImplementedError

    def write_file(self, fd: int, offset: int, count: int, is_end: bool) -> None:
        """Write ``count`` (> 0) bytes of a file after the head; the channel owns ``fd`` from here and closes it."""
        raise NotImplementedError

    def write_trailers(self, fields: Fields) -> None:
        """Write the trailer section and end the message."""
        raise NotImplementedError

    def inform(self, status: int, fields: Fields) -> None:
        """Write an interim response (1xx) now, ahead of the head (RFC 9110 section 15.2)."""
        raise NotImplementedError

    def abort(self) -> None:
        """Cut the message so that the client sees it is incomplete."""
        raise NotImplementedError

    def want_body(self) -> None:
        """Body data is wanted: say 100 (Continue) if the client waits for it, and read on if reading was paused."""
        raise NotImplementedError

    def is_full(self) -> bool:
        """Whether more is waiting to be written than the high-water mark: the writer should pause."""
        raise NotImplementedError

    def ended(self) -> None:
        """The application has ended, some time after its answer or before: what it occupied is free again."""

    def refuse(self, error: WireError) -> None:
        """Answer this in the application's place, and note why; whoever answers hears that he is not wanted."""
        raise NotImplementedError

    # Of what is kept for whoever answers; all of it counts until the exchange is over

    def keep(self, size: int) -> bool:
        """``size`` bytes of the request are kept in memory, all in all; False: rather put them aside."""
        return True

    def spool(self, more: int) -> bool:
        """``more`` bytes of the request go to disk, or are gone from there if negative; on any thread.

        False: there is no room for them.
        """
        return True

    # For gateways that answer on a thread of their own

    def lend(self) -> None:
        """From here until ``give_back`` one thread other than the loop's owns the connection; the loop leaves it alone.

        Called on the loop's thread when the request is complete. The thread may then call everything above but
        ``want_body``.
        """
        raise NotImplementedError

    def wait_drained(self) -> None:
        """Block the owning thread until less waits to be written than the low-water mark.

        Raises ``ClientDisconnected`` when the client is gone or takes nothing for too long.
        """
        raise NotImplementedError

    def raw(self) -> RawStream | None:
        """Let go of HTTP: the connection as a stream for the application, from here until ``give_back`` closes it.

        For the owning thread, or another one while that is in the application; nothing was answered yet. None when
        the connection carries more than this exchange (HTTP/2).
        """
        return None

    def give_back(self) -> None:
        """Return the connection to the loop; the answer is complete or aborted. What is unsent, the loop sends."""
        raise NotImplementedError

    def leave(self) -> None:
        """``give_back``, by whoever ends a burst of answers (``base/burst``): the thread, or the loop for it."""
        self.give_back()


class RawStream(Protocol):
    """A connection that HTTP has left to the application; blocks the thread that uses it, and no other.

    ``timeout_s`` None waits as long as it takes, 0 raises ``BlockingIOError`` rather than wait.
    """

    def recv(self, size: int, timeout_s: float | None) -> bytes:
        """Up to ``size`` bytes; b"" at the end."""
        ...

    def send(self, data: Any, timeout_s: float | None) -> int:
        """Send all of it; less only after a timeout."""
        ...

    def fileno(self) -> int:
        """A descriptor that is readable when ``recv`` would not wait."""
        ...

    def option(self, level: int, name: int, *value: Any) -> Any:
        """Set or get a socket's option."""
        ...

    def finish(self) -> None:
        """Send nothing more."""
        ...

    def close(self) -> None:
        """Send and receive nothing more."""
        ...

    def stop(self) -> None:
        """Cut it, and wake all that wait; from any thread, and without waiting."""
        ...

    def end(self) -> None:
        """The application has returned: whoever still uses it finds it closed."""
        ...


class Answerer:
    """Whoever answers; called by the channel's side on the loop's thread."""

    def body_arrived(self) -> None:
        """Body data or the body's end has been added to the request."""

    def drained(self) -> None:
        """What waited to be written fell below the low-water mark."""

    def disconnected(self) -> None:
        """The client is gone, or the response is complete and nobody reads the request any more."""

    def stop(self) -> None:
        """The server is stopping and the time given to running requests is spent: end now."""


class Witness:
    """Sees the head of an answer leave, and may add fields to it; on the thread that answers."""

    def leaving(self, response: Any, fields: Fields, data: Any) -> Fields:
        """The fields to send: ``fields``, or a new list. ``data``: the body data that leave with the head."""
        return fields


class Link:
    """Way out of a conversation (``duplex``), and the valve of its way in. Called on the loop's thread."""

    def open(self, subprotocol: str | None, fields: Fields) -> None:
        """Complete the handshake; ``fields`` are checked, and none of them is the handshake's own."""
        raise NotImplementedError

    def send(self, data: Any) -> None:
        """Send one message: ``str`` as text, ``bytes`` as binary."""
        raise NotImplementedError

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and complete the closing handshake; what is wrong in ``reason`` was cut off."""
        raise NotImplementedError

    def want_messages(self) -> None:
        """There is room again for messages: read on."""
        raise NotImplementedError

    def is_full(self) -> bool:
        """Whether more is waiting to be written than the high-water mark: the sender should pause."""
        raise NotImplementedError

    def ended(self) -> None:
        """The application has ended."""
        raise NotImplementedError


class Gateway:
    """Answers exchanges for one application."""

    def gateway_of(self, request: Any) -> Gateway:
        """Who answers this request: another one where several applications are served. ``answer`` and ``converse`` of
        this one lead to the same; only who asks ``takes_...`` for one request has to know.
        """
        return self

    def takes_conversations(self) -> bool:
        """Whether WebSocket handshakes become conversations; otherwise they are requests like all others."""
        return False

    def takes_tunnels(self) -> bool:
        """Whether it answers WebSocket handshakes as requests whose response may ``upgrade``, in both versions.

        Over HTTP/2 the method of such a request is CONNECT, and it has no key (RFC 8441).
        """
        return False

    def converse(self, duplex: Any) -> None:
        """Begin to answer a WebSocket handshake: set ``duplex.answerer`` and return at once; must not raise.

        ``duplex`` is an ``exchange.duplex.Duplex``. Called on the loop's thread.
        """
        raise NotImplementedError

    def answer(self, request: Any, response: Any) -> None:
        """Begin to answer: set ``request.answerer`` and return at once. Called on the loop's thread.

        ``request`` is an ``exchange.request.Request``, ``response`` an ``exchange.response.Response``.
        Must not raise: what goes wrong becomes a 500 or an aborted message.
        """
        raise NotImplementedError

    def share_turns(self, turn: Callable[[], None]) -> Callable[[], None] | None:
        """How threads of its own may do turns of the loop; None: they may not.

        ``turn()`` serves what is ready, on whatever thread, one at a time and only while the loop's own stands still:
        in what is returned, which is called there after each batch. Called once, after ``startup``.
        """
        return None

    def tick(self, now_s: float) -> None:
        """Called about once a second on the loop's thread, with the monotonic clock."""

    def running(self) -> int:
        """How many requests are being answered or wait to be."""
        return 0

    def waiting(self) -> int:
        """How many of them nobody has begun to answer."""
        return 0

    # The life of an application, in this order. It was loaded before the loop, on the main thread.

    async def startup(self) -> None:
        """Make ready before the first connection is accepted; raises ``LoadError`` when the application refuses."""

    async def ready(self) -> None:
        """Connections are accepted from here on; never raises."""

    async def begin_drain(self) -> None:
        """No new connections come; what is open may still finish. An application that has words of its own for its
        open sockets says them now. Called once, also when the server retires; bounded in time; never raises.
        """

    async def drained(self) -> None:
        """The last exchange is over, or its time is; never raises."""

    async def shutdown(self) -> None:
        """Called once, after ``drained``; never raises. Also called when a start failed behind ``startup``."""
