"""A server with several workers: started on the cores it may have, and watched until all of them answer."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Iterable, Iterator

from benchmarks.machine import Cores
from benchmarks.servers import Launch, Server
from benchmarks.spawn import Running, ServerFailedError, start

_LIMIT_S = 15.0
# Asked at once, and each busy for a while: a worker that takes all it can get leaves some to its siblings.
_AT_ONCE = 8
_ROUNDS = 40_000


def all_cores() -> set[int]:
    """Those this process may use; empty where the system cannot say."""
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set()


@contextlib.contextmanager
def on(cores: Iterable[int]) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on these cores."""
    before, wanted = all_cores(), set(cores)
    if not before or not wanted:
        yield
        return
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def server_cores(cores: Cores) -> set[int]:
    """All but the one the load has."""
    return all_cores() - {cores.load} if cores.load is not None else set()


@contextlib.contextmanager
def crew(server: Server, launch: Launch, cores: Iterable[int]) -> Iterator[tuple[Running, set[int]]]:
    """The server and the process ids of its workers, all of which have answered; stopped on the way out.

    The set is smaller than `launch.workers` if a worker was never given a request.
    """
    with on(cores):
        started = start(server, launch, None)
    try:
        started.wait_listening()
        yield started, wait_workers(started, launch.workers)
    finally:
        started.stop()


def wait_workers(started: Running, count: int, limit_s: float = _LIMIT_S) -> set[int]:
    """Ask until `count` workers have answered, or the time is over; ServerFailedError if none did."""
    deadline = time.monotonic() + limit_s
    seen: set[int] = set()
    while len(seen) < count and time.monotonic() < deadline:
        if started.process.poll() is not None:
            raise ServerFailedError(f"ended with {started.process.returncode}: {started.output()}")
        seen |= _ask(int(started.launch.port))
    if not seen:
        raise ServerFailedError(f"no answer after {limit_s} s: {started.output()}")
    return seen


def _ask(port: int) -> set[int]:
    """Who answers a few requests made at the same time."""
    request = b"GET /%d HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % _ROUNDS
    seen: set[int] = set()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for _ in range(_AT_ONCE):
            with contextlib.suppress(OSError):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", port), 1.0))
                one.sendall(request)
                waiting.register(one, selectors.EVENT_READ, bytearray())
        deadline = time.monotonic() + 1.0
        while waiting.get_map() and time.monotonic() < deadline:
            for key, _ in waiting.select(0.1):
                seen |= _take(waiting, key)
    if not seen:
        time.sleep(0.05)
    return seen


def _take(waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> set[int]:
    """What has come on one connection; the worker it names once the answer is whole."""
    assert isinstance(key.fileobj, socket.socket)
    try:
        piece = key.fileobj.recv(4096)
    except OSError:
        piece = b""
    key.data.extend(piece)
    if piece:
        return set()
    waiting.unregister(key.fileobj)
    head, _, body = bytes(key.data).partition(b"\r\n\r\n")
    return {int(body)} if head.startswith(b"HTTP/1.1 200") and body.isdigit() else set()
