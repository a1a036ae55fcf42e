"""A whole server in the test's own event loop, with small limits, and a client of plain non-blocking sockets.

Lives here: starting and stopping, options in short form, the client, the log it can be asked for.
Never here: what an answer should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self

from tests.support.raw import Answer
from torana.gateway.options import GatewayOptions
from torana.net.options import ListenOptions, NetOptions, TransportOptions
from torana.serve.application import Application
from torana.serve.options import AccessLogOptions, Bounds, Identity, ServeOptions, Timeouts
from torana.serve.server import Server
from torana.wire.http1.limits import Limits

#: A test that takes longer hangs.
LIMIT_S = 30.0

GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine function as a test, on a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def limited() -> None:
            await asyncio.wait_for(test(*args, **kwargs), LIMIT_S)

        asyncio.run(limited())

    return run


class Serving:
    """A started server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        host, _, port = server.addresses[0].rpartition("//")[2].rpartition(":")
        self.address = (host, int(port))

    async def connect(self, *, receive_buffer_bytes: int = 0, segment_bytes: int = 0) -> Client:
        """A new connection; a small receive buffer makes a client that stops reading felt soon.

        Segments as small as those of a real network make the window of a slow reader move as finely as there.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        if segment_bytes:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment_bytes)
        await asyncio.get_running_loop().sock_connect(sock, self.address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(sock)

    def connections(self) -> list[Any]:
        """The server's own connections."""
        return list(self.server.crowd.connections)

    async def settled(self, count: int = 0) -> None:
        """Until the server holds ``count`` connections."""
        await until(lambda: len(self.server.crowd) == count)


async def until(is_so: Callable[[], bool]) -> None:
    """Until something is so that nobody tells of."""
    while not is_so():
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def serving(
    app: Any,
    interface: str = "asgi3",
    *,
    timeouts: dict[str, Any] | None = None,
    bounds: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    identity: dict[str, Any] | None = None,
    gateway: dict[str, Any] | None = None,
    transport: dict[str, Any] | None = None,
    serve: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
) -> AsyncIterator[Serving]:
    """Serve ``app`` on a free port while the block runs; then stop, gracefully for a moment."""
    made = make_server(
        app, interface, timeouts=timeouts, bounds=bounds, limits=limits, identity=identity, gateway=gateway,
        transport=transport, serve=serve, server=server,
    )  # fmt: skip
    await made.start()
    try:
        yield Serving(made)
    finally:
        made.request_abort()
        await made.finished()


def make_server(
    app: Any,
    interface: str = "asgi3",
    *,
    timeouts: dict[str, Any] | None = None,
    bounds: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    identity: dict[str, Any] | None = None,
    gateway: dict[str, Any] | None = None,
    transport: dict[str, Any] | None = None,
    serve: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
) -> Server:
    """A server that was not started; options by field name, ``server``: by that of its constructor's argument."""
    return Server(
        Application(app, interface, "test", "", ""),
        NetOptions(ListenOptions(binds=("127.0.0.1:0",)), TransportOptions(**transport or {})),
        ServeOptions(
            timeouts=Timeouts(
                **{"graceful_s": 1.0, "cancel_s": 0.4, "linger_s": 0.3, "idle_linger_s": 0.1} | (timeouts or {})
            ),
            bounds=Bounds(**bounds or {}),
            limits=Limits(**limits or {}),
            identity=Identity(**identity or {}),
            **{"access_log": AccessLogOptions(is_on=False)} | (serve or {}),
        ),
        GatewayOptions(**{"lifespan": "off"} | (gateway or {})),
        **server or {},
    )


class Client:
    """One connection. Nothing is received that a test did not ask for."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._pending = bytearray()
        #: The connection ended with a reset.
        self.is_reset = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # out

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self.sock, data)

    async def ask(self, data: bytes = GET, method: str = "GET") -> Answer:
        """Send a request as it is, and read its answer."""
        await self.send(data)
        return await self.read(method)

    def send_what_fits(self, data: bytes) -> int:
        """Send what the kernel takes now."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def finish_writing(self) -> None:
        """Half-close."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close with FIN."""
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # in

    async def read(self, method: str = "GET", *, skip_interim: bool = True) -> Answer:
        """Read one answer; ``is_complete`` is False when the connection ended within it."""
        while True:
            answer = await self.read_head()
            if answer.status >= 200 or not skip_interim:
                break
        coding = answer.get("transfer-encoding")
        length = answer.get("content-length")
        try:
            if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
                answer.framing = "none"
            elif coding:
                answer.framing = "chunked"
                await self._read_chunks(answer)
            elif length is not None:
                answer.framing = "length"
                answer.body = await self.read_exactly(int(length))
            else:
                answer.framing = "close"
                answer.body = await self.read_to_end()
                answer.is_complete = not self.is_reset
        except EOFError as cut:
            answer.is_complete = False
            answer.body += cut.args[0]
        return answer

    async def read_head(self) -> Answer:
        """Read a status line and its fields, and no more."""
        head = await self.read_until(b"\r\n\r\n")
        line, *lines = head[:-4].split(b"\r\n")
        version, code, *reason = line.decode("latin-1").split(" ", 2)
        assert version in ("HTTP/1.0", "HTTP/1.1"), head
        fields = [line.partition(b":")[::2] for line in lines]
        return Answer(version, int(code), "".join(reason), [(name, value.strip()) for name, value in fields])

    async def read_until(self, mark: bytes) -> bytes:
        """Read up to and including ``mark``; EOFError when the connection ends first."""
        while (found := self._pending.find(mark)) < 0:
            if not await self._fill():
                raise EOFError(self._take(len(self._pending)))
        return self._take(found + len(mark))

    async def read_exactly(self, count: int) -> bytes:
        """Read ``count`` bytes; EOFError when the connection ends first."""
        while len(self._pending) < count:
            if not await self._fill():
                raise EOFError(self._take(len(self._pending)))
        return self._take(count)

    async def read_to_end(self) -> bytes:
        """Read until the peer closes; see ``is_reset``."""
        while await self._fill():
            pass
        return self._take(len(self._pending))

    async def ended(self) -> None:
        """Until the peer closes; it may say nothing more."""
        rest = await self.read_to_end()
        assert rest == b"", rest

    async def _read_chunks(self, answer: Answer) -> None:
        while size := int((await self.read_until(b"\r\n")).split(b";")[0], 16):
            answer.body += await self.read_exactly(size)
            assert await self.read_exactly(2) == b"\r\n"
        while (line := await self.read_until(b"\r\n")) != b"\r\n":
            name, _, value = line.partition(b":")
            answer.trailers.append((name, value.strip()))

    async def _fill(self) -> bool:
        try:
            data = await self._loop.sock_recv(self.sock, 1024 * 1024)
        except ConnectionError:
            self.is_reset = True
            data = b""
        self._pending += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken


class Log(logging.Handler):
    """What Torana logged meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self, name: str = "torana") -> list[str]:
        """The messages of one logger and those below it."""
        return [
            record.getMessage() for record in self.records if record.name == name or record.name.startswith(name + ".")
        ]

    def errors(self) -> list[str]:
        """Messages of level ERROR and above."""
        return [record.getMessage() for record in self.records if record.levelno >= logging.ERROR]


@contextlib.contextmanager
def logged() -> Iterator[Log]:
    """Collect what is logged while the block runs, asyncio's complaints included."""
    log = Log()
    names = ("torana", "asyncio")
    for name in names:
        logging.getLogger(name).addHandler(log)
    try:
        yield log
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(log)


async def answer_with(send: Any, body: bytes = b"ok", status: int = 200, headers: Any = ()) -> None:
    """A whole answer in one body message."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Any) -> tuple[bytes, bool]:
    """All of a request body, and whether it is complete."""
    body = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return body, False
        body += event["body"]
        if not event["more_body"]:
            return body, True
