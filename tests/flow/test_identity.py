"""Who the client is: forwarded fields and the PROXY protocol, from trusted hops only (G-073, G-074)."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest

from tests.support.inprocess import GET, Client, answer_with, in_loop, logged, serving

TRUSTED = {"forwarded_allow_ips": ("127.0.0.1",)}
STRANGER = {"forwarded_allow_ips": ("10.0.0.1",)}
PROXY = {"proxy_protocol": True, **TRUSTED}
V1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H4s4sHH", 12, bytes([1, 2, 3, 4]), bytes([5, 6, 7, 8]), 1111, 2222)


async def telling(scope: Any, receive: Any, send: Any) -> None:
    told = {name: scope[name] for name in ("client", "server", "scheme")}
    told["fields"] = [name.decode() for name, _ in scope["headers"]]
    await answer_with(send, json.dumps(told).encode())


async def told(client: Client, data: bytes = GET) -> Any:
    answer = await client.ask(data)
    assert answer.status == 200, answer
    return json.loads(answer.body)


FORWARDED = b"GET / HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 9.9.9.9, 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n"


@in_loop
async def test_trusted_hop_speaks_for_its_client() -> None:
    async with serving(telling, identity=TRUSTED) as server, await server.connect() as client:
        seen = await told(client, FORWARDED)
        assert (seen["client"][0], seen["scheme"]) == ("1.2.3.4", "https")
        # Each request for itself.
        seen = await told(client)
        assert (seen["client"][0], seen["scheme"]) == ("127.0.0.1", "http")


@in_loop
async def test_stranger_speaks_for_nobody_and_one_line_says_so() -> None:
    with logged() as log:
        async with serving(telling, identity=STRANGER) as server, await server.connect() as client:
            for data in (
                FORWARDED,
                FORWARDED,
                FORWARDED.replace(b"X-Forwarded-Proto: https", b"Forwarded: for=9.9.9.9"),
            ):
                seen = await told(client, data)
                assert (seen["client"][0], seen["scheme"]) == ("127.0.0.1", "http")
                assert seen["fields"] == ["host"]
    [line] = [line for line in log.lines() if "untrusted" in line]
    assert "x-forwarded-for" in line and "127.0.0.1" in line and "forwarded_allow_ips" in line


@in_loop
async def test_wsgi_hears_the_same() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        names = sorted(name for name in environ if "FORWARDED" in name)
        return [f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']} {len(names)}".encode()]

    for identity, expected in ((TRUSTED, b"1.2.3.4 https"), (STRANGER, b"127.0.0.1 http 0")):
        async with serving(app, "wsgi", identity=identity) as server, await server.connect() as client:
            assert (await client.ask(FORWARDED)).body.startswith(expected)


@in_loop
async def test_nonsense_of_a_trusted_hop_harms_nobody() -> None:
    async with serving(telling, identity=TRUSTED) as server:
        for value in (b"", b"unknown", b"garbage", b",,,", b"[::1", b"1.2.3.4:99999", b"\xff\xfe"):
            async with await server.connect() as client:
                answer = await client.ask(b"GET / HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: " + value + b"\r\n\r\n")
                assert answer.status in (200, 400)
                if answer.status == 200:
                    assert json.loads(answer.body)["client"][0] == "127.0.0.1" or b"1.2.3.4" in value


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("way", ["whole", "bytes", "apart"])
@in_loop
async def test_proxy_header_names_the_client(header: bytes, way: str) -> None:
    async with serving(telling, identity=PROXY) as server, await server.connect() as client:
        if way == "bytes":
            for byte in header:
                await client.send(bytes([byte]))
                await asyncio.sleep(0)
        elif way == "apart":
            await client.send(header)
            await server.settled(1)
        seen = await told(client, GET if way != "whole" else header + GET)
        assert (seen["client"], seen["server"]) == (["1.2.3.4", 1111], ["5.6.7.8", 2222])
        # It counts for the whole connection.
        assert (await told(client))["client"] == ["1.2.3.4", 1111]


@pytest.mark.parametrize(
    "data",
    [
        GET,
        b"PROXY NONSENSE\r\n" + GET,
        b"PROXY TCP4 " + b"1" * 200,
        V2[:12] + b"\x21\x11\xff\xff" + bytes(8000),
        V2[:12] + b"\x51\x11\0\0",
        V1 + V1 + GET,
    ],
    ids=["missing", "nonsense", "v1-long", "v2-long", "version", "double"],
)
@in_loop
async def test_missing_or_malformed_header_ends_the_connection(data: bytes) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"])
        await answer_with(send)

    async with serving(app, identity=PROXY) as server, await server.connect() as client:
        await client.send(data)
        got = await client.read_to_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 400")
        await server.settled(0)
    assert seen == []


@in_loop
async def test_proxy_header_has_its_time() -> None:
    async with serving(telling, identity=PROXY, timeouts={"proxy_header_s": 0.2}) as server:
        async with await server.connect() as client:
            await client.send(V1[:10])
            await client.ended()


@in_loop
async def test_client_that_leaves_within_its_proxy_header_is_forgotten() -> None:
    async with serving(telling, identity=PROXY) as server:
        for way in ("close", "reset", "finish_writing"):
            client = await server.connect()
            await client.send(V1[:10])
            await server.settled(1)
            getattr(client, way)()
            await server.settled(0)
            client.close()


@in_loop
async def test_proxy_header_of_a_stranger_is_no_request() -> None:
    async with serving(telling, identity={"proxy_protocol": True, **STRANGER}) as server:
        async with await server.connect() as client:
            assert (await client.ask(V1 + GET)).status == 400
            await client.ended()
        async with await server.connect() as client:
            assert (await told(client))["client"][0] == "127.0.0.1"


@in_loop
async def test_local_header_keeps_the_hop_itself() -> None:
    local = V2[:12] + b"\x20\0\0\0"
    async with serving(telling, identity=PROXY) as server, await server.connect() as client:
        assert (await told(client, local + GET))["client"][0] == "127.0.0.1"


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
@in_loop
async def test_proxy_header_of_a_stranger_is_refused_and_one_line_says_so(header: bytes, is_on: bool) -> None:
    with logged() as log:
        async with serving(telling, identity={"proxy_protocol": is_on, **STRANGER}) as server:
            for _ in range(2):
                async with await server.connect() as client:
                    answer = await client.ask(header + GET)
                    assert answer.status == 400
    [line] = [line for line in log.lines() if "untrusted" in line]
    assert "PROXY protocol header" in line and "forwarded_allow_ips" in line
