"""HTTP/2 by clients we did not write: curl and httpx, and nghttp2's own nghttp and h2load where they are installed.

By prior knowledge on plain TCP and by ALPN over TLS; one site over ASGI and over WSGI (``http2_site``).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.apps.conftest import Loopback
from tests.apps.http2_site import digest, pieces
from tests.support.curl import CurlResult, curl
from tests.support.server import Server, running

HERE = Path(__file__).parent
TIMEOUT_S = 60
LARGE = bytes(range(256)) * 4096 * 5  # 5 MiB


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str) -> Iterator[Server]:
    """Plain TCP."""
    with running(f"http2_site:{kind}_app", "--interface", kind, app_dir=HERE) as server:
        yield server


@pytest.fixture(scope="module")
def tls_server(kind: str, loopback: Loopback) -> Iterator[Server]:
    with running(f"http2_site:{kind}_app", "--interface", kind, *loopback.flags(), app_dir=HERE) as server:
        yield server


@pytest.fixture
def asgi_server(kind: str, server: Server) -> Server:
    """For what WSGI cannot do."""
    if kind != "asgi":
        pytest.skip("not something a WSGI application can do")
    return server


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)
    return path


def tool(name: str, *arguments: str) -> str:
    """Run one of nghttp2's programs and return what it printed; it must succeed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install nghttp2-client)")
    done = subprocess.run(
        [found, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, said[-3000:]
    return said


# curl


def curl_2(*arguments: str, data: bytes | None = None) -> CurlResult:
    """curl over plain TCP, HTTP/2 from the first byte; it must succeed, without an HTTP/1 head anywhere."""
    result = curl("--http2-prior-knowledge", *arguments, data=data)
    assert result.exit_code == 0, result.trace[-3000:]
    assert not [line for line in result.received() if line.startswith("HTTP/1")]
    return result


def test_curl_describes(server: Server) -> None:
    result = curl_2("-b", "a=1; b=2", f"{server.origin}/describe?q=%20x")
    seen = json.loads(result.body)
    fields = dict(seen["headers"])
    assert (seen["http_version"], seen["method"], seen["path"]) == ("2", "GET", "/describe")
    assert (seen["scheme"], seen["query"]) == ("http", "q=%20x")
    assert fields["host"] == f"{server.host}:{server.port}"
    assert fields["cookie"] == "a=1; b=2"
    assert not [name for name in fields if name.startswith(":")]


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, len(LARGE)])
def test_curl_uploads_and_downloads(server: Server, size: int) -> None:
    body = LARGE[:size]
    assert curl_2("--data-binary", "@-", f"{server.origin}/digest", data=body).body == digest(body)
    assert curl_2("--data-binary", "@-", f"{server.origin}/echo", data=body).body == body
    for path in ("stream", "sized"):
        result = curl_2(f"{server.origin}/{path}/{size}")
        assert result.body == b"".join(pieces(size))
        has_length = any(line == f"content-length: {size}" for line in result.received())
        assert has_length or path == "stream"


def test_curl_uploads_what_has_no_length(server: Server) -> None:
    result = curl_2("-T", "-", "-H", "Expect:", f"{server.origin}/digest", data=LARGE)
    assert result.body == digest(LARGE)
    assert not [line for line in result.sent() if line.lower().startswith("content-length")]


def test_curl_many_on_one_connection(tls_server: Server, loopback: Loopback) -> None:
    """Over TLS: with prior knowledge curl 7.88 multiplexes before the connection stands, and fails with any server."""
    flags = ["--cacert", str(loopback.authority), "--http2", "--parallel", "--parallel-max", "20"]
    # Not from the trace, in which one transfer's progress may stand before another's status line.
    result = curl(*flags, "-w", " %{http_code}\n", f"{tls_server.origin}/slow?[1-60]")
    assert result.exit_code == 0, result.trace[-3000:]
    assert result.body.count(b"slow") == result.body.count(b" 200\n") == 60
    assert len(result.body) == 60 * len("slow 200\n")
    assert result.trace.count("ALPN: server accepted h2") == 1


def test_curl_head_has_no_body(server: Server) -> None:
    result = curl_2("-I", f"{server.origin}/hello")
    assert "content-length: 5" in result.received()
    assert result.statuses() == [200]


def test_curl_expecting_100(server: Server) -> None:
    body = LARGE[:300_000]
    result = curl_2(
        *("-H", "Expect: 100-continue", "--expect100-timeout", "25", "--data-binary", "@-"),
        f"{server.origin}/digest",
        data=body,
    )
    assert result.statuses() == [100, 200]
    assert result.body == digest(body)


def test_curl_sees_trailers(asgi_server: Server) -> None:
    result = curl_2("-H", "TE: trailers", f"{asgi_server.origin}/trailers")
    assert result.body == b"summed"
    lines = result.received()
    assert lines.index("x-sum: 42") > lines.index("trailer: x-sum")
    assert "x-more: yes" in lines
    without = curl_2(f"{asgi_server.origin}/trailers")
    assert without.body == b"summed"
    assert "x-sum: 42" not in without.received(), "a client that does not take trailers gets none"


def test_curl_sees_early_hints(asgi_server: Server) -> None:
    result = curl_2(f"{asgi_server.origin}/hints")
    assert result.statuses() == [103, 200]
    lines = result.received()
    assert lines.index("link: </style.css>; rel=preload; as=style") < lines.index("HTTP/2 200 ")
    assert result.body == b"hints"


def test_curl_sees_both_cookies(asgi_server: Server) -> None:
    lines = curl_2(f"{asgi_server.origin}/cookies").received()
    assert [line for line in lines if line.startswith("set-cookie")] == [
        "set-cookie: one=1",
        "set-cookie: two=2; HttpOnly",
    ]


def test_curl_large_heads_both_ways(server: Server) -> None:
    sent = [f"x-sent-{number}: {'s' * 1000}" for number in range(30)]
    flags = [part for line in sent for part in ("-H", line)]
    seen = dict(json.loads(curl_2(*flags, f"{server.origin}/describe").body)["headers"])
    assert all(seen[name] == value for name, value in (line.split(": ") for line in sent))
    lines = [line.lower() for line in curl_2(f"{server.origin}/fields/300").received()]
    assert [line for line in lines if line.startswith("x-field-")] == [f"x-field-{n}: {'v' * 100}" for n in range(300)]


def test_curl_too_large_a_head_is_431(server: Server) -> None:
    flags = [part for number in range(200) for part in ("-H", f"x-{number}: {'h' * 1000}")]
    result = curl("--http2-prior-knowledge", *flags, f"{server.origin}/hello")
    assert result.exit_code != 0 or result.statuses() == [431]
    assert curl_2(f"{server.origin}/hello").body == b"hello"


def test_curl_offering_an_upgrade_is_answered_by_http_1_1(server: Server) -> None:
    """RFC 9113 took the upgrade away; a client that still offers it is served as it asked."""
    result = curl("--http2", f"{server.origin}/describe")
    assert (result.exit_code, result.statuses()) == (0, [200])
    assert "HTTP2-Settings" in "".join(result.sent())
    assert json.loads(result.body)["http_version"] == "1.1"
    posted = curl("--http2", "--data-binary", "@-", f"{server.origin}/digest", data=LARGE[:100_000])
    assert posted.body == digest(LARGE[:100_000])


def test_curl_over_tls(tls_server: Server, loopback: Loopback) -> None:
    trust = ["--cacert", str(loopback.authority)]
    result = curl(*trust, "--http2", f"{tls_server.origin}/describe", f"{tls_server.origin}/describe")
    assert result.exit_code == 0, result.trace
    assert "ALPN: server accepted h2" in result.trace
    seen = json.loads(result.body[: len(result.body) // 2])
    assert (seen["http_version"], seen["scheme"]) == ("2", "https")
    assert curl(*trust, "--http2", "--data-binary", "@-", f"{tls_server.origin}/echo", data=LARGE).body == LARGE
    old = curl(*trust, "--http1.1", f"{tls_server.origin}/describe")
    assert json.loads(old.body)["http_version"] == "1.1"
    unasked = curl(*trust, "--http2", "--no-alpn", f"{tls_server.origin}/describe")
    assert json.loads(unasked.body)["http_version"] == "1.1", "without ALPN it is HTTP/1.1"


def test_versions_may_be_chosen(loopback: Loopback) -> None:
    trust = ["--cacert", str(loopback.authority)]
    with running("http2_site:asgi_app", "--http", "1", *loopback.flags(), app_dir=HERE) as only_1:
        result = curl(*trust, "--http2", f"{only_1.origin}/describe")
        assert json.loads(result.body)["http_version"] == "1.1"
        assert "ALPN: server accepted h2" not in result.trace
    with running("http2_site:asgi_app", "--http", "2", app_dir=HERE) as only_2:
        assert curl_2(f"{only_2.origin}/hello").body == b"hello"
        assert curl("--http1.1", f"{only_2.origin}/hello").statuses() == [505]


# nghttp


def nghttp(server: Server, path: str, *flags: str) -> str:
    return tool("nghttp", *flags, f"{server.origin}{path}")


def test_nghttp_statistics(server: Server) -> None:
    said = nghttp(server, "/hello", "-nasv", "-m", "20")
    assert len(re.findall(r"^ *\d+ .* 200 +5 /hello$", said, re.MULTILINE)) == 20
    assert "recv PUSH_PROMISE" not in said
    assert "recv GOAWAY" not in said
    assert "recv RST_STREAM" not in said
    settings = said.split("recv SETTINGS")[1].split("\n[")[0]
    assert "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128" in settings


@pytest.mark.parametrize(
    "flags",
    [
        ["-w", "1"],
        ["-w", "10", "-W", "10"],
        ["-w", "30", "-W", "30"],
        ["--header-table-size", "0"],
        ["--header-table-size", "0", "--header-table-size", "4096"],
        ["--header-table-size", "65536", "--encoder-header-table-size", "65536"],
        ["--encoder-header-table-size", "0"],
        ["--padding", "200"],
        ["--no-dep"],
        ["--weight", "256"],
        ["--continuation"],
        ["--max-concurrent-streams", "1"],
        ["--no-push"],
        ["-H", "priority: u=0, i"],
    ],
    ids=" ".join,
)
def test_nghttp_options(server: Server, flags: list[str]) -> None:
    # A client that leaves room for one byte at a time is served, but only so often (a "data dribble").
    size = 10 if flags == ["-w", "1"] else 100_000
    said = nghttp(server, f"/sized/{size}", "-nsv", "-m", "5", *flags)
    assert len(re.findall(rf"^ *\d+ .* 200 +\w+ /sized/{size}$", said, re.MULTILINE)) == 5
    assert "recv RST_STREAM" not in said
    assert "recv GOAWAY" not in said


@pytest.mark.parametrize("flags", [[], ["--padding", "100"], ["--expect-continue"], ["--trailer", "x-after: all"]])
def test_nghttp_uploads(server: Server, large_file: Path, flags: list[str]) -> None:
    said = nghttp(server, "/digest", "--data", str(large_file), *flags)
    assert digest(LARGE).decode() in said


def test_nghttp_expecting_100_is_told_before_it_sends(server: Server, large_file: Path) -> None:
    said = nghttp(server, "/digest", "-nv", "--data", str(large_file), "--expect-continue")
    assert ":status: 100" in said
    assert said.index(":status: 100") < said.index("send DATA")


def test_nghttp_does_not_upgrade(server: Server) -> None:
    """It wants an answer of 101 only, and gets an ordinary one."""
    found = shutil.which("nghttp")
    if found is None:
        pytest.skip("nghttp is not installed (Debian: apt-get install nghttp2-client)")
    done = subprocess.run(
        [found, "-nvu", f"{server.origin}/hello"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"HTTP/1.1 200" in done.stdout + done.stderr


def test_nghttp_trailers(asgi_server: Server) -> None:
    said = nghttp(asgi_server, "/trailers", "-nv", "-H", "te: trailers")
    assert "x-sum: 42" in said


def test_nghttp_over_tls(tls_server: Server) -> None:
    said = nghttp(tls_server, "/hello", "-nsv", "-m", "10")
    assert "The negotiated protocol: h2" in said
    assert len(re.findall(r"^ *\d+ .* 200 +5 /hello$", said, re.MULTILINE)) == 10


# h2load


def h2load(server: Server, path: str, requests: int, *flags: str) -> None:
    said = tool("h2load", "-n", str(requests), *flags, f"{server.origin}{path}")
    assert f"{requests} succeeded, 0 failed, 0 errored, 0 timeout" in said, said
    assert f"status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx" in said, said


@pytest.mark.parametrize(
    ("path", "requests", "flags"),
    [
        ("/hello", 20_000, ["-c", "8", "-m", "16"]),
        ("/hello", 5_000, ["-c", "1", "-m", "100"]),
        ("/hello", 2_000, ["-c", "50", "-m", "1"]),
        ("/hello", 16, ["-c", "4", "-m", "4", "-w", "1"]),
        ("/hello", 2_000, ["-c", "4", "-m", "16", "--header-table-size", "0"]),
        ("/stream/100000", 400, ["-c", "4", "-m", "16"]),
        ("/stream/100000", 200, ["-c", "4", "-m", "16", "-w", "10", "-W", "16"]),
        ("/sized/1000000", 100, ["-c", "2", "-m", "10", "-w", "30", "-W", "30"]),
    ],
    ids=["8x16", "1x100", "50x1", "window-1", "no-table", "stream", "small-windows", "large-windows"],
)
def test_h2load(server: Server, path: str, requests: int, flags: list[str]) -> None:
    h2load(server, path, requests, *flags)


def test_h2load_uploads(server: Server, tmp_path: Path) -> None:
    for size, requests in ((100, 5_000), (1_000_000, 100)):
        body = tmp_path / f"{size}.bin"
        body.write_bytes(LARGE[:size])
        h2load(server, "/digest", requests, "-c", "4", "-m", "10", "-d", str(body))


def test_h2load_over_tls(tls_server: Server) -> None:
    h2load(tls_server, "/hello", 5_000, "-c", "8", "-m", "16")


# httpx


def test_httpx_over_tls(tls_server: Server, loopback: Loopback) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("h2", reason="httpx needs its extra http2")
    with httpx.Client(http2=True, verify=loopback.context(), trust_env=False, timeout=60) as client:
        for _ in range(50):
            response = client.get(f"{tls_server.origin}/hello", params={"a": "b"})
            assert (response.http_version, response.status_code, response.text) == ("HTTP/2", 200, "hello")
        response = client.post(f"{tls_server.origin}/digest", content=LARGE)
        assert response.content == digest(LARGE)
        response = client.put(f"{tls_server.origin}/digest", content=iter([LARGE[:70_000]] * 20))
        assert response.content == digest(LARGE[:70_000] * 20)
        assert client.get(f"{tls_server.origin}/sized/3000000").content == b"".join(pieces(3_000_000))


def test_httpx_prior_knowledge(server: Server) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("h2", reason="httpx needs its extra http2")

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield LARGE[:50_000]

    async def talking() -> None:
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False, timeout=60) as client:
            await client.get(f"{server.origin}/hello")
            answers = await asyncio.gather(*(client.get(f"{server.origin}/slow/{n}") for n in range(100)))
            assert {(answer.http_version, answer.status_code) for answer in answers} == {("HTTP/2", 200)}
            # One after another: of several uploads that wait for a window, httpcore 1.0 may forget one when it opens.
            for _ in range(5):
                answer = await client.post(f"{server.origin}/digest", content=upload())
                assert answer.text == f"1500000 {hashlib.sha256(LARGE[:50_000] * 30).hexdigest()}"

    asyncio.run(talking())


def test_httpx_leaving_tells_the_application(asgi_server: Server) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("h2", reason="httpx needs its extra http2")
    mark = asgi_server.mark()
    for number in range(3):
        # It resets no stream (httpcore 1.0), so that only the end of the connection can tell.
        with httpx.Client(http1=False, http2=True, trust_env=False, timeout=60) as client:
            with client.stream("GET", f"{asgi_server.origin}/watch/httpx-{number}") as response:
                assert next(response.iter_bytes()).startswith(b"tick\n")
        asgi_server.wait_for_log(f"watch httpx-{number} saw its client leave", since=mark)
