"""A stage for conversations: the real ASGI gateway in a loop of each kind, and a peer that says what a client would."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.conversing import RecordingChannel, RecordingLink, handshake
from torana.exchange.duplex import Duplex
from torana.gateway.asgi.call import AsgiGateway
from torana.gateway.options import GatewayOptions

LIMIT_S = 20.0
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


def in_each_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine function as a test, on a loop of each kind; asyncio's complaints fail it."""

    @pytest.mark.parametrize("kind", LOOPS)
    @functools.wraps(test)
    def run(*arguments: Any, kind: str, **named: Any) -> None:
        complaints: list[Any] = []

        async def limited() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
            await asyncio.wait_for(test(*arguments, **named), LIMIT_S)

        if kind == "uvloop":
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(limited())
        else:
            asyncio.run(limited())
        assert complaints == []

    run.__signature__ = _with_kind(test)  # type: ignore[attr-defined]
    return run


def _with_kind(test: Callable[..., Any]) -> Any:
    signature = inspect.signature(test)
    kind = inspect.Parameter("kind", inspect.Parameter.KEYWORD_ONLY)
    return signature.replace(parameters=[*signature.parameters.values(), kind], return_annotation=None)


class Stage:
    """One application, one conversation."""

    def __init__(self, gateway: AsgiGateway, duplex: Duplex) -> None:
        self.gateway = gateway
        self.duplex = duplex

    @property
    def link(self) -> RecordingLink:
        link = self.duplex.link
        assert isinstance(link, RecordingLink)
        return link

    @property
    def channel(self) -> RecordingChannel:
        channel = self.duplex.response.channel
        assert isinstance(channel, RecordingChannel)
        return channel

    @property
    def acts(self) -> list[tuple[Any, ...]]:
        """What the link was told."""
        return self.link.acts

    async def over(self) -> None:
        """Until the application has ended."""
        await until(lambda: self.link.has_ended)

    async def heard(self, count: int) -> None:
        """Until the link was told ``count`` things."""
        await until(lambda: len(self.acts) >= count)


async def until(is_so: Callable[[], bool]) -> None:
    """Until something is so that nobody tells of."""
    while not is_so():
        await asyncio.sleep(0)


async def idle() -> None:
    """Until all that can go on by itself has done so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def gateway_for(app: Any, **more: Any) -> AsgiGateway:
    """A started gateway."""
    gateway = AsgiGateway(app, GatewayOptions(lifespan="off"), **more)
    await gateway.startup()
    return gateway


async def converse(app: Any, *, error_page: Any = None, **facts: Any) -> Stage:
    """Have ``app`` answer a handshake; returns when it has gone as far as it can by itself."""
    gateway = await gateway_for(app, error_page=error_page)
    stage = Stage(gateway, handshake(**facts))
    gateway.converse(stage.duplex)
    await idle()
    return stage


async def attempt(send: Any, message: Any) -> str:
    """Send one message; "ok", or the names of the exception's classes."""
    try:
        await send(message)
    except Exception as error:
        return " ".join(kind.__name__ for kind in type(error).__mro__)
    return "ok"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back whatever comes."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


@contextlib.asynccontextmanager
async def child(awaitable: Any) -> Any:
    """A task while the block runs."""
    task = asyncio.ensure_future(awaitable)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
