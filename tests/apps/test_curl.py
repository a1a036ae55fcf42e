"""What ordinary clients hide, by curl and by plain sockets: Expect, pipelining, HTTP/1.0, half-close, targets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.plain_site import PIECES
from tests.support.curl import curl
from tests.support.raw import Connection
from tests.support.server import Server, running

HERE = Path(__file__).parent
STREAMED = b"".join(PIECES)


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str) -> Iterator[Server]:
    with running(f"plain_site:{kind}_app", "--interface", kind, app_dir=HERE) as server:
        yield server


# Expect: 100-continue


def test_expect_by_curl(server: Server) -> None:
    body = bytes(range(256)) * 4000
    result = curl(
        "-H",
        "Expect: 100-continue",
        "--expect100-timeout",
        "25",
        "--data-binary",
        "@-",
        f"{server.origin}/echo",
        data=body,
    )
    assert result.exit_code == 0
    assert result.statuses() == [100, 200]
    assert result.body == body


def test_expect_is_answered_before_the_body_is_sent(server: Server) -> None:
    with Connection(server.address) as connection:
        for _ in range(2):
            connection.request("POST", "/echo", "Expect: 100-continue", "Content-Length: 5")
            assert connection.read(skip_interim=False).status == 100
            connection.send(b"hello")
            assert connection.read("POST").body == b"hello"


def test_expect_with_chunks(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/echo", "Expect: 100-Continue", "Transfer-Encoding: chunked")
        assert connection.read(skip_interim=False).status == 100
        connection.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert connection.read("POST").body == b"hello"
        assert connection.ask("GET", "/hello").body == b"/hello"


def test_expect_of_an_application_that_does_not_read(server: Server, kind: str) -> None:
    """ASGI: the body is never invited. WSGI: it may be, for a thread is only taken when the body is there."""
    with Connection(server.address) as connection:
        connection.request("POST", "/ignore", "Expect: 100-continue", "Content-Length: 5")
        first = connection.read("POST", skip_interim=False)
        if kind == "wsgi" and first.status == 100:
            connection.send(b"hello")
            first = connection.read("POST")
        assert (first.status, first.body) == (200, b"/ignore")
        if kind == "asgi" and first.get("connection") != b"close":
            connection.send(b"hello")
        if first.get("connection") == b"close":
            assert connection.is_ended()
        else:
            assert connection.ask("GET", "/hello").body == b"/hello"


def test_expect_on_a_request_without_a_body_is_not_answered(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", "/hello", "Expect: 100-continue")
        assert connection.read(skip_interim=False).status == 200


def test_expect_is_ignored_on_http_1_0(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/echo", "Expect: 100-continue", body=b"hello", version="1.0")
        answer = connection.read("POST", skip_interim=False)
        assert (answer.status, answer.body) == (200, b"hello")


def test_unknown_expectation_is_417(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/echo", "Expect: 200-ok", "Content-Length: 5")
        assert connection.read("POST", skip_interim=False).status == 417


# pipelining


def test_pipelined_answers_come_in_order(server: Server) -> None:
    targets = ["/slow/1", "/hello", "/slow/2", "/stream", "/ignore"]
    with Connection(server.address) as connection:
        connection.send(b"".join(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for target in targets))
        bodies = [connection.read().body for _ in targets]
    assert bodies == [STREAMED if target == "/stream" else target.encode() for target in targets]


def test_pipelined_bodies_stay_apart(server: Server) -> None:
    sizes = [0, 1, 70_000, 3, 200_000, 10]
    requests = b"".join(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (size, bytes([65 + size % 26]) * size)
        for size in sizes
    )
    with Connection(server.address) as connection:
        connection.send(requests)
        for size in sizes:
            assert connection.read("POST").body == bytes([65 + size % 26]) * size


def test_many_pipelined_requests(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
        assert [connection.read().body for _ in range(500)] == [b"/hello"] * 500


def test_nothing_after_connection_close_is_answered(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(
            b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /ignore HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        answer = connection.read()
        assert (answer.body, answer.get("connection")) == (b"/hello", b"close")
        assert connection.is_ended()


def test_curl_reuses_a_connection_and_closes_when_told(server: Server) -> None:
    kept = curl(f"{server.origin}/hello", f"{server.origin}/stream")
    assert kept.body == b"/hello" + STREAMED
    assert kept.has_reused()
    closed = curl("-H", "Connection: close", f"{server.origin}/hello", f"{server.origin}/hello")
    assert closed.body == b"/hello/hello"
    assert not closed.has_reused()


def test_curl_upload_of_unknown_length(server: Server) -> None:
    body = bytes(range(256)) * 2000
    result = curl("-T", "-", "-H", "Expect:", f"{server.origin}/echo", data=body)
    assert "Transfer-Encoding: chunked" in result.sent()
    assert result.body == body


def test_curl_offering_http_2_by_upgrade_is_answered_by_http_1_1(server: Server) -> None:
    result = curl("--http2", f"{server.origin}/hello")
    assert result.exit_code == 0
    assert result.statuses() == [200]
    assert result.body == b"/hello"


# HTTP/1.0


def test_http_1_0_is_closed_after_the_answer(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/hello", version="1.0")
        assert (answer.status, answer.body) == (200, b"/hello")
        assert connection.is_ended()


def test_http_1_0_keep_alive(server: Server) -> None:
    with Connection(server.address) as connection:
        for _ in range(3):
            answer = connection.ask("GET", "/hello", "Connection: keep-alive", version="1.0")
            assert answer.body == b"/hello"
            assert (answer.get("connection") or b"").lower() == b"keep-alive"
        assert connection.ask("GET", "/hello", version="1.0").body == b"/hello"
        assert connection.is_ended()


@pytest.mark.parametrize("fields", [(), ("Connection: keep-alive",)])
def test_http_1_0_body_of_unknown_length_ends_with_the_connection(server: Server, fields: tuple[str, ...]) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/stream", *fields, version="1.0")
        assert (answer.framing, answer.body) == ("close", STREAMED)
        assert answer.get("transfer-encoding") is None
        assert answer.get("connection") in (None, b"close")


def test_http_1_0_by_curl(server: Server) -> None:
    result = curl("--http1.0", f"{server.origin}/stream")
    assert result.exit_code == 0
    assert result.body == STREAMED
    kept = curl("--http1.0", "-H", "Connection: keep-alive", f"{server.origin}/hello", f"{server.origin}/hello")
    assert kept.exit_code == 0
    assert kept.body == b"/hello/hello"


def test_http_1_0_post(server: Server) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("POST", "/echo", body=b"x" * 100_000, version="1.0").body == b"x" * 100_000


# half-close


@pytest.mark.parametrize("target", ["/hello", "/late"])
def test_half_closed_client_still_gets_its_answer(server: Server, target: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", target)
        connection.finish_writing()
        answer = connection.read()
        assert (answer.status, answer.body, answer.is_complete) == (200, target.encode(), True)
        assert connection.is_ended()


def test_half_closed_client_with_a_body_gets_its_answer(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/echo", body=b"z" * 200_000)
        connection.finish_writing()
        assert connection.read("POST").body == b"z" * 200_000
        assert connection.is_ended()


def test_half_closed_client_gets_all_pipelined_answers(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET /slow/a HTTP/1.1\r\nHost: a\r\n\r\nGET /slow/b HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.finish_writing()
        assert [connection.read().body for _ in range(2)] == [b"/slow/a", b"/slow/b"]
        assert connection.is_ended()


def test_half_close_within_a_body_is_no_request(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/echo", "Content-Length: 100")
        connection.send(b"only this")
        connection.finish_writing()
        said = connection.read_to_end()
    assert b"only this" not in said
    assert not said.startswith(b"HTTP/1.1 200")


# request targets, HEAD


def test_absolute_form_by_curl(server: Server) -> None:
    result = curl(
        "--request-target", "http://real.example:81/describe?a=1", "-H", "Host: real.example:81", f"{server.origin}/"
    )
    assert "GET http://real.example:81/describe?a=1 HTTP/1.1" in result.sent()
    seen = json.loads(result.body)
    assert (seen["path"], seen["query"], seen["host"], seen["scheme"]) == (
        "/describe",
        "a=1",
        "real.example:81",
        "http",
    )


def test_curl_as_through_a_proxy(server: Server) -> None:
    result = curl("--noproxy", "", "--proxy", server.origin, "http://real.example/describe")
    assert json.loads(result.body)["host"] == "real.example"


def test_asterisk_form(server: Server, kind: str) -> None:
    if kind == "wsgi":
        pytest.skip("PEP 3333 does not say what PATH_INFO is for *")
    result = curl("-X", "OPTIONS", "--request-target", "*", f"{server.origin}/")
    assert json.loads(result.body)["path"] == "*"


def test_connect_is_refused(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"CONNECT e.example:443 HTTP/1.1\r\nHost: e.example:443\r\n\r\n")
        assert connection.read().status in (400, 405, 501)


@pytest.mark.parametrize("target", ["/hello", "/stream", "/late"])
def test_head_has_no_body_and_keeps_the_connection(server: Server, target: str) -> None:
    with Connection(server.address) as connection:
        connection.send(f"HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = connection.read("HEAD")
        assert head.status == 200
        if target == "/hello":
            assert head.get("content-length") == b"6"
        assert connection.read().body == b"/hello"


def test_head_by_curl(server: Server) -> None:
    result = curl("-I", f"{server.origin}/hello", f"{server.origin}/stream")
    assert result.exit_code == 0
    assert result.statuses() == [200, 200]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", 431),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n", 413),
    ],
    ids=["no Host", "two Hosts", "two framings", "long line", "long field", "large body"],
)
def test_refusal_arrives_whole_and_the_connection_ends(server: Server, request_bytes: bytes, status: int) -> None:
    with Connection(server.address) as connection:
        connection.send(request_bytes)
        answer = connection.read()
        assert (answer.status, answer.is_complete) == (status, True)
        assert answer.get("date") is not None
        assert connection.is_ended()
