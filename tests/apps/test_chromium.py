"""A real browser (Debian's chromium, driven by Playwright): pages, WebSocket, server-sent events and fetch.

Each over HTTP/1.1 on plain TCP, HTTP/1.1 over TLS and HTTP/2 over TLS; what a page does is JavaScript below.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.apps.http2_site import pieces
from tests.apps.websocket_site import text_of
from tests.support.server import Server, running

HERE = Path(__file__).parent
TIMEOUT_MS = 30_000
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--ignore-certificate-errors",
]

#: Opens a WebSocket; `next()` resolves to the next message, or to {code, reason, wasClean} when it is closed.
OPEN = """
async (url, protocols) => {
    const socket = new WebSocket(url, protocols || []);
    socket.binaryType = "arraybuffer";
    const arrived = [], waiting = [];
    const push = (what) => waiting.length ? waiting.shift()(what) : arrived.push(what);
    socket.onmessage = (event) => push(event.data);
    socket.onclose = (event) => push({code: event.code, reason: event.reason, wasClean: event.wasClean});
    socket.next = () => arrived.length ? Promise.resolve(arrived.shift()) : new Promise((take) => waiting.push(take));
    await new Promise((resolve) => { socket.onopen = resolve; socket.addEventListener("close", resolve); });
    return socket;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["1.1", "1.1-tls", "2"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(browser: Any, version: str, loopback: Loopback) -> Iterator[Server]:
    flags = {"1.1": [], "1.1-tls": ["--http", "1", *loopback.flags()], "2": loopback.flags()}[version]
    with running("chromium_site:app", *flags, app_dir=HERE) as server:
        yield server


@pytest.fixture(scope="module")
def tab(browser: Any, server: Server) -> Iterator[Any]:
    """Its process is the costly part of a page."""
    tab = browser.new_page()
    tab.set_default_timeout(TIMEOUT_MS)
    yield tab
    tab.close()


@pytest.fixture
def page(tab: Any, server: Server, version: str) -> Iterator[Any]:
    """A page of the server, opened over the version that is tested."""
    tab.goto(f"{server.origin}/page")
    protocol = tab.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    assert protocol == {"2": "h2"}.get(version, "http/1.1")
    yield tab
    # What is still open ends with the page.
    tab.goto("about:blank")


def evaluate(page: Any, function: str, argument: Any = None) -> Any:
    """Call a JavaScript function in the page and wait for what it promises, for half a minute at the longest."""
    bounded = f"""(argument) => Promise.race([
        ({function})(argument),
        new Promise((_, fail) => setTimeout(() => fail(new Error("not settled in time")), {TIMEOUT_MS})),
    ])"""
    return page.evaluate(bounded, argument)


def socket_url(server: Server, path: str) -> str:
    scheme = "wss" if server.scheme == "https" else "ws"
    return f"{scheme}://{server.host}:{server.port}{path}"


def converse(page: Any, url: str, script: str, protocols: list[str] | None = None, **arguments: Any) -> Any:
    """Open a WebSocket in the page and run `script`, a function's body, with `socket` and the arguments."""
    names = ", ".join(["socket", *arguments])
    whole = f"""async ([url, protocols, values]) => {{
        const socket = await ({OPEN})(url, protocols);
        return await (async ({names}) => {{ {script} }})(socket, ...values);
    }}"""
    return evaluate(page, whole, [url, protocols, list(arguments.values())])


def number_of(version: str) -> str:
    return version.removesuffix("-tls")


# WebSocket


def test_websocket_is_carried_by_the_pages_version(page: Any, server: Server, version: str) -> None:
    """On a page over HTTP/2 by an extended CONNECT on the page's own connection (RFC 8441)."""
    said = converse(page, socket_url(server, "/describe?a=1"), "socket.send('?'); return await socket.next();")
    seen = json.loads(said)
    assert seen["http_version"] == number_of(version)
    assert seen["scheme"] == ("ws" if version == "1.1" else "wss")
    assert (seen["path"], seen["query"]) == ("/describe", "a=1")
    assert "origin" in seen["headers"]
    assert ("sec-websocket-key" in seen["headers"]) is (version != "2")
    assert not [name for name in seen["headers"] if name.startswith(":")]


def test_websocket_echoes_text_and_binary(page: Any, server: Server) -> None:
    script = """
        const wrong = [];
        for (const size of [0, 1, 125, 126, 65535, 65536, 1000000]) {
            const text = "a".repeat(size);
            socket.send(text);
            if (await socket.next() !== text) wrong.push(["text", size]);
            const bytes = new Uint8Array(size).map((_, index) => index * 7);
            socket.send(bytes);
            const back = new Uint8Array(await socket.next());
            if (back.length !== size || back.some((byte, index) => byte !== bytes[index])) wrong.push(["bytes", size]);
        }
        const odd = "ré – 日本語 – 🦀 \\u0000";
        socket.send(odd);
        if (await socket.next() !== odd) wrong.push("odd");
        socket.close(1000);
        return [wrong, await socket.next()];
    """
    wrong, closed = converse(page, socket_url(server, "/echo"), script)
    assert wrong == []
    assert closed == {"code": 1000, "reason": "", "wasClean": True}


def test_websocket_big_messages(page: Any, server: Server) -> None:
    """5 MiB of text that compresses, and of bytes that do not, told apart by their digests."""
    script = """
        const line = "The same words again and again, as text that compresses well has them. ";
        const text = line.repeat(size / line.length + 1).slice(0, size);
        socket.send(text);
        const first = await socket.next();
        const bytes = new Uint8Array(size);
        let seed = 1;
        for (let at = 0; at < size; at++) { seed = (seed * 48271) % 2147483647; bytes[at] = seed; }
        socket.send(bytes);
        return [first, await socket.next()];
    """
    size = 5 * 1024 * 1024
    text, data = converse(page, socket_url(server, "/digest"), script, size=size)
    assert text == f"str {size} {hashlib.sha256(text_of(size).encode()).hexdigest()}"
    seed, sums = 1, bytearray()
    for _ in range(size):
        seed = seed * 48271 % 2147483647
        sums.append(seed & 255)
    assert data == f"bytes {size} {hashlib.sha256(sums).hexdigest()}"


def test_websocket_is_compressed(page: Any, server: Server) -> None:
    said = converse(
        page, socket_url(server, "/echo"), "socket.send('x'); await socket.next(); return socket.extensions"
    )
    assert "permessage-deflate" in said


def test_websocket_many_messages_in_order(page: Any, server: Server) -> None:
    script = """
        for (let number = 0; number < 3000; number++) socket.send(number + " " + "y".repeat(number));
        for (let number = 0; number < 3000; number++) {
            const got = await socket.next();
            if (got !== number + " " + "y".repeat(number)) return [number, got];
        }
        return "right";
    """
    assert converse(page, socket_url(server, "/echo"), script) == "right"


def test_websocket_many_at_once(page: Any, server: Server) -> None:
    script = f"""async (url) => {{
        const one = async (number) => {{
            const socket = await ({OPEN})(url);
            for (let turn = 0; turn < 5; turn++) {{
                socket.send(number + "/" + turn);
                if (await socket.next() !== number + "/" + turn) return "wrong";
            }}
            socket.close(1000);
            return (await socket.next()).code;
        }};
        return await Promise.all(Array.from({{length: 60}}, (_, number) => one(number)));
    }}"""
    assert evaluate(page, script, socket_url(server, "/echo")) == [1000] * 60


def test_websocket_subprotocol(page: Any, server: Server) -> None:
    said = converse(page, socket_url(server, "/subprotocol/two"), "return socket.protocol", ["one", "two"])
    assert said == "two"


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (3000, "ré"), (4999, "x" * 123)])
def test_websocket_close_by_the_application(page: Any, server: Server, code: int, reason: str) -> None:
    url = socket_url(server, f"/close/{code}/{reason.replace('é', '%C3%A9')}")
    said = converse(page, url, "socket.send('now'); return await socket.next();")
    assert said == {"code": code, "reason": reason, "wasClean": True}


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (3000, "ré"), (4321, "y" * 100)])
def test_websocket_close_by_the_page(page: Any, server: Server, code: int, reason: str) -> None:
    mark = server.mark()
    script = "socket.send('one'); socket.close(code, reason); return await socket.next();"
    said = converse(page, socket_url(server, "/watch/page"), script, code=code, reason=reason)
    # What the page reads here is the server's reply, which need not repeat the reason (RFC 6455 section 5.5.1).
    assert (said["code"], said["wasClean"]) == (code, True)
    line = server.wait_for_log("note: page ended", since=mark)
    assert line.endswith(f"page ended {code} {reason} after 1 messages of 3.")


def test_websocket_of_a_page_that_is_left(browser: Any, server: Server) -> None:
    mark = server.mark()
    page = browser.new_page()
    page.goto(f"{server.origin}/page")
    converse(page, socket_url(server, "/watch/left"), "socket.send('one'); window.kept = socket;")
    server.wait_for_log("left message 1", since=mark)
    page.close()
    line = server.wait_for_log("note: left ended", since=mark)
    assert "left ended 1001" in line or "left ended 1005" in line or "left ended 1006" in line


@pytest.mark.parametrize("path", ["/reject", "/deny/401"])
def test_websocket_refused(page: Any, server: Server, path: str) -> None:
    said = converse(page, socket_url(server, path), "return await socket.next();")
    assert said == {"code": 1006, "reason": "", "wasClean": False}
    assert evaluate(page, "() => fetch('/hello').then((answer) => answer.text())") == "hello"


def test_websocket_of_an_application_that_fails(page: Any, server: Server) -> None:
    said = converse(page, socket_url(server, "/fail"), "socket.send('now'); return await socket.next();")
    assert said["code"] == 1011


def test_websocket_of_another_sites_page(page: Any, server: Server, version: str) -> None:
    """The browser tells whose page it is; that of another host is refused."""
    other = socket_url(server, "/echo").replace("127.0.0.1", "localhost")
    mark = server.mark()
    said = converse(page, other, "return await socket.next();")
    assert (said["code"], said["wasClean"]) == (1006, False)
    server.wait_for_log("ws_allowed_origins", since=mark)


def test_websocket_when_the_server_stops(browser: Any, version: str, loopback: Loopback) -> None:
    flags = {"1.1": [], "1.1-tls": ["--http", "1", *loopback.flags()], "2": loopback.flags()}[version]
    with running("chromium_site:app", *flags, app_dir=HERE) as own:
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(f"{own.origin}/page")
        converse(page, socket_url(own, "/watch/stayer"), "socket.send('one'); window.kept = socket;")
        own.wait_for_log("stayer message 1")
        own.process.terminate()
        said = evaluate(page, "() => window.kept.next()")
        assert (said["code"], said["wasClean"]) == (1012, True)
        assert own.process.wait(TIMEOUT_MS / 1000) == 0
        page.close()
        own.wait_for_end()
        assert "note: stayer ended 1012" in own.log


# Server-sent events


def test_event_source_reconnects_where_it_was(page: Any, server: Server, version: str) -> None:
    """The server ends the stream after three events; the browser comes back with Last-Event-ID, twice."""
    mark = server.mark()
    script = """(url) => new Promise((resolve) => {
        const source = new EventSource(url), got = [];
        source.addEventListener("tick", (event) => {
            got.push([event.lastEventId, event.data]);
            if (got.length === 8) { source.close(); resolve(got); }
        });
    })"""
    got = evaluate(page, script, f"/events/{version}")
    assert got == [[str(number), f"{version}\n{number} over {number_of(version)}"] for number in range(8)]
    for last in ("nothing", "2", "5"):
        server.wait_for_log(f"events {version} asked for after {last} over {number_of(version)}", since=mark)


def test_event_source_that_is_closed_tells_the_application(page: Any, server: Server) -> None:
    mark = server.mark()
    evaluate(page, """(url) => new Promise((resolve) => {
        fetch(url).then(async (answer) => {
            const reader = answer.body.getReader();
            await reader.read();
            await reader.cancel();
            resolve();
        });
    })""", "/watch/reader")  # fmt: skip
    server.wait_for_log("watch reader saw its client leave", since=mark)


# fetch


def test_fetch_describes(page: Any, version: str) -> None:
    seen = json.loads(
        evaluate(page, "() => fetch('/describe?x=%20', {method: 'PATCH'}).then((answer) => answer.text())")
    )
    assert (seen["http_version"], seen["method"], seen["query"]) == (number_of(version), "PATCH", "x=%20")
    assert not [name for name, _ in seen["headers"] if name.startswith(":")]


def test_fetch_uploads(page: Any) -> None:
    script = """async (size) => {
        const bytes = new Uint8Array(size).map((_, index) => index % 251);
        const answer = await fetch("/digest", {method: "POST", body: bytes});
        return await answer.text();
    }"""
    for size in (0, 10, 65_535, 65_536, 8_000_000):
        expected = bytes(range(251)) * (size // 251 + 1)
        assert evaluate(page, script, size) == f"{size} {hashlib.sha256(expected[:size]).hexdigest()}"


def test_fetch_uploads_a_stream(page: Any, version: str) -> None:
    """A body whose length nobody knows; Chromium sends one over HTTP/2 only."""
    if version != "2":
        pytest.skip("Chromium streams uploads over HTTP/2 only")
    script = """async (pieces) => {
        let number = 0;
        const body = new ReadableStream({
            pull(controller) {
                if (number === pieces) { controller.close(); return; }
                controller.enqueue(new Uint8Array(50000).fill(number++ % 256));
            },
        });
        return await (await fetch("/digest", {method: "POST", body, duplex: "half"})).text();
    }"""
    whole = b"".join(bytes([number % 256]) * 50_000 for number in range(100))
    assert evaluate(page, script, 100) == f"{len(whole)} {hashlib.sha256(whole).hexdigest()}"


@pytest.mark.parametrize("path", ["sized", "stream"])
def test_fetch_downloads(page: Any, path: str) -> None:
    script = """async (url) => {
        const data = await (await fetch(url, {cache: "no-store"})).arrayBuffer();
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
        return data.byteLength + " " + Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }"""
    for size in (0, 1, 65_536, 8_000_000):
        expected = hashlib.sha256(b"".join(pieces(size))).hexdigest()
        assert evaluate(page, script, f"/{path}/{size}") == f"{size} {expected}"


def test_fetch_many_at_once(page: Any) -> None:
    script = """async () => {
        const asked = Array.from({length: 200}, (_, number) => fetch("/slow/" + number, {cache: "no-store"}));
        return await Promise.all(asked.map(async (answer) => await (await answer).text()));
    }"""
    assert evaluate(page, script) == ["slow"] * 200


@pytest.mark.parametrize("path", ["watch", "held"])
def test_fetch_that_is_aborted_tells_the_application(page: Any, server: Server, path: str) -> None:
    """While an answer streams, and before it has begun; what the page asks next is answered."""
    mark = server.mark()
    begin = """async ([url, isBegun]) => {
        window.aborter = new AbortController();
        window.asked = fetch(url, {signal: window.aborter.signal, cache: "no-store"});
        if (isBegun) await (await window.asked).body.getReader().read();
    }"""
    abort = """async () => {
        window.aborter.abort();
        await window.asked.catch(() => null);
        return await (await fetch("/hello", {cache: "no-store"})).text();
    }"""
    evaluate(page, begin, [f"/{path}/aborted-{path}", path == "watch"])
    if path == "held":
        server.wait_for_log("held aborted-held began", since=mark)
    assert evaluate(page, abort) == "hello"
    server.wait_for_log(f"{path} aborted-{path} saw its client leave", since=mark)


def test_a_websocket_and_fetches_share_the_connection(page: Any, server: Server, version: str) -> None:
    """A WebSocket stays alive while downloads and uploads fill the same connection's windows."""
    script = f"""async ([url, turns]) => {{
        const socket = await ({OPEN})(url);
        const downloads = Array.from({{length: 6}}, () =>
            fetch("/sized/5000000", {{cache: "no-store"}}).then((answer) => answer.arrayBuffer()));
        const uploads = Array.from({{length: 3}}, () =>
            fetch("/digest", {{method: "POST", body: new Uint8Array(3000000)}}).then((answer) => answer.text()));
        for (let turn = 0; turn < turns; turn++) {{
            socket.send("turn " + turn);
            if (await socket.next() !== "turn " + turn) return "wrong";
        }}
        const sizes = (await Promise.all(downloads)).map((data) => data.byteLength);
        const sums = (await Promise.all(uploads)).map((text) => text.split(" ")[0]);
        socket.close();
        return [sizes, sums];
    }}"""
    sizes, sums = evaluate(page, script, [socket_url(server, "/echo"), 200])
    assert (sizes, sums) == ([5_000_000] * 6, ["3000000"] * 3)
