"""An MCP server of the Python SDK for the grid: stateless for any number of workers, and with sessions for one."""

from __future__ import annotations

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from outside import failure, numbered, told, waited_for_client

server = MCPServer("grid")


@server.tool()
def hello(name: str) -> str:
    """Greet."""
    return f"Hello, {name}!"


@server.tool()
def upload(content: str) -> dict[str, str | int]:
    """Say what came."""
    return told("content", content.encode())


@server.tool()
async def stream(token: str, ctx: Context) -> str:
    """Tell of progress, wait for the client, end."""
    await ctx.report_progress(1, 2, "first")
    await waited_for_client(token)
    return "second"


@server.tool()
def fail(token: str) -> str:
    """Fail."""
    raise failure(token)


@server.tool()
def load(number: int) -> str:
    """Which worker answers."""
    return numbered(number)


app = server.streamable_http_app(stateless_http=True)
sessions = server.streamable_http_app()
