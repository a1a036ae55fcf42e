"""What a handler writes: Tornado's ``HTTPConnection``, over one response.

Documented are ``write_headers``, ``write`` and ``finish``; ``RequestHandler`` and applications ask for the rest. What
contradicts the head is never sent: it becomes a 500, or cuts what has begun. Never here: the request (``call``), what
a response may be (``exchange``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPOutputError
from tornado.iostream import StreamClosedError

from torana.base.headers import is_field_value
from torana.exchange.request import Request
from torana.exchange.response import ApplicationError, ClientDisconnected, Response
from torana.exchange.roles import Answerer
from torana.exchange.states import CUT, IDLE
from torana.gateway.failure import internal_error, log_warning, plain
from torana.gateway.handshake import agreed_fields, is_handshake
from torana.gateway.tornado.peer import Peer
from torana.gateway.tornado.stream import Stream, running_task

if TYPE_CHECKING:
    from torana.gateway.tornado.gateway import TornadoGateway

_SWITCHING_PROTOCOLS = 101
_DETACH = (
    "detach() works for WebSocket handshakes only: here the connection is shared, and the server goes on to read "
    "requests from it"
)


class Answer(Answerer):
    """The way out of one call."""

    def begin(self, gateway: TornadoGateway, request: Request, response: Response, context: Any) -> None:
        """What ``__init__`` would do, without the cost of a call through the type."""
        self.gateway = gateway
        self.request = request
        self.response = response
        #: Who is at the other end (``describe.Context``).
        self.context = context
        #: To be set by handlers that want the connection to end with their answer.
        self.no_keep_alive = False
        #: The handler has said all, or is not heard any more.
        self.is_finished = False
        #: Nothing is left of it here.
        self.is_ended = False
        self._is_upgraded = False
        self._stream: Stream | None = None
        self._waiters: list[Any] | None = None
        self._close_callback: Any = None
        #: Whose method the first close callback was: the handler.
        self._handler: Any = None
        self._most_body = -1

    # What HTTPConnection documents

    def write_headers(self, start_line: Any, headers: Any, chunk: Any = None) -> Any:
        """Send the head and the first of the body; a future that is done when more may be sent."""
        if self.is_finished or self.response.is_over():
            return self._closed()
        status = start_line[1]
        try:
            if status == _SWITCHING_PROTOCOLS:
                self._upgrade(headers)
                return self.gateway.done
            self.response.start(status, self._fields(headers), _reason(start_line[2]))
            self.response.write(chunk if chunk is not None else b"", False)
        except ClientDisconnected:
            return self._closed()
        except (ApplicationError, TypeError, ValueError) as error:
            self._break_off(error)
            raise HTTPOutputError(str(error)) from None
        return self._sent()

    def write(self, chunk: Any) -> Any:
        """Send more of the body."""
        if self.is_finished or self.response.is_over():
            return self._closed()
        try:
            if chunk:
                self.response.write(chunk, False)
        except ClientDisconnected:
            return self._closed()
        except (ApplicationError, TypeError, ValueError) as error:
            self._break_off(error)
            raise HTTPOutputError(str(error)) from None
        return self._sent()

    def finish(self) -> None:
        """The answer is complete."""
        if self.is_finished:
            return
        self.is_finished = True
        self._close_callback = None
        response = self.response
        # From here on nobody is told of a client that leaves.
        self.request.answerer = None
        try:
            if response.state == IDLE:
                raise ApplicationError("finished without a head")
            response.write(b"", True)
        except ClientDisconnected:
            pass
        except ApplicationError as error:
            self._break_off(error)
            raise HTTPOutputError(str(error)) from None
        finally:
            self.end()

    # What RequestHandler and applications ask for

    def set_close_callback(self, callback: Any) -> None:
        """Have it called when the client leaves before its answer is complete."""
        self._close_callback = callback
        if callback is not None and self._handler is None:
            self._handler = getattr(callback, "__self__", None)

    def detach(self) -> Stream:
        """The stream of an upgraded exchange; any other is answered 501."""
        stream = self._stream
        if stream is None:
            log_warning(_DETACH, self.request.head)
            self._answer(501, plain(501))
            raise RuntimeError(_DETACH)
        self._stream = None
        stream.belongs_to(self._handler, running_task())
        self._handler = None
        return stream

    def set_max_body_size(self, max_body_size: int) -> None:
        """A bound of this request's own; the server's may be narrower."""
        self._most_body = max_body_size

    def set_body_timeout(self, timeout: float) -> None:
        """The server has its own bounds for the time that a body may take."""

    @property
    def stream(self) -> Any:
        """A look at the connection, for those who ask whether it is closed."""
        return StreamView(self)

    def is_gone(self) -> bool:
        """Whether the client has left."""
        return self.request.is_broken or self.response.state == CUT

    # Told by the channel

    def drained(self) -> None:
        if self._waiters is not None and not self.response.channel.is_full():
            self._resolve()

    # Within

    def end(self) -> None:
        """The call is over: let go of everything."""
        raise NotImplementedError

    def _fields(self, headers: Any) -> list[tuple[bytes, bytes]]:
        fields = []
        for name, value in headers.get_all():
            if type(value) is str:
                fields.append((name.encode("latin-1"), value.encode("latin-1")))
            else:
                # Some handlers set bytes.
                fields.append((name.encode("latin-1"), bytes(value)))
        if self.no_keep_alive:
            fields.append((b"connection", b"close"))
        return fields

    def _upgrade(self, headers: Any) -> None:
        request = self.request
        head = request.head
        if not is_handshake(head):
            raise ApplicationError("101 (Switching Protocols) to a request that did not ask for WebSocket")
        stream = Stream(self.gateway, Peer(request.endpoints))
        self.is_finished = self._is_upgraded = True
        self._close_callback = None
        handler = self._handler
        stream.carried_by(self.response.upgrade(agreed_fields(head, self._fields(headers)), stream))
        self._stream = stream
        self.end()
        # For ``detach``, which comes after.
        self._handler = handler

    def _sent(self) -> Any:
        """A future that is done when the client has taken enough."""
        if not self.response.channel.is_full():
            return self.gateway.done
        future = self.gateway.loop.create_future()
        if self._waiters is None:
            self._waiters = [future]
        else:
            self._waiters.append(future)
        return future

    def _closed(self) -> Any:
        """A future that says that nobody is there any more."""
        future = self.gateway.loop.create_future()
        future.set_exception(StreamClosedError())
        # Whether anybody looks at it or not.
        future.exception()
        return future

    def _resolve(self) -> None:
        """Nobody needs to wait any longer."""
        waiters = self._waiters
        self._waiters = None
        if waiters is not None:
            for future in waiters:
                if not future.done():
                    future.set_result(None)

    def _fail_waiters(self) -> None:
        waiters = self._waiters
        self._waiters = None
        if waiters is not None:
            for future in waiters:
                if not future.done():
                    future.set_exception(StreamClosedError())
                    future.exception()

    def _break_off(self, error: BaseException) -> None:
        """The handler contradicts itself: answer 500, or cut what has begun."""
        # The traceback is Tornado's to log: it is raised in the handler.
        log_warning(f"The answer is broken off ({error})", self.request.head)
        self._answer(500, internal_error(error, self.gateway.error_page))

    def _answer(self, status: int, page: Any) -> None:
        """Answer in the place of the handler, or cut what it has begun; it is not heard any more."""
        self.is_finished = True
        self._close_callback = None
        self.request.answerer = None
        response = self.response
        if not response.is_over():
            try:
                if not response.replace(status, page[0], page[1]):
                    response.abort()
            except OSError:
                response.abort()
        self.end()


class StreamView:
    """What applications ask of ``request.connection.stream`` of an ordinary request."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.socket = Peer(answer.request.endpoints)

    def closed(self) -> bool:
        """Whether the client has left."""
        return self._answer.is_gone()

    def close(self, exc_info: Any = False) -> None:
        """Cut the answer."""
        self._answer.response.abort()

    def set_nodelay(self, value: bool) -> None:
        """Nothing is ever delayed here."""


def _reason(phrase: Any) -> bytes | None:
    if not phrase:
        return None
    reason: bytes = phrase.encode("latin-1") if type(phrase) is str else bytes(phrase)
    if not is_field_value(reason):
        raise ApplicationError("control byte in the reason phrase")
    return reason
