"""Clients that stop in the middle and wait for the server to cut them: each limit of time in turn.

Lives here: where they stop and how they must be sent away. Never here: how long that takes, which other suites test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.soak.client import Connection, Over, request
from tests.soak.crowd import LONG_PATIENCE_S, Role, World
from tests.soak.ledger import Explained, Unexplained
from tests.soak.visits import check_hello
from tests.support.http2 import PREFACE, frame, headers, settings

#: A reader that takes nothing is cut after 60 s (and what its kernel takes for it, which may go on for some seconds).
#: It looks only afterwards, since looking is taking.
NOTHING_TAKEN_S = 80.0
SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_UPDATE, RST_STREAM = 4, 8, 3


async def _silence(connection: Connection, world: World) -> str:
    await _ends(connection, "a silent connection")
    return "said nothing"


async def _head(connection: Connection, world: World) -> str:
    await connection.send(b"GET /hello/1 HTTP/1.1\r\nHost: local")
    (await connection.read()).expect(408)
    await _ends(connection, "a stalled head")
    return "stalled in the head: 408"


async def _body(connection: Connection, world: World) -> str:
    site = world.chance.choice(("", "/wsgi"))
    await connection.send(request("POST", f"{site}/digest", "Content-Length: 5000") + b"some")
    (await connection.read()).expect(408)
    await _ends(connection, "a stalled body")
    return "stalled in the body: 408"


async def _keep_alive(connection: Connection, world: World) -> str:
    number = world.number()
    await connection.send(request("GET", f"/hello/{number}"))
    check_hello(await connection.read(), number)
    await _ends(connection, "an idle connection")
    return "idle after an answer"


async def _reader(connection: Connection, world: World) -> str:
    site = world.chance.choice(("", "/wsgi"))
    world.doing += f" of {site}/endless, before it reads again"
    await connection.send(request("GET", f"{site}/endless"))
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(NOTHING_TAKEN_S)
    connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
    world.doing += " and ever since"
    # The kernel may still hold much for us, and a closed end answers with RST.
    connection.writer.write(b"GET / HTTP/1.1\r\n")
    await asyncio.sleep(0.2)
    await connection.read_to_end()  # would take for ever
    return "read nothing"


async def _window(connection: Connection, world: World) -> str:
    """HTTP/2 with a closed window: the stream is reset."""
    scheme = b"https" if world.place.tls is not None else b"http"
    fields = [(b":method", b"GET"), (b":scheme", scheme), (b":authority", b"localhost"), (b":path", b"/stream/100000")]
    await connection.send(PREFACE + settings((SETTINGS_INITIAL_WINDOW_SIZE, 0)) + settings(flags=1))
    await connection.send(headers(1, fields))
    received = b""
    while not _has(received, RST_STREAM):
        piece = await connection.read_some()
        if not piece:
            raise Unexplained(f"the connection ended, and not just the stream: {received[-100:]!r}")
        received += piece
        if _has(piece, 6):  # PING: that we live
            await connection.send(frame(6, 1, 0, piece[-8:]))
    return "kept the window closed"


def _has(received: bytes, kind: int) -> bool:
    at = 0
    while at + 9 <= len(received):
        if received[at + 3] == kind:
            return True
        at += 9 + int.from_bytes(received[at : at + 3], "big")
    return False


async def _ends(connection: Connection, what: str) -> None:
    if rest := await connection.read_to_end():
        if not rest.startswith(b"HTTP/1.1 408 "):
            raise Unexplained(f"{what} was sent {rest[:80]!r}")


STOPS: list[Callable[[Connection, World], Awaitable[str]]] = [_silence, _head, _body, _keep_alive, _reader, _window]


async def stall(world: World) -> None:
    """Stop, and be sent away."""
    stop = world.chance.choice(STOPS)
    world.doing = stop.__name__
    context = world.place.tls_http2 if stop is _window else None
    async with await Connection.open(world.place, context, is_small=stop is _reader) as connection:
        try:
            outcome = await stop(connection, world)
        except Over as over:
            if not world.place.is_renewed:
                raise
            raise Explained(f"cut by a retiring worker while {over}") from None
    raise Explained(outcome)


ROLES = [Role("waits to be cut", 4, 1.0, stall, LONG_PATIENCE_S)]
