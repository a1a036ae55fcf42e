"""What is said on one HTTP/2 stream, and when nothing is left of it.

The lower storey of a stream (see ``stream``). While a thread has borrowed it, what the thread says is kept in its
``loan`` and said by the loop. Files are read piece by piece, as the stream drains. Never here: what an answer may be
(``exchange``), frames and windows (``wire``), a request's body.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.request import new_request
from torana.exchange.response import ClientDisconnected, new_response
from torana.net.outlet import FilePiece
from torana.serve.account import new_account
from torana.serve.carrier import Upgradable
from torana.serve.http2.loan import Loan, new_loan
from torana.serve.http2.session import Session
from torana.wire.events import RequestHead, WireError
from torana.wire.http2.errors import INTERNAL_ERROR
from torana.wire.http2.streams import StreamState

#: Data of this size is sent at once; smaller pieces may wait a moment for those of other streams.
_LARGE_BYTES = 16 * 1024
_FILE_BYTES = 64 * 1024
#: Any body data makes a request "full", so that each piece that is taken is told to us, and its window given back.
_READ_AHEAD = 1

#: The acts of a borrower.
_RESPOND = 0
_WRITE = 1
_FILE = 2
_TRAILERS = 3
_INFORM = 4


class Answering(Upgradable):
    """The way out of a stream."""

    def __init__(self, session: Session, state: StreamState, head: RequestHead, endpoints: Endpoints) -> None:
        self.begin(session, state, head, endpoints)

    def begin(self, session: Session, state: StreamState, head: RequestHead, endpoints: Endpoints) -> None:
        """What ``__init__`` does, for ``new_stream``."""
        site = session.site
        self.session = session
        self.state = state
        self.account = new_account(site)
        #: The exchange; None once nothing is left of it.
        self.request: Any = new_request(head, endpoints, self, site.body_limit, _READ_AHEAD)
        self.response: Any = new_response(self, self.request)
        #: Who carries a conversation's bytes, once the exchange has become one.
        self.carrier: Any = None
        #: The application was called, or somebody has answered in its place.
        self.is_called = False
        #: The message has its end, as far as whoever answers is concerned.
        self.is_answered = False
        #: Reset, by either side, or gone with its connection.
        self.is_dead = False
        #: Whoever answers has nothing more to do.
        self.has_ended = False
        self.is_lent = False
        self._was_lent = False
        self._is_returned = False
        self._is_aborted = False
        self._is_settled = False
        self._fault: WireError | None = None
        self._loan: Any = None
        #: A file that is being sent, and what was said after it.
        self._behind: deque[Any] | None = None
        #: The clock of the request body; it stands still while the client may be waiting for us.
        self._is_body_awaited = False
        self._body_since = 0.0
        self._last_arrival = 0.0
        self._body_bytes = 0
        #: Bytes of window that the client was not given back.
        self.unacknowledged = 0
        #: When the answer began to wait for its client's window, and how much of it had left then.
        self._stalled_since = 0.0
        self._stalled_at = 0

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
        if self._is_aborted:
            self.cut(INTERNAL_ERROR)
        elif self.is_dead:
            self.response.lose()
            self.account.end(499, self.request, self.response, self.response.sent)

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

    # Into the wire

    def _send_head(self, status: int, fields: Any, length: int, data: Any, is_end: bool) -> None:
        if self.is_dead:
            return
        session = self.session
        site = session.site
        session.wire.send_head(
            self.state, status, fields, length, data, is_end, session.clock.date if site.has_date else b"",
            site.default_fields,
        )  # fmt: skip
        if len(data) < _LARGE_BYTES:
            session.schedule()
        else:
            session.flush()

    def _send(self, data: Any, is_end: bool) -> None:
        if self.is_dead:
            return
        session = self.session
        session.wire.send_data(self.state, data, is_end)
        if len(data) < _LARGE_BYTES:
            session.schedule()
        else:
            session.flush()
        if is_end:
            self._answered()

    def hold(self, data: bytes) -> None:
        """Add data that more follows at once."""
        if not self.is_dead:
            self.session.wire.send_data(self.state, data, False)

    def _send_trailers(self, fields: Any) -> None:
        if not self.is_dead:
            self.session.wire.send_trailers(self.state, fields)
            self.session.schedule()
            self._answered()

    def _send_file(self, piece: FilePiece, is_end: bool) -> None:
        if self.is_dead:
            piece.close()
            return
        if self._behind is not None:
            self._behind.append((piece, is_end))
            return
        self._behind = deque([(piece, is_end)])
        self._pump()
        self.session.schedule()

    def _pump(self) -> None:
        """Send on of a file and of what was said after it, until the stream is full."""
        behind = self._behind
        while behind and not self.is_dead and not self.state.is_full:
            said = behind[0]
            if type(said) is list:
                behind.popleft()
                self._send_trailers(said)
            elif type(said[0]) is not FilePiece:
                behind.popleft()
                self._send(said[0], said[1])
            elif not self._pump_file(said[0], said[1]):
                return
            elif said[0].count == 0:
                behind.popleft()
        if not behind:
            self._behind = None

    def _pump_file(self, piece: FilePiece, is_end: bool) -> bool:
        """Send the next piece of a file; False when there is none where one should be, and the stream was cut."""
        size = piece.count if piece.count < _FILE_BYTES else _FILE_BYTES
        try:
            data = os.pread(piece.fd, size, piece.offset)
        except OSError:
            data = b""
        if not data:
            self.cut(INTERNAL_ERROR)
            return False
        size = len(data)
        piece.offset += size
        piece.count -= size
        if piece.count == 0:
            piece.close()
        is_last = is_end and piece.count == 0
        self.session.wire.send_data(self.state, data, is_last)
        if is_last:
            self._answered()
        return True

    def _drop_files(self) -> None:
        if self._behind is not None:
            for said in self._behind:
                if type(said) is tuple and type(said[0]) is FilePiece:
                    said[0].close()
            self._behind = None

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
            self.response.lose()
            self.request.lose()
            self.account.end(self.response.status or 500, self.request, self.response, self.response.sent)
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

    # The request body

    def _restart_body_clock(self) -> None:
        """The rate of a body is measured only while its client is the one to wait for."""
        self._is_body_awaited = True
        self._body_since = self._last_arrival = self.session.clock.now
        self._body_bytes = 0

    def acknowledge(self) -> None:
        size = self.unacknowledged
        self.unacknowledged = 0
        self.session.wire.acknowledge(self.state, size)
        self.session.schedule()

    def discard(self, size: int) -> None:
        """``size`` bytes of body have come that nobody wants."""
        if self.request is not None:
            self.request.received += size
        if self.unacknowledged:
            self.acknowledge()

    def _is_stalled(self, now: float, is_waiting: bool) -> bool:
        """Whether a response that waits for its client's window has made no progress to speak of for too long."""
        times = self.session.site.timeouts
        if not self.state.waiting or not is_waiting or self.is_dead or not times.http2_stalled_s:
            self._stalled_since = 0.0
            return False
        left = self.state.sent
        since = self._stalled_since
        if since and now - since < times.http2_stalled_s:
            return False
        if since and left - self._stalled_at < max(1.0, times.write_rate * (now - since)):
            return True
        self._stalled_since = now
        self._stalled_at = left
        return False

    def _note(self, reason: str, setting: str) -> None:
        session = self.session
        session.site.refusals.note(reason, setting, session.endpoints.client, session.clock.now)


def _kept(data: Any) -> bytes:
    """Data that its owner may change as soon as the call returns, as it is now."""
    return data if type(data) is bytes else bytes(data)
