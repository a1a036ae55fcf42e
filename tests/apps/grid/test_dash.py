"""Dash on each of its backends: the object is named, what is in it is served."""

from __future__ import annotations

import base64
import hashlib
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.apps.conftest import Loopback
from tests.apps.grid.chromium import chromium, opened_page
from tests.apps.grid.serving import SITES_FOLDER, skip_unless_there
from tests.support.load import loading
from tests.support.server import Server, running
from tests.support.supervised import ready_workers, send

pytest.importorskip("dash")

pytestmark = [
    pytest.mark.grid(app="Dash"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(100_000))
WHERE = {"flask": "wsgi", "fastapi": "asgi3", "quart": "asgi3"}


@pytest.fixture(scope="module", params=list(WHERE))
def backend(request: pytest.FixtureRequest) -> str:
    skip_unless_there(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def server(backend: str, loopback: Loopback, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"GRID_PLACE": str(tmp_path_factory.mktemp("dash")), "GRID_BACKEND": backend}
    flags = ("--workers", "2", "--log-level", "debug", "--limit-body", "50M", *loopback.flags())
    with running("dash_page:app", *flags, app_dir=SITES_FOLDER, environment=environment) as server:
        server.wait_for_log("All workers", 60.0)
        yield server


@pytest.fixture
def client(server: Server, loopback: Loopback) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, verify=loopback.context(), http2=True, timeout=30.0) as client:
        yield client


def call(client: httpx.Client, output: str, inputs: dict[str, Any], state: dict[str, Any] | None = None) -> Any:
    """A callback, as Dash's page asks for it."""

    def named(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"id": key.partition(".")[0], "property": key.partition(".")[2], "value": value}
            for key, value in values.items()
        ]

    body: dict[str, Any] = {
        "output": output,
        "outputs": {"id": output.partition(".")[0], "property": output.partition(".")[2]},
        "inputs": named(inputs),
        "changedPropIds": list(inputs),
    }
    if state is not None:
        body["state"] = named(state)
    return client.post("/_dash-update-component", json=body)


def answered(answer: httpx.Response, output: str) -> Any:
    assert answer.status_code == 200, answer.text
    name, _, property = output.partition(".")
    return answer.json()["response"][name][property]


@pytest.mark.grid(check="plain request")
def test_pages(server: Server, client: httpx.Client, backend: str) -> None:
    assert WHERE[backend] in server.wait_for_log("Serving ")
    page = client.get("/")
    assert page.status_code == 200 and "<title>Fruit</title>" in page.text
    assert page.http_version == "HTTP/2"
    # Dash with FastAPI adds the route of these in lifespan.
    assert client.get("/deep/link").text.count("<title>Fruit</title>") == 1
    script = page.text.partition('<script src="')[2].partition('"')[0]
    assert "javascript" in client.get(script).headers["content-type"]


@pytest.mark.grid(check="form")
def test_callback(client: httpx.Client) -> None:
    answer = call(client, "greeting.children", {"name.value": "Zoë & Søn"})
    assert answered(answer, "greeting.children") == "Hello, Zoë & Søn!"


@pytest.mark.grid(check="upload")
def test_upload(client: httpx.Client) -> None:
    content = "data:application/octet-stream;base64," + base64.b64encode(UPLOAD).decode()
    answer = call(client, "digested.children", {"file.contents": content}, {"file.filename": "picture.bin"})
    told = f"picture.bin {len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}"
    assert answered(answer, "digested.children") == told


@pytest.mark.grid(check="error page")
def test_error(server: Server, client: httpx.Client, backend: str) -> None:
    token, mark = uuid.uuid4().hex, server.mark()
    answer = call(client, "greeting.children", {"name.value": f"fail {token}"})
    assert answer.status_code == 500
    assert token not in answer.text and "Traceback" not in answer.text
    # On FastAPI, Dash keeps what went wrong to itself.
    if backend != "fastapi":
        server.wait_for_log(f"failed {token}", since=mark)


@pytest.mark.grid(check="restart under load")
def test_restart_under_load(tmp_path: Path) -> None:
    flags = ("--workers", "2", "--log-level", "debug")
    environment = {"GRID_PLACE": str(tmp_path), "GRID_BACKEND": "flask"}
    with running("dash_page:app", *flags, app_dir=SITES_FOLDER, environment=environment) as server:
        server.wait_for_log("All workers", 60.0)
        old = set(ready_workers(server))
        with loading(server.address, kept=3, fresh=3, pause_s=0.05) as load:
            load.wait_for_answers(50)
            mark = send(server, signal.SIGHUP)
            server.wait_for_log("Reloaded", 60.0, since=mark)
            load.wait_for_answers(50)
        tally = load.tally
        assert not tally.failures, tally.describe()
        assert tally.by_worker.keys() - old


@pytest.mark.grid(check="browser")
def test_clicked_through(server: Server, tmp_path: Path) -> None:
    with chromium() as browser, opened_page(browser, tmp_path) as (page, watch):
        page.goto(f"{server.origin}/deep/link")
        page.get_by_text("at /deep/link").wait_for()
        page.locator("#name").fill("Zoë & Søn")
        page.get_by_text("Hello, Zoë & Søn!").wait_for()
        for count in (1, 2):
            page.get_by_role("button", name="Count").click()
            page.get_by_text(f"count: {count},").wait_for()
        file = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"a note"}
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_text(f"note.txt 6 {hashlib.sha256(b'a note').hexdigest()}").wait_for()
        assert watch.protocols(server.origin) == {"h2"}
        assert not watch.errors
