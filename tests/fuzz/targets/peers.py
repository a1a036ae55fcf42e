"""Our readings beside those of other libraries (threat G-034): see ``tests/fuzz/peers`` for the rule."""

from __future__ import annotations

from typing import Any

from tests.fuzz.peers import http1 as http1_peers
from tests.fuzz.peers import http2 as http2_peers
from tests.fuzz.peers import websocket as websocket_peers
from tests.fuzz.peers.differences import is_known
from tests.fuzz.peers.reading import Message, Reading, compare, head_of
from tests.fuzz.target import Target, Verdict
from tests.fuzz.targets import hpack, http1, http2, websocket
from tests.unit.wire.http1_driver import drive
from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.http1.limits import Limits as Http1Limits
from torana.wire.http2.connection import Http2Connection
from torana.wire.http2.errors import Http2Error
from torana.wire.http2.events import PINGED, Body, Ended, Opened, Refused, Reset
from torana.wire.http2.hpack import Decoder, HpackError, HpackTooLarge
from torana.wire.http2.limits import Limits as Http2Limits
from torana.wire.websocket.connection import BUSY, PONG, Closed, WebSocketConnection
from torana.wire.websocket.extensions import Deflate
from torana.wire.websocket.limits import Limits as WebSocketLimits

_WIDE = Http1Limits(field_bytes=1 << 16, head_bytes=1 << 18, field_count=1000)


def _run_http1(data: bytes) -> Verdict:
    if not data:
        return ()
    outcome = drive([data], _WIDE)
    ours = http1_peers.ours(outcome)
    for name, read in http1_peers.PEERS.items():
        compare(name, data, ours, read(data))
    return outcome.error, len(outcome.requests)


HTTP1 = Target(
    "http1-peers", _run_http1, http1.MESSAGES.seeds, http1.MESSAGES.tokens, grow=http1.MESSAGES.grow, share=600
)

#: By the first byte of the input, as in ``websocket``; the small windows are left to that target.
_DEFLATES = (None, Deflate(), None, Deflate(), Deflate(12, 15, True, False))


def _ours_of_frames(data: bytes, deflate: Deflate | None) -> Reading:
    connection = WebSocketConnection(WebSocketLimits(1 << 20), deflate)
    connection.receive(data, 5.0)
    reading = Reading()
    while (event := connection.next()) is not NEED_DATA and event is not CLOSED:
        if event is PONG or event is BUSY:
            continue
        if isinstance(event, Closed):
            reading.is_over = True
            if event.is_failure:
                reading.fault = event.reason
            else:
                reading.messages.append(Message(("close", event.code, event.reason), is_whole=True))
        else:
            is_text = isinstance(event, str)
            body = event.encode() if is_text else event
            reading.messages.append(Message("text" if is_text else "binary", bytearray(body), is_whole=True))
        connection.take_output()
    return reading


def _run_websocket(data: bytes) -> Verdict:
    if len(data) < 2:
        return ()
    deflate = _DEFLATES[data[0] % len(_DEFLATES)]
    ours = _ours_of_frames(data[1:], deflate)
    for name, read in websocket_peers.PEERS.items():
        theirs = read(data[1:], deflate)
        if theirs.messages and not theirs.messages[-1].is_whole:
            theirs.messages.pop()  # We tell of whole messages only.
        compare(name, data, ours, theirs)
    return ours.fault, len(ours.messages)


WEBSOCKET = Target(
    "websocket-peers", _run_websocket, websocket.FRAMES.seeds, websocket.FRAMES.tokens,
    websocket.FRAMES.mend, websocket.FRAMES.grow, share=400,
)  # fmt: skip


def _run_hpack(data: bytes) -> Verdict:
    blocks = hpack.blocks(data)
    decoder, ours, fault = Decoder(), [], ""
    for block in blocks:
        try:
            ours.append(decoder.decode(block, 65536, 1000))
        except HpackError as error:
            fault = error.reason
            break
        except HpackTooLarge:
            fault = "too large"
            break
    if http2_peers.hpack is not None:
        theirs, why = http2_peers.by_hpack(blocks)
        count = min(len(ours), len(theirs))
        assert ours[:count] == theirs[:count], f"hpack reads other fields: {theirs[:count]}"
        assert len(theirs) >= len(ours) or is_known("hpack", why, data, None), (
            f"hpack does not take what we take: {why}"
        )
    return fault, len(ours)


HPACK = Target(
    "hpack-peers", _run_hpack, hpack.BLOCKS.seeds, hpack.BLOCKS.tokens, hpack.BLOCKS.mend, hpack.BLOCKS.grow, share=400
)


class _Ours:
    """Our own side of HTTP/2, whose applications never answer."""

    def __init__(self) -> None:
        limits = Http2Limits(stream_window_bytes=65535, connection_window_bytes=65535)
        self.wire = Http2Connection(limits, 65536, 65536, 1000, 65536, True)
        self.wire.begin()
        self.streams: dict[int, Message] = {}
        self.dead: set[int] = set()
        self.fault = ""

    def receive(self, data: bytes) -> None:
        self.wire.receive(data, 5.0)
        try:
            while True:
                event: Any = self.wire.next()
                if (event is NEED_DATA and not self.wire.has_events) or event is CLOSED:
                    break
                if event is not NEED_DATA and event is not PINGED:
                    self._note(event)
        except Http2Error as error:
            self.fault = error.reason
        while self.wire.output(16384):
            pass

    def _note(self, event: Any) -> None:
        number = event.stream.id
        if isinstance(event, Opened):
            head = event.head
            target = b"" if head.method == "CONNECT" and head.upgrade is None else head.target
            self.streams[number] = Message(head_of(head.method.encode("ascii"), target, head.fields))
            self.streams[number].is_whole = head.content_length == 0
        elif isinstance(event, Body):
            self.streams[number].body += event.data
            self.wire.acknowledge(event.stream, event.size)
        elif isinstance(event, Ended):
            self.streams[number].trailers = event.trailers
            self.streams[number].is_whole = True
        elif isinstance(event, Reset | Refused):
            self.dead.add(number)


def _run_http2(data: bytes) -> Verdict:
    if not data or http2_peers.h2 is None:
        return ()
    data = data[1:] if data[0] & 0x80 else http2.PREFACE + http2.frame(4, 0, 0) + data[1:]
    ours, theirs = _Ours(), http2_peers.H2()
    for frame in http2.split(data):
        if len(frame) < 9 or len(frame) < 9 + int.from_bytes(frame[:3], "big"):
            if not frame.startswith(http2.PREFACE):
                break  # What is judged before it is whole, and what after, is each one's own.
        ours.receive(frame)
        theirs.receive(frame)
        if ours.fault:
            break
        if theirs.fault:
            # Where we refuse or reset one stream, h2 ends the connection.
            is_refused = int.from_bytes(frame[5:9], "big") & 0x7FFFFFFF in ours.dead
            assert is_refused or is_known("h2", theirs.fault, data, None), (
                f"h2 does not take what we take: {theirs.fault}; {frame!r}"
            )
            break
    for number, message in ours.streams.items():
        if number in ours.dead or number in theirs.reset or (theirs.fault and number not in theirs.streams):
            continue
        other = theirs.streams.get(number)
        assert other is not None, f"h2 knows nothing of stream {number}"
        assert message.head == other.head, f"h2 reads another head: ours {message.head}, its {other.head}"
        if not ours.fault and not theirs.fault:
            assert (message.body, message.trailers, message.is_whole) == (other.body, other.trailers, other.is_whole), (
                f"h2 reads another body: ours {message}, its {other}"
            )
    return ours.fault, sorted(ours.streams), sorted(ours.dead)


HTTP2 = Target(
    "http2-peers", _run_http2, http2.FRAMES.seeds, http2.FRAMES.tokens, http2.FRAMES.mend, http2.FRAMES.grow, share=300
)
