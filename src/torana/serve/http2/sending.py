"""What one HTTP/2 stream puts into the wire: heads, data, files, and the windows it gives back to its client.

The lowest storey of a stream (see ``stream``). Files are read piece by piece, as the stream drains. Never here: who
says what is sent, frames and windows themselves (``wire``).
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.carrier import Upgradable
from torana.exchange.request import new_request
from torana.exchange.response import new_response
from torana.net.outlet import FilePiece
from torana.serve.account import new_account
from torana.serve.http2.session import Session
from torana.wire.events import RequestHead, WireError
from torana.wire.http2.errors import INTERNAL_ERROR
from torana.wire.http2.streams import StreamState

#: Data of this size is sent at once; smaller pieces may wait a moment for those of other streams.
_LARGE_BYTES = 16 * 1024
_FILE_BYTES = 64 * 1024
#: Any body data makes a request "full", so that each piece that is taken is told to us, and its window given back.
_READ_AHEAD = 1


class Sending(Upgradable):
    """A stream as the wire sees it."""

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
        #: Of what the connection keeps: the head, and what is kept of the body for whoever answers.
        self._head_size = 0
        self._spooled = 0

    # What the storeys above do

    def cut(self, code: int) -> None:
        """Reset the stream, so that its client takes no part for the whole."""
        raise NotImplementedError

    def _answered(self) -> None:
        raise NotImplementedError

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

    # What is kept for whoever answers

    def keep(self, size: int) -> bool:
        session = self.session
        if size and session.site.memory.is_tight:
            return False
        session.kept += size - self._spooled
        self._spooled = size
        session.weigh()
        return True

    def keep_head(self, size: int) -> None:
        """The request's head is large."""
        self._head_size = size
        self.session.kept += size
        self.session.weigh()

    def spool(self, more: int) -> bool:
        return self.session.site.memory.spool(more)

    def _unburden(self) -> None:
        """Nobody answers any more."""
        size = self._head_size + self._spooled
        if size:
            self._head_size = self._spooled = 0
            self.session.kept -= size
            self.session.weigh()

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
