"""What is said on one HTTP/2 stream, by whoever answers or a thread of his, and when nothing is left of it.

The middle storey of a stream (see ``stream``). While a thread has borrowed it, what the thread says is kept in its
``loan`` and said by the loop. Never here: what an answer may be (``exchange``), a request's body.
"""

from __future__ import annotations

from typing import Any

from torana.exchange.response import ClientDisconnected
from torana.net.outlet import FilePiece
from torana.serve.http2.loan import Loan, new_loan
from torana.serve.http2.sending import Sending
from torana.wire.http2.errors import INTERNAL_ERROR

#: The acts of a borrower.
_RESPOND = 0
_WRITE = 1
_FILE = 2
_TRAILERS = 3
_INFORM = 4


class Answering(Sending):
    """The way out of a stream."""

    # Said by whoever answers

    def respond(self, status: int, reason: bytes | None, fields: Any, length: int, data: Any, is_end: bool) -> None:
        if self.is_lent:
            self._borrower_says((_RESPOND, status, fields, length, _kept(data), is_end), len(data), is_end)
            return
        self._send_head(status, fields, length, data, is_end)
        if is_end:
            self._answered()

    def write(self, data: Any, is_end: bool) -> None:
        if self.is_lent:
            self._borrower_says((_WRITE, _kept(data), is_end), len(data), is_end)
        elif self._behind is not None:
            self._behind.append((_kept(data), is_end))
        else:
            self._send(data, is_end)

    def write_file(self, fd: int, offset: int, count: int, is_end: bool) -> None:
        piece = FilePiece(fd, offset, count)
        if self.is_lent:
            self._borrower_says((_FILE, piece, is_end), 0, is_end)
        else:
            self._send_file(piece, is_end)

    def write_trailers(self, fields: Any) -> None:
        if self.is_lent:
            self._borrower_says((_TRAILERS, fields), 0, True)
        elif self._behind is not None:
            self._behind.append(fields)
        else:
            self._send_trailers(fields)

    def inform(self, status: int, fields: Any) -> None:
        if self.is_lent:
            self._borrower_says((_INFORM, status, fields), 0, False)
        elif not self.is_dead:
            self.session.wire.send_informational(self.state, status, fields)
            self.session.schedule()

    def abort(self) -> None:
        if self.is_lent:
            self._is_aborted = True
        else:
            self.cut(INTERNAL_ERROR)

    def want_body(self) -> None:
        request = self.request
        if request is None or self.is_dead:
            return
        if request.head.expects_continue and not request.received and not request.is_ended and not self._body_since:
            if not self.response.is_begun():
                self.session.wire.send_informational(self.state, 100, [])
                self.session.schedule()
            self._restart_body_clock()
        if self.unacknowledged:
            self.acknowledge()
            if not self._is_body_awaited and not request.is_ended:
                self._restart_body_clock()

    def is_full(self) -> bool:
        if self.is_lent:
            # A borrower hears of a lost client only by waiting.
            return self.is_dead or self.state.is_full or self._loan.is_full()
        return self.state.is_full or self._behind is not None

    def ended(self) -> None:
        self.has_ended = True
        if not self._was_lent:
            self.settle()
        elif not self.is_lent:
            # The loop has answered in the place of a thread, which comes back only now.
            self.session.post(self)

    # The loan

    def lend(self) -> None:
        self._loan = new_loan()
        self.is_lent = self._was_lent = True

    def wait_drained(self) -> None:
        loan = self._loan
        while True:
            loan.begin_to_wait()
            if self.is_dead:
                self.response.lose()
                raise ClientDisconnected("the client is gone")
            if not self.state.is_full and not loan.is_full():
                return
            loan.wait()

    def give_back(self) -> None:
        self._is_returned = True
        self.session.post(self)

    def _borrower_says(self, act: tuple[Any, ...], size: int, is_end: bool) -> None:
        loan = self._loan
        loan.add(act, size)
        # At the end the stream is given back soon, and one word is enough for both.
        if not is_end and not loan.is_posted:
            loan.is_posted = True
            self.session.post(self)

    def replay(self) -> None:
        """On the loop's thread: do what was left word of."""
        loan = self._loan
        if loan is not None:
            # Before the look at the acts: whoever adds one after it posts us again.
            loan.is_posted = False
            act = loan.take()
            while act is not None:
                self._do(act, loan)
                act = loan.take()
            if self._is_returned:
                self._returned()
            else:
                loan.tell()
        elif not self._was_lent:
            self._hand_on()
        self.settle()

    def _returned(self) -> None:
        self._is_returned = self.is_lent = False
        self._loan = None
        if self.is_dead:
            if not self.is_answered:
                self.response.lose()
                self.account.end(499, self.request, self.response, self.response.sent)
        elif self._is_aborted:
            self.cut(INTERNAL_ERROR)

    def _do(self, act: tuple[Any, ...], loan: Loan) -> None:
        kind = act[0]
        if kind == _RESPOND:
            _, status, fields, length, data, is_end = act
            self._send_head(status, fields, length, data, is_end)
            loan.count(len(data))
            if is_end:
                self._answered()
        elif kind == _WRITE:
            _, data, is_end = act
            if self._behind is not None:
                self._behind.append((data, is_end))
            else:
                self._send(data, is_end)
            loan.count(len(data))
        elif kind == _FILE:
            self._send_file(act[1], act[2])
        elif kind == _TRAILERS:
            if self._behind is not None:
                self._behind.append(act[1])
            else:
                self._send_trailers(act[1])
        elif not self.is_dead:
            self.session.wire.send_informational(self.state, act[1], act[2])

    def _hand_on(self) -> None:
        """``replay`` of a stream that was not lent."""

    # The end

    def _answered(self) -> None:
        """The answer is complete: account for it; the application hears that nobody waits any more."""
        if self.is_answered or self.is_dead:
            return
        self.is_answered = True
        request, response = self.request, self.response
        self.account.end(response.status, request, response, response.sent)
        request.lose()
        if not self.is_lent:
            self.settle()

    def finish(self) -> None:
        """END_STREAM of a conversation."""
        if not self.is_dead and not self.is_answered:
            self.is_answered = True
            self.session.wire.send_data(self.state, b"", True)
            self.session.schedule()

    def cut(self, code: int) -> None:
        """Reset the stream, so that its client takes no part for the whole."""
        if self.is_dead or (self.is_answered and self.state.waiting == 0):
            return
        self.is_dead = True
        self._is_body_awaited = False
        self.session.wire.reset(self.state, code)
        self.session.schedule()
        if self.is_lent:
            if self._loan is not None:
                self._loan.tell()
        elif not self.is_answered and self.carrier is None:
            request, response = self.request, self.response
            response.lose()
            self.account.end(response.status or 500, request, response, response.sent)
            request.lose()
        self.settle()

    def settle(self) -> None:
        """Let go of the stream if both its halves and the application are through."""
        if self._is_settled:
            self.forget()
            return
        if not self.has_ended or self.is_lent or not (self.is_answered or self.is_dead):
            return
        self._is_settled = True
        session = self.session
        self._drop_files()
        self._unburden()
        # What of the request was not consumed is given back, and what is still to come of it cut off, by the wire.
        session.wire.finished(self.state)
        if not self.request.is_ended:
            session.schedule()
        # The stream and its exchange know each other: without this each would wait for the garbage collector.
        self.request = None
        self.response = None
        self.carrier = None
        self.forget()

    def forget(self) -> None:
        """Leave the connection, when all is sent."""
        if not self.state.is_sent and not self.is_dead:
            return
        session = self.session
        if session.streams.pop(self.state.id, None) is not None:
            self.state.owner = None
            if not session.streams:
                session.emptied()


def _kept(data: Any) -> bytes:
    """Data that its owner may change as soon as the call returns, as it is now."""
    return data if type(data) is bytes else bytes(data)
