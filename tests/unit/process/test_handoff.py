"""A program that replaces itself: the giving side with small programs for a new one, the taking side right here."""

from __future__ import annotations

import logging
import math
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from torana.base.errors import BindError, ConfigError
from torana.net.options import ListenOptions
from torana.process import handoff as handoff_module
from torana.process.channel import Channel
from torana.process.fleet import Fleet
from torana.process.handoff import Handoff, Phase
from torana.process.heir import Heir
from torana.process.inbox import Heard
from torana.process.options import Program, RunOptions
from torana.process.pid_file import PidFile
from torana.process.slots import Slots
from torana.process.states import Mode

PATIENCE_S = 20.0

#: What a new program does with the channel that it finds; {} is what comes after.
PROGRAM = """
import json, os, signal, socket, sys, time
channel = socket.socket(fileno=int(os.environ["TORANA_HANDOFF"]))
channel.setblocking(True)
def say(**message):
    channel.sendall(json.dumps(message).encode() + b"\\n")
{}
"""
READY = 'say(say="begun", boot_s=60); say(say="ready", files=[], pid_file=None)\n'
UNTIL_CLOSED = "while channel.recv(65536): pass\n"


class Companions:
    """What a supervisor tells beside the workers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.control = None
        self.is_over = True

    def executing(self) -> None:
        pass

    def replacing(self, text: str) -> None:
        self.said.append(text)

    def hand_over(self, now: float, pid: int) -> None:
        self.said.append(f"hand over to {pid}")


class Inbox:
    def held(self) -> Any:
        return nullcontext()

    def forget(self) -> None:
        pass


class Giver:
    """As much of a supervisor as a hand-over needs, and its loop."""

    def __init__(self, place: Path, text: str, *, words: tuple[str, ...] | None = None, pid: int = 0) -> None:
        words = (sys.executable, "-c", PROGRAM.format(text)) if words is None else words
        environ = tuple(os.environ.items())
        options = RunOptions()
        process = replace(options.process, program=Program(words, environ, str(place)))
        self.companions = Companions()
        self.supervisor: Any = SimpleNamespace(
            pid=pid or os.getpid(),
            options=replace(options, process=process),
            inbox=Inbox(),
            selector=selectors.DefaultSelector(),
            slots=Slots(ListenOptions(("127.0.0.1:0", f"unix:{place}/socket"))),
            fleet=Fleet(2),
            companions=self.companions,
            heir=None,
            pid_file=PidFile(str(place / "pid")),
        )
        self.supervisor.slots.grow(2)
        self.supervisor.pid_file.write()
        self.fleet: Fleet = self.supervisor.fleet
        self.handoff = Handoff(self.supervisor)

    def ask(self) -> None:
        self.handoff.ask(time.monotonic(), "a test")

    def run_until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, self.handoff.phase
            self.handoff.look(time.monotonic())
            for key, _ in self.supervisor.selector.select(0.01) if self.supervisor.selector.get_map() else ():
                key.data()
            if self.handoff.pid:
                pid, status = os.waitpid(self.handoff.pid, os.WNOHANG)
                if pid:
                    assert self.handoff.note_gone(pid, status, time.monotonic())

    def close(self) -> None:
        if self.handoff.pid:
            os.kill(self.handoff.pid, signal.SIGKILL)
            os.waitpid(self.handoff.pid, 0)
        self.handoff.forget()
        self.supervisor.slots.close()
        self.supervisor.pid_file.remove()
        self.supervisor.selector.close()


@pytest.fixture
def giver(tmp_path: Path) -> Iterator[Callable[..., Giver]]:
    made: list[Giver] = []

    def make(text: str = "", **more: Any) -> Giver:
        made.append(Giver(tmp_path, text, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_program_that_is_ready_gets_it_all(giver: Callable[..., Giver], tmp_path: Path) -> None:
    old = giver(READY + "seen = b''\nwhile b'lead' not in seen: seen += channel.recv(65536)\n")
    old.ask()
    assert old.handoff.phase is Phase.BOOTING and old.handoff.is_under_way
    new = old.handoff.pid
    old.run_until(lambda: old.handoff.phase is Phase.OVER)
    assert old.fleet.mode is Mode.HANDED_OVER and old.handoff.is_over
    assert f"hand over to {new}" in old.companions.said
    assert (tmp_path / "pid.oldbin").read_text() == f"{os.getpid()}\n"
    old.run_until(lambda: not old.handoff.pid)


def test_our_services_end_before_the_new_one_leads(giver: Callable[..., Giver]) -> None:
    old = giver(READY + UNTIL_CLOSED)
    old.companions.is_over = False
    old.ask()
    old.run_until(lambda: old.handoff.phase is Phase.CLEARING)
    old.handoff.look(time.monotonic())
    assert old.handoff.phase is Phase.CLEARING and not old.handoff.is_over
    old.companions.is_over = True
    old.run_until(lambda: old.handoff.phase is Phase.OVER)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("sys.exit(3)", "exited with code 3"),
        ('say(say="failed", text="no such module\\nmore")\nsys.exit(4)', ": no such module; this one"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("sys.exit(0)", "exited with code 0"),
        ("channel.close()\nsys.exit(5)", "exited with code 5"),
        ("channel.sendall(b'nonsense' * 20000)\nsys.exit(6)", "exited with code 6"),
        ('say(say="ready")\nsay(say="ready", files=3, pid_file=[])\nsys.exit(7)', "exited with code 7"),
    ],
)
def test_one_that_fails_changes_nothing(
    giver: Callable[..., Giver], caplog: pytest.LogCaptureFixture, text: str, how: str
) -> None:
    old = giver(text)
    for _ in range(2):  # it can be tried again
        caplog.clear()
        with caplog.at_level(logging.INFO, "torana"):
            old.ask()
            old.run_until(lambda: old.handoff.phase is Phase.IDLE)
        assert [line for line in caplog.messages if how in line and "this one goes on serving" in line], caplog.text
    assert old.fleet.mode is Mode.RUNNING
    with socket.create_connection(("127.0.0.1", old.supervisor.slots.listeners(0)[0].address.port)):
        pass


def test_one_that_is_ready_and_gone_at_once(giver: Callable[..., Giver]) -> None:
    old = giver(READY + "os._exit(3)")
    old.ask()
    _, status = os.waitpid(old.handoff.pid, 0)
    old.handoff.note_gone(old.handoff.pid, status, time.monotonic())
    assert old.handoff.phase is Phase.IDLE and old.fleet.mode is Mode.RUNNING


def test_one_that_cannot_be_executed(giver: Callable[..., Giver], caplog: pytest.LogCaptureFixture) -> None:
    old = giver(words=("/no/such/program", "app"))
    old.ask()
    old.run_until(lambda: old.handoff.phase is Phase.IDLE)
    assert "exited with code 127" in caplog.text


def test_one_that_takes_too_long_is_ended(
    giver: Callable[..., Giver], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handoff_module, "_MARGIN_S", 0.0)
    old = giver('say(say="begun", boot_s=0.05)\n' + UNTIL_CLOSED)
    old.ask()
    old.run_until(lambda: old.handoff.phase is Phase.IDLE)
    assert "is not ready in time" in caplog.text and old.fleet.mode is Mode.RUNNING


def test_one_that_ignores_term_is_killed(giver: Callable[..., Giver], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoff_module, "_END_S", 0.0)
    text = 'signal.signal(15, signal.SIG_IGN)\nsignal.signal(3, signal.SIG_IGN)\nsay(say="begun", boot_s=0)\n'
    old = giver(text + UNTIL_CLOSED)
    old.ask()
    old.run_until(lambda: old.handoff._until_s == math.inf)  # it has said that it needs no bound
    old.handoff.cancel(time.monotonic(), signal.SIGTERM)
    assert not old.handoff.is_over
    old.handoff.cancel(time.monotonic(), signal.SIGQUIT)
    old.run_until(lambda: old.handoff.phase is Phase.IDLE)


def test_one_at_a_time(giver: Callable[..., Giver], caplog: pytest.LogCaptureFixture) -> None:
    old = giver(UNTIL_CLOSED)
    old.ask()
    pid = old.handoff.pid
    old.ask()
    assert old.handoff.pid == pid and f"process {pid} is already about to take over" in caplog.text


def test_none_for_a_server_that_stops(giver: Callable[..., Giver], caplog: pytest.LogCaptureFixture) -> None:
    old = giver(UNTIL_CLOSED)
    old.fleet.ask_stop()
    old.ask()
    assert old.handoff.phase is Phase.IDLE and "the server is stopping" in caplog.text


def test_none_where_nobody_knows_the_command(giver: Callable[..., Giver], caplog: pytest.LogCaptureFixture) -> None:
    old = giver(words=())
    old.ask()
    assert old.handoff.phase is Phase.IDLE and "how this program was started" in caplog.text


def test_a_stop_ends_both_unless_they_have_parted(giver: Callable[..., Giver]) -> None:
    old = giver(UNTIL_CLOSED)
    old.ask()
    old.handoff.part()
    old.handoff.cancel(time.monotonic(), signal.SIGTERM)
    assert old.handoff.phase is Phase.BOOTING and old.handoff.is_over
    assert all(one.file is None for one in old.supervisor.slots.listeners(0))


def test_process_one_stays_and_passes_signals_on(giver: Callable[..., Giver]) -> None:
    # Ready to hear before it says that it is ready.
    text = "signal.signal(1, lambda *_: os._exit(9))\n" + READY + "channel.recv(1)\nsay(say='hears')\n" + UNTIL_CLOSED
    old = giver(text, pid=1)
    old.ask()
    old.handoff.part()  # process 1 cannot
    assert not old.handoff._is_parted
    old.run_until(lambda: old.handoff.phase is Phase.OVER)
    assert not old.handoff.is_over
    assert not old.handoff.pass_on(Heard(signal.SIGINT, 0, True)), "a terminal has told it already"
    assert old.handoff.pass_on(Heard(signal.SIGHUP, 0, False))
    old.run_until(lambda: old.handoff.is_over)
    assert old.fleet.exit_code == 9 and old.fleet.mode is Mode.STOPPING


def test_process_one_follows_the_next_program(giver: Callable[..., Giver]) -> None:
    old = giver(READY + 'say(say="heir", pid=4242)\n' + UNTIL_CLOSED, pid=1)
    old.ask()
    old.run_until(lambda: old.handoff._leader == 4242)
    os.kill(old.handoff.pid, signal.SIGTERM)
    old.run_until(lambda: not old.handoff.pid)
    assert not old.handoff.is_over and old.fleet.mode is Mode.HANDED_OVER
    old.handoff.note_gone(4242, 5 << 8, time.monotonic())
    assert old.handoff.is_over and old.fleet.exit_code == 5


# The taking side


class Taker:
    """A heir, the supervisor it belongs to, and the channel of the old program."""

    made: ClassVar[list[Taker]] = []

    def __init__(self, place: Path, *messages: tuple[dict[str, Any], list[int]]) -> None:
        self.channel, theirs = Channel.pair()
        for message, fds in messages:
            self.channel.send(message, fds)
        self.heir = Heir(str(os.dup(theirs.fileno())))
        theirs.close()
        self.led: list[float] = []
        self.supervisor: Any = SimpleNamespace(
            pid=os.getpid(),
            options=RunOptions(),
            fleet=Fleet(2),
            selector=selectors.DefaultSelector(),
            pid_file=PidFile(str(place / "pid")),
            lead=self.led.append,
        )
        self.heir.join(self.supervisor)
        self.made.append(self)

    def close(self) -> None:
        self.channel.close()
        self.heir.forget()
        self.supervisor.selector.close()

    def look(self) -> None:
        for key, _ in self.supervisor.selector.select(0) if self.supervisor.selector.get_map() else ():
            key.data()
        self.heir.look(self.supervisor, 1.0)

    def heard(self) -> list[str]:
        return [message["say"] for message, _ in self.channel.receive()]

    def be_ready(self, *slots: int) -> None:
        for slot in slots:
            self.supervisor.fleet.note_spawned(slot, 100 + slot, 1, None, 0.0)
            self.supervisor.fleet.note_ready(100 + slot, 0.5)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for taker in Taker.made:
        taker.close()
    Taker.made.clear()


BEGIN: tuple[dict[str, Any], list[int]] = ({"do": "begin", "pid": 77, "control": "/run/x", "is_first": False}, [])


def test_it_is_ready_when_every_slot_is_served(tmp_path: Path) -> None:
    taker = Taker(tmp_path, BEGIN)
    assert (taker.heir.pid, taker.heir.control) == (77, "/run/x")
    taker.look()
    assert taker.heard() == ["begun"]
    taker.be_ready(0)
    taker.look()
    assert taker.heard() == []
    taker.be_ready(1)
    taker.look()
    taker.look()
    assert taker.heard() == ["ready"]
    assert not taker.led and not (tmp_path / "pid").exists()
    taker.channel.send({"do": "lead"})
    taker.look()
    assert taker.led and taker.heir.is_leading and (tmp_path / "pid").exists()


def test_it_leads_when_the_old_program_is_gone(tmp_path: Path) -> None:
    taker = Taker(tmp_path, BEGIN)
    taker.channel.close()
    taker.look()
    assert taker.heir.is_leading and len(taker.led) == 1
    taker.look()
    assert len(taker.led) == 1


def test_one_that_stops_never_leads(tmp_path: Path) -> None:
    taker = Taker(tmp_path, BEGIN)
    taker.be_ready(0, 1)
    taker.supervisor.fleet.ask_stop()
    taker.channel.send({"do": "lead"})
    taker.look()
    assert not taker.led and taker.heard() == ["begun"]


def test_it_says_why_it_fails(tmp_path: Path) -> None:
    taker = Taker(tmp_path, BEGIN)
    taker.heir.fail(ConfigError("bad"))
    assert taker.heard() == ["begun", "failed"]


def test_it_keeps_what_process_one_hears(tmp_path: Path) -> None:
    taker = Taker(tmp_path, ({**BEGIN[0], "is_first": True}, []))
    taker.channel.send({"do": "lead"})
    taker.look()
    taker.heir.tell_first(55)
    assert [message for message, _ in taker.channel.receive()][-1] == {"say": "heir", "pid": 55}


def test_what_process_one_hears_is_passed_along(tmp_path: Path) -> None:
    first, theirs = Channel.pair()
    taker = Taker(tmp_path, (BEGIN[0], [theirs.fileno()]))
    theirs.close()
    taker.heir.tell_first(66)
    assert [message for message, _ in first.receive()] == [{"say": "heir", "pid": 66}]
    first.close()


def test_an_old_program_that_is_gone_leaves_nothing(tmp_path: Path) -> None:
    ours, theirs = Channel.pair()
    ours.close()
    with pytest.raises(BindError, match="is gone"):
        Heir(str(os.dup(theirs.fileno())))
    theirs.close()


@pytest.mark.parametrize("told", ["", "x", "-1", "99999", "1e3", "٣", "99999999999999999999999"])
def test_a_variable_that_somebody_else_set(told: str) -> None:
    with pytest.raises(ConfigError, match="TORANA_HANDOFF"):
        Heir(told)


def test_a_descriptor_of_something_else_is_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        with pytest.raises(ConfigError, match="TORANA_HANDOFF"):
            Heir(str(sock.fileno()))
        assert sock.getsockname()
