"""Visits of HTTP/1.1 clients of good will: each answer must come, whole, in order, and be the one to its request.

Lives here: what they ask and what they expect. Never here: faults (``trouble``), other protocols.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable

from tests.soak.client import Answer, Connection, Over, chunked, request
from tests.soak.content import Check, content
from tests.soak.crowd import Role, World
from tests.soak.ledger import Explained, Unexplained
from tests.soak.site import FILE_BYTES

#: By ASGI, by WSGI.
SITES = ("", "/wsgi")
#: A server that retires may close a connection that has waited this long for a request (``idle_linger_s`` is 2 s, less
#: what it takes to be sure).
IDLE_S = 1.5
LARGEST_BYTES = 2 << 20
#: Sessions of many requests.
SESSION_S = 300.0


async def ask(connection: Connection, world: World, data: bytes, method: str = "GET") -> Answer:
    """Send a request and read its answer. Explained: the server had closed an idle connection at that very moment."""
    idle_s = time.monotonic() - connection.idle_since_s
    try:
        await connection.send(data)
        return await connection.read(method)
    except Over as over:
        if world.place.is_renewed and connection.answered and not over.has_begun and idle_s > IDLE_S:
            raise Explained("a retiring worker closed the idle connection while a request was on its way") from None
        raise


def check_hello(answer: Answer, number: int) -> None:
    """``NUMBER PID hello``."""
    words = answer.expect(200).body.split()
    if len(words) != 3 or words[0] != b"%d" % number:
        raise Unexplained(f"{answer.body[:80]!r} to request {number}")


def digest_of(body: bytes) -> bytes:
    """What ``/digest`` answers."""
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


def size_by_chance(world: World, most: int = LARGEST_BYTES) -> int:
    """Small ones more often than large ones."""
    return int(most ** world.chance.uniform(0.3, 1.0))


async def stay(world: World) -> None:
    """One connection, many small requests with pauses between."""
    async with await Connection.open(world.place) as connection:
        for _ in range(world.chance.randint(1, 200)):
            number = world.number()
            method = "HEAD" if number % 10 == 0 else "GET"
            answer = await ask(connection, world, request(method, f"{_site(world)}/hello/{number}"), method)
            answer.expect(200) if method == "HEAD" else check_hello(answer, number)
            world.done()
            await world.pause(0.15)
            if answer.is_last or connection.is_ended() or world.is_over:
                return


async def come_and_go(world: World) -> None:
    """A connection for each request."""
    number = world.number()
    async with await Connection.open(world.place) as connection:
        await connection.send(request("GET", f"{_site(world)}/hello/{number}", is_last=True))
        check_hello(await connection.read(), number)
        if await connection.read_some():
            raise Unexplained("more after the last answer")
        world.done()


async def pipeline(world: World) -> None:
    """Five requests in one piece; the answers in their order."""
    numbers = [world.number() for _ in range(5)]
    targets = [f"{_site(world)}/hello/{number}" for number in numbers]
    async with await Connection.open(world.place) as connection:
        await connection.send(b"".join(request("GET", target) for target in targets))
        for number in numbers:
            answer = await connection.read()
            check_hello(answer, number)
            world.done()
            if answer.is_last:  # a server that retires answers one request more and reads no others
                if not world.place.is_renewed and number != numbers[-1]:
                    raise Unexplained("pipelined requests were left unanswered")
                return


async def upload(world: World) -> None:
    """With a length or in chunks, now and then asking first, up to 2 MiB: beyond 256 KiB they are spooled for WSGI."""
    body = content(size_by_chance(world), world.chance.randrange(1 << 16))
    target = f"{_site(world)}/digest"
    async with await Connection.open(world.place) as connection:
        if world.chance.random() < 0.5:
            piece = world.chance.choice((100, 4000, 70000))
            body = body[: piece * 300]
            await connection.send(request("POST", target, "Transfer-Encoding: chunked") + chunked(body, piece))
        elif world.chance.random() < 0.3:
            await connection.send(request("PUT", target, "Expect: 100-continue", f"Content-Length: {len(body)}"))
            if not (await connection.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 "):
                raise Unexplained("no 100 (Continue)")
            await connection.send(body)
        else:
            await connection.send(request("POST", target, body=body))
        (await connection.read()).expect(200, digest_of(body))
        world.done()


async def download(world: World) -> None:
    """Streamed or by file, read at once or slowly."""
    is_slow = world.chance.random() < 0.3
    is_file = world.chance.random() < 0.5
    size = FILE_BYTES if is_file else size_by_chance(world, 200_000 if is_slow else LARGEST_BYTES)
    target = f"{_site(world)}/{'file' if is_file else f'stream/{size}'}"
    check = Check()
    async with await Connection.open(world.place, is_small=is_slow) as connection:
        await connection.send(request("GET", target))
        (await connection.read(sink=check.feed, pause_s=0.02 if is_slow else 0.0)).expect(200)
    if not check.is_whole(size):
        raise Unexplained(f"{check.size} bytes of {size}, {'right' if check.is_right else 'wrong'}")
    world.done()


async def listen(world: World) -> None:
    """Server-sent events, or a long poll."""
    async with await Connection.open(world.place) as connection:
        if world.chance.random() < 0.5:
            count = world.chance.randint(1, 10)
            await connection.send(request("GET", f"/events/{count}"))
            expected = b"".join(b"data: %d\n\n" % number for number in range(count))
        else:
            await connection.send(request("GET", f"{_site(world)}/wait/{world.chance.uniform(0.1, 2):.2f}"))
            expected = b"waited"
        (await connection.read()).expect(200, expected)
        world.done()


async def ask_for_errors(world: World) -> None:
    """Applications that fail, and pages that are not there."""
    for name, status in (("nowhere", 404), ("raise", 500)):
        async with await Connection.open(world.place) as connection:
            await connection.send(request("GET", f"{_site(world)}/{name}"))
            (await connection.read()).expect(status)
            world.done()


def _site(world: World) -> str:
    return world.chance.choice(SITES)


_Visit = Callable[[World], Awaitable[None]]

ROLES = [
    Role("HTTP/1.1, kept connection", 8, 0.5, stay, SESSION_S),
    Role("HTTP/1.1, new connection", 4, 0.5, come_and_go),
    Role("HTTP/1.1, pipelined", 1, 0.6, pipeline),
    Role("upload", 3, 0.6, upload),
    Role("download", 3, 0.6, download),
    Role("events and long polls", 3, 0.5, listen),
    Role("errors that were asked for", 1, 2.0, ask_for_errors),
]
