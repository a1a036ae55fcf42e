"""A stop that comes at any moment of the start is obeyed, also in the turn of the loop in which the start completes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from torana.gateway.options import ApplicationOptions
from torana.process.options import RunOptions
from torana.process.worker import Serving, given_application

#: Turns of the loop between the end of the application's start-up and the stop; the server's own start takes a few.
TURNS = range(12)


def options() -> RunOptions:
    made = RunOptions()
    net = replace(made.net, listen=replace(made.net.listen, binds=("127.0.0.1:0",)))
    return replace(made, net=net)


async def start_and_stop(turns: int, how: str) -> None:
    serving: Serving

    def later(left: int) -> None:
        if left:
            asyncio.get_running_loop().call_soon(later, left - 1)
        else:
            getattr(serving, how)()

    async def application(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                later(turns)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    serving = Serving(options(), given_application(application, ApplicationOptions()))
    if await serving.start():
        await serving.finished()


@pytest.mark.parametrize("how", ["request_stop", "request_abort"])
@pytest.mark.parametrize("turns", TURNS)
def test_a_stop_is_obeyed_in_whichever_turn_it_comes(turns: int, how: str) -> None:
    # A stop that was lost would be waited for for ever.
    asyncio.run(asyncio.wait_for(start_and_stop(turns, how), 20))
