"""A WSGI call whose time is limited: the loop can answer in its place and end it, and can hit no other.

Each call has a gate. Its thread keeps it shut whenever it is in the server's code, and opens it only while it is in the
application's: in the call itself, and in each step of what that returned. The loop never waits at a gate. When it finds
one open it holds it for a moment, so that the thread cannot come back, and there alone does it (1) take the call, after
which the thread touches neither response nor connection, and (2) interrupt the thread, once. A thread that comes back
to a taken call hears of what was not raised yet, before it goes on to its next job. A gate that is shut means that
the server is sending or that the client is waited for: neither is the application's time.

The price of a call in time: a clock read, and a lock of its own that nobody contends for.
Never here: which calls are due (``watch.py``), how an exception gets into a thread (``interrupt.py``).
"""

from __future__ import annotations

from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from torana.exchange.response import ClientDisconnected
from torana.exchange.states import DONE
from torana.gateway.failure import log_failure, plain
from torana.gateway.jobs import GivenUp
from torana.gateway.wsgi.answer import Answer
from torana.gateway.wsgi.call import OVER, Call
from torana.gateway.wsgi.interrupt import RequestTimeout, hear, interrupt

try:
    # The type itself; ``threading.RLock`` is a function around it.
    from _thread import RLock
except ImportError:
    from threading import RLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.exchange.roles import Channel, RawStream
    from torana.gateway.wsgi.call import Site
    from torana.wire.events import RequestHead


class TimedCall(Call):
    """One request with a deadline of its own. What is public is written under the gate, but for ``deadline``."""

    def limit(self, running: set[TimedCall], limit_s: float) -> None:
        """To be called once, right after ``hold``. ``running``: where the loop looks for calls that are under way."""
        self._running = running
        self.limit_s = limit_s
        #: When the application's time is over (monotonic seconds); begins when a thread calls it.
        self.deadline = 0.0
        #: Time in which nobody could do anything; the loop adds it to the deadline.
        self.spared_s = 0.0
        #: The thread that runs the call.
        self.ident = 0
        self.head: RequestHead = self._request.head
        #: The loop has answered: response and connection are no longer this call's.
        self.is_taken = False
        #: The thread will not be in the application again for this call.
        self.is_left = False
        #: The thread was interrupted, or has found out by itself.
        self.is_told = False
        #: The pool counts the thread no more.
        self.is_given_up = False
        self._gate: Any = None
        self._seen = 0
        self._taken_response: Response | None = None
        self._taken_channel: Channel | None = None

    # On the thread

    def run(self) -> Any:
        """As ``Call.run``; None when the call was taken: nothing is left to send. Raises ``GivenUp`` for the pool."""
        channel = Call.run(self)
        if not self.is_taken:
            return channel
        if self.is_given_up:
            raise GivenUp
        return None

    def open(self) -> None:
        """The thread goes into the application; its time begins anew if something was sent meanwhile."""
        response = self._response
        if response is not None and response.sent != self._seen:
            self._seen = response.sent
            self.deadline = monotonic() + self.limit_s
        self._gate.release()

    def shut(self) -> None:
        """The thread comes back into the server's code; raises ``RequestTimeout`` when the call was taken."""
        # Looked at first, because the gate of a taken call may stay shut for ever. Reentrant: an application's own
        # object may call back from within our code.
        if not self.is_taken:
            self._gate.acquire()
            if not self.is_taken:
                return
        if get_ident() == self.ident:
            self.is_told = True
            hear()
        raise RequestTimeout

    def _new_answer(self, response: Response, head: RequestHead) -> Answer:
        answer = TimedAnswer.__new__(TimedAnswer)
        answer.begin(response, head)
        answer.attach(self)
        return answer

    def _call(self, environ: dict[str, Any], answer: Answer) -> Any:
        result = None
        self.ident = get_ident()
        self._gate = RLock()
        self.deadline = monotonic() + self.limit_s
        # From here on the gate is open, and an exception may come between any two steps of Python code.
        self._running.add(self)
        try:
            result = self._site.app(environ, answer.starter())
        finally:
            self._come_back(result)
        return result

    def _come_back(self, result: Any) -> None:
        """Shut the gate. If this raises, the exception has come, or it never will."""
        try:
            self.shut()
        except RequestTimeout:
            try:
                self._gate.acquire()
                self.is_left = True
                hear()
            finally:
                if result is not None:
                    self._close(result)
            raise

    def _fail(self, error: BaseException) -> None:
        if not self.is_taken:
            Call._fail(self, error)
        elif not isinstance(error, RequestTimeout):
            log_failure(error, self.head, "After its timeout the application failed")

    def _finish(self) -> None:
        if self._gate is None:
            Call._finish(self)
            return
        self._running.discard(self)
        if self.is_taken:
            # No exception can come any more; the gate is only for the loop to know that the thread is free.
            self._gate.acquire()
            self.is_left = True
            self._put_away()
            return
        try:
            Call._finish(self)
        finally:
            # Late callers of what ``start_response`` gave them must find it open.
            self.is_left = True
            self._gate.release()

    def _put_away(self) -> None:
        """What is left to do of ``_finish`` by a thread that has no answer and no connection any more."""
        self.stage = OVER
        try:
            if self._answer is not None:
                self._answer.end()
            if self._spool is not None:
                self._spool.discard()
            if self._site.errors.has_parts:
                self._site.errors.flush()
        finally:
            self._release()

    # On the loop's thread

    def due(self) -> float:
        """When the application's time is over."""
        return self.deadline + self.spared_s

    def has_begun(self) -> bool:
        """Whether something of a taken call's answer has left."""
        return self._taken_response is not None and self._taken_response.is_begun()

    def take(self, now: float) -> bool:
        """Take the call from its thread, if that is in the application and its time is over."""
        if not self._gate.acquire(False):
            return False
        try:
            response = self._response
            if self.is_left or self.is_taken or now < self.due() or response.state == DONE:
                return False
            self._taken_response, self._taken_channel = response, self._channel
            self.is_taken = True
            return True
        finally:
            self._gate.release()

    def interrupt(self) -> None:
        """Raise ``RequestTimeout`` in the thread of a taken call, at most once, if it still is in the application."""
        if not self._gate.acquire(False):
            return
        try:
            if not self.is_left and not self.is_told:
                self.is_told = True
                interrupt(self.ident)
        finally:
            self._gate.release()

    def give_up_thread(self, give_up: Callable[[int], bool]) -> bool:
        """Have the pool count the thread no more, unless it has come back; whether it did."""
        if not self._gate.acquire(False):
            return False
        try:
            self.is_given_up = not self.is_left and give_up(self.ident)
            return self.is_given_up
        finally:
            self._gate.release()

    def reply(self) -> None:
        """Answer 504 in the place of a taken call, or cut an answer that has begun; and return the connection."""
        response, channel = self._taken_response, self._taken_channel
        assert response is not None and channel is not None
        self._taken_response = self._taken_channel = None
        try:
            fields, body = plain(504)
            if not response.replace(504, fields, body):
                response.abort()
        except ClientDisconnected:
            response.abort()
        finally:
            channel.give_back()


class TimedAnswer(Answer):
    """What the application calls: the server's code, so the gate is shut meanwhile."""

    def attach(self, call: TimedCall) -> None:
        """To be called once, right after ``begin``."""
        self._call: TimedCall | None = call

    def start_response(self, status: Any, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        call = self._call
        if call is None:
            return Answer.start_response(self, status, headers, exc_info)
        _shut(call)
        try:
            return Answer.start_response(self, status, headers, exc_info)
        finally:
            _open(call)

    def __call__(self, data: bytes) -> None:
        call = self._call
        if call is None:
            Answer.__call__(self, data)
            return
        _shut(call)
        try:
            Answer.__call__(self, data)
        finally:
            _open(call)

    def early_hints(self, headers: Any) -> None:
        call = self._call
        if call is None:
            Answer.early_hints(self, headers)
            return
        _shut(call)
        try:
            Answer.early_hints(self, headers)
        finally:
            _open(call)

    def starter(self) -> Callable[..., Any]:
        return self.start_response

    def hinter(self) -> Callable[..., Any]:
        return self.early_hints

    def raw(self) -> RawStream | None:
        # Once the connection is taken, ``take`` finds the answer over: the call has no deadline any more.
        call = self._call
        if call is None:
            return Answer.raw(self)
        _shut(call)
        try:
            return Answer.raw(self)
        finally:
            _open(call)

    def end(self) -> None:
        self._call = None
        Answer.end(self)

    def _blocks(self, result: Any) -> Any:
        call = self._call
        return result if call is None else Blocks(call, result)


class Blocks:
    """What the application returned, each step of it taken with the gate open."""

    def __init__(self, call: TimedCall, result: Any) -> None:
        self._call = call
        self._iterator: Any = None
        self._call.open()
        try:
            self._iterator = iter(result)
        finally:
            self._call._come_back(None)

    def __iter__(self) -> Blocks:
        return self

    def __next__(self) -> Any:
        self._call.open()
        try:
            return next(self._iterator)
        finally:
            self._call._come_back(None)


def _shut(call: TimedCall) -> None:
    call.shut()


def _open(call: TimedCall) -> None:
    call.open()


def new_timed_call(
    site: Site, request: Request, response: Response, running: set[TimedCall], limit_s: float
) -> TimedCall:
    """A call that may take ``limit_s``; its time begins when a thread calls the application."""
    made = TimedCall.__new__(TimedCall)
    made.hold(site, request, response)
    made.limit(running, limit_s)
    return made
