"""WebSockets of real frameworks through the real command, by the websockets library and python-socketio's client."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")

HERE = Path(__file__).parent
WAIT_S = 20.0


def serving(name: str, *modules: str) -> Callable[[], Iterator[Server]]:
    """A fixture that serves one of the sites here, where its framework is installed."""

    @pytest.fixture(scope="module", name=name)
    def site() -> Iterator[Server]:
        for module in modules:
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"{module} is not installed")
        with running(f"websocket_{name}_site:app", "--ws-ping-interval", "0", app_dir=HERE) as server:
            yield server

    return site


starlette = serving("starlette", "starlette")
fastapi = serving("fastapi", "fastapi")
channels = serving("channels", "channels")
socketio = serving("socketio", "socketio")
quart = serving("quart", "quart")


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def connect(server: Server, path: str, **more: Any) -> Any:
    """An open WebSocket."""
    return client.connect(f"ws://127.0.0.1:{server.port}{path}", **{"proxy": None} | more)


def closing(socket: Any) -> Any:
    """How the server closed: the close frame that came."""
    with pytest.raises(exceptions.ConnectionClosed) as closed:
        socket.recv(WAIT_S)
    return closed.value.rcvd


def status_of(server: Server, path: str, **more: Any) -> Any:
    """The response that refused a handshake."""
    with pytest.raises(exceptions.InvalidStatus) as refused:
        connect(server, path, **more)
    return refused.value.response


# Starlette


def test_starlette_echo(starlette: Server, token: str) -> None:
    with connect(starlette, f"/echo?token={token}") as socket:
        for text in ("a", "", "ä" * 100_000):
            socket.send(text)
            assert socket.recv(WAIT_S) == text
    starlette.wait_for_log(f"note: echo {token} over")


def test_starlette_kinds_of_messages(starlette: Server) -> None:
    with connect(starlette, "/kinds") as socket:
        assert socket.response.headers["x-served-by"] == "torana"
        socket.send(b"\x00\xff")
        assert socket.recv(WAIT_S) == b"\x00\xff"
        socket.send('{"a": 1}')
        assert json.loads(socket.recv(WAIT_S)) == {"a": 1}
        socket.send(b'{"b": 2}')
        assert json.loads(socket.recv(WAIT_S, decode=False)) == {"b": 2}
        frame = closing(socket)
    assert (frame.code, frame.reason) == (4321, "done")


@pytest.mark.parametrize("path", ["/careless", "/forgetful"])
def test_starlette_application_that_does_not_look_for_the_end(starlette: Server, path: str) -> None:
    mark = starlette.mark()
    # A client that takes nothing more does not see the answer to its close frame.
    with connect(starlette, path, close_timeout=0.5) as socket:
        socket.send("x")
        socket.recv(WAIT_S)
    starlette.wait_for_log(f'"target":"{path}"', since=mark)
    with connect(starlette, "/counter?token=x") as socket:
        socket.send("x")
        socket.recv(WAIT_S)
    assert "Traceback" not in starlette.log_since(mark)


def test_starlette_sends_while_it_receives(starlette: Server) -> None:
    with connect(starlette, "/ticker") as socket:
        assert [socket.recv(WAIT_S) for _ in range(3)] == ["tick"] * 3
        socket.send("hello")
        while (text := socket.recv(WAIT_S)) != "hello":
            assert text == "tick"
        socket.send("stop")
        while (text := socket.recv(WAIT_S)) not in ("stop", "stopped"):
            assert text == "tick"


def test_starlette_gives_up_receiving_and_loses_nothing(starlette: Server) -> None:
    with connect(starlette, "/impatient") as socket:
        pause = threading.Event()
        for number in range(100):
            socket.send(str(number))
            if number % 5 == 0:
                pause.wait(0.003)
        seen = json.loads(socket.recv(WAIT_S))
    assert seen["texts"] == [str(number) for number in range(100)]


def test_starlette_denial_response(starlette: Server) -> None:
    answer = status_of(starlette, "/deny")
    assert (answer.status_code, answer.headers["x-why"], json.loads(answer.body)) == (401, "because", {"detail": "no"})


@pytest.mark.parametrize(("path", "status"), [("/refuse", 403), ("/nowhere", 403)])
def test_starlette_refusal(starlette: Server, path: str, status: int) -> None:
    assert status_of(starlette, path).status_code == status


def test_starlette_exception_with_a_code(starlette: Server) -> None:
    with connect(starlette, "/policy", subprotocols=["chat"]) as socket:
        assert socket.subprotocol == "chat"
        frame = closing(socket)
    assert (frame.code, frame.reason) == (1008, "not you")


def test_starlette_fault(starlette: Server, token: str) -> None:
    with connect(starlette, f"/fail?token={token}") as socket:
        assert closing(socket).code == 1011
    starlette.wait_for_log(f"ValueError: a fault of {token}")


def test_starlette_hears_code_and_reason(starlette: Server, token: str) -> None:
    with connect(starlette, f"/ended?token={token}") as socket:
        socket.close(4000, "ré")
    starlette.wait_for_log(f"note: ended {token} 4000 ré")


def test_starlette_endpoint_class(starlette: Server, token: str) -> None:
    with connect(starlette, f"/counter?token={token}") as socket:
        for text, count in (("ab", "2"), ("c", "3")):
            socket.send(text)
            assert socket.recv(WAIT_S) == count
        socket.send(b"bytes it does not want")
        assert closing(socket).code == 1003
    starlette.wait_for_log(f"note: counter {token} 10")


# FastAPI


def test_fastapi_parameters_and_dependencies(fastapi: Server) -> None:
    mark = fastapi.mark()
    with connect(fastapi, "/items/7/ws?token=t&q=3") as socket:
        socket.send("x")
        assert json.loads(socket.recv(WAIT_S)) == {"item": 7, "token": "t", "q": 3, "data": "x"}
    fastapi.wait_for_log('"target":"/items/7/ws?token=t&q=3"', since=mark)
    assert "Traceback" not in fastapi.log_since(mark), "the end that nobody looks for is no failure"


@pytest.mark.parametrize("path", ["/items/7/ws", "/items/seven/ws?token=t", "/nowhere"])
def test_fastapi_refusal(fastapi: Server, path: str) -> None:
    assert status_of(fastapi, path).status_code == 403


def test_fastapi_room(fastapi: Server) -> None:
    with connect(fastapi, "/room/ada") as ada:
        assert ada.recv(WAIT_S) == "ada joined"
        with connect(fastapi, "/room/bob") as bob:
            assert [ada.recv(WAIT_S), bob.recv(WAIT_S)] == ["bob joined"] * 2
            bob.send("hello")
            assert [ada.recv(WAIT_S), bob.recv(WAIT_S)] == ["bob: hello"] * 2
        assert ada.recv(WAIT_S) == "bob left"


# Django Channels


def test_channels_room(channels: Server) -> None:
    def said(socket: Any) -> str:
        text: str = json.loads(socket.recv(WAIT_S))["text"]
        return text

    with connect(channels, "/room/ada", subprotocols=["chat"]) as ada:
        assert ada.subprotocol == "chat"
        assert said(ada) == "ada joined"
        with connect(channels, "/room/bob") as bob:
            assert [said(ada), said(bob)] == ["bob joined"] * 2
            bob.send('{"text": "hello"}')
            assert [said(ada), said(bob)] == ["bob: hello"] * 2
            bob.close(4000)
        assert said(ada) == "bob left"
    channels.wait_for_log("note: bob left by 4000")


def test_channels_on_threads(channels: Server) -> None:
    with connect(channels, "/echo") as socket:
        for message in ("ä", b"\xff", ""):
            socket.send(message)
            assert socket.recv(WAIT_S) == message
        socket.send("close")
        assert closing(socket).code == 4001


def test_channels_refusal(channels: Server) -> None:
    assert status_of(channels, "/refusal").status_code == 403


def test_channels_leaves_no_traceback(channels: Server) -> None:
    mark = channels.mark()
    with connect(channels, "/echo") as socket:
        socket.send("x")
        socket.recv(WAIT_S)
    channels.wait_for_log('"target":"/echo"', since=mark)
    assert "Traceback" not in channels.log_since(mark)


# python-socketio


@contextlib.contextmanager
def joined(server: Server, **more: Any) -> Iterator[Any]:
    """A connected client of python-socketio."""
    library = pytest.importorskip("socketio")
    pytest.importorskip("websocket")
    pytest.importorskip("requests")
    session = __import__("requests").Session()
    session.trust_env = False
    made = library.Client(reconnection=False, http_session=session)
    made.connect(server.origin, wait_timeout=20, **more)
    try:
        yield made
    finally:
        made.disconnect()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
def test_socketio_events_and_answers(socketio: Server, transports: list[str]) -> None:
    with joined(socketio, transports=transports) as one:
        assert one.call("add", [1, 2, 3], timeout=20) == 6
        assert one.call("reverse", b"\x00\xff", timeout=20) == b"\xff\x00"
        assert one.call("reverse", bytes(100_000) + b"x", timeout=20) == b"x" + bytes(100_000)
        # The change to WebSocket is made while the client goes on with polling.
        assert one.transport() == transports[-1]
        assert one.call("transport", timeout=20) == transports[-1]
        sid = one.get_sid()
    if transports != ["polling"]:
        # The client that polls goes without a word.
        socketio.wait_for_log(f"note: {sid} left")


def test_socketio_room(socketio: Server) -> None:
    heard: list[tuple[str, str]] = []
    news = threading.Condition()

    def listen(name: str, to: Any) -> None:
        def said(text: str) -> None:
            with news:
                heard.append((name, text))
                news.notify_all()

        to.on("said", said)

    with joined(socketio, transports=["websocket"]) as ada, joined(socketio, transports=["polling"]) as bob:
        listen("ada", ada)
        listen("bob", bob)
        ada.emit("say", "hello")
        with news:
            assert news.wait_for(lambda: len(heard) == 2, WAIT_S)
    assert sorted(heard) == [("ada", "hello"), ("bob", "hello")]


def test_socketio_refusal(socketio: Server) -> None:
    library = pytest.importorskip("socketio")
    with pytest.raises(library.exceptions.ConnectionError):
        with joined(socketio, transports=["websocket"], auth="stranger"):
            pass


# Quart


@pytest.mark.parametrize(("path", "answer"), [("/echo", "{}"), ("/both", "seen: {}")])
def test_quart_messages(quart: Server, path: str, answer: str) -> None:
    mark = quart.mark()
    with connect(quart, path) as socket:
        for text in ("a", "ä" * 50_000):
            socket.send(text)
            assert socket.recv(WAIT_S) == answer.format(text)
    quart.wait_for_log(f'"target":"{path}"', since=mark)
    assert "Traceback" not in quart.log_since(mark)


def test_quart_refusal(quart: Server) -> None:
    assert status_of(quart, "/no").status_code == 403


def test_quart_close(quart: Server) -> None:
    with connect(quart, "/close") as socket:
        frame = closing(socket)
    assert (frame.code, frame.reason) == (4002, "enough")
