"""Applications that lie about the length of their answer or speak for the connection (G-036).

After each of them a good request follows on the same connection, or the connection has ended.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.http2 import Peer
from tests.support.raw import Connection
from tests.threats.sites.unruly import tell
from tests.threats.stage import Stage
from tests.threats.wire import ask_http2

#: What a client gets: status, body, whether the answer is whole; None: over HTTP/1.1, and reset over HTTP/2.
Got = tuple[int, bytes, bool | None]
FAILED: Got = (500, b"Internal Server Error\n", True)


def _start(*fields: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(fields)}


def _body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _length(size: int | bytes) -> tuple[bytes, bytes]:
    return (b"content-length", size if isinstance(size, bytes) else b"%d" % size)


FIVE = _length(5)
#: How the application lies, and what the client gets.
ASGI: dict[str, tuple[list[dict[str, Any]], Got]] = {
    "5 declared, 3 in one message": ([_start(FIVE), _body(b"abc")], FAILED),
    "5 declared, 8 in one message": ([_start(FIVE), _body(b"abcdefgh")], FAILED),
    "5 declared, none": ([_start(FIVE), _body(b"")], FAILED),
    "5 declared, 3 that have left": ([_start(FIVE), _body(b"abc", True), _body(b"")], (200, b"abc", False)),
    "5 declared, 3 and 5 more": ([_start(FIVE), _body(b"abc", True), _body(b"defgh")], (200, b"abc", False)),
    "5 declared, 5 and 3 more": ([_start(FIVE), _body(b"abcde", True), _body(b"fgh")], (200, b"abcde", None)),
    "5 declared, then nothing": ([_start(FIVE), _body(b"abc", True)], (200, b"abc", False)),
    "0 declared, 1 sent": ([_start(_length(0)), _body(b"a")], FAILED),
    "+5 declared": ([_start(_length(b"+5")), _body(b"abcde")], FAILED),
    "5, 5 declared": ([_start(_length(b"5, 5")), _body(b"abcde")], FAILED),
    "5 declared twice": ([_start(FIVE, FIVE), _body(b"abcde")], (200, b"abcde", True)),
    "5 and 6 declared": ([_start(FIVE, _length(6)), _body(b"abcde")], FAILED),
    "a length of 30 digits": ([_start(_length(b"9" * 30)), _body(b"abcde")], FAILED),
    "204 with a body and a length": ([_start(FIVE, status=204), _body(b"abcde")], (204, b"", True)),
    "205 with a body and a length": ([_start(FIVE, status=205), _body(b"abcde")], (205, b"", True)),
    "304 with a body and a length": ([_start(FIVE, status=304), _body(b"abcde")], (304, b"", True)),
    "204 with a coding": (
        [_start((b"transfer-encoding", b"chunked"), status=204), _body(b"0\r\n\r\n")], (204, b"", True),
    ),
    "status 103 as the answer": ([_start(status=103), _body(b"")], FAILED),
    "status 101 as the answer": ([_start(status=101), _body(b"HTTP/1.1 200 OK\r\n\r\n")], FAILED),
    "Transfer-Encoding: gzip": ([_start((b"transfer-encoding", b"gzip")), _body(b"abc")], (200, b"abc", True)),
    "Transfer-Encoding and a length": (
        [_start((b"Transfer-Encoding", b"chunked"), _length(3)), _body(b"abc")], (200, b"abc", True),
    ),
    "Connection: upgrade, Upgrade": (
        [_start((b"connection", b"upgrade"), (b"upgrade", b"h2c"), (b"keep-alive", b"timeout=9")), _body(b"abc")],
        (200, b"abc", True),
    ),
    "two heads": ([_start(), _start(), _body(b"abc")], FAILED),
    "a body behind its end": ([_start(FIVE), _body(b"abcde"), _body(b"HTTP/1.1 200")], (200, b"abcde", True)),
}  # fmt: skip

WSGI: dict[str, tuple[dict[str, Any], Got]] = {
    "5 declared, 3 in one block": ({"headers": [["Content-Length", "5"]], "body": [b"abc"]}, (200, b"abc", False)),
    "5 declared, 8 in one block": ({"headers": [["Content-Length", "5"]], "body": [b"abcdefgh"]},
                                   (200, b"abcde", True)),
    "5 declared, none": ({"headers": [["Content-Length", "5"]], "body": []}, FAILED),
    "5 declared, 3 written": (
        {"headers": [["Content-Length", "5"]], "write": [b"abc"], "body": []}, (200, b"abc", False),
    ),
    "5 declared, 3 written, 5 more": (
        {"headers": [["Content-Length", "5"]], "write": [b"abc"], "body": [b"defgh"]}, (200, b"abcde", True),
    ),
    "0 declared, 1 sent": ({"headers": [["Content-Length", "0"]], "body": [b"a"]}, (200, b"", True)),
    "+5 declared": ({"headers": [["Content-Length", "+5"]], "body": [b"abcde"]}, FAILED),
    "5 declared twice": ({"headers": [["Content-Length", "5"]] * 2, "body": [b"abcde"]}, (200, b"abcde", True)),
    "a length of 30 digits": ({"headers": [["Content-Length", "9" * 30]], "body": [b"abcde"]}, FAILED),
    "204 with a body and a length": (
        {"status": "204 No Content", "headers": [["Content-Length", "5"]], "body": [b"abcde"]}, (204, b"", True),
    ),
    "304 with a body and a length": (
        {"status": "304 Not Modified", "headers": [["Content-Length", "5"]], "body": [b"abcde"]}, (304, b"", True),
    ),
    "status 101": ({"status": "101 Switching", "body": [b"abcde"]}, FAILED),
    "Transfer-Encoding": ({"headers": [["Transfer-Encoding", "gzip"]], "body": [b"abc"]}, FAILED),
    "Connection, Upgrade": ({"headers": [["Connection", "upgrade"], ["Upgrade", "h2c"]], "body": [b"abc"]}, FAILED),
    "never started": ({"status": None, "body": [b"abc"]}, FAILED),
}  # fmt: skip


def _said(got: Got) -> str:
    status, body, is_whole = got
    if got == FAILED:
        return "500, and the connection goes on"
    shown = f"{status} and {repr(body)[1:]}" if body else f"{status} without a body"
    return f"{shown}, visibly cut" if is_whole is False else f"{shown}, and a right answer next, or the end"


def _cases(kind: str, cases: dict[str, tuple[Any, Got]]) -> list[Any]:
    return [
        pytest.param(*case, id=name, marks=pytest.mark.threat("G-036", sent=f"{kind}: {name}", verdict=_said(case[1])))
        for name, case in cases.items()
    ]


def _check(stage: Stage, what: Any, wanted: Got) -> None:
    for method in ("GET", "HEAD"):
        with Connection(stage.address) as connection:
            answer = connection.ask(method, "/told", f"X-Do: {tell(what)}")
            if method == "GET":
                assert (answer.status, answer.body) == wanted[:2] and answer.is_complete == (wanted[2] is not False)
            assert len(answer.get_all("content-length")) <= 1
            for name in ("upgrade", "keep-alive"):
                assert answer.get(name) is None
            if answer.is_complete and (rest := _rest(connection)):
                assert rest.startswith(b"HTTP/1.1 200 ") and rest.endswith(b"\r\n\r\nwell")
            elif wanted == FAILED:
                raise AssertionError("a plain 500 ends no connection")


def _rest(connection: Connection) -> bytes:
    """What comes for a good request; b"" where the connection has ended."""
    try:
        connection.request("GET", "/after", "Connection: close")
    except (BrokenPipeError, ConnectionResetError):
        return b""
    return connection.read_to_end()


def _check_http2(stage: Stage, what: Any, wanted: Got) -> None:
    good = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/told"), (b":authority", b"t")]
    head = [(name, b"HEAD" if name == b":method" else value) for name, value in good]
    told = (b"x-do", tell(what).encode())
    peer: Peer = ask_http2(stage, [*good, told], good, [*head, told], good)
    status, body, is_whole = wanted
    assert (peer.heads[1][-1][b":status"], peer.bodies.get(1, b"")) == (b"%d" % status, body)
    assert peer.resets.get(1) == (None if is_whole else 2)
    assert peer.bodies.get(5, b"") == b""
    assert [peer.heads[stream][-1][b":status"] for stream in (3, 7)] == [b"200", b"200"]


@pytest.mark.parametrize(("messages", "wanted"), _cases("ASGI", ASGI))
def test_asgi(messages: list[dict[str, Any]], wanted: Got, unruly_asgi_stage: Stage) -> None:
    with unruly_asgi_stage.attacked(shows_failures=True):
        _check(unruly_asgi_stage, messages, wanted)
        _check_http2(unruly_asgi_stage, messages, wanted)


@pytest.mark.parametrize(("what", "wanted"), _cases("WSGI", WSGI))
def test_wsgi(what: dict[str, Any], wanted: Got, unruly_wsgi_stage: Stage) -> None:
    with unruly_wsgi_stage.attacked(shows_failures=True):
        _check(unruly_wsgi_stage, what, wanted)
        _check_http2(unruly_wsgi_stage, what, wanted)


SIZE = 8 * 1024 * 1024


@pytest.mark.parametrize("how", ["asgi path", "asgi file", "wsgi"])
@pytest.mark.parametrize("change", ["shrinks", "grows"])
@pytest.mark.threat(
    "G-036", sent="a file of 8 MiB that shrinks while it is sent, or grows",
    verdict="visibly cut, or 8 MiB and no more",
)  # fmt: skip
def test_file_that_changes(
    how: str, change: str, tmp_path: Path, unruly_asgi_stage: Stage, unruly_wsgi_stage: Stage
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(SIZE))
    stage = unruly_wsgi_stage if how == "wsgi" else unruly_asgi_stage
    what: Any = {"headers": [["Content-Length", str(SIZE)]], "file": str(file)}
    if how == "asgi path":
        what = [_start(_length(SIZE)), {"type": "http.response.pathsend", "path": str(file)}]
    elif how == "asgi file":
        what = [_start(_length(SIZE)), {"type": "http.response.zerocopysend", "file": str(file), "count": SIZE}]
    with stage.attacked(shows_failures=True), stage.connect(receive_buffer_bytes=16384) as connection:
        connection.request("GET", "/told", f"X-Do: {tell(what)}")
        head = connection.read_head()
        assert head.status == 200 and head.get("content-length") == b"%d" % SIZE
        connection.read_exactly(1000)
        if change == "shrinks":
            os.truncate(file, SIZE // 8)
            assert len(connection.read_to_end()) < SIZE - 1000
        else:
            with file.open("ab") as more:
                more.write(b"HTTP/1.1 200 OK\r\n\r\n" * 1000)
            assert connection.read_exactly(SIZE - 1000) == bytes(SIZE - 1000)
            answer = connection.ask("GET", "/after")
            assert (answer.status, answer.body) == (200, b"well")
