"""One request under way: its head and body go to Tornado's ``HTTPMessageDelegate``, piece by piece, as it takes them.

Every step runs in a context of the call's own, so that context variables which a handler sets reach no other request.
Never here: what a handler writes (``answer``), how long it may take (``watch``).
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPInputError

from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.failure import internal_error, log_failure, log_warning, plain
from torana.gateway.tornado.answer import Answer

if TYPE_CHECKING:
    from torana.gateway.tornado.gateway import TornadoGateway

_Future = asyncio.Future


class Call(Answer):
    """Made by ``new_call``."""

    def begin(self, gateway: TornadoGateway, request: Request, response: Response, context: Any) -> None:
        Answer.begin(self, gateway, request, response, context)
        self._context = gateway.context.copy()
        self._delegate: Any = None
        #: The handler, held weakly, from when its client has left.
        self._survivor: Any = None
        #: A step is being taken in the context.
        self._is_inside = False
        #: The delegate has enough for now.
        self._is_waiting = False
        #: It has been given all, or been told that no more comes.
        self._is_delivered = False
        #: It has been told that its client is gone, or that the server stops.
        self._is_told = False
        self._is_stopped = False
        #: When the handler's time is over (monotonic seconds), and what it had sent; kept by ``watch``.
        self.deadline = 0.0
        self.seen = 0

    def start(self) -> None:
        """Begin; never raises."""
        self._is_inside = True
        try:
            self._context.run(self._start)
        except BaseException as error:
            self._failed(error)
        finally:
            self._is_inside = False

    # Told by the channel

    def body_arrived(self) -> None:
        if not self._is_waiting and not self._is_inside and not self.is_finished:
            self._enter(self._deliver)

    def disconnected(self) -> None:
        """The client is gone, or has at least ended its half."""
        if self.is_ended:
            return
        if self.response.is_over():
            self._fail_waiters()
        self._tell()
        if not self.is_ended:
            self._outlive()

    def stop(self) -> None:
        """First time: tell the handler that it is alone. Second time: cancel it."""
        if not self._is_stopped:
            self._is_stopped = True
            self._tell()
        else:
            self.give_up(500)

    # The end

    def give_up(self, status: int) -> None:
        """Cancel the handler, and answer in its place or cut what it has begun."""
        self.gateway.tasks.cancel(self.handler())
        self._answer(status, plain(status))

    def handler(self) -> Any:
        """The ``RequestHandler``, if there is one and it is known."""
        return self._handler if self._survivor is None else self._survivor()

    def is_client_awaited(self) -> bool:
        """Whether it is the client whose turn it is: the body is incomplete and there is nothing to deliver."""
        return not self.request.is_ended and not self._is_waiting

    def end(self) -> None:
        if self.is_ended:
            return
        self.is_ended = True
        self.request.answerer = None
        gateway = self.gateway
        gateway.calls.discard(self)
        if self._is_told:
            gateway.survivors.discard(self)
        self._delegate = self._handler = self._survivor = self._close_callback = None
        self._resolve()
        if gateway.on_close is not None:
            self._closing()
        if not self._is_upgraded:
            self.response.channel.ended()

    # Steps

    def _start(self) -> None:
        gateway = self.gateway
        head = self.request.head
        self._delegate = delegate = gateway.app.start_request(self, self)
        awaited = delegate.headers_received(gateway.describer.start_line(head), gateway.describer.fields(head))
        if awaited is None or not self._wait(awaited):
            self._deliver()

    def _deliver(self) -> None:
        """Hand on what has arrived, until the delegate has enough for now or nothing is left."""
        request = self.request
        if request.head.method == "CONNECT" and not self.is_finished and not self._is_delivered:
            # What comes behind a handshake is not its body (RFC 8441 section 5).
            self._finish_delegate()
        while not self.is_finished and not self._is_delivered:
            if self._is_too_large():
                log_warning("The body is larger than the handler allows", request.head)
                self._refuse(413)
                return
            if request.buffered:
                awaited = self._delegate.data_received(request.take())
                if awaited is not None and self._wait(awaited):
                    return
            elif request.is_ended:
                self._finish_delegate()
            else:
                request.channel.want_body()
                if not request.buffered and not request.is_ended:
                    return

    def _finish_delegate(self) -> None:
        self._is_delivered = True
        try:
            self._delegate.finish()
        except BaseException:
            # Tornado has it told of the end then, as after any other failure.
            self._is_delivered = False
            raise

    def _is_too_large(self) -> bool:
        most = self._most_body
        return most >= 0 and (self.request.head.content_length > most or self.request.received > most)

    def _wait(self, awaited: Any) -> bool:
        """Whether something has to be waited for; ``_deliver`` goes on when it is done."""
        future = awaited if isinstance(awaited, _Future) else asyncio.ensure_future(awaited)
        if future.done():
            future.result()
            return False
        self._is_waiting = True
        future.add_done_callback(self._waited, context=self._context)
        return True

    def _waited(self, future: Any) -> None:
        self._is_waiting = False
        self._is_inside = True
        try:
            future.result()
            self._deliver()
        except BaseException as error:
            self._failed(error)
        finally:
            self._is_inside = False

    def _enter(self, step: Any) -> None:
        """Take a step in the call's own context."""
        if self._is_inside:
            step()
            return
        self._is_inside = True
        try:
            self._context.run(step)
        except BaseException as error:
            self._failed(error)
        finally:
            self._is_inside = False

    # What goes wrong

    def _failed(self, error: BaseException) -> None:
        """Something outside of the handler's own task has raised."""
        if self.is_ended:
            return
        if isinstance(error, HTTPInputError):
            log_warning(f"Tornado refuses the request ({error})", self.request.head)
            self._refuse(400)
            return
        log_failure(error, self.request.head)
        self._tell()
        self._answer(500, internal_error(error, self.gateway.error_page))

    def _refuse(self, status: int) -> None:
        self._tell()
        self._answer(status, plain(status))

    def _tell(self) -> None:
        """Tell the delegate, or the handler, that there is nobody to answer any more; once."""
        if self._is_told:
            return
        self._is_told = True
        if self._is_delivered:
            callback = self._close_callback
            self._close_callback = None
        else:
            callback = None if self._delegate is None else self._delegate.on_connection_close
            self._is_delivered = True
        if callback is not None:
            self._enter(_Careful(callback, self.request.head))

    def _outlive(self) -> None:
        """The client is gone and the handler is not: it goes on as long as it likes, held by nobody here."""
        handler = self._handler
        self._delegate = self._close_callback = self._handler = None
        if handler is not None:
            self._survivor = weakref.ref(handler, self._forgotten)
        elif self.response.is_over():
            self.end()
            return
        self.gateway.survivors.add(self)

    def look(self) -> None:
        """About once a second when the client has ended its half: nobody is told when the other half breaks, too."""
        if self.response.is_over():
            self._fail_waiters()
            if self._survivor is None:
                self.end()

    def _forgotten(self, survivor: Any) -> None:
        """The handler was dropped without a last word."""
        if not self.is_ended:
            self.response.abort()
            self.end()

    def _closing(self) -> None:
        try:
            self.gateway.on_close(self)
        except Exception as error:
            log_failure(error, self.request.head)


class _Careful:
    """A callback whose failure is logged and goes no further."""

    def __init__(self, callback: Any, head: Any) -> None:
        self._callback = callback
        self._head = head

    def __call__(self) -> None:
        try:
            self._callback()
        except Exception as error:
            log_failure(error, self._head)


def new_call(gateway: TornadoGateway, request: Request, response: Response) -> Call:
    """The call of one request, not begun yet; without the cost of a call through the type."""
    made = Call.__new__(Call)
    made.begin(gateway, request, response, gateway.describer.context(request))
    return made
