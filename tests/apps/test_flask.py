"""Flask through the real command, by httpx."""

from __future__ import annotations

import concurrent.futures
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, running

httpx = pytest.importorskip("httpx")
pytest.importorskip("flask")

HERE = Path(__file__).parent
LARGE = bytes(range(256)) * 4096 * 4  # 4 MiB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = tmp_path_factory.mktemp("flask")
    (files / "large.bin").write_bytes(LARGE)
    with running("flask_site:app", app_dir=HERE, environment={"SITE_FILES": str(files)}) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def test_what_a_view_sees(client: httpx.Client, server: Server) -> None:
    answer = client.delete("/echo/a%20b/ü//c", params={"x": ["1", "ü"], "y": ""}).json()
    assert answer["method"] == "DELETE"
    assert answer["rest"] == "a b/ü//c"
    assert answer["query"] == "x=1&x=%C3%BC&y="
    assert answer["args"] == {"x": ["1", "ü"], "y": [""]}
    assert answer["url"].startswith(f"{server.origin}/echo/")
    assert (answer["address"], answer["root"]) == ("127.0.0.1", "")


def test_json(client: httpx.Client) -> None:
    answer = client.post("/json", json={"a": [1, None, "ü"]})
    assert (answer.status_code, answer.json()) == (201, {"got": {"a": [1, None, "ü"]}})


def test_json_that_is_broken_is_400(client: httpx.Client) -> None:
    assert client.post("/json", content=b"{", headers={"content-type": "application/json"}).status_code == 400


@pytest.mark.parametrize("size", [0, 10, 4 * 1024 * 1024])
def test_form_upload(client: httpx.Client, size: int) -> None:
    answer = client.post(
        "/form", files={"file": ("größe.bin", LARGE[:size], "application/x-thing")}, data={"comment": "schön"}
    )
    assert answer.json() == {
        "name": "größe.bin",
        "type": "application/x-thing",
        "size": size,
        "comment": "schön",
        "sha256": sha256(LARGE[:size]),
    }


@pytest.mark.parametrize(("size", "piece"), [(0, 1), (1, 1), (1000, 7), (300_000, 4096), (4 * 1024 * 1024, 65536)])
def test_chunked_upload_without_a_length_is_seen_whole(client: httpx.Client, size: int, piece: int) -> None:
    answer = client.post("/raw", content=pieces_of(LARGE[:size], piece))
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.json()["size"] == size
    assert answer.json()["sha256"] == sha256(LARGE[:size])


def test_upload_with_a_length(client: httpx.Client) -> None:
    assert client.post("/raw", content=LARGE).json() == {
        "size": len(LARGE),
        "sha256": sha256(LARGE),
        "length": len(LARGE),
    }


def test_body_line_by_line(client: httpx.Client) -> None:
    assert client.post("/lines", content=iter([b"a\nb", b"c\n\nd"])).json() == {"lines": ["a\n", "bc\n", "\n", "d"]}


def test_body_that_is_not_read_leaves_the_connection_sound(client: httpx.Client) -> None:
    for size in (10, 50_000, 4_000_000):
        assert client.request("GET", "/hello", content=LARGE[:size]).text == "Hello, world!"
        assert client.get("/hello").text == "Hello, world!"


def test_streaming(client: httpx.Client) -> None:
    answer = client.get("/stream", params={"pieces": 1000})
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.text == "".join(f"{number}\n" for number in range(1000))


def test_endless_stream_is_closed_when_the_client_leaves(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/endless/{token}")
        connection.read_until(b"tick\n")
    server.wait_for_log(f"note: endless {token} closed")


def test_stream_that_fails_is_cut(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", f"/broken/{token}")
        assert (answer.status, answer.body, answer.is_complete) == (200, b"first part", False)
    server.wait_for_log(f"RuntimeError: broken {token}")


def test_teardown_runs(client: httpx.Client, server: Server, token: str) -> None:
    assert client.get("/hello", params={"resource": token}).status_code == 200
    server.wait_for_log(f"note: resource {token} closed")


def test_session(client: httpx.Client) -> None:
    assert client.get("/me").json() == {"name": None}
    answer = client.post("/login", data={"name": "Ada & Söhne"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    assert client.get("/me").json() == {"name": "Ada & Söhne"}


def test_cookies_both_ways(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/cookies", "Cookie: a=1; b=2", "Cookie: c=3")
    assert [value.split(b";")[0] for value in answer.get_all("set-cookie")] == [b"one=1", b"two=2"]
    assert b'"a":"1"' in answer.body and b'"b":"2"' in answer.body and b'"c":"3"' in answer.body


def test_send_file(client: httpx.Client) -> None:
    answer = client.get("/file")
    assert answer.headers["content-length"] == str(len(LARGE))
    assert "large.bin" in answer.headers["content-disposition"]
    assert sha256(answer.content) == sha256(LARGE)


def test_send_file_range(client: httpx.Client) -> None:
    answer = client.get("/file", headers={"Range": "bytes=1000-2999"})
    assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes 1000-2999/{len(LARGE)}")
    assert answer.content == LARGE[1000:3000]


def test_send_file_not_modified(client: httpx.Client) -> None:
    etag = client.get("/file").headers["etag"]
    answer = client.get("/file", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert client.get("/hello").text == "Hello, world!"


@pytest.mark.parametrize("path", ["/hello", "/file", "/stream?pieces=5", "/fail/x", "/none"])
def test_head_sends_no_body(server: Server, path: str) -> None:
    with Connection(server.address) as connection:
        head = connection.ask("HEAD", path)
        answer = connection.ask("GET", path)
        assert head.status == answer.status
        assert head.get("content-type") == answer.get("content-type")
        if (length := head.get("content-length")) is not None:
            assert int(length) == len(answer.body)


def test_no_content(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", "/nothing")
        assert (answer.status, answer.get("content-length"), answer.get("transfer-encoding")) == (204, None, None)
        assert connection.ask("GET", "/hello").body == b"Hello, world!"


def test_failure_is_500_and_logged(client: httpx.Client, server: Server, token: str) -> None:
    answer = client.get(f"/fail/{token}")
    assert answer.status_code == 500
    assert "Internal Server Error" in answer.text
    assert token not in answer.text
    server.wait_for_log(f"RuntimeError: failed {token}")


def test_missing_page_is_the_applications_own(client: httpx.Client) -> None:
    answer = client.get("/none")
    assert (answer.status_code, answer.json()) == (404, {"error": "missing"})


def test_many_clients_at_once(server: Server) -> None:
    def ask(number: int) -> int:
        data = bytes([number]) * (number * 1000)
        return int(httpx.post(f"{server.origin}/raw", content=data, timeout=20, trust_env=False).json()["size"])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(64))) == [number * 1000 for number in range(64)]
