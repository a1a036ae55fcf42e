"""Preload: what the plan makes of it, which zygotes are kept, what is warned about, and a zygote that really forks."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.server import child_environment
from torana.process import nursery as nursery_module
from torana.process.actions import AbandonReload, GiveUp, Spawn
from torana.process.channel import Channel
from torana.process.crew import Crew
from torana.process.dump import DUMP_SIGNAL
from torana.process.fleet import Fleet
from torana.process.leftovers import Surroundings, leftovers, look_around, warn_of_leftovers
from torana.process.nursery import Nursery, Zygote
from torana.process.options import ProcessOptions, RunOptions
from torana.process.plan import Rules, decide
from torana.process.spawn import Seat

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")

BOOT_S = 60.0


# The plan


def serving(generation: int = 1) -> Fleet:
    """One worker, ready."""
    fleet = Fleet(1)
    fleet.note_spawned(0, 101, generation, None, 0.0)
    fleet.note_ready(101, 0.1)
    return fleet


def test_no_worker_is_spawned_before_the_application_is_imported() -> None:
    fleet = Fleet(2)
    fleet.is_preloading = True
    assert decide(fleet, 0.0, Rules()).actions == ()
    fleet.is_preloading = False
    assert [type(action) for action in decide(fleet, 0.0, Rules()).actions] == [Spawn]


def test_no_worker_is_replaced_before_the_application_is_imported() -> None:
    fleet = serving()
    fleet.ask_reload(1.0)
    fleet.is_preloading = True
    assert decide(fleet, 1.0, Rules()).actions == ()
    fleet.is_preloading = False
    assert decide(fleet, 1.0, Rules()).actions == (Spawn(0, 2, 101, "reload"),)


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_first_import_that_fails_ends_the_server(code: int) -> None:
    fleet = Fleet(2)
    fleet.is_preloading = True
    assert fleet.note_preload_failed(1, code, "no such module", 0.0)
    (action,) = decide(fleet, 0.0, Rules()).actions
    assert isinstance(action, GiveUp) and action.code == code


def test_an_import_that_crashes_is_tried_again_and_given_up_in_the_end() -> None:
    fleet, rules = Fleet(1), Rules()
    fleet.is_preloading = True
    for _ in range(rules.first_boots - 1):
        fleet.note_preload_failed(1, 1, "segfault", 0.0)
        assert decide(fleet, 0.0, rules).actions == ()
    assert not fleet.note_preload_failed(1, 1, "segfault", 0.0)  # no news
    (action,) = decide(fleet, 0.0, rules).actions
    assert isinstance(action, GiveUp) and action.code == 3


def test_an_import_that_fails_ends_the_reload_and_nothing_else() -> None:
    fleet = serving()
    generation = fleet.ask_reload(1.0)
    fleet.is_preloading = True
    fleet.note_preload_failed(generation, 3, "no such module", 1.1)
    decision = decide(fleet, 1.1, Rules())
    assert decision.actions == (AbandonReload(2, "no such module"),)
    fleet.note_action(decision.actions[0], 1.1)
    assert fleet.generation == 1 and fleet.count(*[worker.state for worker in fleet.workers.values()]) == 1


def test_a_reload_after_the_import_has_begun_is_another_one() -> None:
    fleet = serving()
    assert fleet.ask_reload(1.0) == fleet.ask_reload(1.1) == 2
    fleet.preloaded_generation = 2
    assert fleet.ask_reload(1.2) == 3
    assert fleet.reload is not None and fleet.reload.before == 1


# The nursery


class Stage:
    """A nursery whose zygotes are only pretended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fleet = Fleet(1)
        self.crew = Crew()
        self.signals: list[tuple[int, int]] = []
        self.theirs: dict[int, Channel] = {}
        self.generations = {1: RunOptions(process=ProcessOptions(boot_s=BOOT_S))}
        self._ends: list[Channel] = []
        supervisor: Any = SimpleNamespace(
            pid=os.getpid(), fleet=self.fleet, crew=self.crew, generations=self.generations,
            slots=SimpleNamespace(listeners=lambda slot: []), selector=selectors.DefaultSelector(),
            inbox=SimpleNamespace(held=contextlib.nullcontext), vitals=SimpleNamespace(row=lambda position: None),
            news=SimpleNamespace(explain=lambda pid, status, usage, sent: "killed"),
            roster_for=lambda options: None,
        )  # fmt: skip
        self.selector = supervisor.selector
        monkeypatch.setattr(nursery_module, "fork", self._fork)
        monkeypatch.setattr(nursery_module.Channel, "pair", self._pair)
        monkeypatch.setattr(Zygote, "signal", lambda zygote, number: self._signal(zygote, number))
        self.nursery = Nursery(supervisor)

    def _pair(self) -> tuple[Any, Any]:
        ours, theirs = socket.socketpair()
        self._ends.append(Channel(theirs))
        return Channel(ours), SimpleNamespace(close=lambda: None, fileno=theirs.fileno)

    def _fork(self) -> int:
        pid = 1001 + len(self.theirs)
        self.theirs[pid] = self._ends[-1]
        return pid

    def _signal(self, zygote: Zygote, number: int) -> None:
        zygote.sent = number
        self.signals.append((zygote.pid, number))

    def say(self, pid: int, **message: Any) -> None:
        """What a zygote says, heard."""
        self.theirs[pid].send(message)
        self.hear()

    def hear(self) -> None:
        for key, _ in self.selector.select(0):
            key.data()

    def tend(self, now: float) -> bool:
        """Whether it is waited for a zygote now."""
        self.nursery.tend(now)
        return self.fleet.is_preloading

    def bury(self, pid: int, now: float, status: int = int(signal.SIGKILL)) -> None:
        assert self.nursery.note_gone(pid, status, None, now)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage(monkeypatch)
    yield stage
    stage.nursery.forget()
    stage.selector.close()
    for channel in stage._ends:
        channel.close()


def test_one_zygote_is_started_and_waited_for(stage: Stage) -> None:
    assert stage.tend(0.0) and stage.tend(0.1)
    assert list(stage.theirs) == [1001] and stage.fleet.preloaded_generation == 1
    stage.say(1001, say="loaded")
    assert not stage.tend(0.2)
    assert list(stage.theirs) == [1001]


def test_a_reload_keeps_the_zygote_it_may_come_back_to(stage: Stage) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    stage.generations[stage.fleet.ask_reload(1.0)] = stage.generations[1]
    assert stage.tend(1.0)
    stage.say(1002, say="loaded")
    assert not stage.tend(1.1) and list(stage.theirs) == [1001, 1002]
    stage.fleet.reload = None  # completed
    stage.tend(1.2)
    assert stage.theirs[1001].is_alone() and not stage.theirs[1002].is_alone()
    assert not stage.signals  # it ends by itself
    stage.bury(1001, 1.3, status=0)
    assert not stage.tend(1.4) and list(stage.theirs) == [1001, 1002]


def test_an_abandoned_reload_ends_the_new_zygote_and_keeps_the_old_one(stage: Stage) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    stage.generations[stage.fleet.ask_reload(1.0)] = stage.generations[1]
    stage.tend(1.0)
    stage.say(1002, say="failed", code=3, text="no such module\n\nTraceback")
    assert stage.fleet.reload is not None and stage.fleet.reload.failure == "no such module\n\nTraceback"
    stage.fleet.note_action(AbandonReload(2, ""), 1.1)
    assert not stage.tend(1.1)
    assert stage.theirs[1002].is_alone() and not stage.theirs[1001].is_alone()


def test_a_second_reload_ends_the_import_of_the_first(stage: Stage) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    for moment in (1.0, 2.0):
        stage.generations[stage.fleet.ask_reload(moment)] = stage.generations[1]
        assert stage.tend(moment)
    assert list(stage.theirs) == [1001, 1002, 1003]
    assert stage.signals == [(1002, signal.SIGTERM)]
    assert stage.nursery.look(2.1) == pytest.approx(7.0)
    stage.nursery.look(7.1)
    assert stage.signals == [(1002, signal.SIGTERM), (1002, signal.SIGKILL)]


def test_a_zygote_that_was_of_use_is_replaced_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nursery_module.time, "monotonic", lambda: 5.0)
    stage.tend(4.0)
    stage.say(1001, say="loaded")
    stage.bury(1001, 20.0)
    assert stage.nursery.look(20.0) <= 20.0
    assert stage.tend(20.0) and list(stage.theirs) == [1001, 1002]


def test_zygotes_that_die_young_come_further_and_further_apart(stage: Stage) -> None:
    now, gaps = 0.0, []
    stage.tend(now)
    for number in range(4):
        stage.bury(1001 + number, now)
        assert stage.tend(now) and len(stage.theirs) == 1 + number
        later = stage.nursery.look(now)
        gaps.append(round(later - now, 3))
        now = later
        stage.tend(now)
        assert len(stage.theirs) == 2 + number
    assert gaps == [0.1, 0.2, 0.4, 0.8]
    assert stage.fleet.boot_failures == 0  # somebody killed them: that says nothing about the application


def test_a_crash_at_the_import_is_a_failed_boot(stage: Stage) -> None:
    stage.tend(0.0)
    stage.bury(1001, 0.5, status=int(signal.SIGSEGV))
    assert stage.fleet.boot_failures == 1


def test_an_import_that_takes_too_long_is_shown_and_ended(stage: Stage) -> None:
    stage.tend(0.0)
    for moment, number in ((BOOT_S, DUMP_SIGNAL), (BOOT_S + 2, signal.SIGABRT), (BOOT_S + 7, signal.SIGKILL)):
        assert stage.nursery.look(moment - 0.1) == moment
        stage.nursery.look(moment)
        assert stage.signals[-1] == (1001, number)
    stage.bury(1001, BOOT_S + 8)
    assert stage.fleet.boot_failures == 1


def test_a_server_that_stops_lets_its_zygote_go(stage: Stage) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    stage.fleet.ask_stop()
    stage.tend(1.0)
    assert stage.theirs[1001].is_alone()
    stage.bury(1001, 1.1, status=0)
    stage.tend(1.2)
    assert list(stage.theirs) == [1001]


def test_a_fork_needs_a_zygote_that_is_ready(stage: Stage) -> None:
    stage.tend(0.0)
    ours, theirs = socket.socketpair()
    with ours, contextlib.closing(Channel(theirs)) as channel:
        with pytest.raises(OSError, match="not imported yet"):
            stage.nursery.fork(Seat(0, 1, 0, 0.0), channel)


def test_the_answer_to_an_order_is_a_process_id_or_an_error(stage: Stage) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    ours, theirs = socket.socketpair()
    with ours, contextlib.closing(Channel(theirs)) as channel, a_child() as pid:
        stage.theirs[1001].send({"say": "forked", "pid": pid})
        assert stage.nursery.fork(Seat(3, 1, 7, 1.5), channel) == pid
        ((order, fds),) = stage.theirs[1001].receive()
        assert (order["do"], order["slot"], order["position"], order["began_s"]) == ("fork", 3, 7, 1.5)
        assert len(fds) == 1
        os.close(fds[0])
        stage.theirs[1001].send({"say": "not forked", "errno": 11})
        with pytest.raises(BlockingIOError):
            stage.nursery.fork(Seat(3, 1, 7, 1.5), channel)
        stage.theirs[1001].close()
        with pytest.raises(OSError, match="has ended"):
            stage.nursery.fork(Seat(3, 1, 7, 1.5), channel)
    assert stage.tend(1.0)  # no more forks from this one, and none beside it before it is buried
    assert list(stage.theirs) == [1001]


@contextlib.contextmanager
def a_child() -> Iterator[int]:
    """The process id of a child of ours, which has ended and was not waited for."""
    process = subprocess.Popen(["true"])
    yield process.pid
    process.wait()


#: What no zygote of ours says.
FOREIGN = [-1, 0, 1, os.getpid(), 2**31 + 7, 2**70, 1001]


@pytest.mark.threat("G-108", sent="a zygote that names a foreign process as its worker", verdict="not believed, ended")
@pytest.mark.parametrize("pid", FOREIGN, ids=["all", "none", "init", "ourselves", "too large", "absurd", "itself"])
def test_a_process_that_is_no_child_of_ours_is_not_taken_for_a_worker(stage: Stage, pid: int) -> None:
    """The application runs in a zygote, maybe as a lesser user: a supervisor would signal whatever it names."""
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    ours, theirs = socket.socketpair()
    with ours, contextlib.closing(Channel(theirs)) as channel:
        stage.theirs[1001].send({"say": "forked", "pid": pid})
        with pytest.raises(OSError, match="no child"):
            stage.nursery.fork(Seat(0, 1, 0, 0.0), channel)
    assert stage.signals == [(1001, signal.SIGKILL)]


def test_another_worker_is_not_taken_for_the_new_one(stage: Stage) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    ours, theirs = socket.socketpair()
    with ours, contextlib.closing(Channel(theirs)) as channel, a_child() as pid:
        stage.crew.posts[pid] = SimpleNamespace()  # type: ignore[assignment]
        stage.theirs[1001].send({"say": "forked", "pid": pid})
        with pytest.raises(OSError, match="no child"):
            stage.nursery.fork(Seat(0, 1, 0, 0.0), channel)


@pytest.mark.parametrize("number", [2**70, -5, 0, 99999])
def test_an_error_that_there_is_not_is_an_error_all_the_same(stage: Stage, number: int) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    ours, theirs = socket.socketpair()
    with ours, contextlib.closing(Channel(theirs)) as channel:
        stage.theirs[1001].send({"say": "not forked", "errno": number})
        with pytest.raises(OSError, match="could not fork"):
            stage.nursery.fork(Seat(0, 1, 0, 0.0), channel)


def test_descriptors_from_a_zygote_are_closed(stage: Stage) -> None:
    stage.tend(0.0)
    reader, writer = os.pipe()
    stage.theirs[1001].send({"say": "loaded"}, [writer])
    os.close(writer)
    stage.hear()
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_zygote_that_does_not_answer_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.tend(0.0)
    stage.say(1001, say="loaded")
    monkeypatch.setattr(nursery_module, "_FORK_S", 0.05)
    ours, theirs = socket.socketpair()
    with ours, contextlib.closing(Channel(theirs)) as channel, pytest.raises(OSError, match="does not answer"):
        stage.nursery.fork(Seat(0, 1, 0, 0.0), channel)
    assert stage.signals == [(1001, signal.SIGKILL)]


# What the import leaves


def found(before: Surroundings) -> str:
    return "\n".join(leftovers(before))


@pytest.fixture
def before() -> Surroundings:
    # What earlier tests have left shall not be closed meanwhile.
    gc.collect()
    return look_around()


def test_nothing_is_found_where_nothing_was_left(before: Surroundings) -> None:
    assert [line for line in leftovers(before) if "event loop" not in line] == []


def test_a_thread_is_named_with_what_it_runs(before: Surroundings) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="metrics exporter", daemon=True)
    thread.start()
    try:
        assert "the thread 'metrics exporter' (" in found(before)
    finally:
        end.set()
        thread.join()


def test_threads_that_python_does_not_know_are_counted(before: Surroundings) -> None:
    started, end, over = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)

    def run() -> None:
        started.release()
        end.wait()
        over.release()

    for _ in range(2):
        _thread.start_new_thread(run, ())
        started.acquire()
    try:
        assert "a library has started 2 threads of its own" in found(before)
    finally:
        end.set()
        over.acquire()
        over.acquire()


def test_sockets_are_named_by_both_ends(before: Surroundings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with socket.create_connection((host, port)) as client:
            own = client.getsockname()[1]
            text = found(before)
    assert f"a TCP socket listening at {host}:{port}" in text
    assert f"a TCP socket connected to {host}:{port} from {host}:{own}" in text


def test_other_descriptors_are_named_but_logs_are_not(before: Surroundings, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with open(tmp_path / "log", "a"), open(tmp_path / "data") as data, open("/dev/null"):
        reader, writer = os.pipe()
        with selectors.DefaultSelector():
            text = found(before)
        os.close(reader)
        os.close(writer)
        assert f"the file {tmp_path / 'data'} (descriptor {data.fileno()})" in text
    assert "log" not in text and "null" not in text
    assert "eventpoll" in text and text.count("pipe:") == 2


def test_a_child_process_is_named(before: Surroundings) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert f"the import has started the process {child.pid} (" in found(before)
        child.communicate(b"\n")


def test_event_loops_are_named(before: Surroundings) -> None:
    loop = asyncio.SelectorEventLoop()
    try:
        assert "an event loop (asyncio.unix_events._UnixSelectorEventLoop) was made by the import" in found(before)
        running = threading.Event()
        thread = threading.Thread(target=loop.run_forever, name="looper")
        loop.call_soon(running.set)
        thread.start()
        running.wait()
        assert "runs in the thread 'looper'" in found(before)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
    finally:
        loop.close()


def test_warnings_are_bounded(before: Surroundings, caplog: pytest.LogCaptureFixture) -> None:
    pairs = [socket.socketpair() for _ in range(30)]
    caplog.set_level("WARNING", "torana")
    try:
        count = len(list(leftovers(before)))
        warn_of_leftovers(before)
    finally:
        for pair in pairs:
            for end in pair:
                end.close()
    assert count >= 60
    assert caplog.messages[20:] == [f"Preload: and {count - 20} more things like these"]


# A zygote that forks

SCRIPT = """
import atexit, json, os, random, select, signal, socket, sys
from torana.net.listener import open_listeners
from torana.net.options import ListenOptions
from torana.process.channel import Channel
from torana.process.kinship import adopt_orphans
from torana.process.options import ApplicationOptions, LogOptions, RunOptions
from torana.process.spawn import Errand
from torana.process.zygote import main

def heard(channel):
    select.select([channel], [], [])
    return channel.receive()[0][0]

def live(duty):
    drawn = random.getrandbits(64)
    duty.channel.send({"pid": os.getpid(), "parent": os.getppid(), "server": duty.server_pid, "drawn": drawn,
        "slot": duty.slot, "row": bytes(duty.board_row).decode(), "name": duty.application.name,
        "listens": [listener.describe() for listener in duty.listeners]})
    select.select([duty.channel], [], [])
    os._exit(7)

assert adopt_orphans()
random.seed(1)
options = RunOptions(application=ApplicationOptions(target="site_two:app"), log=LogOptions(level="critical"))
(listener,) = open_listeners(ListenOptions(binds=("127.0.0.1:0",)))
ours, theirs = Channel.pair()
server = os.getpid()
zygote = os.fork()
if zygote == 0:
    ours.close()
    row = lambda position: memoryview(b"row %d" % position)
    live(main(Errand(options, 1, 0.0, server, theirs, [(listener.address, listener.tls)], row)))
theirs.close()
report = {"server": server, "zygote": zygote, "origin": listener.describe(), "first": heard(ours), "workers": []}
channels = []
for number in range(2 if report["first"].get("say") == "loaded" else 0):
    mine, its = Channel.pair()
    ours.send({"do": "fork", "slot": number, "position": number, "began_s": 1.0}, [its.fileno(), listener.fileno()])
    answer = heard(ours)
    report["workers"].append([answer, heard(mine)])
    its.close()
    channels.append(mine)
ours.close()
report["end"] = os.waitpid(zygote, 0)[1]
for mine, (answer, _) in zip(channels, report["workers"]):
    mine.close()
    report.setdefault("ends", []).append(os.waitstatus_to_exitcode(os.waitpid(answer["pid"], 0)[1]))
print(json.dumps(report))
"""
SITE = """
import atexit, random, threading
atexit.register(print, "atexit of the application")
stuck = threading.Thread(target=threading.Event().wait)  # not a daemon: an ordinary end would wait for it
stuck.start()
drawn = random.getrandbits(64)
def app(environ, start_response): ...
"""


def reported(place: Path, site: str) -> dict[str, Any]:
    (place / "site_two.py").write_text(site)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=place, env=child_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_workers_of_a_zygote_are_children_of_the_server_and_differ(tmp_path: Path) -> None:
    report = reported(tmp_path, SITE)
    assert report["first"] == {"say": "loaded"} and report["end"] == 0
    for number, (answer, worker) in enumerate(report["workers"]):
        assert answer == {"say": "forked", "pid": worker["pid"]}
        assert worker["server"] == report["server"]
        assert (worker["slot"], worker["row"], worker["name"]) == (number, f"row {number}", "site_two:app")
        assert worker["listens"] == [report["origin"]]
    # Waited for by the server itself, after the zygote was gone.
    assert report["ends"] == [7, 7]
    one, other = (worker["drawn"] for _, worker in report["workers"])
    assert one != other


@pytest.mark.parametrize(
    ("site", "sentence"),
    [("raise LookupError('not today')", "LookupError: not today"), ("import sys; sys.exit(5)", "ended the program")],
)
def test_an_application_that_cannot_be_imported_is_told(tmp_path: Path, site: str, sentence: str) -> None:
    report = reported(tmp_path, site)
    assert report["first"]["say"] == "failed" and report["first"]["code"] == 3
    assert sentence in report["first"]["text"]
    assert os.waitstatus_to_exitcode(report["end"]) == 3
