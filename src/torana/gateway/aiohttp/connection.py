"""One connection in memory: aiohttp's own server protocol at one end, one exchange after the other at ours.

The protocol is what aiohttp's runner gives to ``loop.create_server``; its transport here is an object that hands the
bytes on instead of sending them. What a real transport does in the loop's next turn (``connection_lost``, more data
after a pause), this one does there too. Never here: which connection a request gets (``gateway``), HTTP.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.exchange.roles import Gateway
from torana.gateway.aiohttp.goodbye import Frames, goodbye
from torana.gateway.aiohttp.message import Memory, plain_message
from torana.gateway.aiohttp.turn import Turns
from torana.gateway.aiohttp.writer import fields_of
from torana.gateway.failure import log_warning
from torana.gateway.inner_http1 import InnerExchange
from torana.gateway.pipe import Pipe
from torana.wire.http1.client import ResponseReader

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints

#: How long the protocol's own way to end a handler may take when it is all that there is.
_SHUTDOWN_S = 0.01
#: What a real transport says of itself.
_HIGH_BYTES = 64 * 1024
_LOW_BYTES = 16 * 1024
_secure: list[ssl.SSLContext] = []


class Home(Gateway):
    """Who has the connections."""

    def over(self, connection: InnerConnection, is_reusable: bool) -> None:
        """An exchange has ended; its connection was closed or aborted, unless it is reusable."""
        raise NotImplementedError

    def is_leaving(self, connection: InnerConnection) -> None:
        """A connection is lost, whose handler may still run."""
        raise NotImplementedError

    def has_left(self, connection: InnerConnection) -> None:
        """Now it does not any more."""
        raise NotImplementedError


class InnerTransport:
    """What the protocol takes for its transport (``asyncio.Transport``)."""

    def __init__(self, connection: InnerConnection, endpoints: Endpoints) -> None:
        self.connection = connection
        self.endpoints = endpoints
        #: The protocol wants no more for now.
        self.is_paused = False
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Hand on a piece of the response."""
        if not self.is_closed:
            self.connection.exchange.received(data if type(data) is bytes else bytes(data))

    def writelines(self, pieces: Any) -> None:
        """As ``write``."""
        self.write(b"".join(pieces))

    def answer_whole(self, status: int, reason: bytes, headers: Any, body: bytes) -> bool:
        """For ``writer``: a response that needs no framing; False, and nothing done, when it is too late."""
        if self.is_closed:
            return False
        exchange = self.connection.exchange
        fields, keep_alive = fields_of(headers, exchange.own_server)
        exchange.answer_whole(status, reason, fields, body, keep_alive)
        return True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        """The protocol ends the connection."""
        if not self.is_closed:
            self.is_closed = True
            self.connection.left()

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self.connection.resumed()

    def is_reading(self) -> bool:
        return not self.is_paused and not self.is_closed

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("the connection cannot be half-closed")

    def get_write_buffer_size(self) -> int:
        """Nothing waits here; at the client's side it does when the protocol was told to pause."""
        return _HIGH_BYTES + 1 if self.connection.is_writing_paused else 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (_LOW_BYTES, _HIGH_BYTES)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """What waits for a client is bounded by the server."""

    def get_protocol(self) -> Any:
        return self.connection.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.connection.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts of the client's connection; ``socket`` is none of them."""
        endpoints = self.endpoints
        found: Any = None
        if name == "peername":
            found = endpoints.client
        elif name == "sockname":
            server = endpoints.server
            found = server[0] if server is not None and server[1] is None else server
        elif name == "sslcontext":
            found = _secure_context() if endpoints.scheme == "https" else None
        elif name == "torana.tls":
            found = endpoints.tls
        return default if found is None else found

    @property
    def _sendfile_compatible(self) -> Any:
        # Asked for by asyncio's ``loop.sendfile``; aiohttp takes this for "send it in pieces", as uvloop says itself.
        raise NotImplementedError("there is no socket to send a file to")


def _secure_context() -> ssl.SSLContext:
    """Some context: that there is one tells aiohttp that the connection is secure."""
    if not _secure:
        _secure.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    return _secure[0]


class InnerConnection(Pipe):
    """A protocol, its transport, and the exchange that it serves."""

    def __init__(
        self, home: Home, protocol: Any, endpoints: Endpoints, waiting: list[InnerConnection], loop: Any, server: bytes,
        prefixes: tuple[bytes, ...], turns: Turns | None = None,
    ) -> None:  # fmt: skip
        self.home = home
        self.protocol = protocol
        #: Where it waits for the next request, with others of the same client.
        self.waiting = waiting
        self.transport: InnerTransport = InnerTransport(self, endpoints)
        self.exchange = Call(self)
        self.exchange.own_server = server
        self.exchange.early_status = 500
        self.exchange.prefixes = prefixes
        #: When it last became idle, by the gateway's clock.
        self.since = 0.0
        self.is_writing_paused = False
        #: The protocol was told that it has lost its connection, or is about to be.
        self.is_lost = False
        #: Runs until the last handler has ended; None where the version does not let us know.
        self.task: Any = None
        #: For requests that need not go by bytes; None where all have to.
        self.turns = turns
        self._memory = Memory()
        #: A handler has its turn.
        self.has_turn = False
        self._waiting_task: Any = None
        #: Something was written to the protocol.
        self._has_written = False
        #: Reusable as soon as the turn is over.
        self._is_reusable = False
        self._loop = loop

    def open(self) -> None:
        """Connect; in the context that the handlers are to have."""
        self.protocol.connection_made(self.transport)
        self.task = self._waiting_task = getattr(self.protocol, "_task_handler", None)

    def is_ready(self) -> bool:
        """Whether another request may be given to it: no handler is at work on the last one, also not behind its
        answer, where the next would wait for it.
        """
        if self.is_lost or self.transport.is_closed:
            return False
        # Between the handler's return and the protocol's wait for the next request lie some turns of the loop.
        return getattr(self.protocol, "_current_request", self) is None or self.is_waiting()

    def is_waiting(self) -> bool:
        """Whether the protocol waits for a request."""
        if self.is_lost or self.transport.is_closed or self.has_turn:
            return False
        waiter = getattr(self.protocol, "_waiter", None)
        return waiter is not None and not waiter.done()

    # Requests without bytes

    def take(self, request: Request, response: Response) -> bool:
        """Give the request to its handler without writing it down; False when it has to be written."""
        turns = self.turns
        head = request.head
        if turns is None or head.content_length != 0 or head.upgrade is not None:
            return False
        # Never before the protocol is done with what it was told by bytes.
        if self._has_written and not self.is_waiting():
            return False
        call = self.exchange
        message = plain_message(head, call.prefixes, turns.message_type, self._memory)
        if message is None:
            return False
        is_head = head.method == "HEAD"
        call.take_on(request, response)
        call.reader.begin(is_head)
        self.has_turn = True
        task = turns.begin(self, self.protocol, message, is_head)
        if task is not None and self.has_turn:
            self.task = task
        return True

    def turn_over(self) -> None:
        """The handler has ended."""
        self.has_turn = False
        self.task = self._waiting_task
        if self._is_reusable:
            self._is_reusable = False
            if not self.is_lost and not self.transport.is_closed:
                self.home.over(self, True)

    def answered(self, is_reusable: bool) -> None:
        """The exchange is over; the handler may be at work behind it."""
        if is_reusable and self.has_turn:
            self._is_reusable = True
        else:
            self.home.over(self, is_reusable)

    # Told by the exchange

    def write(self, data: bytes) -> None:
        if not self.is_lost:
            self._has_written = True
            self.protocol.data_received(data)

    def set_reading(self, is_reading: bool) -> None:
        if self.is_writing_paused == is_reading and not self.is_lost:
            self.is_writing_paused = not is_reading
            if is_reading:
                self.protocol.resume_writing()
            else:
                self.protocol.pause_writing()

    def is_full(self) -> bool:
        return self.transport.is_paused

    def close(self) -> None:
        if not self.is_lost:
            self._loop.call_soon(self._close)

    def abort(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._loop.call_soon(self._lose)

    # Told by the transport

    def left(self) -> None:
        """The protocol has closed its end."""
        self._loop.call_soon(self._left)

    def resumed(self) -> None:
        """The protocol wants more of the request."""
        self._loop.call_soon(self._resumed)

    def _resumed(self) -> None:
        self.exchange.drained()

    def _left(self) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        self.exchange.ended()
        self._lose()

    def _close(self) -> None:
        if self.is_lost or self.transport.is_closed:
            return
        if self.is_waiting():
            self.is_lost = True
            self._lose()
        else:
            # It closes when its handler has ended.
            self.protocol.close()

    def _lose(self) -> None:
        self.transport.is_closed = True
        self.home.is_leaving(self)
        task = self.task
        if task is not None and not task.done():
            task.add_done_callback(self._ended)
        else:
            self._ended(task)
        self.protocol.connection_lost(None)

    def _ended(self, task: Any) -> None:
        """The last handler has ended."""
        self.task = None
        self.home.has_left(self)

    def cancel(self) -> None:
        """Cancel the handler."""
        if self.task is not None:
            self.task.cancel()
        else:
            self._loop.create_task(self.protocol.shutdown(_SHUTDOWN_S))


class Call(InnerExchange):
    """An exchange of aiohttp's, and its time."""

    def __init__(self, connection: InnerConnection) -> None:
        super().__init__(connection, None, ResponseReader())
        self.connection = connection
        #: The application's time, and when it is over (monotonic seconds; 0: never); kept by ``watch``.
        self.limit_s = 0.0
        self.deadline = 0.0
        self.looked = 0.0
        self.seen = 0
        self.frames: Frames | None = None
        #: The client's connection ends with it.
        self.is_last = False
        self._is_told = False

    def begin(self, request: Request, response: Response, limit_s: float) -> None:
        """``start``, with a limit of time; 0 for none."""
        self._is_told = False
        self.frames = None
        head = request.head
        self.is_last = not head.keep_alive and head.version != "2"
        self.limit_s = limit_s
        if limit_s:
            self.looked = time.monotonic()
            self.deadline = self.looked + limit_s
            self.seen = 0
        if not self.connection.take(request, response):
            self.start(request, response)

    def say_over(self, is_reusable: bool) -> None:
        self.connection.answered(is_reusable)

    def stop(self) -> None:
        """First time: what streams is cut, and its handler hears of it by writing. Second time: the handler is
        cancelled.
        """
        if not self._is_told:
            self._is_told = True
            if self.response is not None and self.response.is_begun():
                self.fail(503)
        else:
            self.end_with(503)

    def end_with(self, status: int) -> None:
        """Answer this, or cut what has begun, and cancel the handler."""
        self.fail(status)
        self.connection.cancel()

    def is_left_open(self) -> bool:
        """Whether the handler has ended without completing its answer, such as one shorter than its length.

        aiohttp does not mind, and waits for the next request.
        """
        return self.carrier is None and not self.is_over and self.connection.is_waiting()

    def complain(self) -> None:
        """Say so, and cut the answer."""
        request = self.request
        if request is not None:
            log_warning("The application ended without completing its response", request.head)
            self.fail(500)

    # A WebSocket

    def pass_in(self, data: bytes) -> None:
        """As ``InnerExchange``; keeps account of where the client's frames end."""
        if self.frames is None:
            self.frames = Frames()
        self.frames.count(data)
        InnerExchange.pass_in(self, data)

    def stop_tunnel(self) -> None:
        """First time: as if the client went away in order. Second time: it is gone. Third time: cancel."""
        if not self._is_told:
            self._is_told = True
            if self.frames is None or self.frames.is_between():
                self.connection.write(goodbye(1001))
        else:
            self.end_with(503)
