"""Streamlit: a script by its own protocol, and what its command does for it that a server must do instead."""

from __future__ import annotations

import hashlib
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.apps.conftest import Loopback
from tests.apps.grid.chromium import WORKERS, workers
from tests.apps.grid.serving import SITES_FOLDER, let_go_on, pipe_at
from tests.apps.grid.streamlit_client import COOKIE, Page, opened
from tests.support.load import loading
from tests.support.raw import Connection
from tests.support.server import Server, running
from tests.support.supervised import ready_workers, send

pytest.importorskip("streamlit")

pytestmark = [
    pytest.mark.grid(app="Streamlit"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(100_000))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("streamlit")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    environment = {"GRID_PLACE": str(place), "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "7"}
    with running(str(SITES_FOLDER / "streamlit_page.py"), environment=environment, cwd=place) as server:
        yield server


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def page(server: Server, token: str) -> Iterator[Page]:
    with opened(server.origin, f"token={token}") as page:
        page.run()
        yield page


@pytest.mark.grid(check="plain request")
def test_page_and_its_files(server: Server) -> None:
    with httpx.Client(base_url=server.origin) as client:
        page = client.get("/")
        assert page.status_code == 200 and "<title>Streamlit</title>" in page.text
        script = page.text.partition('src="./')[2].partition('"')[0]
        answer = client.get(f"/{script}")
        assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]
        assert client.get("/_stcore/health").text == "ok"
        assert len(page.headers.get_list("date")) == 1


@pytest.mark.grid(check="form")
def test_field_and_buttons(page: Page) -> None:
    assert "Hello, !" in page.texts
    page.fill("Name", "Zoë & Søn")
    page.run()
    assert "Hello, Zoë & Søn!" in page.texts
    page.click("Count")
    page.click("Count")
    assert "count: 2" in page.texts and "Hello, Zoë & Søn!" in page.texts


@pytest.mark.grid(check="upload")
def test_upload(page: Page) -> None:
    assert page.upload("File", "a picture.bin", UPLOAD).status_code == 204
    page.run()
    assert f"upload: a picture.bin {len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}" in page.texts


@pytest.mark.grid(check="download")
def test_download(page: Page) -> None:
    url = page.widgets["Download"].download_button.url
    whole = page.client.get(url)
    assert whole.text == "apples\npears\n" * 1000 and "fruit.txt" in whole.headers["content-disposition"]
    part = page.client.get(url, headers={"range": "bytes=7-11"})
    assert (part.status_code, part.text) == (206, "pears")


@pytest.mark.grid(check="streaming")
def test_streaming(page: Page, place: Path, token: str) -> None:
    with pipe_at(place, token) as pipe:
        page.click("Stream", until=lambda: page.texts and page.texts[-1].startswith("first"))
        let_go_on(pipe)
        page.take_in(until=lambda: "second" in page.texts[-1])
        page.take_in()


@pytest.mark.grid(check="error page")
def test_error(page: Page, server: Server, token: str) -> None:
    mark = server.mark()
    page.click("Fail")
    assert len(page.failures) == 1
    server.wait_for_log(f"failed {token}", since=mark)
    page.run()
    assert not page.failures


@pytest.mark.grid(check="WebSocket")
def test_session_is_found_again(server: Server) -> None:
    """The page names it in the third word of Sec-WebSocket-Protocol; so much of that field is Streamlit's own."""
    with opened(server.origin) as page:
        page.run()
        page.click("Count")
    with opened(server.origin, session=page.session) as again:
        again.run()
        assert again.session == page.session
        assert "count: 1" in again.texts


@pytest.mark.grid(check="WebSocket")
def test_empty_words_of_the_subprotocol_keep_their_place(server: Server) -> None:
    """Without XSRF protection the second word is empty."""
    with opened(server.origin) as page:
        page.run()
    with Connection(server.address) as raw:
        raw.send(
            f"GET /_stcore/stream HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: streamlit, , {page.session}\r\n\r\n".encode()
        )
        head = raw.read_head()
        assert head.status == 101
        assert head.get("sec-websocket-protocol") == b"streamlit"


@pytest.mark.grid(check="options of its command")
def test_variables_of_its_command(page: Page) -> None:
    assert page.said("option: ") == "7"


@pytest.mark.grid(check="options of its command")
def test_command_line_and_config_file(place: Path) -> None:
    folder = place / "configured"
    (folder / ".streamlit").mkdir(parents=True)
    (folder / ".streamlit" / "config.toml").write_text("[server]\nmaxUploadSize = 3\nport = 9999\n")
    script = folder / "1_Home.py"
    script.write_text((SITES_FOLDER / "streamlit_page.py").read_text())
    environment = {"GRID_PLACE": str(place), "PYTHONPATH": str(SITES_FOLDER)}
    environment["PYTHONPATH"] += f":{Path(__file__).resolve().parents[3] / 'src'}"
    arguments = ("--", "--colour", "green")
    with running(str(script), *arguments, environment=environment, cwd=place) as server:
        assert "server.port" in server.wait_for_log("is not heeded: say --bind")
        with opened(server.origin) as page:
            page.run()
            assert page.said("option: ") == "3"
            assert page.said("arguments: ") == "--colour green"


@pytest.mark.grid(check="TLS")
def test_cookies_are_secure_over_tls(loopback: Loopback, place: Path) -> None:
    environment = {"GRID_PLACE": str(place)}
    script = str(SITES_FOLDER / "streamlit_page.py")
    with running(script, *loopback.flags(), environment=environment) as server:
        with httpx.Client(base_url=server.origin, verify=loopback.context()) as client:
            cookie = client.get("/_stcore/health").headers["set-cookie"]
            assert cookie.startswith(COOKIE) and cookie.lower().count("; secure") == 1


@pytest.mark.grid(check="restart under load")
def test_restart_under_load(place: Path) -> None:
    """A program with ``st.App``; its sessions end with the worker that has them, requests do not."""
    target = str(SITES_FOLDER / "streamlit_program.py")
    flags = ("--workers", "1", "--log-level", "debug")
    with running(target, *flags, environment={"GRID_PLACE": str(place)}, cwd=place) as server:
        server.wait_for_log("All workers")
        old = set(ready_workers(server))
        with loading(server.address, kept=3, fresh=3, pause_s=0.05) as load:
            load.wait_for_answers(50)
            with opened(server.origin) as page:
                page.run()
                assert {int(page.said("process: "))} == old
                mark = send(server, signal.SIGHUP)
                server.wait_for_log("Reloaded", 60.0, since=mark)
                load.wait_for_answers(50)
            with opened(server.origin, session=page.session) as page:
                page.run()
                assert int(page.said("process: ")) not in old
        assert not load.tally.failures, load.tally.describe()
        assert "Traceback" not in server.log_since(mark)


@pytest.mark.grid(check="four workers")
@pytest.mark.parametrize("affinity", ["streamlit", "cookie"])
def test_uploads_find_their_worker(place: Path, affinity: str) -> None:
    """Each request on a connection of its own: the WebSocket, which has the session, and the upload that it awaits."""
    flags = workers(WORKERS[1], affinity)
    script = str(SITES_FOLDER / "streamlit_page.py")
    with running(script, *flags, environment={"GRID_PLACE": str(place)}, cwd=place) as server:
        server.wait_for_log("All workers")
        processes = set()
        for number in range(12):
            with opened(server.origin, limits=httpx.Limits(max_keepalive_connections=0)) as page:
                page.run()
                processes.add(page.said("process: "))
                content = bytes([number]) * 1000
                assert page.upload("File", "small.bin", content).status_code == 204
                page.run()
                assert f"upload: small.bin 1000 {hashlib.sha256(content).hexdigest()}" in page.texts
        # The preset knows those without a cookie by their address, and all of these have the same one.
        assert len(processes) > 1 or affinity == "streamlit"
