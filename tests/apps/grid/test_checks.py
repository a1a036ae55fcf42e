"""The same checks for every application that answers the grid's routes."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.apps.grid.asking import restart
from tests.apps.grid.declared import SITES, Reach, Site, Speech
from tests.apps.grid.serving import Served, let_go_on, running_redis, serving, skip_unless_there
from tests.support.load import loading
from tests.support.supervised import ready_workers, until

httpx = pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

WAIT_S = 20.0
#: No file of a repeated pattern, so that pieces cannot change places unseen.
UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(200_000))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="class")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    site = request.cls.site
    skip_unless_there(*site.needs)
    url = request.getfixturevalue("redis") if site.reach is Reach.SERVER else ""
    with serving(site, tmp_path_factory.mktemp("place"), url) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.server.origin, timeout=WAIT_S, trust_env=False) as client:
        yield client


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def talk(served: Served) -> None:
    """Text, bytes, and a close code."""
    with websockets.connect(f"ws://127.0.0.1:{served.server.port}/echo", proxy=None) as socket:
        for content in ("grüße", b"\x00\xff" * 100_000):
            socket.send(content)
            assert socket.recv(WAIT_S) == content
        socket.send("close")
        with pytest.raises(exceptions.ConnectionClosed) as closed:
            socket.recv(WAIT_S)
    assert closed.value.rcvd.code == served.site.close_code


def talk_events(served: Served, transports: list[str]) -> None:
    """Events both ways, text and bytes, an answer, and the end."""
    socketio = pytest.importorskip("socketio")
    with socketio.SimpleClient(reconnection=False) as socket:
        socket.connect(served.server.origin, transports=transports)
        assert socket.transport == transports[-1]
        for content in ("grüße", b"\x00\xff" * 10_000):
            socket.emit("echo", content)
            assert socket.receive(WAIT_S) == ["echo", content]
        assert socket.call("add", (1, 2), WAIT_S) == 3
        socket.emit("leave")
        until(lambda: not socket.connected, "the server has ended the session")


class Checks:
    """What every site passes."""

    site: Site

    @pytest.mark.grid(check="plain request")
    def test_plain_request(self, client: httpx.Client) -> None:
        for name in ("world", "Zoë & Søn", "a+b/c?d"):
            answer = client.get("/hello", params={"name": name})
            assert (answer.status_code, answer.text) == (200, f"Hello, {name}!")
            assert answer.headers["content-type"].startswith("text/plain")
            assert len(answer.headers.get_list("date")) == 1
        assert client.get("/nowhere/at/all").status_code == 404

    @pytest.mark.grid(check="form")
    def test_form(self, client: httpx.Client) -> None:
        fields = {"name": "Zoë & Søn = ?", "colour": "green"}
        answer = client.post("/form", data=fields)
        assert answer.status_code in (200, 201)
        assert answer.json() == fields

    @pytest.mark.grid(check="upload")
    def test_upload(self, client: httpx.Client) -> None:
        answer = client.post("/upload", files={"file": ("a picture.bin", UPLOAD, "application/octet-stream")})
        assert answer.status_code in (200, 201)
        digest = hashlib.sha256(UPLOAD).hexdigest()
        assert answer.json() == {"name": "a picture.bin", "size": len(UPLOAD), "sha256": digest}

    @pytest.mark.grid(check="streaming")
    def test_streaming(self, served: Served, client: httpx.Client, token: str) -> None:
        with served.pipe(token) as pipe, client.stream("GET", f"/stream/{token}") as answer:
            pieces = answer.iter_text()
            assert next(pieces) == "first\n"
            let_go_on(pipe)
            assert "".join(pieces) == "second\n"
        assert client.get("/hello", params={"name": "again"}).text == "Hello, again!"

    @pytest.mark.grid(check="error page")
    def test_error_page(self, served: Served, client: httpx.Client, token: str) -> None:
        mark = served.server.mark()
        answer = client.get(f"/fail/{token}")
        assert answer.status_code == 500
        for secret in (f"failed {token}", "Traceback", "RuntimeError", "site.py"):
            assert secret not in answer.text
        served.server.wait_for_log(f"failed {token}", since=mark)
        log = served.server.log_since(mark)
        assert "Traceback" in log and "raise failure(" in log
        assert client.get("/hello", params={"name": "again"}).text == "Hello, again!"

    @pytest.mark.grid(check="restart under load")
    def test_restart_under_load(self, served: Served, client: httpx.Client, token: str) -> None:
        server = served.server
        assert len(set(ready_workers(server))) == 2
        with served.pipe(token) as pipe, client.stream("GET", f"/stream/{token}") as answer:
            pieces = answer.iter_text()
            assert next(pieces) == "first\n"
            with loading(server.address, kept=4, fresh=4, pause_s=0.005) as load:
                mark = restart(server, load)
            # What an old worker was about to answer, it still answers.
            let_go_on(pipe)
            assert "".join(pieces) == "second\n"
        tally = load.tally
        assert not tally.failures, tally.describe()
        assert "Traceback" not in server.log_since(mark)


class ChecksWithWebSocket(Checks):
    """And one that speaks."""

    @pytest.mark.grid(check="WebSocket")
    def test_websocket(self, served: Served) -> None:
        talk(served)


class ChecksWithSocketIO(Checks):
    """And one that speaks Socket.IO, with each of its sessions in one of the workers."""

    @pytest.mark.grid(check="WebSocket")
    @pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="-".join)
    def test_websocket(self, served: Served, transports: list[str]) -> None:
        for _ in range(5):
            talk_events(served, transports)

    @pytest.mark.grid(check="long polling")
    def test_long_polling(self, served: Served) -> None:
        for _ in range(5):
            talk_events(served, ["polling"])


class ChecksWithLayer(ChecksWithWebSocket):
    """And one whose WebSockets hear each other."""

    @pytest.mark.grid(check="channel layer")
    def test_layer(self, served: Served) -> None:
        with contextlib.ExitStack() as open_sockets:
            by_worker: dict[str, list[Any]] = {}
            for _ in range(60):
                url = f"ws://127.0.0.1:{served.server.port}/room"
                socket = open_sockets.enter_context(websockets.connect(url, proxy=None))
                by_worker.setdefault(socket.recv(WAIT_S), []).append(socket)
                if pair := self.pair(served.site.reach, by_worker):
                    break
            speaker, hearer = pair
            speaker.send("grüße")
            assert hearer.recv(WAIT_S) == "grüße"

    @staticmethod
    def pair(reach: Reach, by_worker: dict[str, list[Any]]) -> list[Any]:
        """Two that must hear each other: in one worker, or in two."""
        if reach is Reach.WORKER:
            return next((sockets[:2] for sockets in by_worker.values() if len(sockets) > 1), [])
        return [sockets[0] for sockets in by_worker.values()] if len(by_worker) == 2 else []


def checks_for(site: Site) -> type[Checks]:
    """What it has to pass."""
    if site.reach is not Reach.NOWHERE:
        return ChecksWithLayer
    return {Speech.NOTHING: Checks, Speech.ECHO: ChecksWithWebSocket, Speech.SOCKETIO: ChecksWithSocketIO}[site.speech]


# A class for each, so that xdist starts each site once (--dist loadscope).
for site in SITES:
    found = type(f"Test{site.word}", (checks_for(site),), {"site": site, "__module__": __name__})
    globals()[found.__name__] = site.mark(found)
