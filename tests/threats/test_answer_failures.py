"""Applications that fail at every moment, and what error pages say (G-037, G-038)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.raw import Answer, Connection
from tests.threats.sites.unruly import ERRORS, tell
from tests.threats.stage import Stage, staged
from tests.threats.wire import ask_http2

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
LENGTH: dict[str, Any] = START | {"headers": [(b"content-length", b"100")]}
FIRST = {"type": "http.response.body", "body": b"part", "more_body": True}
#: By moment: the steps before the failure, whether a 500 is still possible.
ASGI_MOMENTS: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "before the head": ([], True),
    "behind the head": ([START], True),
    "behind a chunk": ([START, FIRST], False),
    "behind 4 of 100 bytes": ([LENGTH, FIRST], False),
}
#: By moment: what the application is told, NAME standing for the exception; whether a 500 is still possible.
WSGI_MOMENTS: dict[str, tuple[dict[str, Any], bool]] = {
    "before start_response": ({"raise": "NAME"}, True),
    "behind start_response": ({"start_raises": "NAME"}, True),
    "in the first block": ({"body": [{"raise": "NAME"}]}, True),
    "behind a block": ({"body": [b"part", {"raise": "NAME"}]}, False),
    "behind write()": ({"write": [b"part"], "body": [{"raise": "NAME"}]}, False),
    "behind 4 of 100 bytes": (
        {"headers": [["Content-Length", "100"]], "body": [b"part", {"raise": "NAME"}]}, False,
    ),
}  # fmt: skip


def _moments(kind: str, moments: dict[str, tuple[Any, bool]]) -> list[Any]:
    names = ", ".join(ERRORS)
    return [
        pytest.param(
            *case,
            id=moment,
            marks=pytest.mark.threat(
                "G-037",
                sent=f"{kind} raises {moment}: {names}",
                verdict="500, and the connection goes on" if case[1] else "visibly cut: no last chunk, RST_STREAM",
            ),
        )
        for moment, case in moments.items()
    ]


def _ask(stage: Stage, what: Any, may_be_500: bool) -> None:
    with Connection(stage.address) as connection:
        answer = connection.ask("GET", "/told", f"X-Do: {tell(what)}")
        if may_be_500:
            _check_500(answer)
            assert connection.ask("GET", "/after").body == b"well"
        else:
            assert (answer.status, answer.body, answer.is_complete) == (200, b"part", False)
            assert connection.is_ended()


def _ask_http2(stage: Stage, what: Any, may_be_500: bool) -> None:
    good = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/told"), (b":authority", b"t")]
    peer = ask_http2(stage, [*good, (b"x-do", tell(what).encode())], good)
    assert peer.heads[1][-1][b":status"] == (b"500" if may_be_500 else b"200")
    assert peer.resets.get(1) == (None if may_be_500 else 2)
    assert peer.heads[3][-1][b":status"] == b"200" and not peer.goaways


def _check_500(answer: Answer) -> None:
    assert (answer.status, answer.body, answer.is_complete) == (500, b"Internal Server Error\n", True)
    assert answer.get("x-content-type-options") == b"nosniff"


@pytest.mark.parametrize(("steps", "may_be_500"), _moments("ASGI", ASGI_MOMENTS))
def test_asgi(steps: list[dict[str, Any]], may_be_500: bool, unruly_asgi_stage: Stage) -> None:
    with unruly_asgi_stage.attacked(shows_failures=True):
        for name in ERRORS:
            _ask(unruly_asgi_stage, [*steps, {"raise": name}], may_be_500)
            _ask_http2(unruly_asgi_stage, [*steps, {"raise": name}], may_be_500)


@pytest.mark.parametrize(("what", "may_be_500"), _moments("WSGI", WSGI_MOMENTS))
def test_wsgi(what: dict[str, Any], may_be_500: bool, unruly_wsgi_stage: Stage) -> None:
    stage = unruly_wsgi_stage
    stage.events()
    # There, StopIteration is how a body ends.
    names = [name for name in ERRORS if name != "StopIteration" or "body" not in what]
    with stage.attacked(shows_failures=True):
        for name in names:
            _ask(stage, _named(what, name), may_be_500)
            _ask_http2(stage, _named(what, name), may_be_500)
    closed = [event for event in stage.events() if event["event"] == "closed"]
    assert len(closed) == (2 * len(names) if "body" in what else 0)


def _named(what: Any, name: str) -> Any:
    if isinstance(what, dict):
        return {key: _named(value, name) for key, value in what.items()}
    return [_named(value, name) for value in what] if isinstance(what, list) else name if what == "NAME" else what


@pytest.mark.threat(
    "G-037", sent="close() of the body raises", verdict="the answer is whole; close() is called once; it is logged"
)
def test_wsgi_close_that_fails(unruly_wsgi_stage: Stage) -> None:
    stage = unruly_wsgi_stage
    stage.events()
    with stage.attacked(shows_failures=True):
        for name in ERRORS:
            mark = stage.server.mark()
            answer = stage.ask("/told", "GET", f"X-Do: {tell({'body': [b'all'], 'close_raises': name})}")
            assert (answer.status, answer.body, answer.is_complete) == (200, b"all", True)
            stage.server.wait_for_log("close() of the response failed", since=mark)
    assert len([event for event in stage.events() if event["event"] == "closed"]) == len(ERRORS)


HANDSHAKE = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "Sec-WebSocket-Version: 13",
)


@pytest.mark.threat("G-037", sent="ASGI raises behind websocket.accept", verdict="close 1011")
@pytest.mark.threat("G-037", sent="ASGI raises before websocket.accept", verdict="500")
def test_websocket(unruly_asgi_stage: Stage) -> None:
    stage = unruly_asgi_stage
    with stage.attacked(shows_failures=True):
        for name in ERRORS:
            with stage.connect() as connection:
                connection.request("GET", "/told", f"X-Do: {tell([{'raise': name}])}", *HANDSHAKE)
                _check_500(connection.read())
            with stage.connect() as connection:
                what = [{"type": "websocket.accept"}, {"raise": name}]
                connection.request("GET", "/told", f"X-Do: {tell(what)}", *HANDSHAKE)
                assert connection.read_head().status == 101
                assert connection.read_exactly(4)[2:] == (1011).to_bytes(2, "big")


# Error pages

PROBE = "probe<script>"
#: What brings forth each error that the server answers by itself.
REQUESTS: dict[str, tuple[bytes, int]] = {
    "an escape in the line": (b"GET /\x1b[31mprobe HTTP/1.1\r\nHost: t\r\n\r\n", 400),
    "a bad name": (b"GET /probe<script> HTTP/1.1\r\nHost: t\r\nprobe probe: x\r\n\r\n", 400),
    "a bad host": (b"GET /probe<script> HTTP/1.1\r\nHost: probe<script>\r\n\r\n", 400),
    "no request": (b"probe<script>\r\n\r\n", 400),
    "a long line": (b"GET /" + b"probe" * 4000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414),
    "long fields": (b"GET /probe HTTP/1.1\r\nHost: t\r\n" + b"X: " + b"probe" * 4000 + b"\r\n\r\n", 431),
    "a large body": (b"POST /probe HTTP/1.1\r\nHost: t\r\nContent-Length: 999999999\r\n\r\n", 413),
    "an expectation": (b"POST /probe HTTP/1.1\r\nHost: t\r\nExpect: probe\r\nContent-Length: 5\r\n\r\n", 417),
    "a method": (b"PROBE" * 20 + b" /probe HTTP/1.1\r\nHost: t\r\n\r\n", 501),
    "a coding": (b"POST /probe HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "a version": (b"GET /probe HTTP/7.7\r\nHost: t\r\n\r\n", 505),
    "a failure": (
        b"GET /%1b%5b31mprobe<script> HTTP/1.1\r\nHost: t\r\nAccept: text/html\r\n"
        b'X-Do: [{"raise": "ValueError"}]\r\nX-Probe: probe\r\n\r\n', 500,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def pages_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With --error-pages: even then nothing of the request is shown."""
    with staged(tmp_path_factory.mktemp("pages"), "unruly_asgi", "--error-pages") as stage:
        yield stage


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(
            *case,
            id=name,
            marks=pytest.mark.threat("G-038", sent=f"{name}, with a probe", verdict=f"{case[1]}, fixed text, no probe"),
        )
        for name, case in REQUESTS.items()
    ],
)
def test_error_page_shows_nothing_of_the_request(data: bytes, status: int, unruly_asgi_stage: Stage) -> None:
    answer = _answer(unruly_asgi_stage, data)
    assert (answer.status, answer.get("content-type")) == (status, b"text/plain; charset=utf-8")
    said = answer.reason.encode() + b"\n"
    assert answer.body in (said, b"%d " % status + said)
    assert answer.get("server") == b"torana"


@pytest.mark.threat(
    "G-038", sent="the same with --error-pages", verdict="500 as a page, escaped, no byte of the request"
)
def test_error_page_for_developers(pages_stage: Stage) -> None:
    for data, status in REQUESTS.values():
        answer = _answer(pages_stage, data)
        assert answer.status == status
        if status == 500:
            assert answer.get("content-type") == b"text/html; charset=utf-8"
            assert b"ValueError: on purpose" in answer.body


def _answer(stage: Stage, data: bytes) -> Answer:
    with stage.connect() as connection:
        connection.send(data)
        answer = connection.read()
    assert answer.is_complete and answer.get("x-content-type-options") == b"nosniff"
    assert b"probe" not in answer.body.lower() and b"script" not in answer.body.lower() and b"\x1b" not in answer.body
    assert all(b"probe" not in value.lower() for _, value in answer.fields)
    return answer


@pytest.mark.threat("G-038", sent="escapes of a terminal in path, method and fields", verdict="no raw byte in any log")
def test_logs_hold_no_raw_bytes(stage: Stage) -> None:
    """The stage looks at both logs when it ends."""
    for target in ("/%1b[31m", "/\\x1b", "/%e2%80%ae", "/a%0ab"):
        assert stage.ask(target, "GET", "User-Agent: \xff\xfe\x85\xe2\x80\xae", 'Referer: "\\"').status == 200
