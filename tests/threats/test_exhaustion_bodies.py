"""Bodies that are too large, lie about their length, or come compressed (threats G-069, G-070)."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http2 import POST, data, headers
from tests.support.raw import Connection
from tests.threats.http2_wire import BEGIN, SETTLED, Streams
from tests.threats.stage import Stage, staged
from tests.unit.wire.corpus.http2_case import to
from torana.gateway.wsgi.body import Spool

_LIMIT = 100_000
_MIB = 1024 * 1024


@pytest.fixture(scope="module")
def limited_stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    place = tmp_path_factory.mktemp
    flags = ("--limit-body", str(_LIMIT), "--limit-spool", "10000")
    with (
        staged(place("asgi"), "asgi_site", *flags) as asgi,
        staged(place("wsgi"), "wsgi_site", *flags, "--threads", "4") as wsgi,
    ):
        yield {"asgi": asgi, "wsgi": wsgi}


def _chunked(size: int, step: int) -> bytes:
    whole, rest = divmod(size, step)
    chunks = b"%x\r\n%b\r\n" % (step, b"x" * step) * whole + (b"%x\r\n%b\r\n" % (rest, b"x" * rest) if rest else b"")
    return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


_VERDICTS = {413: "413 and the end, by what arrives", 200: "taken"}
_SIZES = {
    "Content-Length at the limit": (b"Content-Length: %d\r\n\r\n" % _LIMIT + b"x" * _LIMIT, 200),
    "Content-Length one above it, and nothing else": (b"Content-Length: %d\r\n\r\n" % (_LIMIT + 1), 413),
    "chunks up to the limit": (_chunked(_LIMIT, 1000), 200),
    "chunks up to one byte more": (_chunked(_LIMIT + 1, 1000), 413),
    "one chunk of one byte more": (_chunked(_LIMIT + 1, _LIMIT + 1), 413),
    "chunks without end": (_chunked(20 * _LIMIT, 5000), 413),
}


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        pytest.param(
            *case, id=name,
            marks=pytest.mark.threat("G-069", sent=name, verdict=_VERDICTS[case[1]]),
        )
        for name, case in _SIZES.items()
    ],
)  # fmt: skip
def test_the_limit_holds_for_what_arrives(
    limited_stages: dict[str, Stage], kind: str, rest: bytes, status: int
) -> None:
    stage = limited_stages[kind]
    stage.events()
    with stage.attacked(), stage.connect() as connection:
        try:
            connection.send(b"POST /sized HTTP/1.1\r\nHost: t\r\n" + rest)
        except OSError:
            assert status == 413
        assert connection.read().status == status
        assert status == 200 or connection.is_ended()
    bodies = [event for event in stage.events() if event["event"] == "body"]
    assert [body["size"] for body in bodies if body["complete"]] == ([_LIMIT] if status == 200 else [])


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.threat(
    "G-069",
    sent="HTTP/2: bodies beyond the limit, with a length, without one, and with one that says less",
    verdict="413, or the stream is reset; the connection goes on",
)
def test_the_limit_holds_on_streams(limited_stages: dict[str, Stage], kind: str) -> None:
    stage = limited_stages[kind]
    stage.events()
    fields = to(b"/sized", POST)
    piece = b"x" * 16000
    with stage.attacked(), Streams(stage.connect()) as client:
        client.send(BEGIN, SETTLED)
        client.send(headers(1, [*fields, (b"content-length", str(_LIMIT + 1).encode())], is_end=False))
        client.send(headers(3, fields, is_end=False), *[data(3, piece) for _ in range(8)])
        client.send(headers(5, [*fields, (b"content-length", b"10")], is_end=False), data(5, b"x" * 11))
        client.answered(1, 3, 5)
        assert (client.status(1), client.status(3)) == (413, 413)
        assert 5 in client.peer.resets
        client.send(headers(7, to(b"/after")))
        client.answered(7)
        assert client.status(7) == 200
    assert not [event for event in stage.events() if event["event"] == "body" and event["path"] == "/sized"] or (
        kind == "asgi"
    )


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.threat(
    "G-069",
    sent="a body of two bytes more than its length says",
    verdict="the application gets what was said; the rest is read as a request, and refused",
)
def test_a_length_that_says_less(limited_stages: dict[str, Stage], kind: str) -> None:
    stage = limited_stages[kind]
    stage.events()
    with stage.connect() as connection:
        connection.send(b"POST /less HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc\0\0")
        assert connection.read().body == b"POST /less 3"
        assert connection.read().status == 400
        assert connection.is_ended()
    assert len(stage.calls()) == 1


@pytest.mark.threat(
    "G-069",
    sent="20 uploads of 4 MiB, chunked, to an application that does not read them",
    verdict="reading pauses: a bounded part of each is in memory",
)
def test_what_nobody_reads_is_not_taken(tmp_path: Path) -> None:
    with staged(tmp_path, "large_asgi") as stage, stage.attacked(growth_bytes=16 * _MIB):
        before = stage.vitals().resident_bytes
        connections = [stage.connect() for _ in range(20)]
        taken = [_push(connection, _chunked(4 * _MIB, 16384)) for connection in connections]
        stage.fence()
        assert stage.vitals().resident_bytes - before < 20 * 256 * 1024 + 4 * _MIB
        assert sum(taken) > 20 * 64 * 1024
        for connection in connections:
            connection.reset()


def _push(connection: Connection, rest: bytes) -> int:
    """Send what there is room for."""
    connection.socket.setblocking(False)
    sent = connection.socket.send(b"POST /unread HTTP/1.1\r\nHost: t\r\n" + rest[: 64 * 1024])
    try:
        while sent < len(rest):
            sent += connection.socket.send(rest[sent : sent + 64 * 1024])
    except BlockingIOError:
        pass
    return sent


@pytest.mark.threat(
    "G-069",
    sent="a body of one line without an end, read by read, readline, readlines and iteration of wsgi.input",
    verdict="never more than was asked for, and never more than the body",
)
@pytest.mark.parametrize("memory", [64, 10 * _MIB], ids=["on disk", "in memory"])
def test_one_endless_line(memory: int) -> None:
    spool = Spool(memory)
    for _ in range(64):
        spool.write(b"x" * 16384)
    try:
        body = spool.open()
        assert [len(body.readline(size)) for size in (0, 1, 1000)] == [0, 1, 1000]
        assert len(body.read(10)) == 10
        assert len(body.readlines(5)[0]) == _MIB - 1011
        assert (body.readline(), body.read(), list(body)) == (b"", b"", [])
        body.seek(0)
        assert [len(line) for line in body] == [_MIB]
    finally:
        spool.discard()


def _nested(depth: int) -> bytes:
    packed = b"\0" * _MIB
    for _ in range(depth):
        packed = gzip.compress(packed, 9)
    return packed


_PACKED = {
    "gzip of 32 MiB of nothing": ("gzip", gzip.compress(bytes(32 * _MIB), 9)),
    "gzip in gzip in gzip": ("gzip, gzip, gzip", _nested(3)),
    "many members of gzip": ("gzip", gzip.compress(bytes(1000)) * 500),
    "deflate": ("deflate", zlib.compress(bytes(_MIB), 9)),
    "what only says that it is brotli": ("br", b"\x1b\xff\xff\xff" * 10),
    "what only says that it is zstd, with a window of 2 GiB": ("zstd", b"\x28\xb5\x2f\xfd\x00\xa8" + b"\0" * 50),
}


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        pytest.param(
            *case, id=name,
            marks=pytest.mark.threat("G-070", sent=name, verdict="passed on as it is, with its Content-Encoding"),
        )
        for name, case in _PACKED.items()
    ],
)  # fmt: skip
def test_compressed_bodies_are_passed_on(request: pytest.FixtureRequest, kind: str, coding: str, packed: bytes) -> None:
    stage: Stage = request.getfixturevalue(f"{kind}_stage")
    stage.events()
    with stage.attacked():
        answer = stage.ask("/packed", "POST", f"Content-Encoding: {coding}", body=packed)
        assert answer.body == b"POST /packed %d" % len(packed)
    (call,) = (event for event in stage.calls() if event["path"] == "/packed")
    fields = dict(call["headers"]) if kind == "asgi" else call["environ"]
    assert fields["content-encoding" if kind == "asgi" else "HTTP_CONTENT_ENCODING"] == coding


@pytest.mark.threat(
    "G-070",
    sent="Accept-Encoding with 10,000 elements; with 1,000",
    verdict="431 beyond the largest field; else passed on, and the answer is not compressed",
)
def test_codings_without_end(stage: Stage) -> None:
    assert stage.ask("/", "GET", "Accept-Encoding: " + ",".join(["gzip"] * 10_000)).status == 431
    answer = stage.ask("/", "GET", "Accept-Encoding: " + ",".join(["gzip"] * 1_000))
    assert (answer.status, answer.get("content-encoding")) == (200, None)


def test_the_bombs_are_bombs() -> None:
    assert len(gzip.decompress(_PACKED["gzip of 32 MiB of nothing"][1])) == 32 * _MIB
    with gzip.open(io.BytesIO(_PACKED["many members of gzip"][1])) as file:
        assert len(file.read()) == 500_000
