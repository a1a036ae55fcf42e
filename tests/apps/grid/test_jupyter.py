"""Jupyter: pages, files, kernels and terminals, and the end of the server that its own page may ask for."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyter_server")
pytest.importorskip("ipykernel")

import httpx
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.apps.conftest import Loopback
from tests.apps.grid.kernel_client import V1, WAIT_S, opened
from tests.apps.grid.serving import let_go_on, pipe_at
from tests.support.server import Server, ServerFailed, running
from tests.support.supervised import children_of, is_there, ready_workers, send, until

pytestmark = [
    pytest.mark.grid(app="Jupyter Server", package="jupyter-server"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

TOKEN = "a-token-of-the-test"
ARGUMENTS = ("--", "--allow-root", f"--IdentityProvider.token={TOKEN}")
OTHERS = ("jupyterlab", "jupyter_lsp", "notebook", "notebook_shim", "panel.io.jupyter_server_extension")
UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(262_144))
AUTHORIZED = {"Authorization": f"token {TOKEN}"}


@dataclass(frozen=True)
class Jupyter:
    """One that runs, and its folders."""

    server: Server
    client: httpx.Client
    files: Path
    runtime: Path

    def start_kernel(self) -> str:
        """The id of a new kernel."""
        answer = self.client.post("/api/kernels", json={"name": "python3"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def info_files(self) -> list[str]:
        """By which others find the running server."""
        return sorted(path.name for path in self.runtime.glob("jpserver-*"))


@contextlib.contextmanager
def jupyter(place: Path, *flags: str, target: str = "jupyter:server", code: int | None = 0) -> Iterator[Jupyter]:
    """A Jupyter of its own in a folder."""
    folders = {name: place / name for name in ("files", "runtime", "config", "data", "ipython")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    if target == "jupyter:server":
        # Whatever else is installed beside it would take seconds to import.
        off = {"ServerApp": {"jpserver_extensions": dict.fromkeys(OTHERS, False)}}
        (folders["config"] / "jupyter_server_config.json").write_text(json.dumps(off))
    environment = {
        "HOME": str(place), "JUPYTER_RUNTIME_DIR": str(folders["runtime"]), "IPYTHONDIR": str(folders["ipython"]),
        "JUPYTER_CONFIG_DIR": str(folders["config"]), "JUPYTER_DATA_DIR": str(folders["data"]),
    }  # fmt: skip
    flags = flags if "--" in flags else (*flags, *ARGUMENTS)
    with running(target, *flags, environment=environment, cwd=folders["files"], expect_exit=code) as server:
        with httpx.Client(base_url=server.origin, headers=AUTHORIZED, timeout=WAIT_S, trust_env=False) as client:
            yield Jupyter(server, client, folders["files"], folders["runtime"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with jupyter(tmp_path_factory.mktemp("jupyter")) as served:
        yield served


@pytest.fixture
def client(served: Jupyter) -> httpx.Client:
    return served.client


@pytest.fixture
def kernel(served: Jupyter) -> Iterator[str]:
    kernel = served.start_kernel()
    yield kernel
    served.client.delete(f"/api/kernels/{kernel}")


@pytest.mark.grid(check="plain request")
def test_api(client: httpx.Client) -> None:
    answer = client.get("/api")
    assert set(answer.json()) == {"version"}
    assert len(answer.headers.get_list("date")) == 1
    status = client.get("/api/status").json()
    assert "kernels" in status
    specs = client.get("/api/kernelspecs").json()
    assert specs["kernelspecs"]["python3"]["spec"]["language"] == "python"


@pytest.mark.grid(check="authentication")
def test_nobody_comes_in_without_the_token(client: httpx.Client, served: Jupyter) -> None:
    origin = served.server.origin
    assert httpx.get(f"{origin}/api/status", trust_env=False).status_code == 403
    assert httpx.get(f"{origin}/api/status?token=wrong", trust_env=False).status_code == 403
    assert client.get("/api/status").status_code == 200
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{origin.replace('http', 'ws', 1)}/api/events/subscribe", proxy=None)
    assert refused.value.response.status_code == 403


@pytest.mark.grid(check="form")
def test_log_in(served: Jupyter) -> None:
    with httpx.Client(base_url=served.server.origin, trust_env=False) as client:
        page = client.get("/login")
        assert page.status_code == 200 and "password" in page.text
        fields = {"password": TOKEN, "_xsrf": client.cookies["_xsrf"]}
        assert client.post("/login", data=fields | {"_xsrf": "wrong"}).status_code == 403
        assert client.post("/login", data=fields).status_code == 302
        assert client.get("/api/status").status_code == 200


@pytest.mark.grid(check="upload")
def test_upload(client: httpx.Client, served: Jupyter) -> None:
    import base64

    model = {"type": "file", "format": "base64", "content": base64.b64encode(UPLOAD).decode()}
    answer = client.put("/api/contents/a%20picture.bin", json=model)
    assert answer.status_code == 201, answer.text
    assert (served.files / "a picture.bin").read_bytes() == UPLOAD
    again = client.get("/api/contents/a%20picture.bin", params={"format": "base64"}).json()
    assert base64.b64decode(again["content"]) == UPLOAD
    file = client.get("/files/a%20picture.bin")
    assert hashlib.sha256(file.content).digest() == hashlib.sha256(UPLOAD).digest()


@pytest.mark.grid(check="upload")
def test_notebook_is_kept(client: httpx.Client, served: Jupyter) -> None:
    content = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    assert client.put("/api/contents/Übung.ipynb", json={"type": "notebook", "content": content}).status_code == 201
    assert json.loads((served.files / "Übung.ipynb").read_text())["nbformat"] == 4
    assert client.get("/api/contents/Übung.ipynb").json()["name"] == "Übung.ipynb"
    assert client.delete("/api/contents/Übung.ipynb").status_code == 204
    assert client.get("/api/contents/Übung.ipynb").status_code == 404


@pytest.mark.grid(check="WebSocket")
@pytest.mark.parametrize("is_v1", [False, True], ids=["json", "v1"])
def test_code_is_run(served: Jupyter, kernel: str, is_v1: bool) -> None:
    with opened(served.server.origin, kernel, TOKEN, is_v1=is_v1) as speech:
        assert speech.subprotocol == (V1 if is_v1 else "")
        answer = speech.answer(speech.execute("print(6 * 7)"))
        assert (answer["status"], answer["text"]) == ("ok", "42\n")
        answer = speech.answer(speech.execute("1 / 0"))
        assert (answer["status"], answer["ename"]) == ("error", "ZeroDivisionError")
        answer = speech.answer(speech.execute("print('x' * 800_000)"))
        assert answer["text"] == "x" * 800_000 + "\n"


@pytest.mark.grid(check="streaming")
def test_output_comes_as_it_is_made(served: Jupyter, kernel: str, tmp_path: Path) -> None:
    with pipe_at(tmp_path, "pipe") as pipe, opened(served.server.origin, kernel, TOKEN) as speech:
        name = speech.execute(f"print('first', flush=True); open({str(pipe)!r}).read(); print('second')")
        first = speech.until(lambda each: each["header"]["msg_type"] == "stream")
        assert first["content"]["text"] == "first\n"
        let_go_on(pipe)
        assert speech.answer(name)["text"] == "second\n"


@pytest.mark.grid(check="kernels")
def test_interrupt_and_restart(served: Jupyter, kernel: str) -> None:
    with opened(served.server.origin, kernel, TOKEN, is_v1=True) as speech:
        name = speech.execute("print('runs', flush=True)\nwhile True: pass")
        speech.until(lambda each: each["header"]["msg_type"] == "stream")
        assert served.client.post(f"/api/kernels/{kernel}/interrupt").status_code == 204
        answer = speech.answer(name)
        assert (answer["status"], answer["ename"]) == ("error", "KeyboardInterrupt")
        assert speech.answer(speech.execute("kept = 1"))["status"] == "ok"
        assert served.client.post(f"/api/kernels/{kernel}/restart").status_code == 200
    with opened(served.server.origin, kernel, TOKEN) as speech:
        assert speech.answer(speech.execute("kept"))["ename"] == "NameError"
    assert served.client.delete(f"/api/kernels/{kernel}").status_code == 204
    assert kernel not in [each["id"] for each in served.client.get("/api/kernels").json()]


@pytest.mark.grid(check="terminals")
def test_terminal(served: Jupyter) -> None:
    name = served.client.post("/api/terminals").json()["name"]
    url = f"{served.server.origin.replace('http', 'ws', 1)}/terminals/websocket/{name}?token={TOKEN}"
    with connect(url, proxy=None) as socket:
        socket.send(json.dumps(["stdin", "echo $((6 * 7))1\r"]))
        seen = ""
        while "421" not in seen:
            kind, *content = json.loads(socket.recv(WAIT_S))
            seen += content[0] if kind == "stdout" else ""
    assert served.client.delete(f"/api/terminals/{name}").status_code == 204


@pytest.mark.grid(check="events")
def test_events(served: Jupyter) -> None:
    url = f"{served.server.origin.replace('http', 'ws', 1)}/api/events/subscribe?token={TOKEN}"
    with connect(url, proxy=None) as socket:
        kernel = served.start_kernel()
        event: dict[str, Any] = json.loads(socket.recv(WAIT_S))
        assert event["schema_id"].startswith("https://events.jupyter.org/jupyter_server/kernel_actions")
        served.client.delete(f"/api/kernels/{kernel}")


@pytest.mark.grid(check="error page")
def test_errors(client: httpx.Client) -> None:
    page = client.get("/nowhere/at/all")
    assert page.status_code == 404 and "text/html" in page.headers["content-type"]
    answer = client.get("/api/contents/nowhere.txt")
    assert answer.status_code == 404 and "does not exist" in answer.text
    assert client.put("/api/contents/x.ipynb", content=b"{broken").status_code == 400
    assert client.get("/api").status_code == 200


@pytest.mark.grid(check="its own shutdown")
def test_shutdown_from_its_page(tmp_path: Path) -> None:
    with jupyter(tmp_path) as served:
        assert len(served.info_files()) == 2
        info = json.loads((served.runtime / f"jpserver-{served.server.pid}.json").read_text())
        assert info["url"] == f"{served.server.origin}/" and info["port"] == served.server.port
        kernel = served.start_kernel()
        with opened(served.server.origin, kernel, TOKEN) as speech:
            process = int(speech.answer(speech.execute("import os; print(os.getpid())"))["text"])
            assert served.client.post("/api/shutdown").status_code == 200
            assert served.server.process.wait(WAIT_S) == 0
        until(lambda: not is_there(process), "the kernel has ended")
        assert served.info_files() == []
        served.server.wait_for_end()
        assert "Stopping: Jupyter was told to shut down" in served.server.log
        assert "Traceback" not in served.server.log


@pytest.mark.grid(check="stop")
def test_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    """Open WebSockets do not hold the server up, kernels and terminals end with it."""
    with jupyter(tmp_path) as served:
        kernel = served.start_kernel()
        name = served.client.post("/api/terminals").json()["name"]
        socket = served.server.origin.replace("http", "ws", 1)
        with (
            opened(served.server.origin, kernel, TOKEN) as speech,
            connect(f"{socket}/terminals/websocket/{name}?token={TOKEN}", proxy=None) as terminal,
        ):
            assert speech.answer(speech.execute("print(1)"))["status"] == "ok"
            terminal.recv(WAIT_S)
            children = children_of(served.server.pid)
            assert len(children) == 2
            os.kill(served.server.pid, signal.SIGTERM)
            assert served.server.process.wait(15.0) == 0
        until(lambda: not any(map(is_there, children)), "its children have ended")
        served.server.wait_for_end()
        assert served.info_files() == []
        assert "Traceback" not in served.server.log


@pytest.mark.grid(check="restart under load")
def test_reload_gives_way_to_a_new_one(tmp_path: Path) -> None:
    """Its sessions end with it; requests do not."""
    with jupyter(tmp_path, "--workers", "1", "--log-level", "debug") as served:
        server = served.server
        server.wait_for_log("All workers")
        old = ready_workers(server)
        kernel = served.start_kernel()
        mark = send(server, signal.SIGHUP)
        asked = 0
        while "Reloaded" not in server.log_since(mark):
            assert served.client.get("/api").status_code == 200
            asked += 1
        assert asked and set(ready_workers(server, mark)).isdisjoint(old)
        with httpx.Client(base_url=server.origin, headers=AUTHORIZED, trust_env=False) as client:
            assert client.get("/api/kernels").json() == []
            until(lambda: not is_there(old[0]), "the old worker has ended")
            assert kernel not in served.info_files() and len(served.info_files()) == 2
            # A worker that tells its whole server to stop.
            assert client.post("/api/shutdown").status_code == 200
        assert server.process.wait(WAIT_S) == 0


@pytest.mark.grid(check="conditions")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root is refused")
def test_root_must_say_so(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="--allow-root"), jupyter(tmp_path, "--", "--ServerApp.token=x", code=None):
        pass


@pytest.mark.grid(check="conditions")
def test_what_it_does_not_know_ends_it(tmp_path: Path) -> None:
    arguments = (*ARGUMENTS, "--ServerApp.port=abc")
    with pytest.raises(ServerFailed, match="does not start"), jupyter(tmp_path, *arguments, code=None):
        pass


@pytest.mark.grid(check="conditions")
def test_one_worker_only(tmp_path: Path) -> None:
    with jupyter(tmp_path, "--workers", "3", "--log-level", "debug") as served:
        served.server.wait_for_log("1 worker instead of 3")
        served.server.wait_for_log("All workers (1)")


@pytest.mark.grid(app="JupyterLab", check="plain request", package="jupyterlab")
def test_lab_over_tls(loopback: Loopback, tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab")
    with jupyter(tmp_path, *loopback.flags(), target="jupyter:lab") as served:
        shown = served.server.wait_for_log("/lab?token=...")
        assert f"https://127.0.0.1:{served.server.port}/lab" in shown
        with httpx.Client(
            base_url=served.server.origin, headers=AUTHORIZED, verify=loopback.context(), trust_env=False, http2=True
        ) as client:
            page = client.get("/lab")
            assert page.http_version == "HTTP/2" and "JupyterLab" in page.text
            script = page.text.partition('<script defer="defer" src="')[2].partition('"')[0]
            answer = client.get(script)
            assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]
            assert json.loads((served.runtime / f"jpserver-{served.server.pid}.json").read_text())["secure"] is True
            for cookie in client.cookies.jar:
                assert cookie.secure or cookie.name == "_xsrf", cookie


@pytest.mark.grid(app="Jupyter Notebook", check="plain request", package="notebook")
def test_notebook_page(tmp_path: Path) -> None:
    pytest.importorskip("notebook")
    with jupyter(tmp_path, "--root-path", "/deep", target="jupyter:notebook") as served:
        page = served.client.get("/deep/tree")
        assert page.status_code == 200 and "Jupyter" in page.text
        assert set(served.client.get("/deep/api").json()) == {"version"}
