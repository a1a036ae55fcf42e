"""Panel: pages of a program, its widgets, programs that serve themselves, and the options of its command."""

from __future__ import annotations

import base64
import hashlib
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("panel")

import httpx

from tests.apps.grid.bokeh_client import Document, opened
from tests.apps.grid.serving import SITES_FOLDER, let_go_on, pipe_at
from tests.support.server import Server, ServerFailed, running
from tests.support.supervised import ready_workers, send

pytestmark = [
    pytest.mark.grid(app="Panel"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

PAGE = str(SITES_FOLDER / "panel_page.py")
PATH = "/panel_page"
UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(100_000))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("panel")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    arguments = ("--", "--static-dirs", f"own={place}", "--args", "two", "words")
    with running(PAGE, *arguments, environment={"GRID_PLACE": str(place)}, cwd=place) as server:
        yield server


@pytest.fixture
def page(server: Server) -> Iterator[Document]:
    with opened(server.origin, PATH) as page:
        yield page


@pytest.mark.grid(check="plain request")
def test_page_and_its_files(server: Server) -> None:
    with httpx.Client(base_url=server.origin, trust_env=False, follow_redirects=True) as client:
        page = client.get("/")
        assert page.url.path == PATH and "<title>A page of Panel</title>" in page.text
        script = "/static/extensions/panel/panel.min.js"
        assert script.lstrip("/") in page.text
        answer = client.get(script)
        assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]


@pytest.mark.grid(check="form")
def test_field(page: Document) -> None:
    page.change(page.find("TextInput", title="Name"), "value", "Zoë & Søn")
    assert "Hello, Zoë &amp; Søn!" in page.wait_for(lambda attribute, value: attribute == "text" and "Zo" in value)


@pytest.mark.grid(check="upload")
def test_file(page: Document) -> None:
    widget = page.find("FileInput")
    page.change(widget, "mime_type", "application/octet-stream")
    page.change(widget, "filename", "a picture.bin")
    page.change(widget, "value", base64.b64encode(UPLOAD).decode())
    told = f"a picture.bin {len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}"
    page.wait_for(lambda attribute, value: attribute == "text" and told in value)


@pytest.mark.grid(check="WebSocket")
def test_button_is_pressed(server: Server, page: Document) -> None:
    for expected in ("pressed 1", "pressed 2"):
        page.press(page.find("Button", label="Press"))
        page.wait_for(lambda attribute, value, expected=expected: attribute == "text" and expected in value)
    with opened(server.origin, PATH) as other:
        other.press(other.find("Button", label="Press"))
        other.wait_for(lambda attribute, value: attribute == "text" and "pressed 1" in value)


@pytest.mark.grid(check="streaming")
def test_changes_come_as_they_are_made(server: Server, place: Path) -> None:
    token = uuid.uuid4().hex
    with pipe_at(place, token) as pipe, opened(server.origin, PATH, f"wait={token}") as page:
        page.press(page.find("Button", label="Stream"))
        page.wait_for(lambda attribute, value: attribute == "text" and "first" in value)
        let_go_on(pipe)
        page.wait_for(lambda attribute, value: attribute == "text" and "second" in value)


@pytest.mark.grid(check="error page")
def test_program_that_fails(server: Server) -> None:
    token = uuid.uuid4().hex
    mark = server.mark()
    httpx.get(f"{server.origin}{PATH}?fail={token}", trust_env=False)
    server.wait_for_log(f"failed {token}", since=mark)
    assert "<title>A page of Panel" in httpx.get(f"{server.origin}{PATH}", trust_env=False).text


@pytest.mark.grid(check="options of its command")
def test_options(server: Server, place: Path, page: Document) -> None:
    (place / "own.txt").write_text("a file of its own")
    assert httpx.get(f"{server.origin}/own/own.txt", trust_env=False).text == "a file of its own"
    assert any("two words" in str(model["attributes"].get("text")) for model in page.models.values())


@pytest.mark.grid(check="options of its command")
def test_log_in(place: Path) -> None:
    arguments = ("--", "--basic-auth", "a password", "--cookie-secret", "a secret")
    with running(PAGE, *arguments, environment={"GRID_PLACE": str(place)}, cwd=place) as server:
        with httpx.Client(base_url=server.origin, trust_env=False, follow_redirects=True) as client:
            page = client.get(PATH)
            assert page.url.path == "/login"
            wrong = client.post("/login", data={"username": "me", "password": "guess"})
            assert "A page of Panel" not in wrong.text
            right = client.post("/login", data={"username": "me", "password": "a password"})
            assert right.status_code == 200 and "<title>A page of Panel" in client.get(PATH).text


@pytest.mark.grid(check="serves itself")
def test_program_that_serves_itself(place: Path) -> None:
    with running(str(SITES_FOLDER / "panel_program.py"), cwd=place) as server:
        server.wait_for_log("5999: not heeded")
        with httpx.Client(base_url=server.origin, trust_env=False) as client:
            assert "/one" in client.get("/").text
            assert "<title>The second</title>" in client.get("/two").text
        with opened(server.origin, "/one") as page:
            page.press(page.find("Button", label="Press"))
            page.wait_for(lambda attribute, value: attribute == "text" and "pressed 1" in value)


@pytest.mark.grid(check="serves itself")
def test_program_that_serves_twice(tmp_path: Path) -> None:
    program = tmp_path / "twice.py"
    program.write_text("import panel\nfor name in ('a', 'b'):\n    panel.serve(panel.pane.Str(name))\n")
    with pytest.raises(ServerFailed, match="2 times"), running(str(program)):
        pass


@pytest.mark.grid(check="notebook")
def test_notebook(tmp_path: Path) -> None:
    import json

    pytest.importorskip("nbconvert")
    code = ["import panel\n", "panel.extension()\n", "panel.pane.Str('from a notebook').servable(title='A notebook')"]
    cell = {"cell_type": "code", "source": code, "metadata": {}, "outputs": [], "execution_count": None}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "shown.ipynb").write_text(json.dumps(notebook))
    with running("shown.ipynb", cwd=tmp_path) as server:
        assert "<title>A notebook</title>" in httpx.get(f"{server.origin}/shown", trust_env=False).text


@pytest.mark.grid(check="restart under load")
def test_restart_under_load(place: Path) -> None:
    flags = ("--workers", "1", "--log-level", "debug")
    with running(PAGE, *flags, environment={"GRID_PLACE": str(place)}, cwd=place) as server:
        server.wait_for_log("All workers")
        old = ready_workers(server)
        with opened(server.origin, PATH):
            mark = send(server, signal.SIGHUP)
            asked = 0
            with httpx.Client(base_url=server.origin, trust_env=False) as client:
                while "Reloaded" not in server.log_since(mark):
                    assert client.get(PATH).status_code == 200
                    asked += 1
        with opened(server.origin, PATH) as page:
            page.press(page.find("Button", label="Press"))
            page.wait_for(lambda attribute, value: attribute == "text" and "pressed 1" in value)
        assert asked and set(ready_workers(server, mark)).isdisjoint(old)
        assert "Traceback" not in server.log_since(mark)
