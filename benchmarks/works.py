"""The rows of the report: which application, what is asked, what it must answer, how far ahead Torana aims."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.apps import hello, stream
from benchmarks.servers import ASGI, SERVERS, WSGI, Server

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

    def servers(self) -> list[Server]:
        """Those that can do this work, installed or not."""
        return [s for s in SERVERS if self.interface in s.interfaces and (s.has_tls or not self.has_tls)]


def _is_hello(body: bytes) -> bool:
    return body == hello.BODY


def _is_echo(body: bytes) -> bool:
    return body == ECHO_BODY


def _is_stream(body: bytes) -> bool:
    return body == stream.PIECE * stream.PIECES


def _is_item(body: bytes) -> bool:
    return bool(json.loads(body) == _ITEM)


_AHEAD = Target(1.0)
_ITEM_PATH = "/items/42?q=torana"
_FASTEST_ASGI = ("granian", "granian-rust", "uvicorn", "fastpysgi")

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
        Target(1.4, ("granian", "granian-rust")),
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
    Work("asgi-echo", "ASGI 64 KiB POST echo", ASGI, "benchmarks.apps.echo:asgi", _is_echo, _AHEAD, body=ECHO_BODY),
    Work("asgi-stream", "ASGI 1 MiB streamed response", ASGI, "benchmarks.apps.stream:asgi", _is_stream, _AHEAD),
    Work("wsgi-echo", "WSGI 64 KiB POST echo", WSGI, "benchmarks.apps.echo:wsgi", _is_echo, _AHEAD, body=ECHO_BODY),
    Work("wsgi-stream", "WSGI 1 MiB streamed response", WSGI, "benchmarks.apps.stream:wsgi", _is_stream, _AHEAD),
)
