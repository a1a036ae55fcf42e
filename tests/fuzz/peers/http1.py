"""h11 and httptools (llhttp) as readers of HTTP/1 requests, and our own reading in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fuzz.peers.reading import Message, Reading, head_of
from tests.unit.wire.http1_driver import Outcome
from torana.wire.events import CLOSED

try:
    import h11
except ImportError:
    h11 = None  # type: ignore[assignment]
try:
    import httptools  # type: ignore[import-untyped]
except ImportError:
    httptools = None


def ours(outcome: Outcome) -> Reading:
    """Our own outcome."""
    reading = Reading(fault=outcome.error[1] if outcome.error else "")
    for seen in outcome.requests:
        head = head_of(seen.head["method"].encode("ascii"), seen.head["target"], seen.head["fields"])
        reading.messages.append(Message(head, bytearray(seen.body), seen.trailers or [], seen.is_whole))
    last = outcome.requests[-1] if outcome.requests else None
    reading.is_over = outcome.mark is CLOSED or (last is not None and last.is_whole and not last.head["keep_alive"])
    return reading


def by_h11(data: bytes) -> Reading:
    """What h11 reads, when every request is answered as soon as it is read."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reading = Reading()
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return reading
            if event is h11.PAUSED:
                reading.is_over = not _goes_on(connection)
                if reading.is_over:
                    return reading
            elif isinstance(event, h11.Request):
                reading.messages.append(Message(head_of(event.method, event.target, event.headers)))
            elif isinstance(event, h11.Data):
                reading.messages[-1].body += event.data
            elif isinstance(event, h11.EndOfMessage):
                reading.messages[-1].trailers = list(event.headers)
                reading.messages[-1].is_whole = True
                if not _goes_on(connection):
                    reading.is_over = True
                    return reading
            else:
                return reading
    except h11.RemoteProtocolError as error:
        reading.fault = str(error)
        return reading


def _goes_on(connection: Any) -> bool:
    """Answer; whether there may be another request. An upgrade is not taken."""
    if connection.our_state is h11.SEND_RESPONSE:
        connection.send(h11.Response(status_code=404, headers=[(b"content-length", b"0")]))
        connection.send(h11.EndOfMessage())
    if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
        return False
    connection.start_next_cycle()
    return True


class _Callbacks:
    """Collects what llhttp calls."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.parser: Any = None
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._is_in_head = False

    def on_message_begin(self) -> None:
        self._target, self._fields, self._is_in_head = b"", [], True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        field = (name.lower(), value.strip(b" \t"))
        if self._is_in_head:
            self._fields.append(field)
        else:
            self.reading.messages[-1].trailers.append(field)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self.reading.messages.append(Message(head_of(self.parser.get_method(), self._target, self._fields)))

    def on_body(self, body: bytes) -> None:
        self.reading.messages[-1].body += body

    def on_message_complete(self) -> None:
        self.reading.messages[-1].is_whole = True
        self.reading.is_over = not self.parser.should_keep_alive()


def by_httptools(data: bytes) -> Reading:
    """What llhttp reads."""
    calls = _Callbacks()
    calls.parser = httptools.HttpRequestParser(calls)
    try:
        calls.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        calls.reading.is_over = True
    except httptools.HttpParserError as error:
        calls.reading.fault = f"{type(error).__name__}: {error}"
    return calls.reading


PEERS: dict[str, Callable[[bytes], Reading]] = {}
if h11 is not None:
    PEERS["h11"] = by_h11
if httptools is not None:
    PEERS["httptools"] = by_httptools
