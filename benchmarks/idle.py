"""Memory of idle connections: each is answered once, then kept; resident memory is read before and after.

The kernel's own buffers are not counted. "Held" is how many connections the server had not closed at the end.
"""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import time
from dataclasses import dataclass

from benchmarks.machine import Cores
from benchmarks.servers import Launch, Server
from benchmarks.spawn import Running, ServerFailedError, free_port, running
from benchmarks.works import Work

TARGET_BYTES = 8 * 1024
_SPARE_DESCRIPTORS = 200
_WARM_UP = 256
_SETTLE_S = 1.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass
class IdleOutcome:
    """`opened` were answered once, `held` were still open at the end; `new_answer_s` is a newcomer's wait."""

    server: str
    interface: str
    asked: int
    opened: int = 0
    held: int = 0
    base_bytes: int = 0
    bytes_each: float = 0.0
    new_answer_s: float = 0.0
    problem: str = ""


def raise_descriptor_limit(wanted: int) -> int:
    """Raise the soft limit (servers inherit it) and return how many connections fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted + _SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    # Servers that take a share of the limit as their own bound deserve all there is.
    highest = hard if hard != resource.RLIM_INFINITY else max(limit, 65536)
    if soft == resource.RLIM_INFINITY or soft < highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    return limit - _SPARE_DESCRIPTORS


def measure(server: Server, work: Work, cores: Cores, connections: int) -> IdleOutcome:
    """Open `connections`, as many as the server lets us, and weigh them."""
    outcome = IdleOutcome(server.name, work.interface, connections)
    launch = Launch(work.app, work.interface, free_port(), is_idle=True)
    try:
        with contextlib.ExitStack() as stack:
            started = stack.enter_context(running(server, launch, cores.server))
            _weigh(started, outcome, stack)
    except (ServerFailedError, OSError) as error:
        outcome.problem = f"{type(error).__name__}: {error}"
    return outcome


def _weigh(started: Running, outcome: IdleOutcome, stack: contextlib.ExitStack) -> None:
    port = int(started.launch.port)
    with contextlib.ExitStack() as warm:
        for _ in range(_WARM_UP):
            _answered(port, warm)
    time.sleep(_SETTLE_S)
    outcome.base_bytes = started.rss_bytes()
    clients: list[socket.socket] = []
    try:
        while len(clients) < outcome.asked:
            clients.append(_answered(port, stack))
    except OSError as error:
        outcome.problem = f"stopped at {len(clients)}: {error}"
    time.sleep(_SETTLE_S)
    outcome.opened, outcome.held = len(clients), _count_open(clients)
    outcome.bytes_each = (started.rss_bytes() - outcome.base_bytes) / max(1, outcome.held)
    began = time.perf_counter()
    _answered(port, stack)
    outcome.new_answer_s = time.perf_counter() - began


def _answered(port: int, stack: contextlib.ExitStack) -> socket.socket:
    """A connection that has had one 200 and is left open."""
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5.0))
    client.sendall(_REQUEST)
    data = b""
    while not data.endswith(b"Hello, world!"):
        part = client.recv(4096)
        if not part:
            raise ConnectionResetError("closed before its first answer")
        data += part
    return client


def _count_open(clients: list[socket.socket]) -> int:
    """A silent connection becomes readable only when the server ends it."""
    poller = select.poll()
    for client in clients:
        poller.register(client, select.POLLIN)
    return len(clients) - len(poller.poll(0))
