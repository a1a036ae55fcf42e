"""One HTTP/2 connection: joins its transport to the wire, and the wire's streams to one exchange each.

``readable`` feeds the wire and takes all events of what was read; only then are applications called, so that none is
for a stream that the same bytes have reset (threat G-039). The top storey of a connection (see ``session``). Never
here: what is legal in HTTP/2 (``wire``), what a body may be (``exchange``), how an application is called (``gateway``).
"""

from __future__ import annotations

from typing import Any

from torana.base.endpoints import Endpoints
from torana.net.transport import Transport
from torana.serve.http2.ending import Ending
from torana.serve.http2.stream import Stream, new_stream
from torana.serve.memory import FLOOR
from torana.serve.phases import CLOSING, LINGER
from torana.serve.site import Site
from torana.wire.events import CLOSED, NEED_DATA, RequestHead, WireError
from torana.wire.http2.events import PINGED, Body, Drained, Ended, Opened, Refused, Reset, Sent

#: From this size on the head of a request is counted as long as somebody answers it.
_LARGE_HEAD = 4 * 1024


class Http2Connection(Ending):
    """The owner of a transport on which the client speaks HTTP/2."""

    def __init__(self, transport: Transport, site: Site, endpoints: Endpoints, crowd: Any) -> None:
        Ending.__init__(self, transport, site, endpoints, crowd)
        #: Requests that no application was called for yet.
        self._fresh: list[Stream] = []
        #: A connection may do the work of as many as it has streams.
        self._requests_left = site.keep_alive_requests * site.http2_limits.streams
        self.wire.begin(site.memory.is_tight)

    # Told by the transport

    def readable(self) -> None:
        data = self.transport.recv()
        if data is None:
            return
        if not data:
            self._end_of_stream()
        elif self.phase >= CLOSING:
            self._throw_away(len(data))
        else:
            self.received(data)

    def received(self, data: bytes) -> None:
        """Bytes of the client's, the preface first."""
        wire = self.wire
        self._last_arrival = self.clock.now
        self._received_bytes += len(data)
        self.is_busy = True
        try:
            wire.receive(data, self.clock.now)
            self._take_events()
            if self._fresh:
                self._call_applications()
        except WireError as error:
            self.is_busy = False
            self._failed_by_client(error)
            return
        finally:
            self.is_busy = False
        if not self.streams and (wire.buffered or wire.is_in_head):
            # Something has begun, and will not be waited for as long as for the next request.
            self.opened()
        if wire.unread() >= FLOOR or wire.buffered >= FLOOR:
            self.weigh()
        if wire.has_output():
            self.schedule()

    def drained(self) -> None:
        self.flush()

    def blocked(self) -> None:
        """Never told: nothing is posted."""

    def peer_closed(self) -> None:
        """FIN while nobody was reading: while there is something to say, what came before it is still to be read."""
        if self.phase >= CLOSING:
            self._end_of_stream()

    # From the wire to the streams

    def _take_events(self) -> None:
        wire = self.wire
        while True:
            event: Any = wire.next()
            kind = type(event)
            if kind is Opened:
                opened = event
                self._open(opened.stream, opened.head)
            elif kind is Body:
                body = event
                stream = body.stream.owner
                if stream is not None:
                    stream.body(body.data, body.size)
            elif kind is Ended or kind is Reset or kind is Drained or kind is Sent:
                # One that is through may have left us in the midst of what it was told.
                stream = event.stream.owner
                if stream is not None:
                    self._tell(stream, kind, event)
            elif kind is Refused:
                self._note(event.reason, event.setting)
            elif event is PINGED:
                self._ponged()
            else:
                assert event is NEED_DATA or event is CLOSED
                return

    def _tell(self, stream: Stream, kind: Any, event: Any) -> None:
        """What else may happen to a stream."""
        if kind is Ended:
            stream.complete(event.trailers)
        elif kind is Drained:
            stream.drained()
        elif kind is Sent:
            stream.settle()
        else:
            stream.cancelled(event.reason, event.setting)

    def _open(self, state: Any, head: RequestHead) -> None:
        endpoints = self.endpoints
        if head.has_forwarding:
            endpoints = self.site.corrected(endpoints, head, self.clock.now)
        stream = new_stream(self, state, head, endpoints)
        if not self.streams:
            self.opened()
        self.streams[state.id] = stream
        self._fresh.append(stream)
        self._requests_left -= 1
        if self.wire.head_size >= _LARGE_HEAD:
            stream.keep_head(self.wire.head_size)

    def _call_applications(self) -> None:
        fresh = self._fresh
        self._fresh = []
        for stream in fresh:
            if not stream.is_dead:
                stream.call()
        if self._requests_left <= 0 or self.site.is_draining or self.is_surplus:
            self.begin_to_leave()

    def _end_of_stream(self) -> None:
        """FIN: what was asked for in full is answered, as far as the client's windows reach."""
        self._has_peer_closed = True
        self.transport.set_reading(False)
        self.wire.receive_eof()
        if self.phase == LINGER:
            self._leave()
        elif self.phase != CLOSING:
            self.is_busy = True
            try:
                for stream in list(self.streams.values()):
                    stream.half_closed()
            finally:
                self.is_busy = False
            self.flush()
