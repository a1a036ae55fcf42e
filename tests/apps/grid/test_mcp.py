"""MCP's Python SDK over streamable HTTP, by its own client: the newest protocol, and the one with a handshake."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.grid.asking import Asking, restart
from tests.apps.grid.declared import Site
from tests.apps.grid.serving import Served, let_go_on, serving

mcp = pytest.importorskip("mcp")

STATELESS = Site("MCP Python SDK", "mcp_site:app", ("mcp",), "mcp")
WITH_SESSIONS = Site("MCP Python SDK", "mcp_site:sessions", ("mcp",), "mcp", flags=("--workers", "1"))
WAIT_S = 20.0
MODES = ("auto", "legacy")

pytestmark = STATELESS.mark
each_mode = pytest.mark.parametrize("mode", MODES)
Talk = Callable[[Any], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(STATELESS, tmp_path_factory.mktemp("place")) as served:
        yield served


def talk(served: Served, mode: str, what: Talk) -> Any:
    """What comes of a conversation with the server."""

    async def conversation() -> Any:
        async with asyncio.timeout(WAIT_S), mcp.Client(f"{served.server.origin}/mcp", mode=mode) as client:
            return await what(client)

    return asyncio.run(conversation())


@each_mode
@pytest.mark.grid(check="plain request")
def test_tools_are_listed_and_called(served: Served, mode: str) -> None:
    async def what(client: Any) -> None:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["hello", "upload", "stream", "fail", "load"]
        result = await client.call_tool("hello", {"name": "Zoë & Søn"})
        assert (result.is_error, result.content[0].text) == (False, "Hello, Zoë & Søn!")

    talk(served, mode, what)


@each_mode
@pytest.mark.grid(check="upload")
def test_large_arguments(served: Served, mode: str) -> None:
    content = "".join(hashlib.sha256(number.to_bytes(4)).hexdigest() for number in range(50_000))

    async def what(client: Any) -> None:
        result = await client.call_tool("upload", {"content": content})
        digest = hashlib.sha256(content.encode()).hexdigest()
        assert result.structured_content == {"name": "content", "size": len(content), "sha256": digest}

    talk(served, mode, what)


async def stream(served: Served, client: Any) -> str:
    """The result of a tool that tells of its progress and then waits for us to have heard."""
    token = uuid.uuid4().hex
    with served.pipe(token) as pipe:

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            assert (progress, total, message) == (1, 2, "first")
            await asyncio.to_thread(let_go_on, pipe)

        result = await client.call_tool("stream", {"token": token}, progress_callback=hear)
    return str(result.content[0].text)


@each_mode
@pytest.mark.grid(check="streaming")
def test_progress_is_heard_while_a_tool_runs(served: Served, mode: str) -> None:
    assert talk(served, mode, lambda client: stream(served, client)) == "second"


@each_mode
@pytest.mark.grid(check="error page")
def test_tool_that_fails(served: Served, mode: str) -> None:
    token = uuid.uuid4().hex
    mark = served.server.mark()

    async def what(client: Any) -> None:
        result = await client.call_tool("fail", {"token": token})
        assert result.is_error
        assert token not in str(result) and "Traceback" not in str(result)

    talk(served, mode, what)
    served.server.wait_for_log(token, since=mark)
    assert "Traceback" in served.server.log_since(mark)


@pytest.mark.grid(check="sessions in one worker")
def test_sessions(tmp_path: Path) -> None:
    async def what(client: Any) -> str:
        assert (await client.call_tool("hello", {"name": "you"})).content[0].text == "Hello, you!"
        return await stream(served, client)

    with serving(WITH_SESSIONS, tmp_path) as served:
        assert talk(served, "legacy", what) == "second"


@pytest.mark.grid(check="restart under load")
def test_restart_under_load(served: Served) -> None:
    def conversation(mode: str) -> Callable[[Asking], None]:
        async def ask(client: Any, asking: Asking) -> None:
            for number in asking.numbers():
                result = await client.call_tool("load", {"number": number})
                asking.note(number, result.content[0].text)

        async def run(asking: Asking) -> None:
            async with mcp.Client(f"{served.server.origin}/mcp", mode=mode) as client:
                await ask(client, asking)

        return lambda asking: asyncio.run(run(asking))

    asking = Asking(*map(conversation, MODES * 2))
    with asking.going_on():
        restart(served.server, asking, answers=30)
    assert not asking.failures
