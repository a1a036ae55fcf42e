"""A WSGI worker whose threads do turns of the loop: over whichever protocol, each client gets its own answer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, running
from torana.base.build import has_lock

CLIENTS = 24
REQUESTS = 60
GIVE_UP_S = 60.0

SITE = """
import time
from torana.gateway.lead import Lead

led = 0
take = Lead.take


def counted(self, place):
    global led
    has_jobs = take(self, place)
    led += has_jobs
    return has_jobs


Lead.take = counted


def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if path == "/led":
        answer = b"%d" % led
    else:
        if path.startswith("/wait"):
            time.sleep(0.003)
        answer = b"%s has %d bytes\\n" % (path.encode(), len(body))
        if path.startswith("/much"):
            answer *= 10_000
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "site_led.py").write_text(SITE)
    return tmp_path


def led(server: Server) -> int:
    return int(httpx.get(server.origin + "/led").text)


async def ask_in_turn(server: Server, name: str, kinds: tuple[str, ...]) -> None:
    """One connection, two requests at a time, each told apart by its path and by the size of its body."""
    reader, writer = await asyncio.open_connection(*server.address)
    for number in range(0, REQUESTS, 2):
        paths = [f"/{kinds[i % len(kinds)]}/{name}/{i}" for i in (number, number + 1)]
        for i, path in enumerate(paths):
            body = b"x" * (70_000 if path.startswith("/post") else i)
            head = f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
        for i, path in enumerate(paths):
            size = 70_000 if path.startswith("/post") else i
            line = f"{path} has {size} bytes\n".encode()
            expected = line * 10_000 if path.startswith("/much") else line
            answer_head = await reader.readuntil(b"\r\n\r\n")
            assert answer_head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert f"content-length: {len(expected)}\r\n".encode() in answer_head.lower()
            assert await reader.readexactly(len(expected)) == expected
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_quick_requests_are_led_and_none_is_mixed_up(place: Path, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")

    async def crowd(server: Server) -> None:
        await asyncio.gather(*(ask_in_turn(server, f"c{client}", ("quick",)) for client in range(CLIENTS)))

    with running("site_led:app", "--loop", loop, cwd=place) as server:
        give_up_at = time.monotonic() + GIVE_UP_S
        while True:
            asyncio.run(crowd(server))
            if not has_lock():
                # Without the interpreter's lock all threads compute at once, and nobody leads.
                assert led(server) == 0
                break
            if led(server) > 0:
                break
            # On a busy machine computing may look like waiting; that is judged anew every second.
            assert time.monotonic() < give_up_at, "no thread ever did a turn"
        assert "ERROR" not in server.log


def test_everything_at_once(place: Path) -> None:
    async def over_http2(server: Server, name: str) -> None:
        async with httpx.AsyncClient(http1=False, http2=True, base_url=server.origin) as client:
            for number in range(REQUESTS // 2):
                paths = [f"/{kind}/{name}/{number}" for kind in ("quick", "much", "wait", "quick")]
                answers = await asyncio.gather(*(client.post(path, content=b"y" * 100) for path in paths))
                for path, answer in zip(paths, answers, strict=True):
                    line = f"{path} has 100 bytes\n"
                    assert answer.http_version == "HTTP/2"
                    assert answer.text == (line * 10_000 if path.startswith("/much") else line)

    async def crowd(server: Server) -> None:
        kinds = [("quick",), ("quick", "wait"), ("quick", "quick", "much"), ("post", "quick")]
        await asyncio.gather(
            *(ask_in_turn(server, f"c{client}", kinds[client % 4]) for client in range(CLIENTS)),
            *(over_http2(server, f"h{client}") for client in range(3)),
        )

    with running("site_led:app", cwd=place) as server:
        asyncio.run(crowd(server))
        assert "ERROR" not in server.log


def test_debug_mode_leaves_all_turns_to_the_loop(place: Path) -> None:
    # There asyncio refuses calls from other threads than its own.

    async def crowd(server: Server) -> None:
        await asyncio.gather(*(ask_in_turn(server, f"c{client}", ("quick",)) for client in range(CLIENTS)))

    with running("site_led:app", cwd=place, environment={"PYTHONASYNCIODEBUG": "1"}) as server:
        asyncio.run(crowd(server))
        assert led(server) == 0
        assert "ERROR" not in server.log
