"""The rows of the report: which application, what is asked, what it must answer, how far ahead Torana aims."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.apps import hello, stream, transfer
from benchmarks.servers import AIOHTTP, ASGI, HTTP_1, HTTP_2, SERVERS, TORNADO, WEBSOCKET, WSGI, Server

ECHO_BODY = bytes(range(256)) * 256
_ITEM = {"id": 42, "q": "torana", "name": "torana", "tags": ["a", "b"], "price": 9.5}


@dataclass(frozen=True)
class Target:
    """At least `factor` times each of `peers`; no names means every peer of the row."""

    factor: float
    peers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """One row. `is_right` judges the body of a 200 answer; `body` not empty means POST."""

    name: str
    title: str
    interface: str
    app: str
    is_right: Callable[[bytes], bool]
    target: Target
    path: str = "/"
    body: bytes = b""
    has_tls: bool = False
    language: str = HTTP_1
    #: What is counted, and how many bytes of either direction make one; 0: one answer, whatever its size.
    unit: str = "request"
    unit_bytes: int = 0
    #: Of WebSocket: how many at once, and a message's bytes and kind.
    sockets: int = 0
    message_bytes: int = 0
    is_text: bool = False

    @property
    def units(self) -> str:
        """Several of them."""
        return self.unit if self.unit_bytes else f"{self.unit}s"

    def servers(self) -> list[Server]:
        """Those that can do this work, installed or not."""
        return [s for s in SERVERS if self._suits(s)]

    def _suits(self, server: Server) -> bool:
        speaks = self.interface in server.interfaces and self.language in server.languages
        return speaks and (server.has_tls or not self.has_tls) and (server.is_application or self.is_right is _is_hello)


def _is_hello(body: bytes) -> bool:
    return body == hello.BODY


def _is_echo(body: bytes) -> bool:
    return body == ECHO_BODY


def _is_stream(body: bytes) -> bool:
    return body == stream.PIECE * stream.PIECES


def _is_item(body: bytes) -> bool:
    return bool(json.loads(body) == _ITEM)


def _is_transfer(body: bytes) -> bool:
    return body == transfer.PIECE * transfer.PIECES


def _is_taken(body: bytes) -> bool:
    return body == transfer.TAKEN


def _is_anything(body: bytes) -> bool:
    return True


_AHEAD = Target(1.0)
_ITEM_PATH = "/items/42?q=torana"
_FASTEST_ASGI = ("granian", "granian-rust", "uvicorn", "fastpysgi")

_GRANIAN = ("granian", "granian-rust")
_MIB = 1024 * 1024


def _websocket(name: str, title: str, target: Target, sockets: int, size: int, is_text: bool) -> Work:
    return Work(
        name,
        title,
        ASGI,
        "benchmarks.apps.websocket_echo:asgi",
        _is_anything,
        target,
        language=WEBSOCKET,
        unit="message",
        sockets=sockets,
        message_bytes=size,
        is_text=is_text,
    )


HELLO_ASGI = Work("asgi-hello", "ASGI hello", ASGI, "benchmarks.apps.hello:asgi", _is_hello, Target(1.7, _FASTEST_ASGI))
HELLO_WSGI = Work("wsgi-hello", "WSGI hello", WSGI, "benchmarks.apps.hello:wsgi", _is_hello, Target(1.0, ("bjoern",)))

WORKS = (
    HELLO_ASGI,
    HELLO_WSGI,
    Work(
        "tls-asgi-hello",
        "TLS ASGI hello, keep-alive",
        ASGI,
        "benchmarks.apps.hello:asgi",
        _is_hello,
        Target(1.4, _GRANIAN),
        has_tls=True,
    ),
    Work("fastapi-json", "FastAPI JSON", ASGI, "benchmarks.apps.fastapi_json:app", _is_item, _AHEAD, _ITEM_PATH),
    Work("flask-json", "Flask JSON", WSGI, "benchmarks.apps.flask_json:app", _is_item, _AHEAD, _ITEM_PATH),
    Work("django-json", "Django JSON, WSGI", WSGI, "benchmarks.apps.django_json:wsgi", _is_item, _AHEAD, _ITEM_PATH),
    Work(
        "django-asgi-json",
        "Django JSON, ASGI",
        ASGI,
        "benchmarks.apps.django_json:asgi",
        _is_item,
        _AHEAD,
        "/async-items/42?q=torana",
    ),
    Work("aiohttp-hello", "aiohttp hello", AIOHTTP, "benchmarks.apps.aiohttp_json:app", _is_hello, _AHEAD),
    Work("aiohttp-json", "aiohttp JSON", AIOHTTP, "benchmarks.apps.aiohttp_json:app", _is_item, _AHEAD, _ITEM_PATH),
    Work("tornado-hello", "Tornado hello", TORNADO, "benchmarks.apps.tornado_json:app", _is_hello, _AHEAD),
    Work("tornado-json", "Tornado JSON", TORNADO, "benchmarks.apps.tornado_json:app", _is_item, _AHEAD, _ITEM_PATH),
    Work("asgi-echo", "ASGI 64 KiB POST echo", ASGI, "benchmarks.apps.echo:asgi", _is_echo, _AHEAD, body=ECHO_BODY),
    Work("asgi-stream", "ASGI 1 MiB streamed response", ASGI, "benchmarks.apps.stream:asgi", _is_stream, _AHEAD),
    Work("wsgi-echo", "WSGI 64 KiB POST echo", WSGI, "benchmarks.apps.echo:wsgi", _is_echo, _AHEAD, body=ECHO_BODY),
    Work("wsgi-stream", "WSGI 1 MiB streamed response", WSGI, "benchmarks.apps.stream:wsgi", _is_stream, _AHEAD),
    _websocket("ws-echo", "WebSocket echo, 64 sockets, 32 bytes of text", Target(1.5), 64, 32, True),
    _websocket("ws-echo-64k", "WebSocket echo, 16 sockets, 64 KiB of bytes", Target(1.2), 16, 64 * 1024, False),
    Work(
        "http2-hello",
        "HTTP/2 ASGI hello, 8 connections x 16 streams",
        ASGI,
        "benchmarks.apps.hello:asgi",
        _is_hello,
        Target(1.3, _GRANIAN),
        language=HTTP_2,
    ),
    Work(
        "http2-download",
        "HTTP/2 download of 100 MiB on one stream",
        ASGI,
        "benchmarks.apps.transfer:asgi",
        _is_transfer,
        Target(1.0, _GRANIAN),
        language=HTTP_2,
        unit="MiB",
        unit_bytes=_MIB,
    ),
    Work(
        "http2-upload",
        "HTTP/2 upload of 100 MiB on one stream",
        ASGI,
        "benchmarks.apps.transfer:asgi",
        _is_taken,
        Target(1.0, _GRANIAN),
        body=transfer.PIECE * transfer.PIECES,
        language=HTTP_2,
        unit="MiB",
        unit_bytes=_MIB,
    ),
)
