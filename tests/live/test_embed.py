"""``torana.Server`` within a running loop, and ``torana.run`` from a program."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import torana
from tests.support.server import child_environment
from torana.base.errors import BindError, ConfigError, LoadError


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["root_path"].encode() or b"hello"})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "4")])
    return [b"wsgi"]


@pytest.mark.parametrize(("application", "text"), [(app, "hello"), (wsgi, "wsgi")])
def test_a_server_within_a_loop(application: Any, text: str) -> None:
    async def use() -> None:
        before = signal.getsignal(signal.SIGTERM)
        async with torana.Server(application) as server, httpx.AsyncClient() as client:
            assert server.url.startswith("http://127.0.0.1:")
            assert (await client.get(server.url)).text == text
            assert signal.getsignal(signal.SIGTERM) == before
        assert server.addresses == []

    asyncio.run(use())


def test_two_servers_side_by_side_and_one_after_the_other() -> None:
    async def use() -> None:
        async with httpx.AsyncClient() as client:
            async with torana.Server(app, root_path="/a") as one, torana.Server(app, root_path="/b") as other:
                assert (await client.get(one.url + "/a/x")).text == "/a"
                assert (await client.get(other.url + "/b/x")).text == "/b"
            async with torana.Server(app) as again:
                assert (await client.get(again.url)).text == "hello"

    asyncio.run(use())


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORANA_PORT", "not heard")
    with pytest.raises(ConfigError, match=r"torana.Server: there is no setting 'prot'; did you mean 'port'\?"):
        torana.Server(app, prot=1)
    with pytest.raises(ConfigError, match=r"port \(torana.Server\(port=...\)\): found 'x'"):
        torana.Server(app, port="x")
    with pytest.raises(ConfigError, match="reload"):
        torana.Server(app, reload=True)

    async def start(application: Any, **settings: Any) -> None:
        async with torana.Server(application, **settings):
            raise AssertionError("it started")

    with pytest.raises(LoadError):
        asyncio.run(start(5))
    with pytest.raises(LoadError):
        asyncio.run(start("no_such_module_at_all:app"))
    with pytest.raises(BindError):
        asyncio.run(start(app, bind="fd:999"))


def test_a_program_that_runs_torana(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import torana\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ran']\n"
        "torana.run(app, port=0, access_log=False)\nprint('after', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "Listening on" in line)
        assert httpx.get(line.split()[-1], timeout=20).text == "ran"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and "after" in out
    finally:
        process.kill()
        process.communicate()
