"""One declaration per server: which interfaces it speaks and how it is started with one worker. Nothing is run here.

Each peer is given what its own documentation recommends for speed (uvloop, httptools, poll, sans-I/O WebSocket, large
windows), no access log, the one protocol that is measured where it can be told, and the same number of threads for
WSGI where it has a choice.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass

ASGI = "asgi"
WSGI = "wsgi"
TORNADO = "tornado"
AIOHTTP = "aiohttp"
HTTP_1 = "HTTP/1.1"
HTTP_2 = "HTTP/2"
WEBSOCKET = "WebSocket"
THREADS = "4"
# Granian's own default is 1 MiB; with this an upload on one stream is quicker.
GRANIAN_WINDOW = str(16 * 1024 * 1024)
# Ten thousand and room above them: Torana ends the oldest idle ones beyond four fifths of its bound.
IDLE_CONNECTIONS = "14000"
IDLE_KEEP_ALIVE_S = "120"


@dataclass(frozen=True)
class Certificate:
    """Two PEM files; the key is PKCS#8, the one form every server reads."""

    certfile: str
    keyfile: str


@dataclass(frozen=True)
class Launch:
    """What a server is asked to do: `app` is `module:attribute`; `is_idle` means thousands of sleeping connections.

    `workers` is for the servers that can have several; the others are one process whatever it says.
    """

    app: str
    interface: str
    port: int | str
    certificate: Certificate | None = None
    is_idle: bool = False
    workers: int = 1
    language: str = HTTP_1

    @property
    def bind(self) -> str:
        """Loopback only, whatever the server's default."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Server:
    """`packages` must all be importable under these names; the report gives their versions.

    `program` must be on the path; `is_application` is False for one that answers by itself, and always hello.
    """

    name: str
    packages: tuple[str, ...]
    interfaces: frozenset[str]
    has_tls: bool
    command: Callable[[Launch], list[str]]
    languages: frozenset[str] = frozenset({HTTP_1})
    program: str = ""
    is_application: bool = True

    def is_installed(self) -> bool:
        """Whether the interpreter that runs the benchmark could start it."""
        if self.program and shutil.which(self.program) is None:
            return False
        return all(importlib.util.find_spec(package) is not None for package in self.packages)


def _module(name: str, *arguments: str) -> list[str]:
    return ["python", "-m", name, *arguments]


def _tls(launch: Launch, certificate_flag: str, key_flag: str) -> list[str]:
    if launch.certificate is None:
        return []
    return [certificate_flag, launch.certificate.certfile, key_flag, launch.certificate.keyfile]


def _torana(launch: Launch) -> list[str]:
    command = _module("torana", "run", launch.app, "--bind", launch.bind)
    if launch.workers > 1:
        command += ["--workers", str(launch.workers)]
    command += ["--no-access-log", "--interface", launch.interface]
    if launch.interface == WSGI:
        command += ["--threads", THREADS]
    if launch.is_idle:
        command += ["--limit-connections", IDLE_CONNECTIONS]
    return command + _tls(launch, "--certfile", "--keyfile")


def _torana_supervised(launch: Launch) -> list[str]:
    """With a supervisor even for one worker, which without `--workers` is the only process."""
    command = _torana(launch)
    return command if "--workers" in command else [*command, "--workers", str(launch.workers)]


def _granian(launch: Launch) -> list[str]:
    command = _module("granian", launch.app, "--interface", launch.interface, "--host", "127.0.0.1")
    command += ["--port", str(launch.port), "--workers", str(launch.workers), "--log-level", "warning"]
    command += ["--http", "2" if launch.language == HTTP_2 else "1"]
    command += ["--ws" if launch.language == WEBSOCKET else "--no-ws"]
    if launch.language == HTTP_2:
        command += ["--http2-initial-stream-window-size", GRANIAN_WINDOW]
        command += ["--http2-initial-connection-window-size", GRANIAN_WINDOW]
    if launch.workers > 1:
        # Without it the whole server ends when one worker does.
        command += ["--respawn-failed-workers"]
    if launch.interface == WSGI:
        command += ["--blocking-threads", THREADS]
    else:
        command += ["--loop", "uvloop"]
    if launch.is_idle:
        command += ["--backpressure", IDLE_CONNECTIONS]
    return command + _tls(launch, "--ssl-certificate", "--ssl-keyfile")


def _granian_rust(launch: Launch) -> list[str]:
    return [*_granian(launch), "--task-impl", "rust"]


def _uvicorn(launch: Launch) -> list[str]:
    command = _module("uvicorn", launch.app, "--interface", "asgi3", "--host", "127.0.0.1", "--port", str(launch.port))
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    if launch.language == WEBSOCKET:
        command += ["--ws", "websockets-sansio"]
    if launch.workers > 1:
        command += ["--workers", str(launch.workers)]
    if launch.is_idle:
        command += ["--timeout-keep-alive", IDLE_KEEP_ALIVE_S]
    return command + _tls(launch, "--ssl-certfile", "--ssl-keyfile")


def _hypercorn(launch: Launch) -> list[str]:
    command = _module("hypercorn", launch.app, "--bind", launch.bind, "--worker-class", "uvloop")
    command += ["--workers", str(launch.workers), "--log-level", "warning"]
    if launch.language == HTTP_2:
        command += ["--config", "python:benchmarks.hypercorn_settings"]
    if launch.is_idle:
        command += ["--keep-alive", IDLE_KEEP_ALIVE_S]
    return command + _tls(launch, "--certfile", "--keyfile")


def _gunicorn(launch: Launch) -> list[str]:
    command = _module("gunicorn", launch.app, "--bind", launch.bind, "--workers", str(launch.workers))
    command += ["--no-control-socket", "--log-level", "warning"]
    if launch.interface == WSGI:
        command += ["--worker-class", "gthread", "--threads", THREADS]
    else:
        command += ["--worker-class", "asgi"]
    if launch.is_idle:
        command += ["--keep-alive", IDLE_KEEP_ALIVE_S, "--worker-connections", IDLE_CONNECTIONS]
    return command + _tls(launch, "--certfile", "--keyfile")


def _waitress(launch: Launch) -> list[str]:
    command = _module("waitress", "--listen", launch.bind, "--threads", THREADS, "--asyncore-use-poll")
    if launch.is_idle:
        command += ["--connection-limit", IDLE_CONNECTIONS, "--channel-timeout", IDLE_KEEP_ALIVE_S]
    return [*command, launch.app]


def _socketify(launch: Launch) -> list[str]:
    command = _module("socketify", launch.app, "--interface", "asgi", "--host", "127.0.0.1", "--port", str(launch.port))
    command += ["--workers", "1", "--disable-listen-log", "True"]
    if launch.is_idle:
        command += ["--ws-idle-timeout", IDLE_KEEP_ALIVE_S]
    return command


def _peer_main(peer: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        tls = [launch.certificate.certfile, launch.certificate.keyfile] if launch.certificate else []
        return [*_module("benchmarks.peer_main", peer, launch.app, str(launch.port)), *tls]

    return command


_BOTH = frozenset({ASGI, WSGI})
_ASGI_ONLY = frozenset({ASGI})
_WSGI_ONLY = frozenset({WSGI})
_TORNADO_ONLY = frozenset({TORNADO})
_AIOHTTP_ONLY = frozenset({AIOHTTP})
_ALL = frozenset({HTTP_1, HTTP_2, WEBSOCKET})
_NOT_HTTP_2 = frozenset({HTTP_1, WEBSOCKET})

TORANA = Server("torana", ("torana",), _BOTH | _TORNADO_ONLY | _AIOHTTP_ONLY, True, _torana, _ALL)
# Not a row of the peers' tables: benchmarks/overhead.py sets it beside the other.
SUPERVISED = Server("torana, supervised", ("torana",), _BOTH, True, _torana_supervised)
SERVERS = (
    TORANA,
    Server("granian", ("granian", "uvloop"), _BOTH, True, _granian, _ALL),
    # The other task implementation is quicker, but its tasks are not asyncio's: current_task() is None there.
    Server("granian-rust", ("granian", "uvloop"), _ASGI_ONLY, True, _granian_rust, _ALL),
    Server("uvicorn", ("uvicorn", "uvloop", "httptools", "websockets"), _ASGI_ONLY, True, _uvicorn, _NOT_HTTP_2),
    Server("fastpysgi", ("fastpysgi",), _BOTH, True, _peer_main("fastpysgi")),
    Server("bjoern", ("bjoern",), _WSGI_ONLY, False, _peer_main("bjoern")),
    Server("gunicorn", ("gunicorn",), _BOTH, True, _gunicorn),
    Server("waitress", ("waitress",), _WSGI_ONLY, False, _waitress),
    Server("hypercorn", ("hypercorn", "uvloop"), _ASGI_ONLY, True, _hypercorn, _ALL),
    Server("socketify", ("socketify",), _ASGI_ONLY, False, _socketify, frozenset({WEBSOCKET})),
    # Its own server; on uvloop it is somewhat quicker than on the loop that it takes by itself.
    Server("aiohttp", ("aiohttp",), _AIOHTTP_ONLY, False, _peer_main("aiohttp")),
    Server("aiohttp-uvloop", ("aiohttp", "uvloop"), _AIOHTTP_ONLY, False, _peer_main("aiohttp-uvloop")),
    Server("tornado", ("tornado",), _TORNADO_ONLY, False, _peer_main("tornado")),
    Server("tornado-uvloop", ("tornado", "uvloop"), _TORNADO_ONLY, False, _peer_main("tornado-uvloop")),
    # Text from its configuration: what can be had without any application.
    Server(
        "nginx",
        (),
        _ASGI_ONLY,
        False,
        _peer_main("nginx"),
        frozenset({HTTP_2}),
        program="nginx",
        is_application=False,
    ),
)
