"""Clients that do anything that is legal, in any order, and leave at any moment: nothing is left of them afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.http2 import PREFACE, data, headers, ping, rst, settings, update
from tests.support.inprocess import in_loop, logged, read_body, serving, until
from tests.support.multiplexed import request
from torana.wire.http2.limits import Limits

INITIAL_WINDOW = 4
KINDS = (b"/plain", b"/large", b"/echo", b"/never", b"/early", b"/file", b"/trailers", b"/slow", b"/fail", b"/late")


def asgi(path: Path) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        kind = scope["path"]
        start = {"type": "http.response.start", "status": 200, "headers": [], "trailers": kind == "/trailers"}
        if kind == "/echo":
            await send(start)
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    return
                await send({"type": "http.response.body", "body": event["body"], "more_body": event["more_body"]})
                if not event["more_body"]:
                    return
        if kind == "/never":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        if kind == "/fail":
            raise ValueError("as it should")
        if kind == "/slow":
            await asyncio.sleep(0.02)
        if kind not in ("/early", "/never"):
            await read_body(receive)
        await send(start)
        if kind == "/late":
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
            raise ValueError("as it should")
        if kind == "/file":
            await send({"type": "http.response.pathsend", "path": str(path)})
            return
        for _ in range(8 if kind == "/large" else 0):
            await send({"type": "http.response.body", "body": bytes(30_000), "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})
        if kind == "/trailers":
            await send({"type": "http.response.trailers", "headers": [(b"x-end", b"1")]})

    return app


def wsgi(path: Path) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        kind = environ["PATH_INFO"]
        if kind == "/fail":
            raise ValueError("as it should")
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        if kind == "/file":
            return environ["wsgi.file_wrapper"](path.open("rb"))
        if kind == "/slow":
            time.sleep(0.02)
        if kind == "/late":
            return late()
        if kind == "/large":
            return (bytes(30_000) for _ in range(8))
        return [body, b"end"]

    def late() -> Any:
        yield b"part"
        raise ValueError("as it should")

    return app


class Whim:
    """One connection's client: legal frames, without a plan."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.number = 1
        self.open: list[int] = []
        self.allowed = 200_000

    def frames(self) -> bytes:
        """The next thing it does."""
        chance = self.chance
        act = chance.random()
        if act < 0.35 or not self.open:
            number, self.number = self.number, self.number + 2
            is_end = chance.random() < 0.5
            if not is_end:
                self.open.append(number)
            return headers(number, request(chance.choice(KINDS), (b"te", b"trailers"), method=b"POST"), is_end=is_end)
        number = chance.choice(self.open)
        if act < 0.65 and self.allowed > 20_000:
            size = chance.choice((0, 1, 500, 9000))
            self.allowed -= size + 10
            is_end = chance.random() < 0.4
            if is_end:
                self.open.remove(number)
            return data(number, bytes(size), is_end=is_end, padding=9 if chance.random() < 0.3 else None)
        if act < 0.8:
            self.open.remove(number)
            return rst(number)
        if act < 0.95:
            return update(0, 20_000) + update(number, chance.choice((1, 1000, 60_000)))
        if act < 0.98:
            return settings((INITIAL_WINDOW, chance.choice((0, 100, 65_535))))
        return ping()


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@pytest.mark.parametrize("seed", range(3))
@in_loop
async def test_whatever_clients_do_nothing_is_left_of_them(interface: str, seed: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(150_000))
    app = asgi(path) if interface == "asgi3" else wsgi(path)
    options = {"serve": {"http2": Limits(streams=20, resets=100_000)}, "gateway": {"threads": 4}}

    async def client(chance: random.Random) -> None:
        async with await server.connect() as raw:
            whim = Whim(chance)
            out = PREFACE + settings() + settings(flags=1)
            with contextlib.suppress(ConnectionError):
                for _ in range(chance.randrange(5, 150)):
                    for _ in range(chance.randrange(1, 4)):
                        out += whim.frames()
                    cut = chance.randrange(len(out) + 1)
                    out = out[raw.send_what_fits(out[:cut]) :]
                    if chance.random() < 0.7:
                        with contextlib.suppress(BlockingIOError):
                            raw.sock.recv(chance.choice((100, 100_000)))
                    await asyncio.sleep(chance.choice((0, 0, 0.001)))
            if chance.random() < 0.3:
                raw.reset()

    with logged() as log:
        async with serving(app, interface, **options) as server:
            chance = random.Random(seed)
            for _ in range(6):
                await asyncio.gather(*(client(random.Random(chance.random())) for _ in range(6)))
            await server.settled(0)
            site = server.server.site
            assert site is not None
            await until(lambda: site.running == 0)
            gateway = server.server._gateway
            await until(lambda: gateway.running() == 0)
            assert site.served > 100
        assert server.server.is_clean is not None
    complaints = [line for line in log.errors() if "as it should" not in line and "POST /" not in line]
    assert complaints == []
