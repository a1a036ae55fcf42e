"""Flask-SocketIO in threading mode through the real command, by python-socketio's client, on both its transports."""

from __future__ import annotations

import contextlib
import queue
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, running

pytest.importorskip("flask_socketio")
pytest.importorskip("simple_websocket")
pytest.importorskip("websocket")
socketio = pytest.importorskip("socketio")

HERE = Path(__file__).parent
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("flask_socketio_site:app", "--threads", "16", "--timeout-graceful", "1", app_dir=HERE) as server:
        yield server


class Talker:
    """A connected client, and what it was told."""

    def __init__(self, server: Server, transports: list[str], token: str = "") -> None:
        self.client = socketio.Client(reconnection=False)
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()
        for event in ("welcome", "echoed", "said", "disconnect"):
            self.client.on(event, lambda *data, event=event: self.told.put((event, data[0] if data else None)))
        self.client.connect(f"{server.origin}?token={token}", transports=transports, wait_timeout=20)

    def hears(self) -> tuple[str, Any]:
        """What comes next."""
        return self.told.get(timeout=20)


@pytest.fixture
def talk(server: Server) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def connected(transports: list[str], token: str = "") -> Talker:
            talker = Talker(server, transports, token)
            stack.callback(talker.client.disconnect)
            return talker

        yield connected


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_events_both_ways(talk: Any, transports: list[str]) -> None:
    talker = talk(transports)
    assert talker.hears() == ("welcome", {"transport": transports[-1]})
    assert talker.client.transport() == transports[-1]
    for data in ("text", {"a": [1, None, "ü"]}, b"\x00\xff" * 1000, ["x" * 100_000]):
        assert talker.client.call("echo", data, timeout=20) == data
        assert talker.hears() == ("echoed", data)


def test_a_room_on_both_transports(talk: Any) -> None:
    talkers = [talk(transports) for transports in TRANSPORTS]
    for talker in talkers:
        assert talker.hears()[0] == "welcome"
        assert talker.client.call("join", "room", timeout=20) is True
    talkers[0].client.emit("say", {"room": "room", "text": "hello"})
    assert [talker.hears() for talker in talkers] == [("said", "hello")] * 3


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_client_that_leaves(talk: Any, server: Server, transports: list[str]) -> None:
    token = uuid.uuid4().hex
    client = talk(transports, token).client
    # Told to end between two rounds, the client's writer drops its last words: let it get to where it waits for them.
    client.eio.queue.join()
    client.disconnect()
    server.wait_for_log(f"note: gone {token}")
    if transports == ["websocket"]:
        line = server.wait_for_log(f"/socket.io/?token={token}&transport=websocket")
        assert '"status":101' in line
    assert "Traceback" not in server.log


def test_http_goes_on_beside_it(talk: Any, server: Server) -> None:
    talk(["websocket"])
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/hello").body == b"Hello, world!"


def test_stop_with_open_sockets() -> None:
    flags = ("--threads", "4", "--timeout-graceful", "0.5")
    with running("flask_socketio_site:app", *flags, app_dir=HERE) as server:
        talker = Talker(server, ["websocket"])
        assert talker.hears()[0] == "welcome"
        assert server.stop() == 0
        assert talker.hears()[0] == "disconnect"
        talker.client.disconnect()
