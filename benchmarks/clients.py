"""Many clients in one process, each of which asks, waits for its answer, and asks again in time. Knows no server.

Run by benchmarks/traffic.py as a process of its own, so that what the benchmark does cannot delay it. It prints one
line an answer, as it goes: when it was asked and answered (seconds of the monotonic clock), by which client, how it
ended, and the process id that the body named. It ends when its input is closed or all requests are made.

A kept connection that the server closed while nothing was asked is opened anew and nothing is lost (RFC 9112, 9.3.1);
one that closes with a request under way is a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import sys
import threading
import time
from collections.abc import Sequence

OK = "ok"
REFUSED = "refused"
RESET = "reset"
CUT = "cut"
STATUS = "status"
SILENT = "silent"
OPEN = "open"
LAG = "lag"
SPENT = "spent"

_LIMIT_S = 10.0
_FLUSH_S = 0.05
_LAG_STEP_S = 0.005
_KEPT = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_FRESH = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class CutError(Exception):
    """The connection ended in an orderly way before the answer did."""


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self) -> None:
        self.is_closed = False
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._received += data
        answer = _parse(self._received)
        if answer is not None and self._waiter is not None and not self._waiter.done():
            self._received.clear()
            status, body, closes = answer
            self.is_closed = self.is_closed or closes
            self._waiter.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.is_closed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or CutError())

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; OSError or CutError if there is no whole answer."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        if self.is_closed:
            raise CutError
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        """Let go of it, whatever is under way."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()


def _parse(received: bytearray) -> tuple[int, bytes, bool] | None:
    """Status, body and whether the server will close; None until all is there. The applications say their length."""
    head, end, body = bytes(received).partition(b"\r\n\r\n")
    if not end:
        return None
    lines = head.lower().split(b"\r\n")
    length, closes = 0, False
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            length = int(value)
        elif name == b"connection":
            closes = b"close" in value
    if len(body) < length:
        return None
    return int(lines[0].split(b" ", 2)[1]), body[:length], closes


class Crowd:
    """All clients, and the lines not printed yet. `left` requests are still to be made; None for no end."""

    def __init__(self, port: int, interval_s: float, left: int | None) -> None:
        self.port = port
        self.interval_s = interval_s
        self.left = left
        self.lines: list[str] = []

    async def client(self, number: int, count: int, is_kept: bool) -> None:
        """Ask for ever, at this client's own beats; a beat that passes while it waits is left out."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self.interval_s * number / count
        connection: Connection | None = None
        while self.left is None or self.left > 0:
            if self.left is not None:
                self.left -= 1
            if self.interval_s:
                await asyncio.sleep(due - loop.time())
                behind = max(0.0, loop.time() - due)
                due += self.interval_s * (1 + behind // self.interval_s)
            connection = await self._once(number, connection, is_kept)

    async def _once(self, number: int, connection: Connection | None, is_kept: bool) -> Connection | None:
        """One request, one line. Returns the connection if it can be used again."""
        loop = asyncio.get_running_loop()
        began, outcome, body = loop.time(), OK, b""
        try:
            async with asyncio.timeout(_LIMIT_S):
                if connection is None or connection.is_closed:
                    _, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
                status, body = await connection.ask(_KEPT if is_kept else _FRESH)
            if status != 200:
                outcome = f"{STATUS}-{status}"
        except TimeoutError:
            outcome = SILENT
        except ConnectionRefusedError:
            outcome = REFUSED
        except CutError:
            outcome = CUT
        except (OSError, ValueError, IndexError):
            outcome = RESET
        except asyncio.CancelledError:
            # Under way when the input closed: no failure, but how long it had waited counts.
            self.lines.append(f"{began:.6f} {loop.time():.6f} {number} {OPEN} 0\n")
            raise
        pid = int(body) if outcome == OK and body.isdigit() else 0
        self.lines.append(f"{began:.6f} {loop.time():.6f} {number} {outcome} {pid}\n")
        if connection is not None and (outcome != OK or not is_kept):
            connection.close()
        return connection if connection is not None and not connection.is_closed else None

    async def watch_self(self) -> None:
        """How late this process itself is: a lag is no fault of the server's."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_LAG_STEP_S)
            late = loop.time() - before - _LAG_STEP_S
            if late > _LAG_STEP_S:
                self.lines.append(f"{before:.6f} {loop.time():.6f} 0 {LAG} 0\n")

    async def print_lines(self) -> None:
        """From time to time, not line by line."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            self.flush()

    def flush(self) -> None:
        """Print what is waiting."""
        lines, self.lines = self.lines, []
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


async def _input_closed() -> None:
    """Return when there is nothing more to read. The thread is a daemon: it may still wait when all else is done."""
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        sys.stdin.read()
        with contextlib.suppress(RuntimeError):  # the loop ended first
            loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=read, daemon=True).start()
    await closed.wait()


async def _all_of(clients: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*clients)


async def _run(options: argparse.Namespace) -> None:
    count = options.kept + options.fresh
    crowd = Crowd(options.port, count / options.rate if options.rate else 0.0, options.total)
    clients = [asyncio.create_task(crowd.client(n, count, is_kept=n < options.kept)) for n in range(count)]
    others = [asyncio.create_task(crowd.watch_self()), asyncio.create_task(crowd.print_lines())]
    closed = asyncio.create_task(_input_closed())
    finished = asyncio.create_task(_all_of(clients))
    began, used = time.monotonic(), time.process_time()
    await asyncio.wait([closed, finished], return_when=asyncio.FIRST_COMPLETED)
    now = time.monotonic()
    for task in (*clients, *others, closed):
        task.cancel()
    await asyncio.gather(*clients, *others, closed, finished, return_exceptions=True)
    crowd.lines.append(f"{began:.6f} {now:.6f} 0 {SPENT} {int((time.process_time() - used) * 1e6)}\n")
    crowd.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, ask, print."""
    parser = argparse.ArgumentParser(description="Paced clients; one line an answer.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kept", type=int, default=0, help="clients that keep their connection")
    parser.add_argument("--fresh", type=int, default=0, help="clients that open one for each request")
    parser.add_argument("--rate", type=float, default=0.0, help="requests/s of all together; 0: as fast as it goes")
    parser.add_argument("--total", type=int, help="end after so many requests")
    options = parser.parse_args(arguments)
    # Nothing here makes cycles worth a pause.
    gc.freeze()
    gc.disable()
    asyncio.run(_run(options))


if __name__ == "__main__":
    main()
