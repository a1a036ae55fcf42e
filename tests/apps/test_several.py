"""Flask, FastAPI, aiohttp, Tornado and Django side by side in one server, by httpx and the websockets library."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.support.secure_websocket import secure_websocket
from tests.support.server import Server, child_environment

httpx = pytest.importorskip("httpx")
pytest.importorskip("websockets.asyncio.client")
for framework in ("flask", "fastapi", "aiohttp", "tornado", "django"):
    pytest.importorskip(framework)

HERE = Path(__file__).parent / "several"


@contextlib.contextmanager
def side_by_side(files: Path, *flags: str, cwd: Path = HERE) -> Iterator[Server]:
    """The server that torana.toml of a folder describes."""
    command = [sys.executable, "-m", "torana", "run", "--bind", "127.0.0.1:0", *flags]
    environment = child_environment({"SITE_FILES": str(files)})
    server = Server(command, cwd, environment)
    try:
        server.wait_until_ready()
        yield server
        assert server.stop() == 0, server.log
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module", params=["one", "preloaded"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, loopback: Loopback
) -> Iterator[Server]:
    flags = {"one": (), "preloaded": ("--workers", "2", "--preload", "--control-socket", "off")}[request.param]
    with side_by_side(tmp_path_factory.mktemp("files"), *loopback.flags(), *flags) as started:
        yield started


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def site(request: pytest.FixtureRequest, server: Server, loopback: Loopback) -> Iterator[Any]:
    if request.param == "HTTP/2":
        pytest.importorskip("h2")
    address = f"https://127.0.0.1:{server.port}"
    with httpx.Client(
        base_url=address, verify=loopback.context(), http2=request.param == "HTTP/2", trust_env=False, timeout=30
    ) as asking:
        answer = asking.get("/")
        assert answer.http_version == request.param
        yield asking


def test_each_framework_is_told_its_mount_point(site: Any) -> None:
    base = str(site.base_url).rstrip("/")
    assert site.get("/").json() == {"by": "flask", "rest": "", "root": "", "link": "/a"}
    assert site.get("/fastx").json()["rest"] == "fastx"
    item = site.get("/fast/item/a").json()
    assert item.pop("pid") > 0
    assert item == {"by": "fastapi", "name": "a", "link": base + "/fast/item/b", "state": "yes"}
    assert site.get("/aio/hello/a?x=1").json() == {"by": "aiohttp", "name": "a", "query": "x=1"}
    assert site.get("/aio?x=1").json() == {"by": "aiohttp", "name": "", "query": "x=1"}
    assert site.get("/tornado/hello/a%20b?x").json() == {"by": "tornado", "name": "a b", "query": "x"}
    assert site.get("/tornado/nothing").status_code == 404
    assert site.get("/aio/nothing").status_code == 404


def test_hosts_have_their_own(site: Any) -> None:
    named = {"Host": "test.example"}
    assert site.get("/hello", headers=named).text.startswith("Hello, world! (wsgi) https://test.example/hello")
    assert site.get("/whole/a", headers=named).json()["by"] == "whole"
    other = site.get("/whole/a", headers={"Host": "A.test.example:1"}).json()
    assert other == {"by": "whole", "name": "a", "link": "https://A.test.example:1/whole/b"}
    # Of a host with applications of its own, the others have what those leave.
    assert site.get("/fast/item/a", headers={"Host": "a.test.example"}).json()["by"] == "fastapi"
    assert site.get("/fast/item/a", headers=named).status_code == 404, "Django has the whole host"


def test_bodies_arrive(site: Any) -> None:
    assert site.post("/upload", content=b"x" * 1_000_000).json() == {"size": 1_000_000}


def test_there_is_no_way_round(site: Any) -> None:
    for target in ("//fast/item/a", "/x/%2e%2e/fast/item/a", "/fast%2fitem/a"):
        assert site.get(str(site.base_url).rstrip("/") + target).status_code == 400, target


@pytest.mark.parametrize(
    ("path", "name"), [("/fast/ws", "fastapi"), ("/aio/ws", "aiohttp"), ("/tornado/ws", "tornado")]
)
def test_websockets_come_to_their_own(server: Server, loopback: Loopback, path: str, name: str) -> None:
    where = f"wss://127.0.0.1:{server.port}{path}"
    with secure_websocket(where, loopback.context()) as socket:
        socket.send("hello")
        assert socket.recv(20) == f"{name}: hello"


def test_check_names_them_all(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torana", "check"],
        cwd=HERE, capture_output=True, text=True, timeout=60, env=child_environment({"SITE_FILES": str(tmp_path)}),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("application")]
    assert [line.partition(" (")[0] for line in lines] == [
        "flask_part:app at /",
        "fastapi_part:make() at /fast",
        "aiohttp_part:app at /aio",
        "tornado_part:app at /tornado",
        "django_site.wsgi:application at test.example",
        "fastapi_part:whole at test.example/whole and *.test.example/whole",
    ]
    kinds = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("interface")]
    assert kinds == ["wsgi:", "asgi3:", "aiohttp:", "tornado:", "wsgi:", "asgi3:"]


def test_a_change_in_any_folder_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "site" / "here"
    other = tmp_path / "site" / "there"
    folder.mkdir(parents=True)
    other.mkdir()
    (folder / "torana.toml").write_text(
        "[[app]]\napp = 'one:app'\n[[app]]\napp = 'two:app'\napp_dir = '../there'\npath = '/two'\n"
    )
    text = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'%s']\n"
    (folder / "one.py").write_text(text % "one")
    (other / "two.py").write_text(text % "two")
    with side_by_side(tmp_path, "--reload", cwd=folder) as server:
        assert httpx.get(server.origin + "/two", trust_env=False).text == "two"
        # The first start's own line may come behind that with the address, which alone was waited for.
        server.wait_for_log("Ready after")
        seen = server.mark()
        (other / "two.py").write_text(text % "another")
        server.wait_for_log("reloading", since=seen)
        server.wait_for_log("Ready after", since=seen)
        assert httpx.get(server.origin + "/two", trust_env=False).text == "another"
        assert httpx.get(server.origin + "/one", trust_env=False).text == "one"
