"""The control socket: what it answers, whom it turns away, and that no client can hold or end a supervisor."""

from __future__ import annotations

import errno
import json
import logging
import os
import select
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from torana.base.errors import ToranaError
from torana.process import control as room
from torana.process.ask import NoServer, ask, find_server
from torana.process.control import MOST_CLIENTS, PATIENCE_S, Control, open_control
from torana.process.options import RunOptions

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


class Clock:
    """A clock that stands."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A control socket whose supervisor is the test."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.asked: list[dict[str, Any]] = []
        self.answer: Answer = lambda request: {"ok": True}
        self.clock = Clock()
        self.control = Control(self.path, self._note, clock=self.clock)

    def _note(self, request: dict[str, Any]) -> dict[str, Any] | None:
        self.asked.append(request)
        return self.answer(request)

    def turn(self) -> None:
        """Do all there is to do."""
        while select.select([self.control], [], [], 0)[0]:
            self.control.ready()

    def client(self, line: bytes = b"") -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(self.path)
        if line:
            sock.sendall(line)
        self.turn()
        return sock

    def say(self, line: bytes) -> dict[str, Any]:
        with self.client(line) as sock:
            return read(sock)


def read(sock: socket.socket) -> dict[str, Any]:
    received = b""
    while not received.endswith(b"\n"):
        part = sock.recv(65536)
        assert part, f"ended after {received!r}"
        received += part
    answer: dict[str, Any] = json.loads(received)
    return answer


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A run-time directory."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def stage(place: Path) -> Iterator[Stage]:
    """A control socket, open."""
    made = Stage(place / "torana-x.ctl")
    yield made
    made.control.close()


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b'{"do":"status"}\n', {"do": "status"}),
        (b'{"do":"reload"}\n', {"do": "reload"}),
        (b'{"do":"scale","workers":3}\n', {"do": "scale", "workers": 3}),
        (b'{"do":"stop"}\n', {"do": "stop", "now": False}),
        (b'{"do":"stop","now":true}\r\n', {"do": "stop", "now": True}),
        (b'{"do":"dump"}\n', {"do": "dump", "worker": 0}),
        (b'{"do":"dump","worker":7}\n{"do":"stop"}\n', {"do": "dump", "worker": 7}),
    ],
)
def test_a_request_arrives_whole_with_its_token(stage: Stage, line: bytes, request_: dict[str, Any]) -> None:
    assert stage.say(line) == {"ok": True}
    assert stage.asked == [{**request_, "token": 1}]


def test_a_request_may_come_in_pieces(stage: Stage) -> None:
    with stage.client() as sock:
        for byte in b'{"do":"status"}':
            sock.sendall(bytes([byte]))
            stage.turn()
        assert stage.asked == []
        sock.sendall(b"\n")
        stage.turn()
        assert read(sock) == {"ok": True}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"\n", "not understood"),
        (b"nonsense\n", "not understood"),
        (b"\xff\xfe\n", "not understood"),
        (b"[]\n", "Expected `object`"),
        (b'{"do":"explode"}\n', "'explode'"),
        (b'{"do":"status","x":1}\n', "`x`"),
        (b'{"do":"scale"}\n', "`workers`"),
        (b'{"do":"scale","workers":0}\n', ">= 1"),
        (b'{"do":"scale","workers":4097}\n', "<= 4096"),
        (b'{"do":"scale","workers":"3"}\n', "got `str`"),
        (b'{"do":"dump","worker":-1}\n', ">= 0"),
        (b'{"do":' + b"[" * 4000 + b"\n", "not understood"),
        (b"x" * 5000, "at most 4096 bytes"),
        (b"x" * 5000 + b"\n", "at most 4096 bytes"),
    ],
)
def test_what_is_no_request_is_refused_and_never_heard(stage: Stage, line: bytes, sentence: str) -> None:
    said = stage.say(line)
    assert said["ok"] is False and sentence in said["why"]
    assert stage.asked == []


def test_a_failing_answer_is_a_refusal_and_a_line_in_the_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: dict[str, Any]) -> dict[str, Any]:
        raise LookupError("no such thing")

    stage.answer = fail
    with caplog.at_level(logging.ERROR, "torana"):
        said = stage.say(b'{"do":"status"}\n')
    assert said["ok"] is False and "LookupError" in said["why"]
    assert "no such thing" in caplog.text
    stage.answer = lambda request: {"ok": True}
    assert stage.say(b'{"do":"status"}\n') == {"ok": True}


def test_an_answer_may_come_later(stage: Stage) -> None:
    stage.answer = lambda request: None
    with stage.client(b'{"do":"reload"}\n') as sock, stage.client(b'{"do":"reload"}\n') as other:
        one, two = (request["token"] for request in stage.asked)
        stage.clock.now += 3600
        stage.turn()
        assert stage.control.look() is None, "who waits for us is not turned out"
        assert stage.control.reply(two, {"ok": False, "why": "b", "text": "Traceback"})
        assert stage.control.reply(one, {"ok": True, "generation": 2})
        assert read(sock) == {"ok": True, "generation": 2}
        assert read(other)["text"] == "Traceback"
        assert not stage.control.reply(one, {"ok": True}), "nobody waits for it any more"


def test_a_client_that_goes_away_while_it_waits_is_forgotten(stage: Stage) -> None:
    stage.answer = lambda request: None
    stage.client(b'{"do":"reload"}\n').close()
    stage.turn()
    assert not stage.control.reply(stage.asked[0]["token"], {"ok": True})
    assert not stage.control.reply(999, {"ok": True})


def test_a_large_answer_reaches_a_slow_client(stage: Stage) -> None:
    stage.answer = lambda request: {"ok": True, "text": "x" * 3_000_000}
    with stage.client(b'{"do":"status"}\n') as sock:
        received = b""
        while part := sock.recv(65536):
            received += part
            stage.turn()
        assert len(json.loads(received)["text"]) == 3_000_000


def test_an_answer_beyond_the_bound_is_not_sent(stage: Stage) -> None:
    stage.answer = lambda request: {"ok": True, "text": "x" * 5_000_000}
    assert stage.say(b'{"do":"status"}\n') == {"ok": False, "why": "the answer is too long"}


def test_there_is_room_for_eight(stage: Stage) -> None:
    clients = [stage.client() for _ in range(MOST_CLIENTS)]
    with stage.client() as ninth:
        assert "too many" in read(ninth)["why"]
        assert ninth.recv(1) == b""
    clients.pop().close()
    assert stage.say(b'{"do":"status"}\n') == {"ok": True}
    for client in clients:
        client.close()


def test_who_says_nothing_is_turned_out_after_a_while(stage: Stage) -> None:
    with stage.client(b'{"do"') as sock:
        assert stage.control.look() == stage.clock.now + PATIENCE_S
        stage.clock.now += PATIENCE_S
        assert stage.control.look() is None
        assert sock.recv(1) == b""


def test_who_does_not_read_is_turned_out_after_a_while(stage: Stage) -> None:
    stage.answer = lambda request: {"ok": True, "text": "x" * 3_000_000}
    with stage.client(b'{"do":"status"}\n'):
        stage.clock.now += PATIENCE_S
        assert stage.control.look() is None
        assert not stage.control.reply(stage.asked[0]["token"], {})


def test_a_stop_is_answered_and_its_connection_tells_the_end(stage: Stage) -> None:
    stage.answer = lambda request: {"ok": True, "pid": 5}
    with stage.client(b'{"do":"stop"}\n') as sock:
        assert read(sock) == {"ok": True, "pid": 5}
        stage.clock.now += 3600
        stage.control.look()
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        stage.control.close()
        assert sock.recv(1) == b""


def test_a_refused_stop_ends_at_once(stage: Stage) -> None:
    stage.answer = lambda request: {"ok": False, "why": "no"}
    with stage.client(b'{"do":"stop"}\n') as sock:
        assert read(sock)["why"] == "no"
        assert sock.recv(1) == b""


def test_another_user_is_not_heard(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "uid_of", lambda sock: 65533)
    with stage.client() as sock, pytest.raises(OSError):
        sock.sendall(b'{"do":"stop"}\n')
        stage.turn()
        if not sock.recv(1):
            raise ConnectionResetError
    assert stage.asked == []


def test_without_descriptors_it_waits_instead_of_spinning(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = stage.control._listening

    class Full:
        def accept(self) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        def fileno(self) -> int:
            return listening.fileno()

    monkeypatch.setattr(stage.control, "_listening", Full())
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(stage.path)
        stage.control.ready()
        assert not select.select([stage.control], [], [], 0)[0]
        monkeypatch.setattr(stage.control, "_listening", listening)
        stage.clock.now += 1
        stage.control.look()
        sock.sendall(b'{"do":"status"}\n')
        stage.turn()
        assert read(sock) == {"ok": True}


def test_only_we_can_reach_it(stage: Stage) -> None:
    assert stat.S_IMODE(os.lstat(stage.path).st_mode) == 0o600


def test_closing_removes_the_file_unless_it_is_somebody_elses(place: Path) -> None:
    one = Stage(place / "torana-1.ctl")
    one.control.close()
    assert not os.path.lexists(one.path)
    other = Stage(place / "torana-2.ctl")
    heir = Control(other.path, lambda request: {"ok": True}, is_heir=True)
    other.control.close()
    assert os.path.lexists(other.path), "the heir has it now"
    heir.close()
    assert not os.path.lexists(other.path)


def test_a_child_that_forgets_it_disturbs_neither_the_file_nor_the_clients(stage: Stage) -> None:
    stage.answer = lambda request: None
    with stage.client(b'{"do":"reload"}\n') as sock:
        child = os.fork()
        if child == 0:
            try:
                stage.control.forget()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert stage.control.reply(stage.asked[0]["token"], {"ok": True})
        assert read(sock) == {"ok": True}
        assert sock.recv(1) == b"", "the child holds no copy"
    stage.answer = lambda request: {"ok": True}
    assert stage.say(b'{"do":"status"}\n') == {"ok": True}


def test_what_a_dead_server_left_is_replaced_and_a_living_one_is_not(place: Path) -> None:
    path = place / "torana-x.ctl"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    alive = Stage(path)
    with pytest.raises(OSError, match="another server has it"):
        Control(str(path), lambda request: None)
    assert alive.say(b'{"do":"status"}\n') == {"ok": True}
    alive.control.close()


def test_a_file_that_is_no_socket_is_left_alone(place: Path) -> None:
    path = place / "torana-x.ctl"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        Control(str(path), lambda request: None)
    target = place / "target"
    link = place / "torana-y.ctl"
    link.symlink_to(target)
    with pytest.raises(FileExistsError):
        Control(str(link), lambda request: None)
    assert path.read_text() == "precious" and not target.exists()


def options(runtime_dir: str = "", said: str = "auto", bind: str = "127.0.0.1:8000") -> RunOptions:
    whole = RunOptions()
    listen = replace(whole.net.listen, binds=(bind,))
    process = replace(whole.process, runtime_dir=runtime_dir, control_socket=said)
    return replace(whole, net=replace(whole.net, listen=listen), process=process)


def opened(given: RunOptions, place: Path, **more: Any) -> Control | None:
    return open_control(
        given, ["http://127.0.0.1:8000"], lambda request: None, system_dir=str(place / "no/such"), **more
    )


def test_none_is_made_where_there_is_no_run_time_directory(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "torana"):
        assert opened(options(), place) is None
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG and "No such file" in record.getMessage()


def test_one_that_was_asked_for_and_cannot_be_is_a_warning(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert opened(options(said=str(place / "no" / "x")), place) is None
    assert opened(options(said="off"), place) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "torana status" in record.getMessage()


def test_a_second_server_does_without(place: Path) -> None:
    given = options(runtime_dir=str(place))
    first = opened(given, place)
    assert first is not None
    assert opened(given, place) is None
    heir = opened(given, place, heir_of=first.path)
    assert heir is not None and heir.path == first.path
    first.close()
    heir.close()
    assert list(place.glob("*.ctl")) == []


class Served:
    """A control socket that is seen to by a thread."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = str(path)
        self.control = Control(self.path, answer)
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        watched: list[Any] = [self.control, self._wake]
        while self._wake not in select.select(watched, [], [], 10)[0]:
            self.control.ready()
        self.control.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._waker.send(b"x")
            self._thread.join(5)
        self._wake.close()
        self._waker.close()


@pytest.fixture
def serve(place: Path) -> Iterator[Callable[..., Served]]:
    """Servers by name, stopped at the end."""
    served: list[Served] = []

    def make(answer: Answer, name: str = "torana-127.0.0.1-8000.ctl") -> Served:
        served.append(Served(place / name, answer))
        return served[-1]

    yield make
    for one in served:
        one.stop()


def test_asking(serve: Callable[..., Served]) -> None:
    served = serve(lambda request: {"ok": True, "was": request["workers"]})
    assert ask(served.path, {"do": "scale", "workers": 4}) == {"ok": True, "was": 4}
    assert ask(served.path, {"do": "scale", "workers": 0})["ok"] is False


def test_asking_to_stop_waits_for_the_end(serve: Callable[..., Served]) -> None:
    served = serve(lambda request: {"ok": True})
    heard: list[dict[str, Any]] = []

    def then(answer: dict[str, Any]) -> None:
        heard.append(answer)
        served.stop()

    assert ask(served.path, {"do": "stop"}, then=then) == {"ok": True} == heard[0]
    assert not os.path.exists(served.path)


def test_a_server_that_ends_before_it_answered(serve: Callable[..., Served]) -> None:
    asked = threading.Event()

    def answer(request: dict[str, Any]) -> None:
        asked.set()

    served = serve(answer)

    def end() -> None:
        asked.wait(5)
        served.stop()

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(ToranaError, match="ended before it answered") as ended:
        ask(served.path, {"do": "reload"})
    # It may still be within stop(), which the fixture calls too.
    thread.join()
    assert ended.value.exit_code == 1


def test_asking_nobody(place: Path) -> None:
    path = str(place / "torana-x.ctl")
    with pytest.raises(NoServer, match="no server listens"):
        ask(path, {"do": "status"})
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(NoServer, match="no server listens") as refused:
        ask(path, {"do": "status"})
    assert refused.value.exit_code == 2


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the kernel does not tell who listens")
def test_a_socket_of_somebody_else_is_not_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from torana.process import ask as asking

    monkeypatch.setattr(asking, "uid_of", lambda sock: 65533)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoServer, match="held by user 65533"):
        ask(stage.path, {"do": "status"})
    stage.turn()
    assert stage.asked == []


def test_the_server_that_is_meant(place: Path, serve: Callable[..., Served]) -> None:
    def found(is_named: bool = False, **given: str) -> str:
        return find_server(options(runtime_dir=str(place), **given), is_named=is_named, system_dir=str(place / "none"))

    with pytest.raises(NoServer, match="no server was found; one has a control socket if"):
        found()
    first = serve(lambda request: None)
    assert found() == found(is_named=True) == first.path
    assert found(bind="127.0.0.1:9") == first.path, "the only one there is"
    with pytest.raises(NoServer, match=r"no server runs at 127.0.0.1:9; others do:\n  torana ... --control-socket"):
        found(bind="127.0.0.1:9", is_named=True)
    other = serve(lambda request: None, "torana-127.0.0.1-9.ctl")
    assert found() == first.path, "the one that has our default address"
    assert found(bind="127.0.0.1:9") == other.path
    with pytest.raises(NoServer, match=r"several servers run; say which:\n.*\n.*"):
        found(bind="127.0.0.1:7")
    with pytest.raises(NoServer, match="is off"):
        found(said="off")
    assert found(said="/some/where") == "/some/where"
