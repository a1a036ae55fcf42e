"""wsgiref.validate around an application served by the real command: it must find nothing to complain of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, running

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=["1", "4"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(
        "validated_site:app",
        "--threads",
        request.param,
        "--interface",
        "wsgi",
        app_dir=HERE,
        environment={"PYTHONWARNINGS": "always"},
    ) as server:
        yield server
    assert "AssertionError" not in server.log
    assert "Iterator garbage collected without being closed" not in server.log
    assert "WSGIWarning" not in server.log


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "expected"),
    [
        ("GET", "/hello", None, 200, b"hello"),
        ("GET", "/hello?a=b&c=%20", None, 200, b"hello"),
        ("HEAD", "/hello", None, 200, b""),
        ("POST", "/echo", b"body", 200, b"body"),
        ("POST", "/echo", b"", 200, b""),
        ("PUT", "/echo", b"x" * 500_000, 200, b"x" * 500_000),
        ("POST", "/lines", b"a\nb\nc", 200, b"a\n|b\n|c"),
        ("GET", "/stream", None, 200, b"".join(b"%d " % number for number in range(50))),
        ("HEAD", "/stream", None, 200, b""),
        ("GET", "/write", None, 200, b"written and returned"),
        ("GET", "/file", None, 200, b"file " * 1000),
        ("GET", "/error", None, 500, b"failed"),
        ("GET", "/none", None, 204, b""),
        ("OPTIONS", "/hello", None, 200, b"hello"),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_validator_is_content(
    server: Server, method: str, target: str, body: bytes | None, status: int, expected: bytes, version: str
) -> None:
    fields = () if method != "OPTIONS" else ("Content-Type: text/plain", "X-Latin: \xe9", "Cookie: a=1", "Cookie: b=2")
    with Connection(server.address) as connection:
        answer = connection.ask(method, target, *fields, body=body, version=version)
    assert (answer.status, answer.body, answer.is_complete) == (status, expected, True), server.log


def test_chunked_upload(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/lines", "Transfer-Encoding: chunked")
        connection.send(b"2\r\na\n\r\n3\r\nb\nc\r\n0\r\n\r\n")
        assert connection.read("POST").body == b"a\n|b\n|c"


def test_client_that_leaves_in_a_stream(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", "/stream")
        connection.reset()
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/hello").body == b"hello"
