"""One WSGI request: its body is awaited on the loop, then one thread makes the call and sends the answer.

Whoever has taken a call from the queue owns it, and with it the connection that was lent: that is the whole locking.
Never here: threads and their queue (``gateway.py``, ``gateway/threads.py``), what an answer may be (``answer.py``).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from torana.exchange.response import ClientDisconnected
from torana.gateway.failure import internal_error, log_failure, log_warning, plain
from torana.gateway.jobs import Job
from torana.gateway.wsgi.answer import Answer, new_answer
from torana.gateway.wsgi.body import Spool, SpoolFull
from torana.gateway.wsgi.constants import EARLY_HINTS, INPUT
from torana.gateway.wsgi.raw_socket import OpenSockets, offer
from torana.wire.events import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.exchange.roles import Channel
    from torana.gateway.failure import ErrorPage
    from torana.gateway.jobs import JobQueue
    from torana.gateway.wsgi.describe import Describer
    from torana.gateway.wsgi.errors import ErrorStream
    from torana.wire.events import RequestHead

#: Errors of a disk that is full, for us or for everybody.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SPOOL_SETTING = "limit_spool_disk"

#: The body is arriving; the loop's thread owns the call.
AWAITING = 0
#: In the queue or on a thread; whoever has taken it from the queue owns it.
QUEUED = 1
OVER = 2


class Site:
    """What all calls of one application share, and their way into the queue."""

    def __init__(
        self,
        app: Callable[..., Any],
        describer: Describer,
        errors: ErrorStream,
        queue: JobQueue,
        spool_bytes: int,
        error_page: ErrorPage | None,
    ) -> None:
        self.app = app
        self.describer = describer
        self.errors = errors
        self.spool_bytes = spool_bytes
        self.error_page = error_page
        #: Calls that ended on the loop's thread, without the application.
        self.dropped = 0
        #: Calls put into the queue so far.
        self.queued = 0
        #: To be called after a call was queued; None while somebody watches already, or nobody wants to.
        self.watch: Callable[[], None] | None = None
        #: Threads that are held by applications which have taken their connection.
        self.sockets = OpenSockets()
        self._queue = queue

    def enqueue(self, call: Call) -> None:
        """Hand a call whose request is complete to the threads."""
        call.number = self.queued
        self.queued += 1
        self._queue.put(call)
        if self.watch is not None:
            self.watch()


class Call(Job):
    """One request and its answer."""

    def __init__(self, site: Site, request: Request, response: Response) -> None:
        self.hold(site, request, response)

    def hold(self, site: Site, request: Request, response: Response) -> None:
        """What ``__init__`` does, for ``new_call``."""
        self._site = site
        self._request = request
        request.answerer = self
        self._response = response
        self._channel: Channel = response.channel
        self._spool: Spool | None = None
        self._answer: Answer | None = None
        self._is_taking = False
        self._is_stopped = False
        self.stage = AWAITING
        self.number = 0

    # On the loop's thread

    def begin(self) -> None:
        """Ask for the body and keep it as it comes; without one, the call goes to the threads at once."""
        request = self._request
        if request.is_ended and not request.buffered:
            self._enqueue()
            return
        self._spool = Spool(self._site.spool_bytes, self._channel)
        self._channel.want_body()
        self.body_arrived()

    def body_arrived(self) -> None:
        # Taking may make room and so bring more at once: the outermost call keeps the order.
        if self.stage != AWAITING or self._spool is None or self._is_taking:
            return
        request = self._request
        self._is_taking = True
        try:
            while request.buffered and self.stage == AWAITING:
                data = request.take()
                if self.stage == AWAITING:
                    self._spool.write(data)
            if request.is_ended and self.stage == AWAITING:
                self._spool.complete()
        except Exception as error:
            self._turn_away(error)
            return
        self._is_taking = False
        if self.stage == AWAITING and request.is_ended:
            self._enqueue()

    def _turn_away(self, error: Exception) -> None:
        """The body cannot be kept: there is no room on disk, or no disk. One line a second says so."""
        channel = self._channel
        if isinstance(error, SpoolFull):
            channel.refuse(WireError(503, "request bodies of all clients fill their part of the disk", _SPOOL_SETTING))
        elif isinstance(error, OSError) and error.errno in _NO_ROOM:
            channel.refuse(WireError(507, f"no room on disk for a request body ({errno.errorcode[error.errno]})"))
        else:
            log_failure(error, self._request.head, "The request body could not be kept")
            self._drop(503)
            return
        if self.stage == AWAITING:
            self._drop(0)

    def disconnected(self) -> None:
        # Later than this a half-closed client may still read; one that is gone is found by the next write.
        if self.stage == AWAITING:
            self._drop(0)

    def stop(self) -> None:
        if self.stage == AWAITING:
            self._drop(503)
        elif self.stage == QUEUED:
            self._is_stopped = True
            answer = self._answer
            if answer is not None:
                answer.stop()

    def give_up(self) -> None:
        """Answer 503 in the application's place; by whoever has taken the call from the queue."""
        try:
            self._say(503)
        except Exception as error:
            log_failure(error, self._request.head, "A waiting request could not be answered")
        finally:
            channel = self._channel
            try:
                self._finish()
            finally:
                channel.give_back()

    def _enqueue(self) -> None:
        self.stage = QUEUED
        self._channel.lend()
        self._site.enqueue(self)

    def _drop(self, status: int) -> None:
        """End without the application: nothing was lent yet."""
        self.stage = OVER
        self._site.dropped += 1
        if self._spool is not None:
            self._spool.discard()
        if status:
            self._say(status)
        self._release()

    # On a thread

    def run(self) -> Channel:
        """Call the application and send what it answers; never raises. Returns the channel, which then is to leave."""
        channel = self._channel
        head = self._request.head
        try:
            self._answer_it()
        except BaseException as error:
            log_failure(error, head, "A request could not be ended properly")
        return channel

    def _answer_it(self) -> None:
        result = None
        response = self._response
        head = self._request.head
        answer = self._new_answer(response, head)
        self._answer = answer
        try:
            try:
                if self._is_stopped:
                    self._say(503)
                elif not response.is_over():
                    environ = self._environ(answer)
                    result = self._call(environ, answer)
                    answer.send(result)
            except ClientDisconnected:
                response.abort()
            except BaseException as error:
                self._fail(error)
            if result is not None and type(result) is not list:
                self._close(result)
            if answer.has_excess:
                log_warning("The application sent more than its content-length; the rest was cut off", head)
        finally:
            self._finish()

    # What a call with a deadline does in its own way (``deadline.py``), besides failing and finishing.

    def _new_answer(self, response: Response, head: RequestHead) -> Answer:
        return new_answer(response, head)

    def _call(self, environ: dict[str, Any], answer: Answer) -> Any:
        return self._site.app(environ, answer.starter())

    def _environ(self, answer: Answer) -> dict[str, Any]:
        spool = self._spool
        environ = self._site.describer.environ(self._request, -1 if spool is None else spool.size)
        if spool is not None:
            environ[INPUT] = spool.open()
        environ[EARLY_HINTS] = answer.hinter()
        if self._request.head.upgrade is not None:
            offer(environ, self._request, answer.raw, self._site.sockets)
        return environ

    def _close(self, result: Any) -> None:
        """Tell the iterable that it is no longer needed; what goes wrong there is logged, the answer is made."""
        try:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            log_failure(error, self._request.head, "close() of the response failed")

    def _fail(self, error: BaseException) -> None:
        """A plain 500 while nothing has left; afterwards a cut that nobody takes for the end."""
        response = self._response
        try:
            if self._answer is not None and self._answer.is_raw:
                # Two ways to tell servers that the socket was used (python-engineio, Flask-Sock), or a lost client.
                if not isinstance(error, (ConnectionError, StopIteration)):
                    log_failure(error, self._request.head)
                return
            if isinstance(error, WireError):
                self._say(error.status)
                return
            log_failure(error, self._request.head)
            fields, body = internal_error(error, self._site.error_page)
            if not response.replace(500, fields, body):
                response.abort()
        except BaseException:
            response.abort()

    def _say(self, status: int) -> None:
        """A plain answer of the server's own."""
        try:
            fields, body = plain(status)
            self._response.replace(status, fields, body)
        except ClientDisconnected:
            pass

    def _finish(self) -> None:
        """Nothing of the call remains; its answer is complete or cut."""
        self.stage = OVER
        try:
            if self._answer is not None:
                self._answer.end()
                if self._answer.is_raw:
                    self._site.sockets.remove()
            if self._spool is not None:
                self._spool.discard()
            if self._site.errors.has_parts:
                self._site.errors.flush()
            if not self._response.is_over():
                self._response.abort()
        finally:
            self._release()

    def _release(self) -> None:
        if self._channel is not None:
            self._channel.ended()
        # The request knows this call: without this, each pair would wait for the garbage collector.
        self._request = None  # type: ignore[assignment]
        self._response = None  # type: ignore[assignment]
        self._channel = None  # type: ignore[assignment]
        self._answer = None
        self._spool = None


def new_call(site: Site, request: Request, response: Response) -> Call:
    """``Call(...)``, without the cost of a call through the type."""
    made = Call.__new__(Call)
    made.hold(site, request, response)
    return made
