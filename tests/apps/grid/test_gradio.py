"""Gradio: demos as its users write them, by its own client."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.apps.grid.chromium import WORKERS, workers
from tests.apps.grid.serving import SITES_FOLDER, let_go_on, pipe_at
from tests.support.load import loading
from tests.support.server import Server, running
from tests.support.supervised import ready_workers, send

pytest.importorskip("gradio")
gradio_client = pytest.importorskip("gradio_client")

pytestmark = [
    pytest.mark.grid(app="Gradio"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.filterwarnings("default"),
]

UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(100_000))
WAIT_S = 30.0
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gradio")


@contextlib.contextmanager
def serving(place: Path, target: str, *flags: str) -> Iterator[Server]:
    environment = ENVIRONMENT | {"GRID_PLACE": str(place), "GRADIO_TEMP_DIR": str(place / "gradio")}
    with running(target, *flags, environment=environment, cwd=place) as server:
        yield server


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    script = str(SITES_FOLDER / "gradio_page.py")
    with serving(place, script, "--log-level", "debug", "--", "--colour", "green") as server:
        yield server


@contextlib.contextmanager
def client_of(url: str, place: Path, **settings: Any) -> Iterator[Any]:
    client = gradio_client.Client(url, verbose=False, download_files=str(place / "downloads"), **settings)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="module")
def client(server: Server, place: Path) -> Iterator[Any]:
    with client_of(server.origin, place) as client:
        yield client


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


@pytest.mark.grid(check="plain request")
def test_page_and_its_files(server: Server) -> None:
    with httpx.Client(base_url=server.origin) as client:
        page = client.get("/")
        assert page.status_code == 200 and 'content="Fruit"' in page.text
        script = page.text.partition('src="./assets/')[2].partition('"')[0]
        answer = client.get(f"/assets/{script}")
        assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]


@pytest.mark.grid(check="what launch() was told")
def test_arguments_of_a_guarded_launch(server: Server) -> None:
    with httpx.Client(base_url=server.origin) as client:
        assert "#marked {color: green}" in client.get("/config").json()["css"]
        assert client.get("/docs").status_code == 200
    server.wait_for_log("say --bind")


@pytest.mark.grid(check="what launch() was told")
def test_command_line(client: Any) -> None:
    assert client.predict(api_name="/arguments") == "--colour green"


@pytest.mark.grid(check="form")
def test_fields(client: Any) -> None:
    assert client.predict("Zoë & Søn", "grün", api_name="/greet") == "Hello, Zoë & Søn in grün!"


@pytest.mark.grid(check="session state")
def test_state_of_a_session(server: Server, client: Any, place: Path) -> None:
    with client_of(server.origin, place) as other:
        for number in (1, 2):
            assert client.predict(api_name="/count").startswith(f"count: {number},")
        assert other.predict(api_name="/count").startswith("count: 1,")


@pytest.mark.grid(check="upload")
def test_upload(client: Any, place: Path) -> None:
    path = place / "a picture.bin"
    path.write_bytes(UPLOAD)
    told = client.predict(gradio_client.handle_file(path), api_name="/digest")
    assert told == f"upload: {len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}"


@pytest.mark.grid(check="download")
def test_download(client: Any) -> None:
    assert Path(client.predict(api_name="/fruit")).read_text() == "apples\npears\n" * 1000


@pytest.mark.grid(check="streaming")
def test_streaming(client: Any, place: Path, token: str) -> None:
    with pipe_at(place, token) as pipe:
        job = client.submit(token, api_name="/pieces")
        assert next(job) == "first\n"
        let_go_on(pipe)
        assert job.result(WAIT_S) == "first\nsecond\n" or job.outputs()[-1] == "first\nsecond\n"


@pytest.mark.grid(check="error page")
def test_error(client: Any, server: Server, token: str) -> None:
    mark = server.mark()
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(token, api_name="/fail")
    assert token not in str(caught.value)
    server.wait_for_log(f"failed {token}", since=mark)


DEMO = """
import gradio as gr
gr.Interface(lambda text: text[::-1], "text", "text", api_name="turn").launch(auth=("ann", "secret"), share=True)
print("behind launch")
"""


@pytest.mark.grid(check="what launch() was told")
def test_demo_without_a_name_and_with_a_password(place: Path) -> None:
    script = place / "1 turn.py"
    script.write_text(DEMO)
    with serving(place, str(script)) as server:
        assert "behind launch" in server.log
        server.wait_for_log("launch(share=True) is not heeded")
        assert "auth_required" in httpx.get(f"{server.origin}/").text
        assert httpx.get(f"{server.origin}/config").status_code == 401
        with client_of(server.origin, place, auth=("ann", "secret")) as client:
            assert client.predict("abc", api_name="/turn") == "cba"


CHAT = """
import gradio as gr

def answer(message, history):
    return f"{len(history)} {message}"

chat = gr.ChatInterface(answer)
"""


@pytest.mark.grid(check="plain request")
def test_chat_that_is_never_launched(place: Path) -> None:
    (place / "chatting.py").write_text(CHAT)
    with serving(place, "chatting:chat", "--app-dir", str(place)) as server:
        with client_of(server.origin, place) as client:
            assert client.predict("hello", api_name="/answer") == "0 hello"


TWO = """
import gradio as gr
first = gr.Interface(lambda text: text, "text", "text")
second = gr.Interface(lambda text: text, "text", "text")
first.launch(prevent_thread_lock=True)
second.launch()
"""


@pytest.mark.grid(check="what launch() was told")
def test_two_launched_demos_must_be_named(place: Path) -> None:
    (place / "two.py").write_text(TWO)
    with pytest.raises(AssertionError, match="name one: two:first, two:second"), serving(place, str(place / "two.py")):
        pass
    with serving(place, "two:second", "--app-dir", str(place)) as server:
        assert httpx.get(f"{server.origin}/config").status_code == 200


@pytest.mark.grid(check="restart under load")
def test_restart_under_load(place: Path, token: str) -> None:
    """Mounted on FastAPI; what an old worker was about to stream, it still streams."""
    flags = ("--app-dir", str(SITES_FOLDER), "--workers", "1", "--log-level", "debug")
    with serving(place, "gradio_mounted:app", *flags) as server:
        server.wait_for_log("All workers")
        old = set(ready_workers(server))
        with pipe_at(place, token) as pipe, client_of(f"{server.origin}/demo", place) as client:
            job = client.submit(token, api_name="/pieces")
            assert next(job) == "first\n"
            with loading(server.address, kept=3, fresh=3, pause_s=0.05) as load:
                load.wait_for_answers(50)
                mark = send(server, signal.SIGHUP)
                server.wait_for_log("Reloaded", 60.0, since=mark)
                load.wait_for_answers(50)
            let_go_on(pipe)
            job.result(WAIT_S)
            assert job.outputs()[-1] == "first\nsecond\n"
        tally = load.tally
        assert not tally.failures, tally.describe()
        assert tally.by_worker.keys() - old
        assert "Traceback" not in server.log_since(mark)


@pytest.mark.grid(check="four workers")
def test_sessions_find_their_worker(place: Path, token: str) -> None:
    """Gradio's client opens a connection for each request: what it joins, what it then listens to."""
    script = str(SITES_FOLDER / "gradio_page.py")
    with serving(place, script, *workers(WORKERS[1], "gradio"), "--preload") as server:
        server.wait_for_log("All workers", 60.0)
        with client_of(server.origin, place) as first, client_of(server.origin, place) as second:
            for number in range(1, 7):
                for client in (first, second):
                    assert client.predict(api_name="/count").startswith(f"count: {number},")
            with pipe_at(place, token) as pipe:
                job = first.submit(token, api_name="/pieces")
                assert next(job) == "first\n"
                let_go_on(pipe)
                job.result(WAIT_S)
                assert job.outputs()[-1] == "first\nsecond\n"
