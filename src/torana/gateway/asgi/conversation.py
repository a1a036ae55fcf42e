"""One WebSocket conversation of an ASGI application: its task, its events, its messages (``spec.md`` WS, EXT-DENIAL).

A message is checked and acted on when it is sent, so that a mistake is raised at the application's own line and
nothing has changed. Any number of tasks may send and receive. Never here: what may be said when (``exchange/duplex``),
frames, time limits: a conversation has none.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from torana.exchange.duplex import ABNORMAL, INTERNAL_ERROR, NORMAL, SERVICE_RESTART, Duplex
from torana.exchange.response import ApplicationError, ClientDisconnected
from torana.exchange.states import CLOSED, CUT, DENYING, OPEN
from torana.gateway.asgi.answer import as_dict, body_of, status_of
from torana.gateway.asgi.arrival import Source, new_arrival
from torana.gateway.asgi.describe import Describer
from torana.gateway.asgi.gone import follows_disconnect, is_disconnect, log_gone, repeats_disconnect
from torana.gateway.asgi.ready import DONE, ready
from torana.gateway.asgi.waiters import Waiters
from torana.gateway.failure import ErrorPage, internal_error, log_failure, log_warning, plain, shown

_log = logging.getLogger("torana.error")


class WebSocketCall(Source):
    """One conversation under way. ``calls`` holds it until the application has ended."""

    def __init__(
        self, calls: set[WebSocketCall], app: Any, describer: Describer, page: ErrorPage | None, loop: Any,
        duplex: Duplex,
    ) -> None:  # fmt: skip
        Source.__init__(self, loop)
        self.duplex = duplex
        self.task: Any = None
        self._calls = calls
        self._app = app
        self._describer = describer
        self._page = page
        self._writers: Waiters | None = None
        self._is_announced = False
        self._is_accepted = False
        self._is_stopped = False

    # Told by the link, or by the channel of its handshake

    def body_arrived(self) -> None:
        self.wake()

    def drained(self) -> None:
        if self._writers is not None:
            self._writers.wake()

    def disconnected(self) -> None:
        # Not at once: whoever tells of an end is in the midst of it.
        self.wake_soon()
        self.drained()

    def stop(self) -> None:
        """First time: tell the application. Second time: cancel it."""
        if not self._is_stopped:
            self._is_stopped = True
            if self.duplex.state == DENYING:
                # What is said of the refusal may still reach the client.
                self.wake_soon()
            else:
                self.duplex.lose(SERVICE_RESTART, "")
        elif self.task is not None:
            self.task.cancel()

    # What the application is called with

    def receive(self) -> Any:
        """Awaitable of the next event; cancelling it loses nothing."""
        event = self.next_event()
        if event is not None:
            return ready(event)
        return new_arrival(self)

    def reply(self, message: Any) -> Any:
        """Act on one message; awaitable that waits while the client is slow. Raises into the application."""
        if type(message) is not dict:
            message = as_dict(message)
        kind = message.get("type")
        try:
            if kind == "websocket.send":
                self._send(message)
                return self._wait_drained() if self.duplex.link.is_full() else DONE
            return self._other(kind, message)
        except ApplicationError as error:
            raise ApplicationError(f"{kind}: {error}") from None

    def next_event(self) -> dict[str, Any] | None:
        duplex = self.duplex
        if not self._is_announced:
            self._is_announced = True
            return {"type": "websocket.connect"}
        message = duplex.take()
        if message is not None:
            # One key of the two: applications ask for the kind by asking which is there.
            if type(message) is str:
                return {"type": "websocket.receive", "text": message}
            return {"type": "websocket.receive", "bytes": message}
        if duplex.state == CLOSED or (self._is_stopped and duplex.state == DENYING):
            return {"type": "websocket.disconnect", "code": duplex.code, "reason": duplex.reason}
        return None

    def _send(self, message: dict[str, Any]) -> None:
        text = message.get("text")
        data = message.get("bytes")
        if (text is None) == (data is None):
            raise ApplicationError("exactly one of text and bytes must be given")
        if data is None:
            if type(text) is not str:
                if not isinstance(text, str):
                    raise ApplicationError(f"text must be a str, found {type(text).__name__}")
                text = str.__str__(text)
            self.duplex.send(text)
        elif type(data) is bytes:
            self.duplex.send(data)
        elif isinstance(data, (bytes, bytearray, memoryview)):
            # A copy, as it may be changed while it waits to be written.
            self.duplex.send(bytes(data))
        else:
            raise ApplicationError(f"bytes must be bytes, found {type(data).__name__}")

    def _other(self, kind: Any, message: dict[str, Any]) -> Any:
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._close(message)
        elif kind == "websocket.http.response.start":
            try:
                self.duplex.deny(status_of(message), _fields_of(message))
            except (TypeError, ValueError) as error:
                raise ApplicationError(f"headers must be pairs of bytes ({error})") from None
        elif kind == "websocket.http.response.body":
            is_last = not message.get("more_body", False)
            self.duplex.refuse(body_of(message), is_last)
            if not is_last and self.duplex.response.channel.is_full():
                return self._wait_denied()
        else:
            raise ApplicationError("unknown message type")
        return DONE

    def _accept(self, message: dict[str, Any]) -> None:
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and not isinstance(subprotocol, str):
            raise ApplicationError(f"subprotocol must be a str or None, found {type(subprotocol).__name__}")
        try:
            # The empty one is some applications' word for none.
            self.duplex.accept(str.__str__(subprotocol) if subprotocol else None, _fields_of(message))
        except (TypeError, ValueError) as error:
            raise ApplicationError(f"headers must be pairs of bytes ({error})") from None
        self._is_accepted = True

    def _close(self, message: dict[str, Any]) -> None:
        code, reason = message.get("code"), message.get("reason")
        if code is None:
            code = NORMAL
        elif not isinstance(code, int) or isinstance(code, bool):
            raise ApplicationError(f"code must be an int, found {type(code).__name__}")
        if reason is None:
            reason = ""
        elif not isinstance(reason, str):
            # FastAPI gives the list of what was wrong.
            reason = str(reason)
        # Far beyond all codes is as wrong as a little, but does not fit a C integer.
        self.duplex.close(int(code) if 0 <= code <= 9999 else 0, str.__str__(reason))
        self.disconnected()

    async def _wait_drained(self) -> None:
        duplex = self.duplex
        while duplex.state == OPEN and duplex.link.is_full():
            await self._next_drain()
        if duplex.state == CLOSED:
            raise ClientDisconnected("the conversation is over")

    async def _wait_denied(self) -> None:
        response = self.duplex.response
        while response.channel.is_full() and not response.is_over():
            await self._next_drain()
        if response.state == CUT:
            raise ClientDisconnected("the client is gone")

    def _next_drain(self) -> Any:
        if self._writers is None:
            self._writers = Waiters()
        return self._writers.add()

    # The task's steps

    def _call(self) -> Any:
        return self._app(self._describer.websocket_scope(self.duplex), self.receive, self.reply)

    def _ended(self, error: BaseException | None, result: Any) -> BaseException | None:
        """See to it that the conversation ends with the application."""
        ending = None
        duplex = self.duplex
        if error is not None:
            ending = self._failed(error)
        elif result is not None:
            log_warning(f"The application returned {type(result).__name__}, not None", duplex.request.head)
        if duplex.state == OPEN:
            duplex.close(NORMAL, "")
        elif not self._is_accepted:
            self._left_unanswered()
        self._calls.discard(self)
        # The cycles of this, its task and the exchange end here, so that no garbage collector has to find them.
        self.task = None
        duplex.request.answerer = None
        duplex.answerer = None
        if not self._is_accepted and duplex.response.state == CUT:
            duplex.response.channel.abort()
        link = duplex.link
        link.ended()
        return ending

    def _failed(self, error: BaseException) -> BaseException | None:
        duplex = self.duplex
        head = duplex.request.head
        is_over = duplex.state == CLOSED
        if isinstance(error, asyncio.CancelledError):
            if self._is_stopped:
                return error
            if is_over:
                return None
        elif is_over and is_disconnect(error):
            return None
        elif is_over and (follows_disconnect(error) or repeats_disconnect(error)):
            log_gone(error, head)
            return None
        log_failure(error, head)
        if duplex.state == OPEN:
            duplex.close(INTERNAL_ERROR, "")
        else:
            self._answer(500, error)
        return None

    def _left_unanswered(self) -> None:
        """The application is done, and the handshake has no answer, or half of one."""
        duplex = self.duplex
        response = duplex.response
        if response.is_over():
            return
        if self._is_stopped:
            self._answer(503, None)
        elif duplex.request.is_broken and duplex.state == CLOSED:
            response.abort()
        else:
            head = duplex.request.head
            how = "completing" if duplex.state == DENYING else "giving"
            _log.error("%s %s: the application ended without %s its answer to a WebSocket handshake",
                       head.method, shown(head.target), how)  # fmt: skip
            self._answer(500, None)

    def _answer(self, status: int, error: BaseException | None) -> None:
        """An answer of the server's own to the handshake, or the end of one that has begun."""
        response = self.duplex.response
        if self._is_accepted or response.is_over():
            return
        fields, body = plain(status) if error is None else internal_error(error, self._page)
        try:
            if not response.replace(status, fields, body):
                response.abort()
        except OSError:
            response.abort()
        self.duplex.lose(ABNORMAL, "")


def _fields_of(message: dict[str, Any]) -> Any:
    fields = message.get("headers")
    return fields if fields is not None else ()
