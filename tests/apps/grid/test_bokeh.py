"""Bokeh: a program shown to several at once, its callbacks, whose pages it lets in, and the options of its command."""

from __future__ import annotations

import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("bokeh")

import httpx
from websockets.exceptions import InvalidStatus

from tests.apps.conftest import Loopback
from tests.apps.grid.bokeh_client import opened
from tests.apps.grid.serving import SITES_FOLDER, let_go_on, pipe_at
from tests.support.server import Server, ServerFailed, running
from tests.support.supervised import ready_workers, send

pytestmark = [
    pytest.mark.grid(app="Bokeh"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

PAGE = str(SITES_FOLDER / "bokeh_page.py")
PATH = "/bokeh_page"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bokeh")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with running(PAGE, "--", "--args", "a word", environment={"GRID_PLACE": str(place)}, cwd=place) as server:
        yield server


@pytest.mark.grid(check="plain request")
def test_page_and_its_files(server: Server) -> None:
    with httpx.Client(base_url=server.origin, trust_env=False, follow_redirects=True) as client:
        page = client.get("/")
        assert page.url.path == PATH and "<title>A page of Bokeh</title>" in page.text
        assert len(page.headers.get_list("date")) == 1
        script = page.text.partition('src="')[2].partition('"')[0]
        assert script.startswith("/static/js/bokeh.min.js"), page.text[:3000]
        answer = client.get(script)
        assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]
        assert client.get("/nowhere").status_code == 404


@pytest.mark.grid(check="WebSocket")
def test_button_is_pressed(server: Server) -> None:
    with opened(server.origin, PATH) as one, opened(server.origin, PATH) as other:
        for expected in ("pressed 1", "pressed 2"):
            one.press(one.find("Button", label="Press"))
            assert one.wait_for(lambda attribute, _: attribute == "text") == expected
        other.press(other.find("Button", label="Press"))
        assert other.wait_for(lambda attribute, _: attribute == "text") == "pressed 1"


@pytest.mark.grid(check="streaming")
def test_changes_come_as_they_are_made(server: Server, place: Path) -> None:
    token = uuid.uuid4().hex
    with pipe_at(place, token) as pipe, opened(server.origin, PATH, f"wait={token}") as page:
        page.press(page.find("Button", label="Press"))
        page.wait_for(lambda attribute, value: value == "first")
        let_go_on(pipe)
        page.wait_for(lambda attribute, value: value == "second")


@pytest.mark.grid(check="error page")
def test_program_that_fails(server: Server) -> None:
    """Bokeh shows an empty document then; the traceback is in the log."""
    token = uuid.uuid4().hex
    mark = server.mark()
    answer = httpx.get(f"{server.origin}{PATH}?fail={token}", trust_env=False)
    assert token not in answer.text and "Traceback" not in answer.text
    server.wait_for_log(f"failed {token}", since=mark)
    assert "<title>A page of Bokeh" in httpx.get(f"{server.origin}{PATH}", trust_env=False).text


@pytest.mark.grid(check="whose pages")
def test_pages_of_others_are_refused(server: Server) -> None:
    for origin in ("http://evil.example", f"http://evil.example:{server.port}", f"http://localhost:{server.port + 1}"):
        with pytest.raises(InvalidStatus, match="403"), opened(server.origin, PATH, page_origin=origin):
            pass


@pytest.mark.grid(check="whose pages")
def test_more_pages_can_be_let_in(place: Path) -> None:
    environment = {"GRID_PLACE": str(place)}
    flags = ("--bind", "0.0.0.0:0", "--ws-allowed-origins", "https://site.example", "--", "--prefix", "deep")
    with running(PAGE, *flags, environment=environment) as server:
        origin = f"http://127.0.0.1:{server.port}"
        for page in ("https://site.example", origin):
            with opened(origin, f"/deep{PATH}", page_origin=page):
                pass
        with pytest.raises(InvalidStatus, match="403"):
            with opened(origin, f"/deep{PATH}", page_origin="https://other.example"):
                pass


@pytest.mark.grid(check="whose pages")
def test_own_pages_are_let_in_on_every_interface(place: Path, loopback: Loopback) -> None:
    flags = ("--bind", "0.0.0.0:0", "--root-path", "/deep", *loopback.flags())
    with running(PAGE, *flags, environment={"GRID_PLACE": str(place)}) as server:
        origin, context = f"https://127.0.0.1:{server.port}", loopback.context()
        assert f"https://localhost:{server.port}/deep{PATH}" in server.log
        with opened(origin, f"/deep{PATH}", ssl=context):
            pass
        with pytest.raises(InvalidStatus, match="403"):
            with opened(origin, f"/deep{PATH}", page_origin=f"https://evil.example:{server.port}", ssl=context):
                pass


@pytest.mark.grid(check="options of its command")
def test_arguments(server: Server) -> None:
    with opened(server.origin, PATH) as page:
        page.find("Div", text="a word")


@pytest.mark.grid(check="options of its command")
def test_what_the_server_decides_is_said(place: Path) -> None:
    with running(PAGE, "--", "--port", "5999", "--num-procs", "3", environment={"GRID_PLACE": str(place)}) as server:
        line = server.wait_for_log("not heeded")
        assert "--port" in line and "--num-procs" in line
    with pytest.raises(ServerFailed, match="--reload"):
        with running(PAGE, "--", "--dev", environment={"GRID_PLACE": str(place)}):
            pass


@pytest.mark.grid(check="directory with hooks")
def test_directory(tmp_path: Path) -> None:
    """Its hooks hear of the server's life."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "main.py").write_text(
        "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text='from a directory'))\n"
    )
    (folder / "app_hooks.py").write_text(
        "def on_server_loaded(context):\n    print('hook: loaded', flush=True)\n"
        "def on_server_unloaded(context):\n    print('hook: unloaded', flush=True)\n"
        "def on_session_created(context):\n    print('hook: session', flush=True)\n"
    )
    with running("site", cwd=tmp_path) as server:
        server.wait_for_log("hook: loaded")
        with opened(server.origin, "/site") as page:
            page.find("Div", text="from a directory")
        server.wait_for_log("hook: session")
    assert server.log.count("hook: unloaded") == 1


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
            assert page.wait_for(lambda attribute, _: attribute == "text") == "pressed 1"
        assert asked and set(ready_workers(server, mark)).isdisjoint(old)
        assert "Traceback" not in server.log_since(mark)
