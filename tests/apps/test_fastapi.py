"""FastAPI through the real command, by httpx."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, running

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("fastapi_site:app", app_dir=HERE) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def test_path_and_query(client: httpx.Client) -> None:
    answer = client.get("/items/7", params={"q": "a b&c=ü", "limit": 3})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"item_id": 7, "q": "a b&c=ü", "limit": 3}


def test_path_parameter_keeps_encoded_text_and_slashes(client: httpx.Client) -> None:
    assert client.get("/files/a%20b/ü/c%25d//e").json() == {"path": "a b/ü/c%d//e"}


def test_path_of_wrong_type_is_422(client: httpx.Client) -> None:
    answer = client.get("/items/seven")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["path", "item_id"]


def test_json_body(client: httpx.Client) -> None:
    answer = client.post("/items", json={"name": "Größe", "price": 2.5, "tags": ["a"]}, headers={"X-Token": "t"})
    assert answer.status_code == 201
    assert answer.json() == {"item": {"name": "Größe", "price": 2.5, "tags": ["a"]}, "token": "t"}


def test_json_body_in_chunks(client: httpx.Client) -> None:
    text = json.dumps({"name": "chunk", "price": 1}).encode()
    answer = client.post(
        "/items",
        content=(text[at : at + 3] for at in range(0, len(text), 3)),
        headers={"content-type": "application/json"},
    )
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 201
    assert answer.json()["item"]["name"] == "chunk"


def test_invalid_json_is_422_with_each_fault_named(client: httpx.Client) -> None:
    answer = client.post("/items", json={"name": "x", "price": -1})
    assert answer.status_code == 422
    assert {tuple(fault["loc"]) for fault in answer.json()["detail"]} == {("body", "name"), ("body", "price")}


def test_handler_in_a_thread(client: httpx.Client) -> None:
    assert client.get("/threaded", params={"n": 12}).json() == {"square": 144}


@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_upload(client: httpx.Client, size: int) -> None:
    content = bytes(number % 251 for number in range(1000)) * (size // 1000)
    answer = client.post(
        "/upload", files={"file": ("größe.bin", content, "application/x-thing")}, data={"comment": "two words"}
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "name": "größe.bin",
        "type": "application/x-thing",
        "size": size,
        "comment": "two words",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_streaming_response(client: httpx.Client) -> None:
    answer = client.get("/stream", params={"pieces": 300, "size": 5000})
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    assert answer.content == b"".join(bytes([number % 256]) * 5000 for number in range(300))


def test_background_task_runs_after_the_answer(client: httpx.Client, server: Server, token: str) -> None:
    answer = client.post(f"/background/{token}")
    assert answer.status_code == 202
    assert answer.json() == {"accepted": token}
    server.wait_for_log(f"note: background {token} ran")


def test_dependency_with_yield_is_closed(client: httpx.Client, server: Server, token: str) -> None:
    assert client.get(f"/resource/{token}").json() == {"held": f"resource-{token}", "other": f"sync-{token}"}
    server.wait_for_log(f"note: resource {token} closed")
    server.wait_for_log(f"note: sync resource {token} closed")
    assert f"resource {token} saw" not in server.log


def test_dependency_sees_the_http_exception(client: httpx.Client, server: Server, token: str) -> None:
    answer = client.get(f"/resource/{token}/missing")
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"no resource-{token}"}
    server.wait_for_log(f"note: resource {token} saw HTTPException")
    server.wait_for_log(f"note: resource {token} closed")


def test_failing_handler_is_500_and_logged(client: httpx.Client, server: Server, token: str) -> None:
    answer = client.get(f"/resource/{token}/broken")
    assert answer.status_code == 500
    assert token not in answer.text
    server.wait_for_log(f"note: resource {token} closed")
    server.wait_for_log(f"RuntimeError: broken resource-{token}")
    assert client.get("/items/1").status_code == 200


def test_openapi_document(client: httpx.Client) -> None:
    assert "/items/{item_id}" in client.get("/openapi.json").json()["paths"]


def test_server_sent_events_to_the_end(client: httpx.Client, server: Server, token: str) -> None:
    with client.stream("GET", f"/events/{token}", params={"count": 5}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    assert [line for line in lines if line.startswith("data:")] == [f"data: {token} {number}" for number in range(5)]
    server.wait_for_log(f"note: events {token} closed")


def test_leaving_client_closes_the_event_generator(server: Server, token: str) -> None:
    with httpx.Client(base_url=server.origin, timeout=20, trust_env=False) as client:
        with client.stream("GET", f"/events/{token}") as answer:
            seen = []
            for line in answer.iter_lines():
                seen.append(line)
                if line == f"data: {token} 3":
                    break
    assert f"data: {token} 0" in seen
    mark = server.mark()
    server.wait_for_log(f"note: events {token} closed")
    assert "Traceback" not in server.log_since(mark)


def test_events_to_many_clients_at_once(server: Server, token: str) -> None:
    async def listen(client: httpx.AsyncClient, name: str) -> str:
        return (await client.get(f"/events/{name}", params={"count": 10})).text

    async def all_of_them() -> list[str]:
        async with httpx.AsyncClient(base_url=server.origin, timeout=20, trust_env=False) as client:
            return await asyncio.gather(*(listen(client, f"{token}-{number}") for number in range(20)))

    for number, text in enumerate(asyncio.run(all_of_them())):
        assert [line for line in text.splitlines() if line.startswith("data:")] == [
            f"data: {token}-{number} {tick}" for tick in range(10)
        ]
