"""A Tornado application through the real command, on asyncio and uvloop: httpx, raw sockets and websockets.

What needs a server of its own is in ``test_tornado_servers``.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.support.raw import Connection
from tests.support.secure_websocket import secure_websocket
from tests.support.server import Server, running
from tests.support.websocket_raw import BINARY, CLOSE, CONTINUATION, TEXT, RawSocket, close_frame, frame

pytest.importorskip("tornado")
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
    environment = {"SITE_FILES": str(files)}
    # Origins are the handlers' own to judge.
    flags = ["--loop", request.param, "--ws-allowed-origins", "*"]
    with running("tornado_site:app", *flags, app_dir=HERE, environment=environment) as server:
        yield server
    assert "note: drains" in server.log
    assert "note: shut down" in server.log


@pytest.fixture(scope="module")
def tls_server(loopback: Loopback, files: Path) -> Iterator[Server]:
    with running("tornado_site:app", *loopback.flags(), app_dir=HERE, environment={"SITE_FILES": str(files)}) as server:
        yield server


@pytest.fixture(params=["1", "2"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[httpx.Client]:
    """HTTP/1.1, and HTTP/2 by prior knowledge."""
    is_2 = request.param == "2"
    with httpx.Client(base_url=server.origin, timeout=WAIT_S, trust_env=False, http1=not is_2, http2=is_2) as client:
        yield client


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def connect(server: Server, path: str, **more: Any) -> Any:
    options = {"proxy": None, "compression": None, "max_size": None} | more
    return websockets.connect(f"ws://127.0.0.1:{server.port}{path}", **options)


# requests


def test_describes(client: httpx.Client, server: Server) -> None:
    fields = [
        ("X-Several", "a"),
        ("X-Several", "b"),
        ("Cookie", "c=1; d=zwei"),
        ("X-Latin", "caf\xe9".encode("latin-1")),
    ]
    seen = client.get("/describe/a%2Fb?q=%20x&q=y", headers=fields).json()
    version = "HTTP/2" if client._transport._pool._http2 else "HTTP/1.1"
    assert (seen["method"], seen["version"], seen["protocol"]) == ("GET", version, "http")
    assert (seen["uri"], seen["path"]) == ("/describe/a%2Fb?q=%20x&q=y", "/describe/a%2Fb")
    assert seen["query"] == {"q": ["x", "y"]}
    assert (seen["remote_ip"], seen["address"][0]) == ("127.0.0.1", "127.0.0.1")
    assert (seen["host"], seen["host_name"]) == (f"127.0.0.1:{server.port}", "127.0.0.1")
    assert seen["url"] == f"{server.origin}/describe/a%2Fb?q=%20x&q=y"
    assert seen["cookies"] == {"c": "1", "d": "zwei"}
    assert seen["several"] == ["a", "b"]
    assert seen["latin"] == "caf\xe9"
    assert seen["agent"].startswith("python-httpx")
    assert (seen["certificate"], seen["closed"]) == (None, False)


def test_runs_on_the_servers_loop_behind_its_start_up(client: httpx.Client) -> None:
    seen = client.get("/describe").json()
    assert seen["loop"] in ("asyncio", "uvloop") and seen["is_current"]
    assert seen["started"] == ["async", "plain"]


def test_context_variables_reach_no_other_request(client: httpx.Client) -> None:
    for name in ("a", "b", "c"):
        assert client.get(f"/describe?who={name}").json()["who"] == "starter"


def test_absolute_form(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET http://other.example/describe?x=1 HTTP/1.1\r\nHost: other.example\r\n\r\n")
        seen = json.loads(connection.read().body)
    assert (seen["path"], seen["uri"], seen["host"]) == ("/describe", "/describe?x=1", "other.example")


def test_etag(client: httpx.Client) -> None:
    first = client.get("/")
    assert first.text == "Hello, world!"
    again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/").text == "Hello, world!"


def test_head_and_what_is_not_allowed(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("HEAD", "/")
        assert (answer.status, answer.get("x-method")) == (200, b"head")
        assert connection.ask("HEAD", "/describe").status == 405
        assert connection.ask("HEAD", "/files/page.html").get("content-length") == str(len(PAGE)).encode()
        assert connection.ask("GET", "/nowhere").status == 404
        assert connection.ask("OPTIONS", "/describe").status == 200
        assert connection.ask("BREW", "/").status == 405
        assert connection.ask("GET", "/").body == b"Hello, world!"


def test_one_date_and_one_server(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/")
    assert [len(answer.get_all(name)) for name in ("date", "server", "content-length")] == [1, 1, 1]


def test_many_on_one_connection(server: Server) -> None:
    with Connection(server.address) as connection:
        for _ in range(100):
            assert connection.ask("GET", "/").body == b"Hello, world!"


def test_pipelined(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 5)
        assert [connection.read().body for _ in range(5)] == [b"Hello, world!"] * 5


def test_http_1_0(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.read().body == b"Hello, world!"
    with Connection(server.address) as connection:
        connection.send(b"GET /stream/3 HTTP/1.0\r\n\r\n")
        answer = connection.read()
    assert (answer.framing, answer.body) == ("close", PIECE * 3)


def test_host_that_is_none(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        assert connection.read().status == 400


@pytest.mark.parametrize("is_2", [False, True])
def test_fifty_at_once(server: Server, is_2: bool) -> None:
    async def ask() -> list[bytes]:
        options = {"base_url": server.origin, "timeout": WAIT_S, "trust_env": False}
        async with httpx.AsyncClient(**options, http1=not is_2, http2=is_2) as client:
            asked = [client.post("/echo", content=b"%d" % number) for number in range(50)]
            return [answer.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == [b"%d" % number for number in range(50)]


# bodies in


@pytest.mark.parametrize("size", [0, 1, 65_536, len(LARGE)])
def test_body_whole(client: httpx.Client, size: int) -> None:
    assert client.post("/echo", content=LARGE[:size]).content == LARGE[:size]


def test_body_without_a_length(client: httpx.Client) -> None:
    assert client.put("/echo", content=iter([b"one ", b"two ", b"three"])).content == b"one two three"


def test_body_in_pieces(client: httpx.Client) -> None:
    seen = client.post("/digest", content=LARGE).json()
    assert (seen["count"], seen["sha256"]) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert seen["pieces"] > 1


def test_body_piece_by_piece_as_the_client_sends_it(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.send(f"POST /digest?token={token} HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n".encode())
        server.wait_for_log(f"note: prepared {token}")
        for number in range(1, 4):
            connection.send(b"abc")
            server.wait_for_log(f"note: piece {token} {number * 3}")
        assert json.loads(connection.read().body)["pieces"] == 3


def test_slow_handler_holds_its_client_up(server: Server) -> None:
    """Nobody takes all of it in while the handler sleeps: its pieces come one after the other."""
    with Connection(server.address) as connection:
        connection.request("POST", "/digest?slow=0.005", body=LARGE)
        seen = json.loads(connection.read().body)
    assert seen["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert seen["pieces"] >= 8


def test_form(client: httpx.Client) -> None:
    assert client.post("/form", data={"text": "größe & mehr"}).json()["text"] == "größe & mehr"


def test_file_upload(client: httpx.Client) -> None:
    """As Tornado's file_upload demo."""
    sent = {"one": ("größe.txt", b"some", "text/plain"), "two": ("b.bin", LARGE, "application/octet-stream")}
    seen = client.post("/form", data={"text": "with files"}, files=sent).json()
    assert seen["text"] == "with files"
    assert seen["files"] == {name: [[f[0], f[2], hashlib.sha256(f[1]).hexdigest()]] for name, f in sent.items()}


def test_broken_multipart_is_400(client: httpx.Client) -> None:
    fields = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/form", content=b"no boundary here", headers=fields).status_code in (200, 400)
    assert client.get("/").text == "Hello, world!"


def test_limit_of_the_handlers_own(client: httpx.Client) -> None:
    assert client.post("/digest?most=1000", content=b"x" * 1000).json()["count"] == 1000
    assert client.post("/digest?most=1000", content=b"x" * 1001).status_code == 413
    assert client.post("/digest?most=1000", content=iter([b"x" * 999, b"x" * 9])).status_code == 413


def test_expect_is_answered_when_the_handler_wants_the_body(server: Server) -> None:
    with Connection(server.address) as connection:
        head = "POST {} HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        connection.send(head.format("/digest").encode())
        assert connection.read_head().status == 100
        connection.send(b"abc")
        assert json.loads(connection.read().body)["count"] == 3
        connection.send(head.format("/digest?refuse").encode())
        answer = connection.read(skip_interim=False)
    assert (answer.status, answer.body) == (403, b"not wanted")


def test_answer_before_the_body(client: httpx.Client) -> None:
    assert client.post("/digest?refuse", content=b"x" * 50_000).status_code == 403
    assert client.get("/").text == "Hello, world!"


def test_failure_while_the_body_comes(client: httpx.Client) -> None:
    assert client.post("/digest?fail", content=b"abc").status_code == 500
    assert client.get("/").text == "Hello, world!"


def test_client_leaves_while_it_uploads(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.send(f"POST /digest?token={token} HTTP/1.1\r\nHost: t\r\nContent-Length: 900\r\n\r\nabc".encode())
        server.wait_for_log(f"note: piece {token} 3")
    server.wait_for_log(f"note: gone {token}")


# answers


def test_streamed(client: httpx.Client) -> None:
    answer = client.get("/stream/64")
    assert "content-length" not in answer.headers
    assert answer.content == PIECE * 64


def test_streamed_with_its_length(client: httpx.Client) -> None:
    answer = client.get("/stream/64?sized")
    assert answer.headers["content-length"] == str(len(PIECE) * 64)
    assert answer.content == PIECE * 64


def test_pieces_leave_when_they_are_flushed(client: httpx.Client, token: str) -> None:
    with client.stream("GET", f"/doors?token={token}") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "first"
        assert client.post(f"/doors?token={token}").status_code == 200
        assert next(lines) == "second"


def test_flush_waits_for_a_slow_client(server: Server, token: str) -> None:
    with Connection(server.address, receive_buffer_bytes=8192) as connection:
        connection.request("GET", f"/stream/1600?token={token}")
        connection.read_head()
        server.wait_for_log(f"note: sent {token} 0")
        # Others are answered meanwhile; a hundred megabytes would have been written by then.
        with Connection(server.address) as other:
            for _ in range(20):
                assert other.ask("GET", "/").status == 200
        assert f"note: sent {token} 1536" not in server.log
        connection.reset()
    server.wait_for_log(f"note: closed {token}")
    server.wait_for_log(f"note: gone {token}")


def test_long_poll_hears_of_a_client_that_leaves(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/wait?token={token}")
        server.wait_for_log(f"note: waits {token}")
    server.wait_for_log(f"note: gone {token}")
    server.wait_for_log(f"note: over {token}")


def test_failures(client: httpx.Client) -> None:
    assert client.get("/fail/error").status_code == 500
    answer = client.get("/fail/status")
    assert answer.status_code == 403 and "Not You" in answer.text
    assert (client.get("/fail/finish").status_code, client.get("/fail/finish").text) == (202, "enough")
    assert client.get("/").text == "Hello, world!"


@pytest.mark.parametrize("how", ["short", "short-flushed", "long-flushed"])
def test_body_that_contradicts_its_length_is_cut(server: Server, how: str) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", f"/fail/{how}")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"12345", False)


def test_body_that_is_too_long_from_its_first_byte_is_500(client: httpx.Client) -> None:
    assert client.get("/fail/long").status_code == 500
    assert client.get("/").text == "Hello, world!"


def test_failure_after_the_head(client: httpx.Client) -> None:
    """Tornado finishes what it has begun: what it sent is what there is."""
    assert client.get("/fail/late").content == b"a"


def test_redirect_and_cookies(client: httpx.Client) -> None:
    answer = client.get("/answer/redirect")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookies = client.get("/answer/cookies").headers.get_list("set-cookie")
    assert len(cookies) == 2 and cookies[0] == "a=1; Path=/"
    assert client.get("/signed").text == "zwei"


def test_nothing(client: httpx.Client) -> None:
    answer = client.get("/answer/nothing")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    assert client.get("/").text == "Hello, world!"


def test_later(client: httpx.Client) -> None:
    assert client.get("/answer/later").text == "later"


def test_bytes_in_fields(client: httpx.Client) -> None:
    answer = client.get("/answer/bytes")
    assert dict(answer.headers.raw)[b"X-Bytes" if answer.http_version == "HTTP/1.1" else b"x-bytes"] == b"caf\xc3\xa9"
    assert answer.headers["x-text"] == "plain"


def test_phrase_and_close(server: Server) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/answer/phrase").reason == "Fine Indeed"
        assert connection.ask("GET", "/answer/close").get("connection") == b"close"
        assert connection.is_ended()


def test_compressed(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/answer/compressed", "Accept-Encoding: gzip")
        assert (answer.get("content-encoding"), answer.framing) == (b"gzip", "chunked")
        assert gzip.decompress(answer.body) == b"compress me " * 600
        assert connection.ask("GET", "/answer/compressed").body == b"compress me " * 600


def test_coroutines_of_old(client: httpx.Client) -> None:
    assert client.get("/coroutine").json() == [0, 2, 4]


def test_periodic_callback(client: httpx.Client) -> None:
    assert int(client.get("/ticks").text) >= 2


def test_wsgi_container(client: httpx.Client) -> None:
    assert client.post("/wsgi/a", content=b"body").text == "POST /wsgi/a body"


def test_detach_of_an_ordinary_request_is_501(server: Server) -> None:
    mark = server.mark()
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/detach").status == 501
        assert connection.ask("GET", "/").body == b"Hello, world!"
    server.wait_for_log("detach() works for WebSocket handshakes only", since=mark)


# files


def test_file_with_its_validators(client: httpx.Client) -> None:
    answer = client.get("/files/page.html")
    assert (answer.content, answer.headers["content-type"]) == (PAGE, "text/html")
    for name, known in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
        assert client.get("/files/page.html", headers={name: answer.headers[known]}).status_code == 304


def test_large_file(client: httpx.Client) -> None:
    assert hashlib.sha256(client.get("/files/large.bin").content).digest() == hashlib.sha256(LARGE).digest()


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("0-9", 0, 10), ("100-", 100, len(LARGE)), ("-7", len(LARGE) - 7, len(LARGE))]
)
def test_range(client: httpx.Client, asked: str, start: int, stop: int) -> None:
    answer = client.get("/files/large.bin", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(LARGE)}"
    assert answer.content == LARGE[start:stop]


def test_range_out_of_reach_and_files_that_are_not_there(client: httpx.Client) -> None:
    assert client.get("/files/large.bin", headers={"Range": f"bytes={len(LARGE)}-"}).status_code == 416
    assert client.get("/files/none").status_code == 404
    assert client.get("/files/..%2f..%2fetc%2fpasswd").status_code in (403, 404)


# Tornado's demos


def test_xsrf_form(client: httpx.Client) -> None:
    assert client.post("/xsrf", data={"text": "x"}).status_code == 403
    found = re.search('name="_xsrf" value="([^"]+)"', client.get("/xsrf").text)
    assert found is not None
    assert client.post("/xsrf", data={"text": "x", "_xsrf": found[1]}).text == "taken: x"
    assert client.post("/xsrf", data={"text": "x", "_xsrf": "2|a|b|3"}).status_code == 403


def test_chat_demo(client: httpx.Client, server: Server) -> None:
    first = client.post("/chat/new", data={"body": "first"}).json()

    def wait(_: int) -> Any:
        with httpx.Client(base_url=server.origin, timeout=WAIT_S, trust_env=False) as waiting:
            return waiting.post("/chat/updates", data={"cursor": first["id"]}).json()

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(wait, number) for number in range(3)]
        second = client.post("/chat/new", data={"body": "second"}).json()
        assert [each.result()["messages"][0] for each in waiting] == [second] * 3


def test_chat_demo_when_somebody_leaves(server: Server) -> None:
    with httpx.Client(base_url=server.origin, timeout=WAIT_S, trust_env=False) as client:
        cursor = client.post("/chat/new", data={"body": "a"}).json()["id"]
        mark = server.mark()
        with Connection(server.address) as connection:
            form = f"cursor={cursor}".encode()
            connection.request("POST", "/chat/updates", "Content-Type: application/x-www-form-urlencoded", body=form)
        assert client.post("/chat/new", data={"body": "b"}).status_code == 200
        assert "Traceback" not in server.log_since(mark)


# WebSockets


def test_ws_echo(server: Server, token: str) -> None:
    with connect(server, f"/ws/echo?token={token}") as socket:
        for message in ("a", "", "ä" * 100_000, b"", b"\0\xff" * 50_000, LARGE):
            socket.send(message)
            assert socket.recv(WAIT_S) == message
        assert socket.ping(b"x").wait(WAIT_S)
        socket.close(4123, "ende")
    server.wait_for_log(f"note: closed {token} 4123 ende")


def test_ws_compressed_by_tornado_itself(server: Server) -> None:
    with connect(server, "/ws/deflated", compression="deflate") as socket:
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
        for message in ("compress me " * 10_000, b"\0" * 1_000_000, "a"):
            socket.send(message)
            assert socket.recv(WAIT_S) == message
    with connect(server, "/ws/echo", compression="deflate") as socket:
        assert not socket.protocol.extensions


def test_ws_subprotocol_fields_and_who_speaks_first(server: Server) -> None:
    with connect(server, "/ws/talk", subprotocols=["one", "two"]) as socket:
        assert socket.subprotocol == "two"
        assert socket.response.headers["x-served-by"] == "torana"
        assert json.loads(socket.recv(WAIT_S)) == {"remote": "127.0.0.1", "chosen": "two"}
    with connect(server, "/ws/talk") as socket:
        assert socket.subprotocol is None


def test_ws_messages_in_a_row_keep_their_order(server: Server) -> None:
    with connect(server, "/ws/talk") as socket:
        socket.recv(WAIT_S)
        for message in ("slow", "b", "slow", "c"):
            socket.send(message)
        assert [socket.recv(WAIT_S) for _ in range(4)] == ["slow", "b", "slow", "c"]


@pytest.mark.parametrize(("told", "code", "reason"), [("close", 4001, "told so"), ("silent", 1005, "")])
def test_ws_closed_by_the_handler(server: Server, told: str, code: int, reason: str, token: str) -> None:
    with connect(server, f"/ws/talk?token={token}") as socket:
        socket.recv(WAIT_S)
        socket.send(told)
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv(WAIT_S)
        assert (socket.close_code, socket.close_reason) == (code, reason)
    server.wait_for_log(f"note: closed {token} ")


def test_ws_handler_fails(server: Server, token: str) -> None:
    with connect(server, f"/ws/talk?token={token}") as socket:
        socket.recv(WAIT_S)
        socket.send("fail")
        with pytest.raises(exceptions.ConnectionClosedError):
            socket.recv(WAIT_S)
        assert socket.close_code == 1006
    server.wait_for_log(f"note: closed {token} None None")


def test_ws_client_breaks_off(server: Server, token: str) -> None:
    with RawSocket(server.address) as socket:
        assert socket.open(f"/ws/echo?token={token}").status == 101
        socket.send(frame(TEXT, b"hello"))
        assert socket.read_frame().payload == b"hello"
        socket.reset()
    server.wait_for_log(f"note: closed {token} None None")


def test_ws_frames_that_come_with_the_handshake_and_in_pieces(server: Server) -> None:
    with RawSocket(server.address) as socket:
        assert socket.open("/ws/echo", then=frame(TEXT, b"at once")).status == 101
        assert socket.read_frame().payload == b"at once"
        socket.send(frame(BINARY, b"ab", is_final=False) + frame(CONTINUATION, b"cd", is_final=False))
        whole = frame(CONTINUATION, b"ef")
        for place in range(len(whole)):
            socket.send(whole[place : place + 1])
        assert socket.read_frame() == (BINARY, b"abcdef", True)
        socket.send(close_frame(1000))
        assert socket.read_frame().code == 1000
        assert socket.is_ended()


def test_ws_message_too_big(server: Server) -> None:
    with RawSocket(server.address) as socket:
        socket.open("/ws/small")
        socket.send(frame(TEXT, b"x" * 1001))
        told = socket.read_frame()
        assert (told.opcode, told.code) == (CLOSE, 1009)


def test_ws_unmasked_rubbish_ends_it(server: Server) -> None:
    with RawSocket(server.address) as socket:
        socket.open("/ws/echo")
        socket.send(frame(TEXT, b"x", bits=0x40))
        assert socket.read_to_end() == b""


def test_ws_pings_of_the_handler(server: Server, token: str) -> None:
    with connect(server, f"/ws/talk?token={token}") as socket:
        socket.recv(WAIT_S)
        socket.send("ping")
        socket.send("after")
        assert socket.recv(WAIT_S) == "after"
        server.wait_for_log(f"note: pong {token} b'data'")


def test_ws_heartbeat_finds_dead_clients(server: Server, token: str) -> None:
    # A second to answer in, for the living may have to wait for the processor.
    with connect(server, f"/ws/heartbeat?every=1&token={token}") as socket:
        server.wait_for_log(f"note: pong {token}")
        # Newer Tornados send the second ping when the time for the first pong is over.
        server.wait_for_log(f"note: pong {token}", since=server.mark())
        assert socket.state == 1
    with RawSocket(server.address) as socket:
        socket.open("/ws/heartbeat")
        told = socket.read_frame()
        while told.opcode != CLOSE:
            told = socket.read_frame()
        assert told.reason in ("ping timed out", "")


def test_ws_refused(server: Server) -> None:
    def status(path: str, **more: Any) -> int:
        with pytest.raises(exceptions.InvalidStatus) as refused:
            connect(server, path, **more)
        return int(refused.value.response.status_code)

    assert status("/ws/guarded") == 403
    assert status("/ws/nowhere") == 404
    assert status("/ws/echo", origin="http://bad.example") == 403
    with connect(server, "/ws/echo", origin="http://good.example") as socket:
        socket.send("a")
        assert socket.recv(WAIT_S) == "a"
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/ws/echo").status == 400
        assert connection.ask("GET", "/").body == b"Hello, world!"


def test_ws_flood_waits_for_a_slow_client(server: Server) -> None:
    with connect(server, "/ws/talk") as socket:
        socket.recv(WAIT_S)
        socket.send("flood")
        assert sum(len(socket.recv(WAIT_S)) for _ in range(2000)) == 20_000_000


def test_ws_thirty_at_once(server: Server) -> None:
    failed = []

    def talk(number: int) -> None:
        with connect(server, "/ws/echo") as socket:
            for count in range(20):
                socket.send(f"{number} {count}")
                if socket.recv(WAIT_S) != f"{number} {count}":
                    failed.append(number)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert not failed and not any(thread.is_alive() for thread in threads)


# TLS


def test_tls(tls_server: Server, loopback: Loopback) -> None:
    for is_2 in (False, True):
        with httpx.Client(
            base_url=tls_server.origin, verify=loopback.context(), trust_env=False, http1=not is_2, http2=is_2
        ) as client:
            answer = client.get("/describe")
            assert answer.http_version == ("HTTP/2" if is_2 else "HTTP/1.1")
            assert answer.json()["protocol"] == "https"
            assert client.post("/echo", content=LARGE).content == LARGE


def test_tls_websocket(tls_server: Server, loopback: Loopback, token: str) -> None:
    target = f"wss://127.0.0.1:{tls_server.port}/ws/deflated?token={token}"
    with secure_websocket(target, loopback.context()) as socket:
        socket.send("x" * 100_000)
        assert socket.recv(WAIT_S) == "x" * 100_000
        socket.close(4000)
    tls_server.wait_for_log(f"note: closed {token} 4000")
