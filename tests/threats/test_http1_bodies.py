"""Bodies on real sockets: too long, in crumbs, cut off, unread, announced and withheld (G-006 to G-030)."""

from __future__ import annotations

import contextlib
import selectors

import pytest

from tests.support.raw import Connection
from tests.threats.stage import Stage
from tests.threats.wire import Outcome, deliver_each, read_all, send
from tests.unit.wire.corpus.case import CANARY, chunked, get, post

AFTER = b"GET /after HTTP/1.1\r\nHost: t\r\n\r\n"
EXPECT = b"POST %s HTTP/%s\r\nHost: t\r\n%sContent-Length: 33\r\n\r\n"
#: One more than the bound of a body (100 MiB), and what counters of some width take for less.
TOO_LONG = [100 * 2**20 + 1, *(2**bits + more for bits in (31, 32, 53) for more in (-1, 0, 1)), 2**63 - 1]


def _ended(outcome: Outcome, *statuses: int) -> None:
    assert (outcome.statuses, outcome.end) == ([*statuses], "fin")
    assert outcome.answers[-1].get("connection") == b"close"


# Lengths


@pytest.mark.threat(
    "G-006", sent="Content-Length: 104857601, 2^31, 2^53 and others up to 2^63-1", verdict="413, then the end"
)
def test_body_above_its_bound_is_refused_by_what_is_announced(stage: Stage) -> None:
    stage.events()
    with stage.attacked():
        for outcome in deliver_each(stage, [post(b"Content-Length: %d" % size) + CANARY for size in TOO_LONG]):
            _ended(outcome, 413)
    assert stage.calls() == []


@pytest.mark.threat("G-012", sent="chunks of 2^31, 2^53, 2^63-1 bytes, and a FIN", verdict="a body that was cut off")
@pytest.mark.threat("G-012", sent="chunk sizes 2^63, 2^64-1, 2^64, 2^64+5, 2^65+33", verdict="400, then the end")
def test_chunk_size_never_wraps(stage: Stage) -> None:
    too_large = (2**63, 2**63 + 1, 2**64 - 1, 2**64, 2**64 + 5, 2**65 + 33)
    stage.events()
    with stage.attacked():
        for outcome in deliver_each(stage, [chunked(b"%x\r\n" % size + CANARY) for size in too_large]):
            _ended(outcome, 400)
        for outcome in deliver_each(stage, [chunked(b"%x\r\n" % size + CANARY) for size in TOO_LONG]):
            assert outcome.statuses == []
    stage.fence()
    events = stage.events()
    assert not [event for event in events if event["path"] == "/canary"]
    assert not [event for event in events if event["event"] == "body" and event["complete"]]


# Chunks


@pytest.mark.threat("G-016", sent="FIN at each offset of a chunked body", verdict="the body is never whole, no answer")
def test_chunked_body_cut_anywhere_is_never_whole(stage: Stage) -> None:
    head, body = chunked(b""), b"5\r\nhello\r\n3\r\nyou\r\n0\r\nX: y\r\n\r\n"
    stage.events()
    with stage.attacked():
        outcomes = deliver_each(stage, [head + body[:at] for at in range(len(body))])
        assert [outcome.statuses for outcome in outcomes] == [[]] * len(body)
        [whole] = deliver_each(stage, [head + body])
        assert whole.statuses == [200]
    stage.fence()
    events = stage.events()
    bodies = [event for event in events if event["event"] == "body"]
    assert [event["size"] for event in bodies if event["complete"]] == [8]
    if stage.site == "asgi_site":
        assert len(bodies) == len(body) + 1


@pytest.mark.threat("G-017", sent="1\\r\\nx\\r\\n a million times", verdict="400, then the end, after a few thousand")
def test_flood_of_tiny_chunks_is_refused(stage: Stage) -> None:
    stage.events()
    with stage.attacked():
        with stage.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(chunked(b""))
                for _ in range(100):
                    connection.send(b"1\r\nx\r\n" * 10_000)
            outcome = read_all(connection)
        assert outcome.statuses in ([400], [])  # The end of the flood may overtake the answer.
    assert not [event for event in stage.events() if event["event"] == "body" and event["complete"]]


@pytest.mark.threat("G-017", sent="300 chunks of one byte at once", verdict="one piece of 300 bytes to the application")
def test_tiny_chunks_are_joined(asgi_stage: Stage) -> None:
    asgi_stage.events()
    with asgi_stage.attacked():
        [outcome] = deliver_each(asgi_stage, [chunked(b"1\r\nx\r\n" * 300 + b"0\r\n\r\n")])
        assert outcome.statuses == [200]
    [body] = [event for event in asgi_stage.events() if event["event"] == "body"]
    assert body["size"] == 300 and body["pieces"] <= 2


# Bodies where they are seldom


@pytest.mark.parametrize("route", ["/read", "/unread", "/broken", "/healthz"])
@pytest.mark.threat(
    "G-028", sent="8 methods with a request as their body, to 4 kinds of answers", verdict="the body is never a request"
)
def test_body_is_a_body_for_every_method_and_answer(route: str, stage: Stage) -> None:
    stage.events()
    for method in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "POST", "PATCH", "BREW"):
        head = f"{method} {route} HTTP/1.1\r\nHost: t\r\n".encode()
        with_body, without = head + b"Content-Length: 33\r\n\r\n" + CANARY, head + b"Content-Length: 0\r\n\r\n"
        first, second = deliver_each(stage, [with_body + AFTER, without + CANARY + AFTER], [method])
        status = {"/read": 200, "/unread": 403, "/broken": 500}.get(route, 200)
        assert first.statuses in ([status, 200], [status])
        if first.statuses == [status]:
            assert first.answers[0].get("connection") == b"close"
        assert second.statuses == [status, 200, 200]
    paths = [call["path"] for call in stage.calls()]
    assert paths.count("/canary") == 8


# Announced and withheld


@pytest.mark.parametrize(
    ("fields", "version", "says_100", "status"),
    [
        (b"Expect: 100-continue\r\n", b"1.1", True, 200),
        (b"Expect: 100-continue\r\n", b"1.0", False, 200),
        (b"Expect: 100-Continue, x\r\n", b"1.1", False, 417),
        (b"Expect: 100-continue\r\nExpect: 100-continue\r\n", b"1.1", False, 417),
    ],
    ids=["plain", "1.0", "list", "two"],
)
@pytest.mark.parametrize("how", ["body", "canary", "at once"])
@pytest.mark.threat(
    "G-029", sent="Expect: 100-continue, and then a body, a request instead, or the body at once; to an application "
    "that reads and one that does not", verdict="100 at most once; what follows is the body; without 100, the end",
)  # fmt: skip
def test_expectation(fields: bytes, version: bytes, says_100: bool, status: int, how: str, stage: Stage) -> None:
    # A thread gets a request when its body has come: WSGI asks for it before the application is called.
    asks_first = stage.site == "wsgi_site"
    stage.events()
    with stage.attacked():
        for path in (b"/read", b"/unread"):
            body = b"b" * 33 if how == "body" else CANARY
            wanted = 403 if path == b"/unread" and status == 200 else status
            with stage.connect() as connection:
                head = EXPECT % (path, version, fields)
                connection.send(head + body if how == "at once" else head)
                if how != "at once" and says_100 and (path == b"/read" or asks_first):
                    assert connection.read(skip_interim=False).status == 100
                    connection.send(body)
                elif how != "at once":
                    if wanted == 200 or (asks_first and wanted == 403):
                        send(connection, (body,))
                    answer = connection.read(skip_interim=False)
                    assert answer.status == wanted
                    if wanted != 200 and not asks_first:
                        assert answer.get("connection") == b"close"
                        send(connection, (body,))
                        assert connection.is_ended()
                    continue
                answer = connection.read(skip_interim=False)
                assert answer.status == wanted
                if answer.get("connection") == b"close" or version == b"1.0":
                    send(connection, (AFTER,))
                    assert connection.is_ended()
                else:
                    assert connection.ask("GET", "/after").status == 200
    assert "/canary" not in [call["path"] for call in stage.calls()]


# Early answers


@pytest.mark.parametrize(
    ("path", "size", "status", "body"),
    [("/read", 10**9, 413, None), ("/unread/100000", 90 * 2**20, 403, b"no" * 100_000)],
    ids=["413", "403"],
)
@pytest.mark.threat(
    "G-030", sent="uploads at full speed, 100 at once, refused at once", verdict="100 of 100 read the whole answer"
)
def test_early_answer_arrives_whole(path: str, size: int, status: int, body: bytes | None, asgi_stage: Stage) -> None:
    asgi_stage.events()
    piece = bytes(65536)
    # A hundred answers at once leave pages of the allocator behind.
    with (
        asgi_stage.attacked(growth_bytes=40 * 2**20),
        contextlib.ExitStack() as stack,
        selectors.DefaultSelector() as selector,
    ):
        connections: list[Connection] = []
        got: dict[int, bytearray] = {}
        for _ in range(100):
            connection = stack.enter_context(asgi_stage.connect(receive_buffer_bytes=16384))
            connection.send(f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {size}\r\n\r\n".encode())
            connection.socket.setblocking(False)
            connections.append(connection)
            got[connection.socket.fileno()] = bytearray()
            selector.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while selector.get_map():
            ready = selector.select(20.0)
            assert ready, "stalled"
            for key, mask in ready:
                sock = key.fileobj
                if mask & selectors.EVENT_READ:
                    try:
                        data = sock.recv(65536)  # type: ignore[union-attr]
                    except ConnectionResetError:
                        data = b""
                    got[key.fd] += data
                    if not data:
                        selector.unregister(sock)
                        continue
                if mask & selectors.EVENT_WRITE:
                    try:
                        sock.send(piece)  # type: ignore[union-attr]
                    except BlockingIOError:
                        pass
                    except OSError:
                        selector.modify(sock, selectors.EVENT_READ)
        for text in got.values():
            head, _, rest = bytes(text).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"connection: close" in head.lower()
            assert rest == body if body is not None else rest
    assert len(asgi_stage.calls()) == (100 if status == 403 else 0)


@pytest.mark.threat("G-028", sent="Content-Length: 0 and a request behind it", verdict="two requests")
def test_nothing_is_a_body_too(stage: Stage) -> None:
    stage.events()
    [outcome] = deliver_each(stage, [post(b"Content-Length: 0") + get(b"Host: t", target=b"/next")])
    assert outcome.statuses == [200, 200]
    assert [call["path"] for call in stage.calls()] == ["/a", "/next"]
