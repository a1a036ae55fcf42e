"""Clients that leave in the middle, and those whose requests must be refused. What they get is their own doing.

Lives here: each stage at which one can leave, and each kind of bad request with the answers it may have. Never here:
good will (``visits``), waiting for limits of time (``waiting``).
"""

from __future__ import annotations

import asyncio
import ssl
import time

from tests.soak.client import Answer, Connection, Over, request
from tests.soak.content import content
from tests.soak.crowd import Role, World
from tests.soak.ledger import Explained, Unexplained
from tests.soak.visits import SITES, check_hello
from tests.support.http2 import PREFACE, data, frame, headers, rst, settings
from tests.support.websocket_raw import frame as websocket_frame
from tests.support.websocket_raw import handshake

#: A TLS record with a ClientHello that says nothing more.
HALF_HELLO = bytes.fromhex("1603010200010001fc0303")

#: Ours take two to four seconds; the least that a server allows is 15.
TOO_SLOW_S = 14.0

#: What is sent at most before leaving, and what it was.
LEAVING = ("connected", "in the head", "in the body", "before the answer", "in the answer", "in an endless answer",
           "while the application waits", "in a WebSocket message", "with HTTP/2 streams open")  # fmt: skip


async def leave(world: World) -> None:
    """By FIN or RST, or without a word of TLS, at each stage."""
    stage = world.chance.choice(LEAVING)
    connection = await Connection.open(world.place, world.place.tls_http2 if "HTTP/2" in stage else None)
    try:
        await _come_to(stage, connection, world)
    except Over:
        if not world.place.is_renewed:
            raise
    finally:
        world.chance.choice((connection.close, connection.reset, connection.drop))()
    raise Explained(f"left {stage}")


async def _come_to(stage: str, connection: Connection, world: World) -> None:
    site = world.chance.choice(SITES)
    if stage == "in the head":
        whole = request("GET", f"{site}/hello/1", "Cookie: " + "c" * world.chance.randint(0, 4000))
        await connection.send(whole[: world.chance.randrange(1, len(whole))])
    elif stage == "in the body":
        whole = request("POST", f"{site}/digest", body=content(world.chance.choice((100, 50_000, 1_000_000))))
        await connection.send(whole[: world.chance.randrange(120, len(whole))])
    elif stage == "before the answer":
        await connection.send(request("GET", f"{site}/stream/300000"))
    elif stage == "in the answer":
        await connection.send(request("GET", f"{site}/{world.chance.choice(('stream/2000000', 'file'))}"))
        await connection.read_head()
        await connection.read_some()
    elif stage == "in an endless answer":
        await connection.send(request("GET", f"{site}/endless"))
        for _ in range(world.chance.randint(1, 40)):
            await connection.read_some()
    elif stage == "while the application waits":
        await connection.send(request("GET", f"{site}/wait/0.5"))
        await asyncio.sleep(world.chance.uniform(0, 0.3))
    elif stage == "in a WebSocket message":
        await connection.send(handshake("/ws", "Sec-WebSocket-Extensions: permessage-deflate"))
        await connection.reader.readuntil(b"\r\n\r\n")
        whole = websocket_frame(2, content(20_000))
        await connection.send(websocket_frame(1, b"first") + whole[: world.chance.randrange(1, len(whole))])
    elif stage == "with HTTP/2 streams open":
        await connection.send(PREFACE + settings() + _streams(world))
        await connection.read_some()


def _streams(world: World) -> bytes:
    """Some streams, half of them cancelled at once."""
    scheme = b"https" if world.place.tls is not None else b"http"
    pieces = []
    for number in range(1, 2 * world.chance.randint(2, 12), 2):
        fields = [(b":method", b"GET"), (b":scheme", scheme), (b":authority", b"localhost")]
        path = world.chance.choice((b"/stream/100000", b"/endless", b"/wait/0.5", b"/wsgi/hello/1"))
        pieces.append(headers(number, [*fields, (b":path", path)]))
        if world.chance.random() < 0.5:
            pieces.append(rst(number))
    return b"".join(pieces)


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /digest HTTP/1.1\r\nHost: localhost\r\n"

#: What must be refused, and with what.
MALFORMED: list[tuple[str, bytes, tuple[int, ...]]] = [
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", (400,)),
    ("two Hosts", GET + b"Host: b\r\n\r\n", (400,)),
    ("two lengths", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", (400,)),
    ("a length that is none", POST + b"Content-Length: +5\r\n\r\nhello", (400,)),
    ("length and chunks", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    ("an unknown coding", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    ("a bad chunk", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", (400,)),
    ("a body beyond the limit", POST + b"Content-Length: 999999999999\r\n\r\n", (413,)),
    ("an unknown expectation", POST + b"Expect: wonders\r\nContent-Length: 5\r\n\r\nhello", (417,)),
    ("an unknown version", b"GET / HTTP/7.1\r\nHost: localhost\r\n\r\n", (505,)),
    ("a long line", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (414,)),
    ("a long field", GET + b"Cookie: " + b"a" * 20_000 + b"\r\n\r\n", (431,)),
    ("many fields", GET + b"X-Field: 1\r\n" * 200 + b"\r\n", (431,)),
    ("space before a colon", GET + b"X-Field : 1\r\n\r\n", (400,)),
    ("a folded field", GET + b"X-Field: 1\r\n 2\r\n\r\n", (400,)),
    ("NUL in a field", GET + b"X-Field: a\0b\r\n\r\n", (400,)),
    ("a bare LF", b"GET / HTTP/1.1\nHost: localhost\n\n", (400,)),
    ("noise", bytes(range(128, 256)) + b"\r\n\r\n", (400,)),
]
#: The same over HTTP/2, each behind a good preface: the connection must end, with a GOAWAY.
MALFORMED_HTTP2: list[tuple[str, bytes]] = [
    ("DATA on stream 0", data(0, b"hello")),
    ("DATA on an idle stream", data(5, b"hello")),
    ("an even stream", headers(2)),
    ("a frame that is too large", frame(0, 0, 1, bytes(20_000))),
    ("SETTINGS of a wrong size", frame(4, 0, 0, b"123")),
    ("a broken header block", frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff")),
    ("noise", bytes(range(128, 256))),
]
GOAWAY = 7


async def offend(world: World) -> None:
    """A bad request: refused with its status, and then the connection is closed."""
    if world.chance.random() < 0.3:
        await _offend_http2(world)
    what, raw, statuses = world.chance.choice(MALFORMED)
    async with await Connection.open(world.place) as connection:
        try:
            await connection.send(raw)
            answer: Answer = await connection.read()
        except Over as over:
            raise Unexplained(f"{what} was not answered: {over}") from None
        if answer.status not in statuses:
            raise Unexplained(f"{what} was answered with {answer.status}, not {statuses}")
        await connection.read_to_end()
    raise Explained(f"refused with {answer.status}")


async def _offend_http2(world: World) -> None:
    what, raw = world.chance.choice(MALFORMED_HTTP2)
    async with await Connection.open(world.place, world.place.tls_http2) as connection:
        await connection.send(PREFACE + settings() + raw)
        received = await connection.read_to_end()
    if not any(kind == GOAWAY for kind in _kinds(received)):
        raise Unexplained(f"{what} over HTTP/2 brought no GOAWAY: {received[:80]!r}")
    raise Explained("refused with GOAWAY")


def _kinds(received: bytes) -> list[int]:
    found, at = [], 0
    while at + 9 <= len(received):
        found.append(received[at + 3])
        at += 9 + int.from_bytes(received[at : at + 3], "big")
    return found


async def fail_handshake(world: World) -> None:
    """TLS that does not come about: no TLS at all, noise, half a hello, a client that trusts nobody."""
    what = world.chance.choice(("plain HTTP", "noise", "half a hello", "a certificate that is not trusted", "TLS 1.1"))
    if what in ("a certificate that is not trusted", "TLS 1.1"):
        await _distrust(world, what)
    async with await Connection.open(world.place, is_plain=True) as connection:
        if what == "half a hello":
            await connection.send(HALF_HELLO)
            world.chance.choice((connection.close, connection.reset))()
            raise Explained(f"handshake: {what}")
        await connection.send(request("GET", "/hello/1") if what == "plain HTTP" else bytes(range(256)))
        answered = await connection.read_to_end()
        if b"hello" in answered:
            raise Unexplained("answered without TLS")
    raise Explained(f"handshake: {what}")


async def _distrust(world: World, what: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if what == "TLS 1.1":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = _old_version()
    try:
        connection = await Connection.open(world.place, context)
    except OSError:  # ssl.SSLError is one
        raise Explained(f"handshake: {what}") from None
    connection.close()
    raise Unexplained(f"a handshake with {what} succeeded")


def _old_version() -> ssl.TLSVersion:
    return ssl.TLSVersion["TLSv1_1"]


async def drip(world: World) -> None:
    """Slow, and within the limits: heads and bodies by pieces. These must be answered."""
    begin_s = time.monotonic()
    try:
        await _drip(world)
    except (Over, Unexplained):
        if time.monotonic() - begin_s < TOO_SLOW_S:
            raise
        raise Explained("slower than it meant to be, on a busy machine") from None


async def _drip(world: World) -> None:
    number = world.number()
    async with await Connection.open(world.place) as connection:
        if world.chance.random() < 0.5:
            raw = request("GET", f"{world.chance.choice(SITES)}/hello/{number}")
            for place in range(len(raw)):
                await connection.send(raw[place : place + 1])
                await asyncio.sleep(0.03)
            check_hello(await connection.read(), number)
        else:
            body = content(8000)
            raw = request("POST", f"{world.chance.choice(SITES)}/digest", body=body)
            for place in range(0, len(raw), 400):
                await connection.send(raw[place : place + 400])
                await asyncio.sleep(0.1)
            (await connection.read()).expect(200)
        world.done()


ROLES = [
    Role("leaves in the middle", 4, 0.3, leave),
    Role("malformed requests", 2, 0.5, offend),
    Role("slow and within the limits", 2, 0.5, drip),
    Role("failed handshakes", 2, 0.6, fail_handshake, is_for_tls=True),
]
