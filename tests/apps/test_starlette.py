"""Starlette through the real command, by httpx."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, running

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("itsdangerous")
pytest.importorskip("python_multipart")

HERE = Path(__file__).parent
LARGE = bytes(range(256)) * 4096 * 8  # 8 MiB
PAGE = b"<!doctype html><title>page</title>" + b"<p>text</p>" * 100


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "large.bin").write_bytes(LARGE)
    (folder / "page.html").write_bytes(PAGE)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "größe.txt").write_text("Größe")
    return folder


@pytest.fixture(scope="module")
def server(files: Path) -> Iterator[Server]:
    with running("starlette_site:app", app_dir=HERE, environment={"SITE_FILES": str(files)}) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


# files


def test_static_file_with_its_validators(client: httpx.Client) -> None:
    answer = client.get("/static/page.html")
    assert answer.status_code == 200
    assert answer.content == PAGE
    assert answer.headers["content-length"] == str(len(PAGE))
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["etag"] and answer.headers["last-modified"]


def test_static_file_not_modified_has_no_body_and_keeps_the_connection(server: Server) -> None:
    with Connection(server.address) as connection:
        etag = connection.ask("GET", "/static/page.html").get("etag")
        assert etag is not None
        for _ in range(3):
            answer = connection.ask("GET", "/static/page.html", f"If-None-Match: {etag.decode()}")
            assert answer.status == 304
            assert answer.get("etag") == etag
        assert connection.ask("GET", "/static/page.html").body == PAGE


def test_static_file_not_modified_since(client: httpx.Client) -> None:
    date = client.get("/static/page.html").headers["last-modified"]
    assert client.get("/static/page.html", headers={"If-Modified-Since": date}).status_code == 304


def test_static_head_names_the_length_and_sends_nothing(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("HEAD", "/static/page.html")
        assert answer.status == 200
        assert answer.get("content-length") == str(len(PAGE)).encode()
        assert connection.ask("GET", "/static/page.html").body == PAGE


def test_static_empty_file(client: httpx.Client) -> None:
    answer = client.get("/static/empty.txt")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_static_name_beyond_ascii(client: httpx.Client) -> None:
    assert client.get("/static/größe.txt").text == "Größe"


@pytest.mark.parametrize("path", ["/static/none.txt", "/static/..%2f..%2fetc/passwd", "/static/%2e%2e/x"])
def test_static_missing_is_404(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_static_refuses_other_methods(client: httpx.Client) -> None:
    assert client.post("/static/page.html", content=b"x").status_code == 405


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("0-9", 0, 10), ("100-", 100, len(LARGE)), ("-7", len(LARGE) - 7, len(LARGE))]
)
def test_file_range(client: httpx.Client, asked: str, start: int, stop: int) -> None:
    answer = client.get("/file", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(LARGE)}"
    assert answer.content == LARGE[start:stop]


def test_file_with_several_ranges(client: httpx.Client) -> None:
    answer = client.get("/file", headers={"Range": "bytes=0-9,100-109"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    assert LARGE[:10] in answer.content and LARGE[100:110] in answer.content


def test_file_range_out_of_reach_is_416(client: httpx.Client) -> None:
    answer = client.get("/file", headers={"Range": f"bytes={len(LARGE)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"].endswith(f"*/{len(LARGE)}")


def test_large_file_whole_by_path(client: httpx.Client, server: Server, token: str, files: Path) -> None:
    answer = client.get(f"/file?{token}")
    assert answer.headers["content-length"] == str(len(LARGE))
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(LARGE).digest()
    server.wait_for_log(f"note: pathsend {files / 'large.bin'} {token}")


def test_large_file_head(client: httpx.Client) -> None:
    answer = client.head("/file")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(LARGE))


def test_large_file_to_several_clients_in_turn_on_one_connection(server: Server) -> None:
    with Connection(server.address) as connection:
        for _ in range(3):
            assert connection.ask("GET", "/file").body == LARGE
            assert connection.ask("GET", "/hello").body == b"Hello, world!"


def test_large_file_left_half_way(server: Server, client: httpx.Client) -> None:
    mark = server.mark()
    with Connection(server.address, receive_buffer_bytes=8192) as connection:
        connection.request("GET", "/file")
        connection.read_head()
        connection.read_exactly(1000)
        connection.reset()
    assert client.get("/file").content == LARGE
    assert "Traceback" not in server.log_since(mark)


# sessions


def test_session_by_cookie(client: httpx.Client) -> None:
    assert client.get("/me").json() == {"name": None}
    answer = client.post("/login", data={"name": "Ada & Söhne"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    assert client.get("/me").json() == {"name": "Ada & Söhne"}
    assert client.post("/logout").status_code == 204
    assert client.get("/me").json() == {"name": None}


def test_session_cookie_that_was_tampered_with(client: httpx.Client) -> None:
    client.post("/login", data={"name": "Ada"})
    value = client.cookies["session"]
    client.cookies.clear()
    assert client.get("/me", headers={"Cookie": f"session={value}"}).json() == {"name": "Ada"}
    assert client.get("/me", headers={"Cookie": f"session=x{value}"}).json() == {"name": None}


# disconnect


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize(("way", "sign"), [("wait", "saw the client leave"), ("receive", "got http.disconnect")])
def test_waiting_handler_is_told_that_the_client_left(
    server: Server, token: str, way: str, sign: str, leave: str
) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/{way}/{token}")
        server.wait_for_log(f"note: {way} {token} began")
        mark = server.mark()
        getattr(connection, leave)()
        server.wait_for_log(f"note: {way} {token} {sign}")
    assert "Traceback" not in server.log_since(mark)


def test_waiting_handler_that_took_a_body_is_told(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", f"/receive/{token}", body=b"x" * 100_000)
        server.wait_for_log(f"note: receive {token} began")
        connection.close()
        server.wait_for_log(f"note: receive {token} got http.disconnect")


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("prefix", ["", "/wrapped"])
def test_stream_is_closed_when_the_client_leaves(server: Server, token: str, leave: str, prefix: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"{prefix}/stream/{token}")
        connection.read_until(b"tick\n")
        getattr(connection, leave)()
        server.wait_for_log(f"note: stream {token} closed")


# lifespan


def test_lifespan_state_reaches_requests(client: httpx.Client) -> None:
    first = client.get("/state", params={"name": "one"}).json()
    second = client.get("/state", params={"name": "two"}).json()
    assert first["greeting"] == second["greeting"] == "hello"
    assert second["visits"][-2:] == ["one", "two"], "objects in the state are shared"
    assert first["keys"] == second["keys"] == ["greeting", "visits"], "keys set by a request stay its own"


def test_request_starts_from_the_context_left_by_startup(client: httpx.Client) -> None:
    assert client.get("/state", params={"name": "context"}).json()["born"] == "in lifespan"


def test_lifespan_starts_before_and_ends_after_serving(files: Path) -> None:
    with running("starlette_site:app", app_dir=HERE, environment={"SITE_FILES": str(files)}) as server:
        assert "note: lifespan started" in server.log
        assert httpx.get(f"{server.origin}/hello", trust_env=False).text == "Hello, world!"
        assert "note: lifespan ended" not in server.log
    assert server.log.count("note: lifespan started") == 1
    assert server.log.count("note: lifespan ended") == 1


# BaseHTTPMiddleware


def test_base_middleware_passes_answers_through(client: httpx.Client) -> None:
    answer = client.get("/wrapped/hello")
    assert (answer.text, answer.headers["x-stamp"]) == ("Hello, world!", "/wrapped/hello")


def test_base_middleware_passes_streams_through(client: httpx.Client) -> None:
    assert client.get("/wrapped/count").text == "".join(f"{number}\n" for number in range(100))


def test_base_middleware_passes_bodies_through(client: httpx.Client) -> None:
    body = LARGE[:1_000_000]
    answer = client.post("/wrapped/echo", content=body)
    assert answer.content == body


@pytest.mark.parametrize("prefix", ["", "/wrapped"])
def test_failure_is_500_and_logged(client: httpx.Client, server: Server, token: str, prefix: str) -> None:
    answer = client.get(f"{prefix}/fail/{token}")
    assert answer.status_code == 500
    assert token not in answer.text
    server.wait_for_log(f"RuntimeError: failed {token}")
    assert client.get("/hello").text == "Hello, world!"
