"""A stage for WSGI applications: the real gateway, request and response, and a channel that records what leaves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.request import Request
from torana.exchange.response import ClientDisconnected, Response
from torana.exchange.roles import Channel
from torana.gateway.options import GatewayOptions
from torana.gateway.wsgi.gateway import WsgiGateway
from torana.wire.events import RequestHead

WAIT_S = 20.0


class RecordingChannel(Channel):
    """What the wire would be told, in order, and whether the connection was lent and given back properly."""

    def __init__(self) -> None:
        self.status = 0
        self.reason: bytes | None = None
        self.fields: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        #: Blocks of body as they left; the one that came with the head is first.
        self.blocks: list[bytes] = []
        #: Number of acts that would each be a system call.
        self.sends = 0
        self.is_ended = False
        self.is_aborted = False
        self.hints: list[tuple[int, list[tuple[bytes, bytes]]]] = []
        self.files: list[tuple[int, int, bytes]] = []
        self.lent = 0
        self.returned = 0
        self.wanted = 0
        self.drains = 0
        self.full = False
        self.lost = False
        self.on_send: Callable[[], None] | None = None
        self.back = threading.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.blocks)

    def header(self, name: bytes) -> bytes | None:
        found = [value for key, value in self.fields if key.lower() == name]
        assert len(found) < 2
        return found[0] if found else None

    def respond(self, status: int, reason: Any, fields: Any, length: int, data: Any, is_end: bool) -> None:
        assert self.status == 0, "a second head"
        self.status, self.reason, self.fields, self.length = status, reason, list(fields), length
        self._send(data, is_end)

    def write(self, data: Any, is_end: bool) -> None:
        assert self.status, "body before the head"
        self._send(data, is_end)

    def _send(self, data: Any, is_end: bool) -> None:
        assert not self.is_ended, "body after the end"
        assert self.lent == self.returned + 1 or self.wanted, "sent by somebody who does not own the connection"
        self.sends += 1
        if data:
            self.blocks.append(bytes(data))
        self.is_ended = is_end
        if self.on_send is not None:
            self.on_send()

    def write_file(self, fd: int, offset: int, count: int, is_end: bool) -> None:
        self.files.append((offset, count, os.pread(fd, count, offset)))
        os.close(fd)
        self.is_ended = is_end

    def inform(self, status: int, fields: Any) -> None:
        self.hints.append((status, list(fields)))

    def abort(self) -> None:
        self.is_aborted = True

    def want_body(self) -> None:
        self.wanted += 1

    def is_full(self) -> bool:
        return self.full or self.lost

    def lend(self) -> None:
        self.lent += 1

    def wait_drained(self) -> None:
        self.drains += 1
        if self.lost:
            raise ClientDisconnected("the client is gone")

    def give_back(self) -> None:
        self.returned += 1
        self.back.set()


class Stage:
    """One gateway; makes requests for it and waits for their answers."""

    def __init__(self, app: Any, options: GatewayOptions | None = None, **more: Any) -> None:
        self.gateway = WsgiGateway(app, options or GatewayOptions(threads=2), **more)
        self.endpoints = Endpoints(("192.0.2.7", 50123), ("198.51.100.1", 8000), "http")
        self.channel = RecordingChannel()
        self.is_started = False

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: Any) -> None:
        self.gateway.pool.stop()

    def begin(
        self,
        method: str = "GET",
        target: bytes = b"/",
        fields: Iterable[tuple[bytes, bytes]] = ((b"host", b"example.com"),),
        length: int = 0,
        version: str = "1.1",
        body_limit: int = 0,
        upgrade: bytes | None = None,
    ) -> tuple[Request, Response, RecordingChannel]:
        """Hand one request head to the gateway, on a channel of its own."""
        head = RequestHead()
        head.method = method
        head.target = target
        path, _, query = target.partition(b"?")
        if path.startswith(b"http://"):
            path = b"/" + path[7:].partition(b"/")[2]
        head.raw_path, head.query = path, query
        head.fields = list(fields)
        head.version = version
        head.content_length = length
        head.upgrade = upgrade
        channel = RecordingChannel()
        request = Request(head, self.endpoints, channel, body_limit, 64 * 1024)
        response = Response(channel, request)
        self.channel, self.request, self.response = channel, request, response
        self.gateway.answer(request, response)
        return request, response, channel

    def start(self) -> None:
        if not self.is_started:
            self.is_started = True
            self.gateway.start()

    def finish(self, channel: RecordingChannel | None = None) -> RecordingChannel:
        """Let the threads work until the connection is back, exactly once."""
        self.start()
        channel = channel or self.channel
        assert channel.back.wait(WAIT_S), "the connection was never given back"
        assert (channel.lent, channel.returned) == (1, 1)
        return channel

    def run(self, body: bytes = b"", **head: Any) -> RecordingChannel:
        """One whole request."""
        if body:
            head.setdefault("length", len(body))
            head.setdefault("method", "POST")
        request, _, channel = self.begin(**head)
        if body:
            request.push(body)
        if not request.is_ended:
            request.end([])
        return self.finish(channel)


def run(app: Any, options: GatewayOptions | None = None, body: bytes = b"", **head: Any) -> RecordingChannel:
    """One request to ``app``, answered."""
    with Stage(app, options) as stage:
        return stage.run(body, **head)


def seen_environ(options: GatewayOptions | None = None, body: bytes = b"", **head: Any) -> dict[str, Any]:
    """The environ an application is given."""
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        seen["type"] = type(environ)
        seen["body"] = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return []

    assert run(app, options, body, **head).status == 200
    return seen
