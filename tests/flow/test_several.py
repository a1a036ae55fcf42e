"""Several applications in one server: each is told its own mount point, over both versions of HTTP, and a WebSocket
comes to the one that it is for.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.http2 import WEBSOCKET, headers
from tests.support.inprocess import Client, answer_with, in_loop, logged, make_server, serving
from tests.support.multiplexed import speaking
from tests.support.talking import handshake, read_frame, upgraded
from tests.support.talking import text as text_frame
from torana.base.errors import LoadError
from torana.gateway.parts import Pair, Part, Parts


class Asgi:
    """Tells what it is told, and echoes with its name."""

    def __init__(self, name: str, notes: list[str] | None = None) -> None:
        self.name = name
        self.notes = [] if notes is None else notes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (step := (await receive())["type"].removeprefix("lifespan.")) != "shutdown":
                self.notes.append(f"{self.name} {step}")
                if step == "startup":
                    if self.name == "fails":
                        await send({"type": "lifespan.startup.failed", "message": "no luck"})
                        return
                    scope["state"]["whose"] = self.name
                    await send({"type": "lifespan.startup.complete", "torana.lifecycle": True})
                elif step == "drain":
                    await send({"type": "lifespan.drain.complete"})
            self.notes.append(f"{self.name} shutdown")
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (event := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": f"{self.name} {scope['path']}: {event['text']}"})
        else:
            told = [self.name, scope["root_path"], scope["path"], scope.get("state", {}).get("whose")]
            await answer_with(send, json.dumps(told).encode())


def wsgi(name: str) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps([name, environ["SCRIPT_NAME"], environ["PATH_INFO"], None]).encode()]

    return app


def part(app: Any, interface: str, name: str, path: str = "", *hosts: str, mount: str | None = None) -> Part:
    return Part(app, interface, name, hosts, path, mount)


SITES = Parts(
    (
        part(wsgi("site"), "wsgi", "site"),
        part(Asgi("api"), "asgi3", "api", "/api"),
        part(wsgi("old"), "wsgi", "old", "/api/old"),
        part(Asgi("whole"), "asgi3", "whole", "/whole/of/it", mount="/whole"),
        part(Pair(wsgi("web"), "web", Asgi("live"), "live", "asgi3", ("websocket", "/sse/*")), "", "shop", "/shop"),
        part(Asgi("hosted"), "asgi3", "hosted", "", "shop.example"),
    )
)
ON: dict[str, Any] = {"gateway": {"lifespan": "on"}}

TOLD = [
    (b"/", ["site", "", "/", None]),
    (b"/apix", ["site", "", "/apix", None]),
    (b"/api", ["api", "/api", "/api", "api"]),
    (b"/api/x%20y", ["api", "/api", "/api/x y", "api"]),
    (b"/%61pi/x", ["api", "/api", "/api/x", "api"]),
    (b"/api/old", ["old", "/api/old", "", None]),
    (b"/api/old/x", ["old", "/api/old", "/x", None]),
    (b"/api/%6Fld/x", ["old", "/api/old", "/x", None]),
    (b"/whole/of/it/x", ["whole", "/whole", "/whole/of/it/x", "whole"]),
    (b"/shop/x", ["web", "/shop", "/x", None]),
    (b"/shop/sse/x", ["live", "/shop", "/shop/sse/x", "live"]),
]


async def told(client: Client, target: bytes, host: bytes = b"t") -> Any:
    answer = await client.ask(b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert answer.status == 200, answer
    return json.loads(answer.body)


@in_loop
async def test_each_is_told_its_own_mount_point() -> None:
    async with serving(SITES, **ON) as server, await server.connect() as client:
        for target, expected in TOLD:
            assert await told(client, target) == expected
        assert await told(client, b"/api/x", b"SHOP.example.:80") == ["hosted", "", "/api/x", "hosted"]


@in_loop
async def test_below_the_mount_point_of_the_server_whether_a_proxy_takes_it_away_or_not() -> None:
    async with serving(SITES, gateway={"lifespan": "on", "root_path": "/pre"}) as server:
        async with await server.connect() as client:
            for target, (name, root, path, state) in TOLD:
                full = "/pre" + path if name in ("api", "whole", "live") else path
                for asked in (target, b"/pre" + target):
                    assert await told(client, asked) == [name, "/pre" + root, full, state]


@in_loop
async def test_over_http2_too() -> None:
    async with serving(SITES, **ON) as server, speaking(server) as client:
        streams = [(await client.get(target), expected) for target, expected in TOLD]
        await client.answered(*(stream for stream, _ in streams))
        assert [json.loads(client.body(stream)) for stream, _ in streams] == [expected for _, expected in streams]


@pytest.mark.parametrize(("path", "name"), [(b"/api/ws", "api"), (b"/shop/ws", "live"), (b"/whole/of/it", "whole")])
@in_loop
async def test_a_websocket_comes_to_its_own(path: bytes, name: str) -> None:
    async with serving(SITES, **ON) as server:
        async with await server.connect() as client:
            await client.send(handshake(path=path))
            assert (await client.read_head()).status == 101
            await client.send(text_frame("hello"))
            assert await read_frame(client) == (1, f"{name} {path.decode()}: hello".encode())
        async with speaking(server) as multiplexed:
            stream = multiplexed.number()
            fields = [(field, path if field == b":path" else value) for field, value in WEBSOCKET]
            await multiplexed.send(headers(stream, fields, is_end=False))
            await multiplexed.until(lambda: stream in multiplexed.peer.heads)
            assert multiplexed.status(stream) == 200


@in_loop
async def test_where_nobody_is() -> None:
    parts = Parts((part(Asgi("api"), "asgi3", "api", "/api", "a.example"),))
    async with serving(parts, **ON) as server, await server.connect() as client:
        for target, host, status in (
            (b"/", b"a.example", 404),
            (b"/api", b"b.example", 421),
            (b"//api", b"a.example", 400),
        ):
            head = b"POST " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 3\r\n\r\nabc"
            answer = await client.ask(head)
            assert (answer.status, answer.get("content-type")) == (status, b"text/plain; charset=utf-8")
        answer = await client.ask(b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n", "HEAD")
        assert (answer.status, answer.body) == (404, b"")
        await client.send(handshake(path=b"/", host=b"a.example"))
        assert (await client.read()).status == 404
        assert await told(client, b"/api", b"a.example") == ["api", "/api", "/api", "api"], "the connection goes on"
        async with speaking(server) as multiplexed:
            stream = multiplexed.number()
            await multiplexed.send(headers(stream, WEBSOCKET, is_end=False))
            await multiplexed.answered(stream)
            assert multiplexed.status(stream) == 421


@in_loop
async def test_all_lives_are_led_in_order() -> None:
    notes: list[str] = []
    pair = Pair(wsgi("web"), "web", Asgi("b", notes), "b", "asgi3", ("websocket",))
    parts = Parts((part(Asgi("a", notes), "asgi3", "a", "/a"), part(pair, "", "pair")))
    server = make_server(parts, **ON)
    await server.start()
    server.request_stop()
    await server.finished()
    steps = [note.split()[1] for note in notes]
    assert notes[:2] == ["a startup", "b startup"]
    assert steps == [step for step in ("startup", "ready", "drain", "drained", "shutdown") for _ in range(2)]


@in_loop
async def test_one_that_refuses_to_start_ends_the_others() -> None:
    notes: list[str] = []
    parts = Parts((part(Asgi("a", notes), "asgi3", "a", "/a"), part(Asgi("fails", notes), "asgi3", "main:bad")))
    server = make_server(parts, **ON)
    with pytest.raises(LoadError, match=r"^main:bad: the application refused to start: no luck"):
        await server.start()
    assert notes == ["a startup", "fails startup", "a shutdown"]


@in_loop
async def test_a_failure_stays_with_its_application() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    parts = Parts((part(broken, "asgi3", "broken", "/broken"), part(wsgi("site"), "wsgi", "site")))
    with logged() as log:
        async with serving(parts, serve={"error_pages": True}) as server, await server.connect() as client:
            answer = await client.ask(b"GET /broken HTTP/1.1\r\nHost: t\r\n\r\n")
            assert answer.status == 500
            assert b"ValueError" in answer.body
            assert await told(client, b"/") == ["site", "", "/", None]
    assert len(log.errors()) == 1


@in_loop
async def test_a_health_path_stands_before_all() -> None:
    parts = Parts((part(Asgi("api"), "asgi3", "api", "/api", "a.example"),))
    async with serving(parts, serve={"health_path": "/health"}) as server, await server.connect() as client:
        assert (await client.ask(b"GET /health HTTP/1.1\r\nHost: anything\r\n\r\n")).body == b"ok"


@in_loop
async def test_a_pair_alone() -> None:
    pair = Pair(wsgi("web"), "web", Asgi("live"), "live", "asgi3", ("websocket", "/sse/*"))
    async with serving(pair, **ON) as server, await server.connect() as client:
        assert await told(client, b"/x") == ["web", "", "/x", None]
        assert await told(client, b"/sse/x") == ["live", "", "/sse/x", "live"]
        await upgraded(client)
        await client.send(text_frame("hello"))
        assert await read_frame(client) == (1, b"live /ws: hello")
