"""gRPC by its own client (grpcio) against a service over ASGI: every kind of call, statuses in trailers, cancellation.

Without generated code: method names are given as text and messages are bytes. Over TLS (ALPN) and over plain TCP,
where a gRPC client begins with HTTP/2 unasked (prior knowledge).
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.support.server import Server, running

grpc = pytest.importorskip("grpc")

HERE = Path(__file__).parent
TIMEOUT_S = 30
BIG = bytes(range(256)) * 4096 * 12  # 12 MiB
OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.enable_http_proxy", 0),
]


@pytest.fixture(scope="module", params=["plain", "tls"])
def server(request: pytest.FixtureRequest, loopback: Loopback) -> Iterator[Server]:
    flags = loopback.flags() if request.param == "tls" else []
    with running("grpc_site:app", *flags, app_dir=HERE) as server:
        yield server


def open_channel(server: Server, loopback: Loopback, *options: tuple[str, Any]) -> Any:
    target = f"{server.host}:{server.port}"
    # Channels with the same arguments share connections; these are of one test only.
    settings = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1), *options]
    if server.scheme == "http":
        return grpc.insecure_channel(target, settings)
    trust = grpc.ssl_channel_credentials(loopback.authority.read_bytes())
    return grpc.secure_channel(target, trust, settings)


@pytest.fixture
def channel(server: Server, loopback: Loopback) -> Iterator[Any]:
    with open_channel(server, loopback) as channel:
        yield channel


def path(name: str) -> str:
    return f"/test.Torana/{name}"


def ask(channel: Any, name: str, message: bytes, **arguments: Any) -> bytes:
    return bytes(channel.unary_unary(path(name))(message, timeout=TIMEOUT_S, **arguments))


# The four kinds of call


@pytest.mark.parametrize("message", [b"", b"hello", bytes(range(256)) * 1000, BIG], ids=["0", "5", "256k", "12M"])
def test_unary(channel: Any, message: bytes) -> None:
    reply, call = channel.unary_unary(path("Unary")).with_call(message, timeout=TIMEOUT_S)
    assert reply == message[::-1]
    assert call.code() is grpc.StatusCode.OK
    assert ("x-count", "1") in call.trailing_metadata()


def test_unary_again_and_again_on_one_connection(channel: Any) -> None:
    for number in range(300):
        assert ask(channel, "Unary", b"%d" % number) == (b"%d" % number)[::-1]


def test_many_calls_at_once(channel: Any) -> None:
    """More than may run at once on one connection: the others wait in the client."""
    unary = channel.unary_unary(path("Unary"))
    calls = [unary.future(b"%d" % number * 100, timeout=TIMEOUT_S) for number in range(400)]
    assert [call.result() for call in calls] == [(b"%d" % number * 100)[::-1] for number in range(400)]


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 10), (1000, 10), (100, 100_000), (3, 8_000_000)])
def test_server_stream(channel: Any, count: int, size: int) -> None:
    stream = channel.unary_stream(path("ServerStream"))(b"%d %d" % (count, size), timeout=TIMEOUT_S)
    for number in range(count):
        assert next(stream) == b"%d " % number + b"x" * size
    assert list(stream) == []
    assert stream.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 10), (2000, 10), (200, 100_000), (3, 8_000_000)])
def test_client_stream(channel: Any, count: int, size: int) -> None:
    messages = iter([b"y" * size] * count)
    reply = channel.stream_unary(path("ClientStream"))(messages, timeout=TIMEOUT_S)
    assert reply == b"%d %d" % (count, count * size)


def test_both_ways_in_turns(channel: Any) -> None:
    """Each message is sent only when the answer to the one before has come."""
    outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    replies = channel.stream_stream(path("Both"))(iter(outgoing.get, None), timeout=TIMEOUT_S)
    for number in range(50):
        outgoing.put(b"%d" % number * 50)
        assert next(replies) == b"got " + b"%d" % number * 50
    outgoing.put(None)
    assert list(replies) == []
    assert replies.code() is grpc.StatusCode.OK


def test_both_ways_at_once(channel: Any) -> None:
    messages = [b"%d " % number + b"z" * (number * 50) for number in range(1000)]
    replies = channel.stream_stream(path("Both"))(iter(messages), timeout=TIMEOUT_S)
    assert list(replies) == [b"got " + message for message in messages]


# Status and metadata


@pytest.mark.parametrize(
    ("code", "text"), [(3, "bad argument"), (5, ""), (7, "100 % – ré 日本"), (16, "who?"), (13, "x" * 2000)]
)
def test_error_status_without_messages(channel: Any, code: int, text: str) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        ask(channel, "Fail", f"{code} {text}".encode())
    assert (failure.value.code().value[0], failure.value.details()) == (code, text)


def test_error_status_after_messages(channel: Any) -> None:
    stream = channel.unary_stream(path("FailLate"))(b"", timeout=TIMEOUT_S)
    assert [next(stream), next(stream)] == [b"one", b"two"]
    with pytest.raises(grpc.RpcError) as failure:
        next(stream)
    assert failure.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.value.details() == "too late – später"
    assert [value for key, value in failure.value.trailing_metadata() if key == "x-detail"] == ["a", "b"]


def test_unknown_method(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        ask(channel, "Missing", b"")
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_metadata_both_ways(server: Server, channel: Any) -> None:
    sent = [("x-trace", "abc"), ("x-blob-bin", b"\x00\x01\xff"), ("authorization", "Bearer secret")]
    reply, call = channel.unary_unary(path("Metadata")).with_call(b"", timeout=TIMEOUT_S, metadata=sent)
    seen = json.loads(reply)
    assert seen["version"] == "2"
    assert (seen["x-trace"], seen["authorization"], seen["x-blob-bin"]) == ("abc", "Bearer secret", "AAH/")
    assert (seen["te"], seen["content-type"]) == ("trailers", "application/grpc")
    assert seen["host"] == f"{server.host}:{server.port}"
    assert [value for key, value in call.initial_metadata() if key == "x-initial"] == ["one", "two"]
    assert ("x-final", "three") in call.trailing_metadata()
    assert ("x-blob-bin", b"\x00\x01\x02") in call.trailing_metadata()


def test_much_metadata(channel: Any) -> None:
    """More than one frame holds, so that CONTINUATION follows."""
    sent = [(f"x-{number}", "v" * 1000) for number in range(30)]
    seen = json.loads(ask(channel, "Metadata", b"", metadata=sent))
    assert all(seen[key] == value for key, value in sent)


def test_compressed_messages(channel: Any) -> None:
    message = b"the same again " * 100_000
    assert ask(channel, "Unary", message, compression=grpc.Compression.Gzip) == message[::-1]


# Cancellation and time


def test_cancellation_reaches_the_application(server: Server, channel: Any) -> None:
    mark = server.mark()
    stream = channel.unary_stream(path("Hang"))(b"alone", timeout=TIMEOUT_S)
    assert next(stream) == b"started"
    stream.cancel()
    server.wait_for_log("hang alone was cancelled", since=mark)
    assert ask(channel, "Unary", b"next")[::-1] == b"next"


def test_cancellation_of_one_leaves_the_others(server: Server, channel: Any) -> None:
    mark = server.mark()
    hang = channel.unary_stream(path("Hang"))
    streams = [hang(b"call-%d." % number, timeout=TIMEOUT_S) for number in range(10)]
    assert [next(stream) for stream in streams] == [b"started"] * 10
    for stream in streams[::2]:
        stream.cancel()
    for number in range(0, 10, 2):
        server.wait_for_log(f"hang call-{number}. was cancelled", since=mark)
    assert ask(channel, "Unary", b"between")[::-1] == b"between"
    assert "call-1. was cancelled" not in server.log_since(mark)
    for stream in streams[1::2]:
        stream.cancel()
    for number in range(1, 10, 2):
        server.wait_for_log(f"hang call-{number}. was cancelled", since=mark)


def test_many_cancellations(channel: Any) -> None:
    """A client that changes its mind often is no attacker; what it does next is answered."""
    hang = channel.unary_stream(path("Hang"))
    for number in range(60):
        stream = hang(b"%d" % number, timeout=TIMEOUT_S)
        assert next(stream) == b"started"
        stream.cancel()
    assert ask(channel, "Unary", b"next")[::-1] == b"next"


def test_deadline_reaches_the_application(server: Server, channel: Any) -> None:
    mark = server.mark()
    # The deadline is to pass in the application, not while the channel connects.
    assert ask(channel, "Unary", b"first")[::-1] == b"first"
    stream = channel.unary_stream(path("Hang"))(b"patience", timeout=2)
    with pytest.raises(grpc.RpcError) as failure:
        list(stream)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    server.wait_for_log("hang patience was cancelled", since=mark)
    assert "deadline None" not in server.wait_for_log("hang patience began", since=mark)


def test_cancellation_in_the_midst_of_a_download(server: Server, channel: Any) -> None:
    mark = server.mark()
    stream = channel.unary_stream(path("ServerStream"))(b"100000 10000", timeout=TIMEOUT_S)
    assert next(stream) == b"0 " + b"x" * 10_000
    stream.cancel()
    server.wait_for_log("ServerStream ended by", since=mark)
    assert ask(channel, "Unary", b"next")[::-1] == b"next"


def test_cancellation_in_the_midst_of_an_upload(server: Server, channel: Any) -> None:
    mark = server.mark()
    outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    replies = channel.stream_stream(path("Both"))(iter(outgoing.get, None), timeout=TIMEOUT_S)
    outgoing.put(b"first")
    assert next(replies) == b"got first"
    for _ in range(20):
        outgoing.put(b"u" * 500_000)
    replies.cancel()
    outgoing.put(None)
    server.wait_for_log("Both ended by", since=mark)
    assert ask(channel, "Unary", b"next")[::-1] == b"next"


def test_clients_own_pings(server: Server, loopback: Loopback) -> None:
    """As often as a gRPC client may: with and without calls."""
    options = [
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 5000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    with open_channel(server, loopback, *options) as channel:
        stream = channel.unary_stream(path("Hang"))(b"pinged", timeout=1.5)
        assert next(stream) == b"started"
        with pytest.raises(grpc.RpcError) as failure:
            next(stream)
        assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED, failure.value.details()
        assert ask(channel, "Unary", b"next")[::-1] == b"next"


# The server's end, and the other client


def test_call_that_runs_when_the_server_stops_is_finished(loopback: Loopback) -> None:
    with running("grpc_site:app", app_dir=HERE) as own, open_channel(own, loopback) as channel:
        outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        replies = channel.stream_stream(path("Both"))(iter(outgoing.get, None), timeout=TIMEOUT_S)
        outgoing.put(b"before")
        assert next(replies) == b"got before"
        codes: list[int] = []
        mark = own.mark()
        stopping = threading.Thread(target=lambda: codes.append(own.stop()))
        stopping.start()
        own.wait_for_log("Stopping", since=mark)
        outgoing.put(b"after")
        assert next(replies) == b"got after"
        outgoing.put(None)
        assert list(replies) == []
        assert replies.code() is grpc.StatusCode.OK
        stopping.join(TIMEOUT_S)
        assert codes == [0]


def test_asyncio_client(server: Server, loopback: Loopback) -> None:
    from grpc import aio

    async def talking() -> None:
        target = f"{server.host}:{server.port}"
        if server.scheme == "http":
            channel = aio.insecure_channel(target, options=OPTIONS)
        else:
            trust = grpc.ssl_channel_credentials(loopback.authority.read_bytes())
            channel = aio.secure_channel(target, trust, options=OPTIONS)
        async with channel:
            unary = channel.unary_unary(path("Unary"))
            replies = await asyncio.gather(*(unary(b"%d" % number, timeout=TIMEOUT_S) for number in range(200)))
            assert replies == [(b"%d" % number)[::-1] for number in range(200)]
            call = channel.stream_stream(path("Both"))(timeout=TIMEOUT_S)
            for number in range(20):
                await call.write(b"%d" % number)
                assert await call.read() == b"got %d" % number
            await call.done_writing()
            assert await call.read() is aio.EOF
            assert await call.code() is grpc.StatusCode.OK

    asyncio.run(talking())
