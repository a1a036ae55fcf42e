"""WebSocket clients of several authors behind one small face, so that a test can be run with each of them.

A client that is not installed is left out. Never here: expectations.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

#: Far above any message of a test; the clients' own defaults lie between 64 KiB and 10 MiB.
MOST_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 30.0

Message = str | bytes


@dataclass
class Closed(Exception):
    """The server closed the conversation; raised by `Talk.receive`."""

    code: int
    reason: str


class Refused(Exception):
    """The handshake was answered with another status, which is the one argument."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.args[0])


class Talk(Protocol):
    """An open WebSocket."""

    subprotocol: str | None

    async def send(self, message: Message) -> None:
        """Send one message."""

    async def receive(self) -> Message:
        """The next message; raises `Closed`."""

    async def ping(self) -> None:
        """Send a ping and wait for its pong, where the client tells; else just send one."""

    async def close(self, code: int, reason: str) -> None:
        """Close, and complete the closing handshake."""


class Websockets:
    """websockets, asyncio."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.subprotocol = connection.subprotocol
        self.extensions = connection.protocol.extensions

    async def send(self, message: Message) -> None:
        await self._connection.send(message)

    async def receive(self) -> Message:
        from websockets.exceptions import ConnectionClosed

        try:
            return await self._connection.recv()  # type: ignore[no-any-return]
        except ConnectionClosed as closed:
            raise Closed(closed.rcvd.code if closed.rcvd else 1006, closed.rcvd.reason if closed.rcvd else "") from None

    async def ping(self) -> None:
        await (await self._connection.ping(b"are you there?"))

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code, reason)


@contextlib.asynccontextmanager
async def websockets_asyncio(
    url: str, subprotocols: list[str] | None = None, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Talk]:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    options = {"max_size": MOST_BYTES, "ping_interval": None, "proxy": None, **options}
    try:
        connection = await connect(url, subprotocols=subprotocols, ssl=tls, **options)  # type: ignore[arg-type]
    except InvalidStatus as refusal:
        raise Refused(refusal.response.status_code) from refusal
    async with connection:
        yield Websockets(connection)


@contextlib.asynccontextmanager
async def websockets_plain(
    url: str, subprotocols: list[str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Talk]:
    """The same, which offers no compression."""
    async with websockets_asyncio(url, subprotocols, tls, compression=None) as talk:
        yield talk


class Blocking:
    """A blocking client, each call of which goes to a thread."""

    def __init__(self, connection: Any, subprotocol: str | None) -> None:
        self._connection = connection
        self.subprotocol = subprotocol

    async def receive(self) -> Message:
        return await asyncio.to_thread(self._receive)

    def _receive(self) -> Message:
        raise NotImplementedError


class WebsocketsSync(Blocking):
    """websockets, threads."""

    async def send(self, message: Message) -> None:
        await asyncio.to_thread(self._connection.send, message)

    def _receive(self) -> Message:
        from websockets.exceptions import ConnectionClosed

        try:
            return self._connection.recv(TIMEOUT_S)  # type: ignore[no-any-return]
        except ConnectionClosed as closed:
            raise Closed(closed.rcvd.code if closed.rcvd else 1006, closed.rcvd.reason if closed.rcvd else "") from None

    async def ping(self) -> None:
        ponged = self._connection.ping(b"are you there?")
        assert await asyncio.to_thread(ponged.wait, TIMEOUT_S)

    async def close(self, code: int, reason: str) -> None:
        await asyncio.to_thread(self._connection.close, code, reason)


@contextlib.asynccontextmanager
async def websockets_sync(
    url: str, subprotocols: list[str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Talk]:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with contextlib.ExitStack() as stack:

        def open_one() -> Any:
            options: dict[str, Any] = {"subprotocols": subprotocols, "max_size": MOST_BYTES, "proxy": None}
            return stack.enter_context(connect(url, ssl=tls, **options))

        try:
            connection = await asyncio.to_thread(open_one)
        except InvalidStatus as refusal:
            raise Refused(refusal.response.status_code) from refusal
        yield WebsocketsSync(connection, connection.subprotocol)
        await asyncio.to_thread(connection.close)


class WebsocketClient(Blocking):
    """websocket-client."""

    async def send(self, message: Message) -> None:
        send = self._connection.send if isinstance(message, str) else self._connection.send_binary
        await asyncio.to_thread(send, message)

    def _receive(self) -> Message:
        from websocket import ABNF

        while True:
            opcode, data = self._connection.recv_data(control_frame=True)
            if opcode == ABNF.OPCODE_CLOSE:
                code = int.from_bytes(data[:2], "big") if data else 1005
                raise Closed(code, data[2:].decode())
            if opcode == ABNF.OPCODE_PONG:
                return bytes(data)
            if opcode in (ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY):
                return data.decode() if opcode == ABNF.OPCODE_TEXT else bytes(data)

    async def ping(self) -> None:
        self._connection.ping(b"are you there?")
        assert await self.receive() == b"are you there?"

    async def close(self, code: int, reason: str) -> None:
        await asyncio.to_thread(self._connection.close, code, reason.encode())


@contextlib.asynccontextmanager
async def websocket_client(
    url: str, subprotocols: list[str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Talk]:
    import websocket

    def open_one() -> Any:
        options = {"context": tls} if tls is not None else {}
        return websocket.create_connection(
            url, timeout=TIMEOUT_S, subprotocols=subprotocols, sslopt=options, http_no_proxy=["*"]
        )

    try:
        connection = await asyncio.to_thread(open_one)
    except websocket.WebSocketBadStatusException as refusal:
        raise Refused(refusal.status_code) from refusal
    try:
        yield WebsocketClient(connection, connection.getsubprotocol())
    finally:
        await asyncio.to_thread(connection.close, timeout=5)


class Aiohttp:
    """aiohttp's client."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.subprotocol = connection.protocol
        self.compress = connection.compress

    async def send(self, message: Message) -> None:
        await (self._connection.send_str(message) if isinstance(message, str) else self._connection.send_bytes(message))

    async def receive(self) -> Message:
        from aiohttp import WSMsgType

        got = await self._connection.receive(timeout=TIMEOUT_S)
        if got.type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PONG):
            return got.data  # type: ignore[no-any-return]
        if got.type is WSMsgType.CLOSE:
            raise Closed(got.data, got.extra or "")
        raise Closed(self._connection.close_code or 1006, "")

    async def ping(self) -> None:
        await self._connection.ping(b"are you there?")

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code=code, message=reason.encode())


@contextlib.asynccontextmanager
async def aiohttp_client(
    url: str, subprotocols: list[str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Talk]:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        connecting = session.ws_connect(
            url, protocols=subprotocols or (), ssl=tls or True, max_msg_size=MOST_BYTES, compress=15
        )
        try:
            connection = await connecting
        except aiohttp.WSServerHandshakeError as refusal:
            raise Refused(refusal.status) from refusal
        async with connection:
            yield Aiohttp(connection)


class Httpx:
    """httpx-ws, which speaks through wsproto; it tells of a message's kind and of the close, and completes it."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.subprotocol = session.subprotocol

    async def send(self, message: Message) -> None:
        await (self._session.send_text(message) if isinstance(message, str) else self._session.send_bytes(message))

    async def receive(self) -> Message:
        import httpx_ws

        try:
            return (await self._session.receive(TIMEOUT_S)).data  # type: ignore[no-any-return]
        except httpx_ws.WebSocketDisconnect as closed:
            raise Closed(closed.code, closed.reason or "") from None

    async def ping(self) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await (await self._session.ping(b"are you there?")).wait()

    async def close(self, code: int, reason: str) -> None:
        await self._session.close(code, reason)


@contextlib.asynccontextmanager
async def httpx_client(
    url: str, subprotocols: list[str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Talk]:
    import httpx
    import httpx_ws

    async with httpx.AsyncClient(verify=tls or True, trust_env=False) as client:
        connecting = httpx_ws.aconnect_ws(url, client, subprotocols=subprotocols, max_message_size_bytes=MOST_BYTES)
        try:
            session = await connecting.__aenter__()
        except httpx_ws.WebSocketUpgradeError as refusal:
            raise Refused(refusal.response.status_code) from refusal
        try:
            yield Httpx(session)
        finally:
            await connecting.__aexit__(None, None, None)


def picows_talk() -> Any:
    """A `Talk` for picows, whose base class is only there where it is installed."""
    from picows import WSListener, WSMsgType

    class Picows(WSListener):  # type: ignore[misc]
        """picows; frames are put together by hand."""

        def __init__(self) -> None:
            super().__init__()
            self._messages: asyncio.Queue[Message | Closed] = asyncio.Queue()
            self._parts: list[bytes] = []
            self._kind: Any = None
            self.subprotocol: str | None = None

        def on_ws_connected(self, transport: Any) -> None:
            self.transport = transport
            self.subprotocol = transport.response.headers.get("Sec-WebSocket-Protocol")

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == WSMsgType.CLOSE:
                self._messages.put_nowait(Closed(int(frame.get_close_code()), frame.get_close_reason() or ""))
                if not transport.is_close_frame_sent:
                    transport.send_close(frame.get_close_code())
                return
            if frame.msg_type == WSMsgType.PING:
                return
            if frame.msg_type == WSMsgType.PONG:
                self._messages.put_nowait(frame.get_payload_as_bytes())
                return
            if frame.msg_type != WSMsgType.CONTINUATION:
                self._kind = frame.msg_type
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                data = b"".join(self._parts)
                self._parts = []
                self._messages.put_nowait(data.decode() if self._kind == WSMsgType.TEXT else data)

        def on_ws_disconnected(self, transport: Any) -> None:
            self._messages.put_nowait(Closed(1006, ""))

        async def send(self, message: Message) -> None:
            data = message.encode() if isinstance(message, str) else message
            self.transport.send(WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY, data)

        async def receive(self) -> Message:
            async with asyncio.timeout(TIMEOUT_S):
                got = await self._messages.get()
            if isinstance(got, Closed):
                raise got
            return got

        async def ping(self) -> None:
            self.transport.send_ping(b"are you there?")
            assert await self.receive() == b"are you there?"

        async def close(self, code: int, reason: str) -> None:
            from picows import WSCloseCode

            with contextlib.suppress(ValueError):
                code = WSCloseCode(code)
            self.transport.send_close(code, reason.encode())
            async with asyncio.timeout(TIMEOUT_S):
                await self.transport.wait_disconnected()

    return Picows


@contextlib.asynccontextmanager
async def picows_client(
    url: str,
    subprotocols: list[str] | None = None,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[Talk]:
    import picows

    extra = {"Sec-WebSocket-Protocol": ", ".join(subprotocols)} if subprotocols else None
    options = {"enable_auto_pong": True, **options}
    try:
        transport, talk = await picows.ws_connect(
            picows_talk(), url, ssl_context=tls, extra_headers=extra, max_frame_size=MOST_BYTES, **options
        )
    except picows.WSInvalidStatusError as refusal:
        raise Refused(refusal.response.status) from refusal
    try:
        yield talk
    finally:
        transport.disconnect()
        await transport.wait_disconnected()


Opener = Callable[..., AbstractAsyncContextManager[Talk]]


@dataclass(frozen=True)
class Client:
    """A client: the package that must be importable, and how a conversation is opened."""

    package: str
    connect: Opener


CLIENTS = {
    "websockets": Client("websockets", websockets_asyncio),
    "websockets-plain": Client("websockets", websockets_plain),
    "websockets-sync": Client("websockets", websockets_sync),
    "picows": Client("picows", picows_client),
    "aiohttp": Client("aiohttp", aiohttp_client),
    "httpx-ws": Client("httpx_ws", httpx_client),
    "websocket-client": Client("websocket", websocket_client),
}


def is_installed(client: Client) -> bool:
    """Whether this Python has it."""
    return importlib.util.find_spec(client.package) is not None
