"""One declaration per server: which interfaces it speaks and how it is started with one worker. Nothing is run here.

Each peer is given what its own documentation recommends for speed (uvloop, httptools, poll), no access log,
HTTP/1 only, and the same number of threads for WSGI where it has a choice.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

ASGI = "asgi"
WSGI = "wsgi"
THREADS = "4"
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

    @property
    def bind(self) -> str:
        """Loopback only, whatever the server's default."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Server:
    """`packages` must all be importable under these names; the report gives their versions."""

    name: str
    packages: tuple[str, ...]
    interfaces: frozenset[str]
    has_tls: bool
    command: Callable[[Launch], list[str]]

    def is_installed(self) -> bool:
        """Whether the interpreter that runs the benchmark could start it."""
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
    command += ["--port", str(launch.port), "--workers", str(launch.workers), "--http", "1", "--no-ws"]
    command += ["--log-level", "warning"]
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
    if launch.workers > 1:
        command += ["--workers", str(launch.workers)]
    if launch.is_idle:
        command += ["--timeout-keep-alive", IDLE_KEEP_ALIVE_S]
    return command + _tls(launch, "--ssl-certfile", "--ssl-keyfile")


def _hypercorn(launch: Launch) -> list[str]:
    command = _module("hypercorn", launch.app, "--bind", launch.bind, "--worker-class", "uvloop")
    command += ["--workers", str(launch.workers), "--log-level", "warning"]
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


def _peer_main(peer: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        tls = [launch.certificate.certfile, launch.certificate.keyfile] if launch.certificate else []
        return [*_module("benchmarks.peer_main", peer, launch.app, str(launch.port)), *tls]

    return command


_BOTH = frozenset({ASGI, WSGI})
_ASGI_ONLY = frozenset({ASGI})
_WSGI_ONLY = frozenset({WSGI})

TORANA = Server("torana", ("torana",), _BOTH, True, _torana)
# Not a row of the peers' tables: benchmarks/overhead.py sets it beside the other.
SUPERVISED = Server("torana, supervised", ("torana",), _BOTH, True, _torana_supervised)
SERVERS = (
    TORANA,
    Server("granian", ("granian", "uvloop"), _BOTH, True, _granian),
    # The other task implementation is quicker, but its tasks are not asyncio's: current_task() is None there.
    Server("granian-rust", ("granian", "uvloop"), _ASGI_ONLY, True, _granian_rust),
    Server("uvicorn", ("uvicorn", "uvloop", "httptools"), _ASGI_ONLY, True, _uvicorn),
    Server("fastpysgi", ("fastpysgi",), _BOTH, True, _peer_main("fastpysgi")),
    Server("bjoern", ("bjoern",), _WSGI_ONLY, False, _peer_main("bjoern")),
    Server("gunicorn", ("gunicorn",), _BOTH, True, _gunicorn),
    Server("waitress", ("waitress",), _WSGI_ONLY, False, _waitress),
    Server("hypercorn", ("hypercorn", "uvloop"), _ASGI_ONLY, True, _hypercorn),
)
