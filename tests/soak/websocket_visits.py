"""Visits over WebSocket, by the library websockets: compressed or not, each message must come back as it went.

Lives here: sessions of good will. Never here: what breaks the protocol (``trouble``).
"""

from __future__ import annotations

import ssl

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.soak.content import content
from tests.soak.crowd import Role, World
from tests.soak.ledger import Explained, Unexplained
from tests.soak.visits import SESSION_S

MOST_BYTES = 100_000
#: What a worker that retires says.
RESTART = 1012


def message_by_chance(world: World) -> str | bytes:
    """Text that compresses well, or bytes that do not."""
    size = int(MOST_BYTES ** world.chance.uniform(0, 1))
    if world.chance.random() < 0.5:
        return f"{world.number()} ünïcödé ".ljust(size, "x")
    return content(size, world.chance.randrange(1 << 16))


async def converse(world: World) -> None:
    """A session of some messages, closed by us."""
    place = world.place
    scheme = "wss" if place.tls is not None else "ws"
    tls: ssl.SSLContext | None = place.tls
    try:
        socket = await connect(
            f"{scheme}://{place.host}:{place.port}/ws",
            ssl=tls,
            server_hostname="localhost" if tls is not None else None,
            compression="deflate" if world.chance.random() < 0.7 else None,
            proxy=None,
        )
        async with socket:
            await _exchange(socket, world)
    except ConnectionClosed as closed:
        if place.is_renewed and closed.rcvd is not None and closed.rcvd.code == RESTART:
            raise Explained("closed with 1012 by a retiring worker") from None
        raise Unexplained(f"closed: {closed}") from None
    if socket.close_code not in (1000, RESTART if place.is_renewed else 1000):
        raise Unexplained(f"our 1000 was answered with {socket.close_code}")


async def _exchange(socket: ClientConnection, world: World) -> None:
    for _ in range(world.chance.randint(1, 60)):
        burst = [message_by_chance(world) for _ in range(world.chance.choice((1, 1, 1, 4)))]
        for message in burst:
            await socket.send(message)
        for message in burst:
            if (answer := await socket.recv()) != message:
                raise Unexplained(f"{answer[:60]!r} of {len(answer)} where {message[:60]!r} of {len(message)} was sent")
            world.done()
        if world.is_over:
            return
        await world.pause(0.2)


ROLES = [Role("WebSocket", 3, 0.5, converse, SESSION_S)]
