"""An aiohttp application through the real command, on asyncio and uvloop: httpx, raw sockets, websockets, h2."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.conformance.test_asgi_websocket_http2 import Peer
from tests.support.raw import Connection
from tests.support.secure_websocket import secure_websocket
from tests.support.server import Server, running
from tests.support.websocket_raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawSocket,
    close_frame,
    frame,
)

pytest.importorskip("aiohttp")
httpx = pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")

HERE = Path(__file__).parent
WAIT_S = 20.0
PIECE = bytes(range(256)) * 256
LARGE = PIECE * 16 * 4  # 4 MiB
PAGE = b"<!doctype html><p>text</p>" * 10


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "page.html").write_bytes(PAGE)
    (folder / "large.bin").write_bytes(LARGE)
    return folder


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, files: Path) -> Iterator[Server]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    flags = ["--loop", request.param, "--timeout-ws-close", "1"]
    with running("aiohttp_site:app", *flags, app_dir=HERE, environment={"SITE_FILES": str(files)}) as server:
        yield server
    notes = [line.partition("note: ")[2] for line in server.log.splitlines() if "note: " in line]
    life = [said for said in notes if said.split()[0] in ("outer", "startup", "sub", "shutdown", "heart", "cleanup")]
    assert life == [
        "outer begun", "sub startup", "startup", "shutdown begun", "shutdown", "heart ended", "outer ended", "cleanup",
    ] or life == [
        "sub startup", "outer begun", "startup", "shutdown begun", "shutdown", "heart ended", "outer ended", "cleanup",
    ]  # fmt: skip
    assert "Task was destroyed" not in server.log and "never retrieved" not in server.log


@pytest.fixture(params=["1", "2"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[httpx.Client]:
    """HTTP/1.1, and HTTP/2 by prior knowledge."""
    is_2 = request.param == "2"
    with httpx.Client(base_url=server.origin, timeout=WAIT_S, trust_env=False, http1=not is_2, http2=is_2) as client:
        yield client


@pytest.fixture
def one(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=WAIT_S, trust_env=False) as client:
        yield client


@pytest.fixture
def raw(server: Server) -> Iterator[RawSocket]:
    with RawSocket(server.address) as raw:
        yield raw


@pytest.fixture
def peer(server: Server) -> Iterator[Peer]:
    with Peer(server) as peer:
        yield peer


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def connect(server: Server, path: str, **more: Any) -> Any:
    plain = {"proxy": None, "compression": None, "max_size": None, "open_timeout": WAIT_S}
    return websockets.connect(f"ws://127.0.0.1:{server.port}{path}", **plain | more)


# requests


def test_request_as_the_handler_sees_it(client: httpx.Client, server: Server) -> None:
    fields = [("X-Several", "a"), ("X-Several", "b"), ("Cookie", "c=1; d=zwei"), ("X-Latin", "gr\xf6\xdfe".encode())]
    seen = client.get("/describe/a%2Fb?q=%20x&r=y", headers=fields).json()
    assert (seen["method"], seen["version"], seen["scheme"], seen["secure"]) == ("GET", [1, 1], "http", False)
    assert (seen["raw_path"], seen["path"]) == ("/describe/a%2Fb?q=%20x&r=y", "/describe/a/b")
    assert seen["query"] == {"q": " x", "r": "y"}
    assert (seen["host"], seen["url"]) == (f"127.0.0.1:{server.port}", f"{server.origin}/describe/a%2Fb?q=%20x&r=y")
    assert (seen["remote"], seen["peername"][0]) == ("127.0.0.1", "127.0.0.1")
    assert (seen["sockname"], seen["socket"]) == (["127.0.0.1", server.port], None)
    assert (
        seen["cookies"] == {"c": "1", "d": "zwei"} and seen["several"] == ["a", "b"] and seen["latin"] == "gr\xf6\xdfe"
    )
    assert (seen["can_read_body"], seen["length"]) == (False, None)
    assert not {"transfer-encoding", "te", "upgrade"} & set(seen["names"])


def test_handlers_run_on_the_servers_loop_behind_start_up(client: httpx.Client) -> None:
    seen = client.get("/describe").json()
    assert seen["loop"].partition(".")[0] in ("asyncio", "uvloop")
    assert seen["started"] == "started", "what on_startup has set in the context"
    order = client.get("/order").json()
    assert order["order"] == ["outer", "startup"]
    beats = order["beats"]
    while client.get("/order").json()["beats"] <= beats:
        pass


def test_context_of_a_request_is_its_own(client: httpx.Client) -> None:
    for value in ("1", "2", "3"):
        assert client.get(f"/context/{value}").text == ""


def test_keep_alive(server: Server) -> None:
    with Connection(server.address) as connection:
        for _ in range(100):
            answer = connection.ask("GET", "/")
            assert (answer.status, answer.body, answer.get("connection")) == (200, b"Hello, world!", None)
            assert len(answer.get_all("server")) == len(answer.get_all("date")) == 1
            assert b"aiohttp" not in (answer.get("server") or b"")
        named = connection.ask("GET", "/own-server")
        assert (named.get_all("server"), named.get("date")) == ([b"mine"], b"Thu, 01 Jan 1970 00:00:00 GMT")
        assert connection.ask("GET", "/close").body == b"closing"


def test_pipelined(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"".join(b"GET /describe/%d HTTP/1.1\r\nHost: t\r\n\r\n" % number for number in range(20)))
        for number in range(20):
            assert json.loads(connection.read().body)["path"] == f"/describe/{number}"


def test_head_and_methods(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("HEAD", "/")
        assert (answer.status, answer.body, answer.get("content-length")) == (200, b"", b"13")
        answer = connection.ask("DELETE", "/")
        assert (answer.status, answer.get("allow")) == (405, b"GET,HEAD")
        assert connection.ask("GET", "/").status == 200


def test_http_1_0_is_never_chunked(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/stream/3", version="1.0")
        assert (answer.framing, answer.body) == ("close", PIECE * 3)
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/", version="1.0").body == b"Hello, world!"


def test_middleware_and_sub_application(client: httpx.Client) -> None:
    assert client.get("/").headers["x-marked"] == "yes"
    lost = client.get("/nowhere")
    assert (lost.status_code, lost.text, lost.headers["x-marked"]) == (404, "nothing at /nowhere", "404")
    assert client.get("/sub/inside/x").text == "/sub/inside/x sub outer"


def test_answers_of_all_kinds(client: httpx.Client) -> None:
    answer = client.get("/redirect")
    assert (answer.status_code, answer.headers["location"]) == (302, "/describe")
    answer = client.get("/teapot")
    assert (answer.status_code, answer.text, answer.headers["x-why"]) == (403, "no", "because")
    assert client.get("/cookies").headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly; Path=/"]
    assert client.get("/odd-status").status_code == 299
    assert client.get("/empty").status_code == 204
    assert client.get("/").status_code == 200
    assert client.get("/late").status_code == 504
    assert client.get("/nothing").status_code == 500


def test_reason_phrase_is_the_applications(server: Server) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/odd-status").reason == "All Sorts"


def test_failed_handler(client: httpx.Client, server: Server) -> None:
    mark = server.mark()
    answer = client.get("/boom")
    assert answer.status_code == 500 and "boom" not in answer.text
    server.wait_for_log("RuntimeError: boom", since=mark)
    assert client.get("/").status_code == 200


def test_field_that_would_split_the_answer_becomes_a_500(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/injected")
        assert (answer.status, answer.get("x-c")) == (500, None)


@pytest.mark.parametrize("path", ["/boom-late", "/short"])
def test_answer_that_is_not_completed_is_cut(server: Server, path: str) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", path)
        assert answer.status == 200 and not answer.is_complete


def test_compressed_answer(client: httpx.Client) -> None:
    answer = client.get("/compressed", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip" and answer.text == "text " * 10_000


# bodies


@pytest.mark.parametrize("size", [0, 1, 5000, 5_000_000])
def test_echo(client: httpx.Client, size: int) -> None:
    body = (PIECE * (size // len(PIECE) + 1))[:size]
    assert client.post("/echo", content=body).content == body


def test_chunked_body(client: httpx.Client) -> None:
    answer = client.post("/digest", content=iter([PIECE] * 40))
    assert answer.json()["digest"] == hashlib.sha256(PIECE * 40).hexdigest()


def test_pieces_both_ways_as_they_come(raw: RawSocket) -> None:
    raw.send(b"POST /pieces HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(5):
        raw.send(b"1\r\n%d\r\n" % number)
        if number == 0:
            assert raw.read_head().status == 200
        assert raw.read_exactly(8) == b"3\r\n<%d>\r\n" % number
    raw.send(b"0\r\n\r\n")
    assert raw.read_exactly(5) == b"0\r\n\r\n"
    assert raw.ask("GET", "/").status == 200


def test_large_body_read_slowly(client: httpx.Client) -> None:
    answer = client.post("/digest?slow", content=LARGE).json()
    assert (answer["size"], answer["digest"]) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert answer["pieces"] > 5


def test_gzip_body(one: httpx.Client) -> None:
    body = gzip.compress(b"text " * 10_000)
    answer = one.post("/echo", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.content == b"text " * 10_000


def test_forms(client: httpx.Client) -> None:
    assert client.post("/form", data={"a": "1", "b": "zwei ö"}).json() == {"a": "1", "b": "zwei ö"}
    sent = {"data": {"a": "1"}, "files": {"f": ("x.bin", PIECE, "image/png")}}
    assert client.post("/form", **sent).json() == {"a": "1", "f": ["x.bin", "image/png", len(PIECE)]}
    assert client.post("/parts", **sent).json() == [["a", None, 1], ["f", "x.bin", len(PIECE)]]


def test_body_too_large_for_the_application(one: httpx.Client, peer: Peer) -> None:
    assert one.post("/echo", content=PIECE * 16 * 9).status_code == 413
    assert one.get("/").status_code == 200
    stream = _ask(peer, "POST", "/echo", is_end=False)
    sent = 0
    while stream not in peer.heads:
        room = min(peer.h2.local_flow_control_window(stream), 16384)
        if room:
            peer.send(stream, PIECE[:room])
            sent += room
        else:
            peer._receive()
    assert peer.head(stream)[b":status"] == b"413" and sent < 16 * 1024 * 1024
    stream = _ask(peer, "GET", "/")
    assert peer.head(stream)[b":status"] == b"200"


def _ask(peer: Peer, method: str, path: str, *, is_end: bool = True) -> int:
    """Send a request's head on a stream of its own."""
    stream = int(peer.h2.get_next_available_stream_id())
    head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "test.example")]
    peer.h2.send_headers(stream, head, end_stream=is_end)
    peer.data[stream] = bytearray()
    peer._flush()
    return stream


def test_expectation(server: Server) -> None:
    fields = ("Expect: 100-continue", "Content-Length: 5")
    for path in ("/echo", "/expect"):
        with Connection(server.address) as connection:
            connection.request("POST", path, *fields)
            assert connection.read(skip_interim=False).status == 100
            connection.send(b"hello")
            assert connection.read().body == b"hello"
            assert connection.ask("GET", "/").status == 200
    with Connection(server.address) as connection:
        connection.request("POST", "/expect", "X-Refuse: 1", *fields)
        answer = connection.read(skip_interim=False)
        assert (answer.status, answer.body) == (417, b"no")


# streams and files


@pytest.mark.parametrize("query", ["", "?length"])
def test_streamed_answer(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/stream/40{query}")
    assert answer.content == PIECE * 40
    assert ("content-length" in answer.headers) == (query != "")


def test_streamed_answer_leaves_at_once(client: httpx.Client, token: str) -> None:
    with client.stream("GET", f"/gated?token={token}") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"first\n"
        assert client.get(f"/gate?token={token}").status_code == 200
        assert b"".join(pieces) == b"second\n"


def test_client_that_reads_slowly(server: Server) -> None:
    with Connection(server.address, receive_buffer_bytes=16 * 1024) as slow:
        slow.request("GET", "/stream/300")
        head = slow.read_head()
        assert head.status == 200
        with Connection(server.address) as other:
            assert other.ask("GET", "/").status == 200
        head.framing = "chunked"
        slow._read_chunks(head)
        assert len(head.body) == 300 * len(PIECE)


def test_static_files(client: httpx.Client) -> None:
    answer = client.get("/static/page.html")
    assert (answer.content, answer.headers["content-type"]) == (PAGE, "text/html")
    etag = answer.headers["etag"]
    assert client.get("/static/page.html", headers={"If-None-Match": etag}).status_code == 304
    assert client.get("/static/large.bin").content == LARGE
    assert client.get("/static/none").status_code == 404
    assert "page.html" in client.get("/static/").text
    assert client.head("/static/large.bin").headers["content-length"] == str(len(LARGE))


def test_ranges_of_a_file(client: httpx.Client) -> None:
    answer = client.get("/file", headers={"Range": "bytes=100-299"})
    assert (answer.status_code, answer.content) == (206, LARGE[100:300])
    assert answer.headers["content-range"] == f"bytes 100-299/{len(LARGE)}"
    assert client.get("/file", headers={"Range": "bytes=-10"}).content == LARGE[-10:]
    assert client.get("/file", headers={"Range": f"bytes={len(LARGE)}-"}).status_code == 416
    assert client.get("/file").content == LARGE


def test_many_at_once(server: Server) -> None:
    with ThreadPoolExecutor(10) as pool:
        with httpx.Client(base_url=server.origin, timeout=WAIT_S, trust_env=False) as client:
            found = list(pool.map(lambda number: client.get(f"/describe/{number}").json()["path"], range(50)))
    assert found == [f"/describe/{number}" for number in range(50)]


def test_many_streams_of_one_connection(server: Server, peer: Peer, token: str) -> None:
    waiting = [_ask(peer, "GET", f"/long?token={token}") for _ in range(4)]
    for _ in range(10):
        assert peer.head(_ask(peer, "GET", "/"))[b":status"] == b"200", "nobody waits for another stream's handler"
    assert not set(waiting) & set(peer.heads)
    _ask(peer, "GET", f"/gate?token={token}")
    for stream in waiting:
        assert peer.end(stream) == "end" and peer.data[stream] == b"ended"


def test_work_behind_the_answer_holds_nobody_up(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("GET", f"/background?token={token}").body == b"answered"
        mark = server.mark()
        for _ in range(3):
            assert connection.ask("GET", "/").status == 200
        assert f"background ended {token}" not in server.log_since(mark)
        assert connection.ask("GET", f"/gate?token={token}").status == 200
    server.wait_for_log(f"note: background ended {token}")


# clients that go


def test_client_leaves_a_stream(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/events?token={token}")
        assert connection.read_head().status == 200
    server.wait_for_log(f"note: stream left {token}")


def test_client_resets_a_stream_of_http2(server: Server, peer: Peer, token: str) -> None:
    stream = _ask(peer, "GET", f"/events?token={token}")
    assert peer.head(stream)[b":status"] == b"200"
    peer.reset(stream)
    server.wait_for_log(f"note: stream left {token}")
    assert peer.head(_ask(peer, "GET", "/"))[b":status"] == b"200"


def test_handler_outlives_its_client(server: Server, one: httpx.Client, token: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/long?token={token}")
        server.wait_for_log(f"note: long begun {token}")
    one.get(f"/gate?token={token}")
    server.wait_for_log(f"note: long ended {token}")
    assert f"long cancelled {token}" not in server.log


def test_handlers_that_are_to_end_with_their_clients(files: Path, token: str) -> None:
    environment = {"SITE_FILES": str(files)}
    with running("aiohttp_site:cancelling", "--factory", app_dir=HERE, environment=environment) as server:
        with Connection(server.address) as connection:
            connection.request("GET", f"/long?token={token}")
            server.wait_for_log(f"note: long begun {token}")
        server.wait_for_log(f"note: long cancelled {token}")


# WebSockets


def test_echo_of_messages(server: Server) -> None:
    with connect(server, "/ws/echo") as socket:
        for message in ("text", "ünï ☃ 🎉", b"bytes", b"", "", b"\0" * 70_000, "x" * 1_000_000):
            socket.send(message)
            assert socket.recv(WAIT_S) == message


def test_facts_of_a_websocket(server: Server) -> None:
    with connect(server, "/ws/echo?a=b", subprotocols=["none", "talk", "chat"]) as socket:
        assert socket.subprotocol == "talk"
        socket.send("facts")
        facts = json.loads(socket.recv(WAIT_S))
    assert (facts["protocol"], facts["scheme"], facts["remote"], facts["method"]) == (
        "talk",
        "http",
        "127.0.0.1",
        "GET",
    )
    assert facts["path"] == "/ws/echo?a=b" and facts["peername"][0] == "127.0.0.1"


def test_messages_are_deflated_by_the_application(server: Server) -> None:
    with connect(server, "/ws/echo", compression="deflate") as socket:
        assert [type(each).__name__ for each in socket.protocol.extensions] == ["PerMessageDeflate"]
        socket.send("facts")
        assert json.loads(socket.recv(WAIT_S))["compress"]
        for message in ("text " * 10_000, b"bytes" * 10_000):
            socket.send(message)
            assert socket.recv(WAIT_S) == message


def test_server_speaks_first_and_right_behind_the_handshake(server: Server, raw: RawSocket) -> None:
    with connect(server, "/ws/echo?first") as socket:
        assert socket.recv(WAIT_S) == "first"
    assert raw.open("/ws/echo", then=frame(TEXT, b"at once")).status == 101
    assert raw.read_frame().payload == b"at once"


def test_close_codes(server: Server, token: str) -> None:
    with connect(server, "/ws/echo") as socket:
        socket.send("close 4001 bye")
        with pytest.raises(exceptions.ConnectionClosed) as caught:
            socket.recv(WAIT_S)
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "bye")
    socket = connect(server, f"/ws/echo?token={token}").__enter__()
    socket.close(4123, "enough")
    server.wait_for_log(f"note: ws over {token} 4123")


def test_client_vanishes(server: Server, token: str) -> None:
    with RawSocket(server.address) as raw:
        assert raw.open(f"/ws/echo?token={token}").status == 101
        raw.send(frame(TEXT, b"x"))
        raw.read_frame()
        raw.reset()
    server.wait_for_log(f"note: ws over {token} 1006")


def test_fragments_and_pings(raw: RawSocket) -> None:
    assert raw.open("/ws/echo").status == 101
    raw.send(frame(TEXT, b"one ", is_final=False) + frame(PING, b"p") + frame(CONTINUATION, b"two"))
    assert raw.read_frame() == (PONG, b"p", True)
    assert raw.read_frame() == (TEXT, b"one two", True)
    raw.send(close_frame(1000))
    assert raw.read_frame().opcode == CLOSE
    assert raw.read_to_end() == b""


def test_message_too_big_for_the_application(raw: RawSocket) -> None:
    assert raw.open("/ws/echo?max=1000").status == 101
    raw.send(frame(BINARY, b"x" * 2000))
    assert raw.read_frame().code == 1009


def test_heartbeat_of_the_application(raw: RawSocket, server: Server, token: str) -> None:
    # aiohttp waits for the pong half as long.
    assert raw.open(f"/ws/echo?heartbeat=2&token={token}").status == 101
    ping = raw.read_frame()
    assert ping.opcode == PING
    raw.send(frame(PONG, ping.payload))
    assert raw.read_frame().opcode == PING
    # Nobody answers this one.
    server.wait_for_log(f"note: ws over {token} 1006")


def test_handshake_that_is_denied(raw: RawSocket, server: Server) -> None:
    answer = raw.open("/ws/denied")
    assert (answer.status, answer.body, answer.get("x-why")) == (403, b"not you", b"because")
    with RawSocket(server.address) as other:
        assert other.open("/nowhere").status == 404
    with RawSocket(server.address) as other:
        other.send(b"GET /ws/echo HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        assert other.read_answer().status == 400
    with Connection(server.address) as plain:
        assert plain.ask("GET", "/ws/echo").status == 400


def test_handler_that_raises_ends_its_socket(server: Server) -> None:
    mark = server.mark()
    with connect(server, "/ws/echo") as socket:
        socket.send("raise")
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv(WAIT_S)
    server.wait_for_log("RuntimeError: boom", since=mark)


def test_flood_to_a_client_that_reads_late(server: Server) -> None:
    with connect(server, "/ws/echo?plain") as socket:
        socket.send("flood 500")
        with Connection(server.address) as other:
            assert other.ask("GET", "/").status == 200
        for number in range(500):
            assert socket.recv(WAIT_S)[:6] == f"{number:06d}"


def test_many_websockets_at_once(server: Server) -> None:
    def talk(number: int) -> None:
        with connect(server, "/ws/echo") as socket:
            for turn in range(10):
                socket.send(f"{number} {turn}")
                assert socket.recv(WAIT_S) == f"{number} {turn}"

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(talk, range(20)))


def test_websocket_over_http2(peer: Peer) -> None:
    stream = peer.open("/ws/echo?a=b", ("sec-websocket-protocol", "chat"))
    head = peer.head(stream)
    assert (head[b":status"], head[b"sec-websocket-protocol"]) == (b"200", b"chat")
    assert not head.keys() & {b"sec-websocket-accept", b"upgrade", b"connection", b"content-length"}
    peer.send(stream, frame(TEXT, b"facts"))
    facts = json.loads(peer.read_frame(stream).payload)
    assert (facts["method"], facts["path"], facts["protocol"]) == ("GET", "/ws/echo?a=b", "chat")
    peer.send(stream, frame(TEXT, b"a") + frame(BINARY, b"b" * 10_000))
    assert peer.read_frame(stream) == (TEXT, b"a", True)
    assert peer.read_frame(stream) == (BINARY, b"b" * 10_000, True)
    peer.send(stream, frame(TEXT, b"close 4001 bye"))
    closed = peer.read_frame(stream)
    assert (closed.code, closed.reason) == (4001, "bye")
    peer.send(stream, close_frame(4001, "bye"))
    assert peer.end(stream) == "end"


def test_websockets_and_requests_on_one_http2_connection(peer: Peer, server: Server, token: str) -> None:
    streams = [peer.open("/ws/echo") for _ in range(10)]
    for number, stream in enumerate(streams):
        assert peer.head(stream)[b":status"] == b"200"
        peer.send(stream, frame(TEXT, str(number).encode()))
    for number, stream in reversed(list(enumerate(streams))):
        assert peer.read_frame(stream).payload == str(number).encode()
    denied = peer.open("/ws/denied")
    assert peer.head(denied)[b":status"] == b"403" and peer.head(denied)[b"x-why"] == b"because"
    stream = peer.open(f"/ws/echo?token={token}")
    assert peer.head(stream)[b":status"] == b"200"
    peer.reset(stream)
    server.wait_for_log(f"note: ws over {token} 1006")


# other ways in


def test_tls_and_a_websocket_through_it(loopback: Loopback, files: Path) -> None:
    context = loopback.context()
    environment = {"SITE_FILES": str(files)}
    with running("aiohttp_site:made_on_loop", *loopback.flags(), app_dir=HERE, environment=environment) as server:
        with httpx.Client(base_url=server.origin, verify=context, trust_env=False, http2=True) as client:
            answer = client.get("/describe")
            seen = answer.json()
            assert (answer.http_version, seen["scheme"], seen["secure"]) == ("HTTP/2", "https", True)
            assert seen["url"] == f"{server.origin}/describe"
            assert client.post("/echo", content=LARGE).content == LARGE
        # httpx has told its own context to ask for HTTP/2.
        context = loopback.context()
        with secure_websocket(f"wss://127.0.0.1:{server.port}/ws/echo", context) as socket:
            socket.send("facts")
            assert json.loads(socket.recv(WAIT_S))["scheme"] == "https"


def test_unix_socket(tmp_path: Path, files: Path) -> None:
    path = tmp_path / "socket"
    flags = ["--bind", f"unix:{path}", "--bind", "127.0.0.1:0"]
    with running("aiohttp_site:app", *flags, app_dir=HERE, environment={"SITE_FILES": str(files)}):
        with RawSocket(str(path)) as raw:
            seen = json.loads(raw.ask("GET", "/describe").body)
            assert (seen["peername"], seen["sockname"], seen["remote"]) == (None, str(path), None)
            assert raw.open("/ws/echo").status == 101
            raw.send(frame(TEXT, b"x"))
            assert raw.read_frame().payload == b"x"


# life


def test_application_closes_its_websockets_first(files: Path, token: str) -> None:
    environment = {"SITE_FILES": str(files)}
    with running("aiohttp_site:app", app_dir=HERE, environment=environment) as server:
        with connect(server, f"/ws/echo?token={token}") as socket:
            ends: list[Any] = []

            def listen() -> None:
                try:
                    socket.recv(WAIT_S)
                except exceptions.ConnectionClosed as end:
                    ends.append(end.rcvd)

            listener = threading.Thread(target=listen)
            listener.start()
            assert server.stop() == 0
            listener.join(WAIT_S)
        assert [(end.code, end.reason) for end in ends] == [(1001, "see you")]
        notes = server.log
        assert notes.index("note: shutdown\n") < notes.index("note: cleanup")


def test_websockets_that_the_application_forgets_end_in_order(files: Path, token: str) -> None:
    """Their handlers see a client that goes away, and answer it."""
    environment = {"SITE_FILES": str(files)}
    with running("aiohttp_site:silent", "--factory", app_dir=HERE, environment=environment) as server:
        with RawSocket(server.address) as whole, RawSocket(server.address) as half:
            assert whole.open(f"/ws/echo?token={token}").status == 101
            assert half.open("/ws/echo").status == 101
            server.process.terminate()
            assert whole.read_frame().opcode == CLOSE
            whole.send(close_frame(1000))
            assert half.read_frame().opcode == CLOSE
            assert server.process.wait(WAIT_S) == 0
        server.wait_for_end()
        assert f"note: ws over {token} 1001" in server.log
        assert "told to end" not in server.log


def test_stop_waits_for_requests_that_run(files: Path, token: str) -> None:
    environment = {"SITE_FILES": str(files)}
    with running("aiohttp_site:app", app_dir=HERE, environment=environment) as server:
        with Connection(server.address) as connection, Connection(server.address) as other:
            connection.request("GET", f"/long?token={token}")
            server.wait_for_log(f"note: long begun {token}")
            assert other.ask("GET", "/").status == 200
            other.send(b"GET /gate?token=" + token.encode())
            server.process.terminate()
            server.wait_for_log("note: shutdown")
            other.send(b" HTTP/1.1\r\nHost: t\r\n\r\n")
            assert connection.read().body == b"ended"
        assert server.process.wait(WAIT_S) == 0


def test_stop_cancels_what_does_not_end(files: Path, token: str) -> None:
    flags = ["--timeout-graceful", "0.3", "--timeout-cancel", "1"]
    with running("aiohttp_site:app", *flags, app_dir=HERE, environment={"SITE_FILES": str(files)}) as server:
        with Connection(server.address) as connection, Connection(server.address) as streaming:
            connection.request("GET", f"/long?token={token}")
            streaming.request("GET", f"/events?token={token}")
            streaming.read_head()
            server.wait_for_log(f"note: long begun {token}")
            assert server.stop() == 0
            assert connection.read().status == 503
        assert f"note: long cancelled {token}" in server.log
        assert f"note: stream left {token}" in server.log
        assert "note: cleanup" in server.log


def test_request_that_takes_too_long(files: Path, token: str) -> None:
    flags = ["--timeout-request", "0.5"]
    with running("aiohttp_site:app", *flags, app_dir=HERE, environment={"SITE_FILES": str(files)}) as server:
        with (
            Connection(server.address) as connection,
            Connection(server.address) as neighbour,
            RawSocket(server.address) as raw,
        ):
            assert raw.open("/ws/echo").status == 101
            connection.request("GET", f"/long?token={token}")
            neighbour.request("GET", f"/events?token={token}")
            assert neighbour.read_head().status == 200
            assert connection.read().status == 504
            server.wait_for_log(f"note: long cancelled {token}")
            assert "in long" in server.log
            assert neighbour.read_exactly(20)
            raw.send(frame(TEXT, b"x"))
            assert raw.read_frame().payload == b"x"


def test_start_that_fails_unwinds_what_was_begun(files: Path) -> None:
    import subprocess

    from tests.support.server import child_environment, command_for

    done = subprocess.run(
        command_for("aiohttp_site:failing", "--factory", app_dir=HERE), capture_output=True, text=True, timeout=60,
        env=child_environment({"SITE_FILES": str(files)}),
    )  # fmt: skip
    assert done.returncode == 3
    assert "refused to start" in done.stderr and "no database" in done.stderr
    assert "note: outer ended" in done.stdout and "note: heart ended" in done.stdout
