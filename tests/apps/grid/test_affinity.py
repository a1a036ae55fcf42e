"""Applications that keep sessions in memory, in four workers: each by its own client, over plain HTTP and over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.grid.serving import SITES_FOLDER
from tests.support.server import Server, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sessions are kept by what only Linux was tested with")

CLIENTS = 5
SCHEMES = ("http", "https")

SOCKETIO = """
import os
import socketio
server = socketio.AsyncServer(async_mode="asgi")
@server.event
async def connect(sid, environ):
    await server.save_session(sid, {"count": 0})
@server.event
async def count(sid, by):
    async with server.session(sid) as session:
        session["count"] += by
        return [session["count"], os.getpid()]
@server.event
async def leave(sid):
    await server.disconnect(sid)
app = socketio.ASGIApp(server)
"""

FLASK_SOCKETIO = """
import os
from flask import Flask, request
from flask_socketio import SocketIO
app = Flask(__name__)
socketio = SocketIO(app, async_mode="threading", ping_interval=1, ping_timeout=5)
counts = {}
@socketio.on("count")
def count(by):
    counts[request.sid] = counts.get(request.sid, 0) + by
    return [counts[request.sid], os.getpid()]
"""


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    trustme = pytest.importorskip("trustme")
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    made.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return tmp_path


@contextlib.contextmanager
def serving(place: Path, target: str, affinity: str, scheme: str, *flags: str) -> Iterator[Server]:
    flags = ("--workers", "4", "--affinity", affinity, "--log-level", "debug", *flags)
    if scheme == "https":
        flags = (*flags, "--certfile", str(place / "server.pem"))
    with running(target, *flags, cwd=place) as server:
        server.wait_for_log("All workers")
        yield server


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("transports", [["polling"], ["polling", "websocket"], ["websocket"]], ids="+".join)
@pytest.mark.grid(app="python-socketio", check="affinity")
def test_socketio(certified: Path, scheme: str, transports: list[str]) -> None:
    socketio = pytest.importorskip("socketio")
    aiohttp = pytest.importorskip("aiohttp")
    (certified / "site_socketio.py").write_text(SOCKETIO)

    async def one(origin: str) -> int:
        # Without cookies, as clients outside of browsers have none.
        trust = ssl.create_default_context(cafile=str(certified / "ca.pem"))
        connector = aiohttp.TCPConnector(ssl=trust if scheme == "https" else False)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            client = socketio.AsyncClient(http_session=http, reconnection=False)
            await client.connect(origin, transports=transports, wait_timeout=15)
            pids = set()
            for i in range(1, 9):
                total, pid = await client.call("count", 2, timeout=15)
                assert total == 2 * i
                pids.add(pid)
            left = asyncio.Event()
            client.on("disconnect", lambda *_: left.set())
            await client.emit("leave")
            await asyncio.wait_for(left.wait(), 15)
            await client.disconnect()
            (pid,) = pids
            return int(pid)

    async def all_of_them(origin: str) -> list[int]:
        return await asyncio.gather(*(one(origin) for _ in range(CLIENTS)))

    with serving(certified, "site_socketio:app", "socketio", scheme) as server:
        origin = server.origin
        assert len(set(asyncio.run(asyncio.wait_for(all_of_them(origin), 60)))) > 1


@pytest.mark.grid(app="Flask-SocketIO", check="affinity")
def test_flask_socketio_polls(certified: Path) -> None:
    pytest.importorskip("flask_socketio")
    socketio = pytest.importorskip("socketio")
    (certified / "site_flask.py").write_text(FLASK_SOCKETIO)
    with serving(certified, "site_flask:app", "socketio", "http", "--threads", "16") as server:
        for _ in range(4):
            with socketio.SimpleClient(reconnection=False) as client:
                client.connect(server.origin, transports=["polling"], wait_timeout=15)
                found = [client.call("count", 1, timeout=15) for _ in range(6)]
            assert [total for total, _ in found] == [1, 2, 3, 4, 5, 6]
            assert len({pid for _, pid in found}) == 1


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.grid(app="MCP Python SDK", check="affinity", package="mcp")
def test_mcp(certified: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mcp = pytest.importorskip("mcp")
    monkeypatch.setenv("SSL_CERT_FILE", str(certified / "ca.pem"))
    site = SITES_FOLDER / "mcp_site.py"

    async def one(origin: str) -> int:
        async with mcp.Client(f"{origin}/mcp", mode="legacy") as client:
            pids = set()
            for i in range(6):
                result = await client.call_tool("load", {"number": i})
                assert not result.is_error
                number, pid, _ = result.content[0].text.split(" ", 2)
                assert int(number) == i
                pids.add(int(pid))
            (pid,) = pids
            return pid

    async def all_of_them(origin: str) -> list[int]:
        return await asyncio.gather(*(one(origin) for _ in range(CLIENTS)))

    with serving(certified, f"{site}:sessions", "mcp", scheme) as server:
        assert len(set(asyncio.run(asyncio.wait_for(all_of_them(server.origin), 60)))) > 1


@pytest.mark.grid(app="Gradio", check="affinity")
def test_gradio_clients_of_one_address(certified: Path) -> None:
    pytest.importorskip("gradio")
    gradio_client = pytest.importorskip("gradio_client")
    (certified / "demo.py").write_text(
        "import gradio as gr, os\n"
        "def hello(name):\n    return f'Hello, {name}!'\n"
        "def spell(name):\n    for i in range(len(name)):\n        yield name[: i + 1]\n"
        "with gr.Blocks() as demo:\n"
        "    box, out = gr.Textbox(), gr.Textbox()\n"
        "    gr.Button().click(hello, box, out, api_name='hello')\n"
        "    gr.Button().click(spell, box, out, api_name='spell')\n"
    )
    with serving(certified, "demo.py", "gradio", "http") as server:
        for i in range(4):
            client: Any = gradio_client.Client(server.origin, verbose=False)
            for _ in range(4):
                assert client.predict(f"{i}", api_name="/hello") == f"Hello, {i}!"
            job = client.submit("abc", api_name="/spell")
            assert (job.result(timeout=30), job.outputs()) == ("abc", ["a", "ab", "abc"])
            client.close()
