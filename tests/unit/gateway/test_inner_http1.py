"""One exchange carried on as HTTP/1.1, between a channel and a pipe that record what they are told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from torana.base.endpoints import Endpoints
from torana.exchange.carrier import Carrier, Upgradable
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.inner_http1 import InnerExchange
from torana.gateway.pipe import Pipe
from torana.wire.events import RequestHead


class Wire(Carrier):
    """An upgraded stream."""

    def __init__(self) -> None:
        self.sent = b""
        self.acts: list[str] = []
        self.full = False
        self.reading = True

    def post(self, data: bytes) -> None:
        self.sent += data

    def write(self, head: bytes, data: Any) -> None:
        self.sent += head + bytes(data)

    def is_full(self) -> bool:
        return self.full

    def set_reading(self, is_reading: bool) -> None:
        self.reading = is_reading

    def finish(self) -> None:
        self.acts.append("finish")

    def cut(self) -> None:
        self.acts.append("cut")

    def settled(self) -> None:
        self.acts.append("settled")


class Way(Upgradable):
    """The client's side."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.is_complete = False
        self.acts: list[Any] = []
        self.full = False
        self.request: Request | None = None
        #: Pushed when body is wanted.
        self.held: list[bytes] = []
        self.wanted = 0
        self.wire = Wire()
        self.speaker: Any = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def respond(self, status: int, reason: Any, fields: Any, length: int, data: Any, is_end: bool) -> None:
        assert self.status == 0, "a second head"
        self.status, self.fields = status, list(fields)
        self.write(data, is_end)

    def write(self, data: Any, is_end: bool) -> None:
        assert not self.is_complete
        self.pieces.append(bytes(data))
        self.is_complete = is_end
        if is_end and self.request is not None:
            self.request.lose()

    def write_trailers(self, fields: Any) -> None:
        self.acts.append(("trailers", fields))
        self.is_complete = True

    def inform(self, status: int, fields: Any) -> None:
        self.acts.append(("inform", status, fields))

    def abort(self) -> None:
        self.acts.append("abort")

    def want_body(self) -> None:
        self.wanted += 1
        if self.held and self.request is not None:
            self.request.push(self.held.pop(0))

    def is_full(self) -> bool:
        return self.full

    def ended(self) -> None:
        self.acts.append("ended")

    def upgrade(self, fields: Any, speaker: Any) -> Carrier:
        self.status, self.fields, self.speaker = 101, list(fields), speaker
        return self.wire


class End(Pipe):
    """The other end, which takes all it is given unless it says that it is full."""

    def __init__(self) -> None:
        self.got = b""
        self.full = False
        self.reading = True
        self.acts: list[str] = []

    def write(self, data: bytes) -> None:
        self.got += data

    def set_reading(self, is_reading: bool) -> None:
        self.reading = is_reading

    def is_full(self) -> bool:
        return self.full

    def close(self) -> None:
        self.acts.append("close")

    def abort(self) -> None:
        self.acts.append("abort")


class Stage:
    """One exchange, begun."""

    def __init__(
        self, method: str = "GET", length: int = 0, fields: Any = ((b"host", b"t"),), *, target: bytes = b"/",
        version: str = "1.1", upgrade: bytes | None = None, expects: bool = False, body: bytes = b"",
        is_whole: bool = False, pipe: End | None = None, trailers: bool = False,
    ) -> None:  # fmt: skip
        head = RequestHead()
        head.method, head.target, head.fields, head.content_length = method, target, list(fields), length
        head.raw_path, _, head.query = (b"/" if target[:1] != b"/" else target).partition(b"?")
        head.version, head.upgrade, head.expects_continue, head.takes_trailers = version, upgrade, expects, trailers
        self.way = Way()
        self.pipe = End() if pipe is None else pipe
        self.overs: list[bool] = []
        self.request = Request(head, Endpoints(("10.0.0.1", 5), ("10.0.0.2", 80), "http", None), self.way, 0, 65536)
        self.way.request = self.request
        self.response = Response(self.way, self.request)
        self.exchange = InnerExchange(self.pipe, self.overs.append)
        if body:
            self.request.push(body)
        if is_whole:
            self.request.end([])
        self.exchange.start(self.request, self.response)

    @property
    def got(self) -> tuple[bytes, bytes]:
        head, _, body = self.pipe.got.partition(b"\r\n\r\n")
        return head, body

    def says(self, *pieces: bytes) -> Stage:
        for piece in pieces:
            self.exchange.received(piece)
        return self


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nServer: inner\r\n\r\nok"


def test_request_without_body_and_its_answer() -> None:
    stage = Stage()
    assert stage.got == (b"GET / HTTP/1.1\r\nhost: t", b"")
    assert stage.exchange.is_sent and not stage.exchange.is_over
    stage.says(OK)
    assert (stage.way.status, stage.way.pieces, stage.way.is_complete) == (200, [b"ok"], True)
    assert (b"content-length", b"2") in stage.way.fields
    assert stage.overs == [True] and stage.pipe.acts == [] and stage.way.acts == ["ended"]
    assert stage.request.answerer is None


@pytest.mark.parametrize("at", range(1, len(OK)))
def test_answer_in_two_pieces(at: int) -> None:
    stage = Stage().says(OK[:at], OK[at:])
    assert (stage.way.status, stage.way.body, stage.way.is_complete, stage.overs) == (200, b"ok", True, [True])


def test_one_exchange_after_another_on_one_pipe() -> None:
    stage = Stage()
    for count in range(1, 4):
        stage.says(OK)
        assert stage.overs == [True] * count
        stage.way.status, stage.way.pieces, stage.way.is_complete = 0, [], False
        request = Request(stage.request.head, stage.request.endpoints, stage.way, 0, 65536)
        stage.exchange.start(request, Response(stage.way, request))
        assert not stage.exchange.is_over


def test_own_name_of_the_other_end_is_left_out() -> None:
    stage = Stage()
    stage.exchange.own_server = b"inner"
    stage.says(OK)
    assert b"server" not in dict(stage.way.fields)
    other = Stage()
    other.exchange.own_server = b"another"
    other.says(OK)
    assert dict(other.way.fields)[b"server"] == b"inner"


def test_body_that_is_there_leaves_with_the_head() -> None:
    stage = Stage("POST", 5, body=b"hello", is_whole=True)
    assert stage.got == (b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5", b"hello")
    assert stage.exchange.is_sent


def test_body_is_passed_on_as_it_comes() -> None:
    stage = Stage("POST", 10)
    assert stage.got[1] == b"" and stage.way.wanted
    stage.request.push(b"hello")
    assert stage.got[1] == b"hello" and not stage.exchange.is_sent
    stage.request.push(b"world")
    stage.request.end([])
    assert stage.got[1] == b"helloworld" and stage.exchange.is_sent
    assert stage.says(OK).overs == [True]


def test_body_of_unknown_length_is_chunked() -> None:
    stage = Stage("POST", -1)
    assert stage.got[0].endswith(b"transfer-encoding: chunked")
    stage.request.push(b"hello")
    stage.request.push(b"x" * 20_000)
    stage.request.end([(b"x-sum", b"1")])
    assert stage.got[1] == b"5\r\nhello\r\n4e20\r\n" + b"x" * 20_000 + b"\r\n0\r\nx-sum: 1\r\n\r\n"


def test_body_of_unknown_length_that_is_whole_has_a_length() -> None:
    assert Stage("POST", -1, body=b"hello", is_whole=True).got == (
        b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5", b"hello",
    )  # fmt: skip


def test_body_waits_for_the_other_end() -> None:
    pipe = End()
    pipe.full = True
    stage = Stage("POST", 10, pipe=pipe)
    stage.request.push(b"hello")
    stage.request.push(b"world")
    assert stage.got[1] == b"" and stage.request.buffered == 10
    pipe.full = False
    stage.exchange.drained()
    assert stage.got[1] == b"helloworld"


def test_body_that_comes_because_of_the_taking_keeps_its_order() -> None:
    stage = Stage("POST", 30)
    stage.way.held = [b"second", b"third"]
    stage.request.push(b"first")
    assert stage.got[1] == b"firstsecondthird"


def test_body_is_asked_for_when_the_application_does() -> None:
    async def run() -> None:
        stage = Stage("POST", 5, expects=True)
        stage.way.held = [b"hello"]
        assert stage.way.wanted == 0
        stage.says(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert stage.way.wanted == 0, "not in the midst of the other end's saying so"
        await asyncio.sleep(0)
        assert stage.way.wanted and stage.got[1] == b"hello"

    asyncio.run(run())


def test_refused_expectation_asks_for_nothing() -> None:
    stage = Stage("POST", 5, expects=True)
    stage.says(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    assert (stage.way.status, stage.way.wanted, stage.overs, stage.pipe.acts) == (417, 0, [False], ["close"])


def test_answer_ahead_of_the_body_ends_the_pipe() -> None:
    stage = Stage("POST", 10)
    stage.request.push(b"hello")
    stage.says(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert (stage.way.status, stage.way.is_complete, stage.overs, stage.pipe.acts) == (413, True, [False], ["close"])
    stage.request.push(b"world")
    assert stage.got[1] == b"hello"


def test_streamed_answer_leaves_at_once() -> None:
    stage = Stage()
    stage.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert stage.way.status == 200 and not stage.way.is_complete
    stage.says(b"1\r\na\r\n", b"1\r\nb\r\n")
    assert [piece for piece in stage.way.pieces if piece] == [b"a", b"b"]
    stage.says(b"0\r\n\r\n")
    assert stage.way.is_complete and stage.overs == [True]


def test_slow_client_holds_up_the_other_end() -> None:
    stage = Stage()
    stage.way.full = True
    stage.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    assert not stage.pipe.reading
    stage.exchange.drained()
    assert not stage.pipe.reading, "still full"
    stage.way.full = False
    stage.exchange.drained()
    assert stage.pipe.reading


def test_hints_and_trailers_are_passed_on() -> None:
    stage = Stage(trailers=True)
    stage.says(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    assert stage.way.acts == [("inform", 103, [(b"link", b"</a>")])]
    stage.says(
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    assert ("trailers", [(b"x-sum", b"1")]) in stage.way.acts
    assert stage.overs == [True]


def test_answer_to_head() -> None:
    stage = Stage("HEAD")
    stage.says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert stage.way.is_complete and dict(stage.way.fields)[b"content-length"] == b"1000" and stage.overs == [True]


def test_answer_until_the_end_of_the_pipe() -> None:
    stage = Stage().says(b"HTTP/1.1 200 OK\r\n\r\nall", b" of it")
    stage.exchange.ended()
    assert stage.way.body == b"all of it" and stage.way.is_complete and stage.overs == [False]


def test_other_end_leaves_without_an_answer() -> None:
    stage = Stage()
    stage.exchange.ended()
    assert (stage.way.status, stage.overs, stage.way.is_complete) == (502, [False], True)


def test_other_end_leaves_within_the_answer() -> None:
    stage = Stage().says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    stage.exchange.ended()
    assert "abort" in stage.way.acts and not stage.way.is_complete and stage.overs == [False]


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_improper_answer_becomes_a_502(said: bytes) -> None:
    stage = Stage().says(said)
    assert (stage.way.status, stage.overs, stage.pipe.acts) == (502, [False], ["abort"])
    assert stage.says(OK).way.status == 502, "what comes after it is not heard"


def test_client_that_goes_is_told_to_the_other_end() -> None:
    stage = Stage()
    stage.response.lose()
    stage.request.lose()
    assert stage.pipe.acts == ["abort"] and stage.overs == [False]
    assert "ended" in stage.way.acts
    stage.exchange.ended()
    stage.exchange.drained()
    assert stage.overs == [False]


@pytest.mark.parametrize(
    ("method", "target", "fields", "status"),
    [
        ("CONNECT", b"t:80", [(b"host", b"t")], 501),
        ("GET", b"/", [(b"host", b"a"), (b"host", b"b")], 400),
        ("GET", b"/", [(b"x", b"a\r\nb")], 400),
    ],
)
def test_what_cannot_be_passed_on_is_refused(method: str, target: bytes, fields: Any, status: int) -> None:
    stage = Stage(method, fields=fields, target=target)
    if method == "CONNECT":
        assert stage.way.status == status
    assert (stage.way.status, stage.pipe.got, stage.overs) == (status, b"", [True])


def test_target_that_is_a_url_becomes_a_path() -> None:
    assert Stage(target=b"http://t/").got[0].startswith(b"GET / HTTP/1.1")


def test_failing_ends_both_sides() -> None:
    silent = Stage()
    silent.exchange.fail(504)
    assert (silent.way.status, silent.pipe.acts, silent.overs) == (504, ["abort"], [False])
    begun = Stage().says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    begun.exchange.fail(504)
    assert (begun.way.status, begun.way.is_complete, begun.overs) == (200, False, [False])
    assert "abort" in begun.way.acts


def test_stop_cuts_what_has_begun_first() -> None:
    silent = Stage()
    silent.exchange.stop()
    assert silent.overs == []
    silent.exchange.stop()
    assert silent.way.status == 503 and silent.overs == [False]
    begun = Stage().says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    begun.exchange.stop()
    assert begun.overs == [False]


# Tunnels

SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Accept: abc\r\nSec-WebSocket-Protocol: p\r\n\r\n"
)
ASKS = ((b"host", b"t"), (b"connection", b"Upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-key", b"x"))


def tunnel(version: str = "1.1") -> Stage:
    if version == "2":
        return Stage(
            "CONNECT", -1, ((b"host", b"t"), (b"sec-websocket-version", b"13")), version="2", upgrade=b"websocket"
        )
    return Stage(fields=ASKS, upgrade=b"websocket")


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_handshake_as_an_http1_application_expects_it(version: str) -> None:
    head = tunnel(version).got[0].split(b"\r\n")
    assert head[0] == b"GET / HTTP/1.1"
    assert b"connection: upgrade" in head and b"upgrade: websocket" in head
    assert sum(line.startswith(b"sec-websocket-key: ") for line in head) == 1
    assert not any(line.startswith((b"content-length", b"transfer-encoding")) for line in head)


def test_bytes_both_ways_after_the_switch() -> None:
    stage = tunnel().says(SWITCH + b"first")
    assert dict(stage.way.fields) == {b"sec-websocket-accept": b"abc", b"sec-websocket-protocol": b"p"}
    assert stage.way.wire.sent == b"first"
    stage.pipe.got = b""
    stage.way.speaker.received(b"hello")
    assert stage.pipe.got == b"hello"
    stage.says(b"small", b"x" * 10_000)
    assert stage.way.wire.sent == b"firstsmall" + b"x" * 10_000
    assert not stage.way.speaker.is_over() and stage.overs == []


def test_accept_is_not_said_over_http2() -> None:
    assert dict(tunnel("2").says(SWITCH).way.fields) == {b"sec-websocket-protocol": b"p"}


def test_slowness_is_felt_on_the_other_side_of_a_tunnel() -> None:
    stage = tunnel().says(SWITCH)
    stage.pipe.full = True
    stage.way.speaker.received(b"hello")
    assert not stage.way.wire.reading
    stage.pipe.full = False
    stage.exchange.drained()
    assert stage.way.wire.reading
    stage.way.wire.full = True
    stage.says(b"data")
    assert not stage.pipe.reading
    stage.way.wire.full = False
    stage.way.speaker.drained()
    assert stage.pipe.reading


def test_client_leaves_the_tunnel() -> None:
    stage = tunnel().says(SWITCH)
    stage.way.speaker.lost()
    assert stage.pipe.acts == ["abort"] and stage.overs == [False] and stage.way.speaker.is_over()


def test_other_end_leaves_the_tunnel() -> None:
    stage = tunnel().says(SWITCH, b"bye")
    stage.exchange.ended()
    assert stage.way.wire.acts == ["finish", "settled"] and stage.way.wire.sent == b"bye"
    assert stage.overs == [False] and stage.way.speaker.is_over()
    stage.way.speaker.received(b"late")
    assert b"late" not in stage.pipe.got


def test_tunnel_that_does_not_end_is_cut() -> None:
    stage = tunnel().says(SWITCH)
    stage.way.speaker.stop()
    assert stage.overs == []
    stage.way.speaker.stop()
    assert "cut" in stage.way.wire.acts and stage.pipe.acts == ["abort"] and stage.overs == [False]


def test_refused_handshake_is_an_answer_like_others() -> None:
    stage = tunnel().says(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nX-Why: a\r\n\r\nno")
    assert (stage.way.status, stage.way.body, stage.overs, stage.pipe.acts) == (403, b"no", [False], ["close"])
