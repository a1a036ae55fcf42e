"""Memory that one request has freed serves the next one; it is not given to the system and taken again each time."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

import pytest

from tests.support.server import running

CLIENTS = 16
REQUESTS = 40
BODY = b"x" * 65_536

SITE = """
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def page_faults(pid: int) -> int:
    """Minor faults of a process so far (proc(5), ``minflt``)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have heaps of their own")
def test_bodies_that_come_and_go_take_no_page_faults(tmp_path: Path) -> None:
    (tmp_path / "site_echo.py").write_text(SITE)

    async def client(address: tuple[str, int], requests: int) -> None:
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(requests):
            writer.write(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(BODY)) == BODY
        writer.close()
        await writer.wait_closed()

    async def crowd(address: tuple[str, int], requests: int) -> None:
        await asyncio.gather(*(client(address, requests) for _ in range(CLIENTS)))

    with running("site_echo:app", "--threads", "2", cwd=tmp_path) as server:
        asyncio.run(crowd(server.address, REQUESTS))
        before = page_faults(server.pid)
        asyncio.run(crowd(server.address, REQUESTS))
        # A body is 16 pages, and it is read, kept and sent.
        assert (page_faults(server.pid) - before) / (CLIENTS * REQUESTS) < 4
