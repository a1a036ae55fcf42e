"""The commands to a running server, against a server whose answers the test gives."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torana.cli import main as cli
from torana.process import rendezvous
from torana.process.control import Control

NAME = "torana-127.0.0.1-8000.ctl"
STATUS: dict[str, Any] = {
    "ok": True, "pid": 41, "version": "9.9", "application": "shop:app", "mode": "running", "age_s": 7380.0,
    "generation": 3, "wanted": 2, "listening": ["http://127.0.0.1:8000", "unix:/run/x"],
    "workers": [
        {"slot": 0, "pid": 42, "state": "ready", "generation": 3, "age_s": 200000.0, "rss_bytes": 56 << 20,
         "held_bytes": 3 << 20, "connections": 12, "served": 30201, "running": 1, "waiting": 0, "worn": ""},
        {"slot": 1, "pid": 4300, "state": "retiring", "generation": 2, "age_s": 61.5, "rss_bytes": None,
         "connections": 3, "served": 5, "worn": "max_requests"},
    ],
    "services": [{"name": "jobs", "pid": 50, "state": "running", "age_s": 5.0, "restarts": 2},
                 {"name": "clock", "pid": None, "state": "waiting", "restarts": 0}],
    "abandoned": {"why": "SyntaxError: invalid syntax (shop.py, line 1)", "text": "Traceback ...", "age_s": 12.0},
}  # fmt: skip


class Servers:
    """Servers of a run-time directory, seen to by one thread; each request and its answer are the test's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"ok": True}
        self._wake, self._waker = socket.socketpair()
        self._controls: list[Control] = []
        self._thread: threading.Thread | None = None

    def start(self, *names: str) -> None:
        self._controls = [Control(str(self.directory / name), self._note) for name in names or (NAME,)]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _note(self, request: dict[str, Any]) -> dict[str, Any]:
        request.pop("token")
        self.asked.append(request)
        if request["do"] == "stop" and self.answer["ok"]:
            threading.Thread(target=self.stop).start()
        return self.answer

    def _run(self) -> None:
        watched: list[Any] = [self._wake, *self._controls]
        while self._wake not in (ready := select.select(watched, [], [], 20)[0]):
            for control in ready:
                control.ready()
        for control in self._controls:
            control.close()

    def stop(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._waker.send(b"x")
            self._thread.join(5)

    def close(self) -> None:
        self._wake.close()
        self._waker.close()


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """A run-time directory of our own, an empty current directory, and nothing else to be found."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    runtime = tmp_path / "run"
    runtime.mkdir(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(rendezvous, "SYSTEM_DIR", str(tmp_path / "system"))
    for name in ("PORT", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    made = Servers(runtime)
    yield made
    made.stop()
    made.close()


Said = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("status", {"do": "status"}),
        ("reload", {"do": "reload"}),
        ("scale 3", {"do": "scale", "workers": 3}),
        ("stop", {"do": "stop", "now": False}),
        ("stop --now", {"do": "stop", "now": True}),
        ("dump", {"do": "dump", "worker": 0}),
        ("dump 42", {"do": "dump", "worker": 42}),
    ],
)
def test_a_command_asks_and_succeeds(servers: Servers, line: str, request_: dict[str, Any]) -> None:
    servers.start()
    assert cli.invoke(line.split()) == 0
    assert cli.invoke([*line.split(), "--json"]) == (2 if "stop" in line else 0), "a stopped server is gone"
    assert servers.asked == ([request_] if "stop" in line else [request_, request_])


def test_status_is_a_table_for_people(servers: Servers, capsys: Said) -> None:
    servers.answer = STATUS
    servers.start()
    assert cli.invoke(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "shop:app: running for 2h 3m, pid 41, 2 of 2 workers, generation 3 (torana 9.9)"
    assert lines[1:3] == ["Listening on http://127.0.0.1:8000", "Listening on unix:/run/x"]
    assert lines[3] == "The last reload was abandoned 12s ago: SyntaxError: invalid syntax (shop.py, line 1)"
    words = [line.split() for line in lines]
    assert "SLOT PID STATE AGE MEMORY HELD CONNECTIONS SERVED RUNNING WAITING GENERATION".split() in words
    assert "0 42 ready 2d 7h 56.0MiB 3.0MiB 12 30201 1 0 3".split() in words
    assert "1 4300 retiring 1m - - 3 5 - - 2".split() in words
    assert "worker 4300: max_requests" in lines
    assert ["jobs", "50", "running", "5s", "2"] in words and ["clock", "-", "waiting", "-", "0"] in words
    header, first, second = (line for line in lines if any(w in line for w in ("GENERATION", " ready ", " retiring ")))
    assert len(header) == len(first) == len(second), "columns stand under their header"


def test_status_as_json_is_the_whole_answer(servers: Servers, capsys: Said) -> None:
    servers.answer = STATUS
    servers.start()
    assert cli.invoke(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_status_of_a_server_that_tells_less(servers: Servers, capsys: Said) -> None:
    servers.answer = {"ok": True, "mode": "stopping", "workers": []}
    servers.start()
    assert cli.invoke(["status"]) == 0
    assert "stopping" in capsys.readouterr().out


TRACEBACK = 'Traceback (most recent call last):\n  File "shop.py", line 1\nSyntaxError: invalid syntax\n'


def test_an_abandoned_reload_ends_with_1_and_shows_the_broken_code(servers: Servers, capsys: Said) -> None:
    servers.answer = {"ok": False, "why": "the reload was abandoned: SyntaxError", "text": TRACEBACK}
    servers.start()
    assert cli.invoke(["reload"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == TRACEBACK + "Error: the reload was abandoned: SyntaxError\n"
    assert cli.invoke(["reload", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["text"] == TRACEBACK


def test_a_reload_says_what_serves_now(servers: Servers, capsys: Said) -> None:
    servers.answer = {"ok": True, "generation": 4, "took_s": 1.25}
    servers.start()
    assert cli.invoke(["reload"]) == 0
    assert capsys.readouterr().out == "Reloaded after 1.2 s: generation 4 serves\n"


def test_scale_says_what_was(servers: Servers, capsys: Said) -> None:
    servers.answer = {"ok": True, "was": 2, "wanted": 3}
    servers.start()
    assert cli.invoke(["scale", "3"]) == 0
    assert capsys.readouterr().out == "3 workers are wanted, 2 were before\n"


def test_stop_returns_when_the_server_has_ended(servers: Servers, capsys: Said) -> None:
    servers.answer = {"ok": True, "pid": 41}
    servers.start()
    assert cli.invoke(["stop"]) == 0
    assert capsys.readouterr().out == "Server 41 is stopping\nStopped\n"
    assert list(servers.directory.iterdir()) == []


def test_any_refusal_ends_with_1(servers: Servers, capsys: Said) -> None:
    servers.answer = {"ok": False, "why": "there is no worker 7"}
    servers.start()
    for line in ("dump 7", "scale 2", "status", "stop"):
        assert cli.invoke(line.split()) == 1
        assert capsys.readouterr().err == "Error: there is no worker 7\n"


def nobody(capsys: Said, *lines: str) -> str:
    for line in lines:
        assert cli.invoke(line.split()) == 2, line
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return said.err


def test_no_server_ends_with_2(servers: Servers, capsys: Said) -> None:
    said = nobody(capsys, "status", "reload", "scale 2", "stop", "dump", "status --json")
    assert said.count("Error: no server was found; one has a control socket if it was started with --workers") == 6
    assert "no server listens at /no/such" in nobody(capsys, "status --control-socket /no/such")
    assert "is off" in nobody(capsys, "stop --control-socket off")


def test_the_configuration_of_the_directory_says_which_server(servers: Servers, capsys: Said) -> None:
    servers.start("torana-127.0.0.1-9000.ctl", "torana-127.0.0.1-9001.ctl")
    assert "several servers run" in nobody(capsys, "stop")
    Path("torana.toml").write_text("port = 9001\n")
    assert cli.invoke(["status"]) == 0
    capsys.readouterr()
    Path("torana.toml").write_text("port = 9002\n")
    said = nobody(capsys, "stop", "status")
    assert "no server runs at 127.0.0.1:9002; others do:" in said and "9000.ctl" in said and "9001.ctl" in said
    assert cli.invoke(["status", "-b", "127.0.0.1:9000"]) == 0
    assert cli.invoke(["status", "--control-socket", str(servers.directory / "torana-127.0.0.1-9001.ctl")]) == 0


def test_the_only_server_is_meant_unless_another_is_named(servers: Servers, capsys: Said) -> None:
    servers.start("torana-0.0.0.0-5000.ctl")
    assert cli.invoke(["status"]) == 0
    capsys.readouterr()
    assert "no server runs at 127.0.0.1:5000" in nobody(capsys, "stop --port 5000")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("scale", "Missing argument 'N'"),
        ("scale 0", "0 is not in the range"),
        ("scale many", "'many'"),
        ("dump x", "'x'"),
        ("status --control-soket x", "did you mean --control-socket?"),
        ("status --jsn", "did you mean --json?"),
        ("reload --workers 3", "no flag --workers"),
        ("status extra", "extra"),
    ],
)
def test_a_bad_command_line_ends_with_2(servers: Servers, capsys: Said, line: str, sentence: str) -> None:
    servers.start()
    assert cli.invoke(line.split()) == 2
    assert sentence in capsys.readouterr().err
    assert servers.asked == []


def test_help_of_each_command(capsys: Said) -> None:
    for name in ("status", "reload", "scale", "stop", "dump"):
        assert cli.invoke([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert "--control-socket" in text and "--json" in text and "--workers" not in text.partition("Listening")[2]
