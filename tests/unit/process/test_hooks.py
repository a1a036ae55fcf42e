"""Hooks: called for real, the server's in forked children, the worker's here."""

from __future__ import annotations

import logging
import math
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torana.base.errors import LoadError
from torana.process.hooks import SERVER_EVENTS, WORKER_EVENTS, HookInfo, Hooks, WorkerHooks
from torana.process.options import HOOK_EVENTS

MODULE = "hooks_of_the_test"
CODE = """
import os, signal, sys, time
HERE = os.path.dirname(__file__)
def note(info):
    with open(f"{HERE}/noted", "a") as file:
        file.write(f"{info.event} {os.getpid()} {info.pid} {info.worker_pid} {info.reason}\\n")
def who(info):
    with open(f"{HERE}/noted", "a") as file:
        file.write(f"{os.getuid()} {os.getgid()}")
def fail(info):
    note(info)
    raise ValueError("the user's mistake")
def leave(info):
    sys.exit(0)
def hang(info):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(info)
    time.sleep(600)
def die(info):
    os.kill(os.getpid(), signal.SIGKILL)
def say(info):
    print("said by a hook")
def count_sockets(info):
    paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    kinds = [os.readlink(path) for path in paths if os.path.islink(path)]
    with open(f"{HERE}/noted", "w") as file:
        file.write(str(sum(kind.startswith("socket:") for kind in kinds)))
async def later(info):
    pass
number = 7
"""


class Place:
    """A directory with a module of hooks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / f"{MODULE}.py").write_text(CODE)

    def hooks(self, *named: tuple[str, str], timeout_s: float = 30.0) -> Hooks:
        targets = [(event, f"{MODULE}:{name}") for event, name in named]
        return Hooks(targets, app_dir=str(self.folder), timeout_s=timeout_s)

    def noted(self) -> list[list[str]]:
        path = self.folder / "noted"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    kept = list(sys.path)
    yield Place(tmp_path)
    sys.path[:] = kept
    sys.modules.pop(MODULE, None)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> Iterator[Path]:
    """The log as a file, so that what a child says is heard too."""
    path = tmp_path / "log"
    handler = logging.FileHandler(path)
    logger = logging.getLogger("torana")
    logger.addHandler(handler)
    yield path
    logger.removeHandler(handler)
    handler.close()


def _reap(hooks: Hooks, now: float) -> int:
    """Wait for the child of the hook that runs and tell of its end; its wait status."""
    running = hooks._running
    assert running is not None
    _, status = os.waitpid(running.pid, 0)
    assert hooks.note_gone(running.pid, status, now)
    return status


def test_every_event_has_one_side() -> None:
    assert sorted(SERVER_EVENTS + WORKER_EVENTS) == sorted(HOOK_EVENTS)
    assert not set(SERVER_EVENTS) & set(WORKER_EVENTS)


def test_a_hook_of_the_server_runs_in_another_process(place: Place) -> None:
    hooks = place.hooks(("child_exit", "note"))
    hooks.ask(HookInfo("child_exit", os.getpid(), worker_pid=77, reason="exit code 1"), 0.0)
    assert _reap(hooks, 0.0) == 0
    [[event, pid, server, worker, *reason]] = place.noted()
    assert (event, server, worker, reason) == ("child_exit", str(os.getpid()), "77", ["exit", "code", "1"])
    assert pid != str(os.getpid())
    assert MODULE not in sys.modules and str(place.folder) not in sys.path
    assert hooks.look(0.0) == math.inf


def test_what_nobody_asked_for_forks_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    hooks = place.hooks(("child_exit", "note"), ("post_fork", "note"))
    hooks.ask(HookInfo("when_ready"), 0.0)
    hooks.ask(HookInfo("post_fork"), 0.0)
    assert hooks.run_starting(HookInfo("on_starting"))
    hooks.finish(HookInfo("on_exit"))


def test_they_run_one_after_the_other(place: Place) -> None:
    hooks = place.hooks(("pre_fork", "note"), ("when_ready", "note"), ("when_ready", "fail"))
    for event in ("pre_fork", "when_ready", "pre_fork"):
        hooks.ask(HookInfo(event), 0.0)
    for _ in range(4):
        _reap(hooks, 0.0)
    assert [line[0] for line in place.noted()] == ["pre_fork", "when_ready", "when_ready", "pre_fork"]
    assert hooks._running is None


def test_a_failure_is_logged_with_its_traceback_and_harms_nothing(place: Place, logged: Path) -> None:
    hooks = place.hooks(("when_ready", "fail"), ("pre_fork", "note"))
    hooks.ask(HookInfo("when_ready"), 0.0)
    hooks.ask(HookInfo("pre_fork"), 0.0)
    _reap(hooks, 0.0)
    _reap(hooks, 0.0)
    text = logged.read_text()
    assert text.startswith(f"The hook when_ready: {MODULE}:fail failed: ValueError: the user's mistake\n")
    assert text.count("Traceback") == 1 and f'{MODULE}.py", line' in text
    assert [line[0] for line in place.noted()] == ["when_ready", "pre_fork"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fial", "did you mean 'fail'?"),
        ("number", "is of type int, which cannot be called"),
        ("later", "is async; it must be a plain function"),
        ("leave", "failed: SystemExit: 0"),
    ],
)
def test_what_is_no_hook_is_said(place: Place, logged: Path, name: str, sentence: str) -> None:
    hooks = place.hooks(("when_ready", name))
    hooks.ask(HookInfo("when_ready"), 0.0)
    assert os.waitstatus_to_exitcode(_reap(hooks, 0.0)) == 1
    assert sentence in logged.read_text()


@pytest.mark.parametrize("target", ["", "os", "no.such.module:f", "not a module:f", "a\0b:f"])
def test_a_target_that_names_nothing_is_said(place: Place, logged: Path, target: str) -> None:
    WorkerHooks([("post_fork", target)], HookInfo("")).run("post_fork")
    assert logged.read_text().startswith("The hook post_fork")


def test_one_that_takes_too_long_is_ended(place: Place, logged: Path) -> None:
    hooks = place.hooks(("when_ready", "hang"), ("pre_fork", "note"), timeout_s=5.0)
    hooks.ask(HookInfo("when_ready"), 100.0)
    hooks.ask(HookInfo("pre_fork"), 100.0)
    assert hooks.look(104.9) == 105.0
    assert "too long" not in logged.read_text()
    hooks.look(105.0)
    assert f"The hook when_ready ({MODULE}:hang) takes too long: ended" in logged.read_text()
    _reap(hooks, 105.0)
    _reap(hooks, 105.0)
    assert place.noted()[-1][0] == "pre_fork", "the next one has its turn"


def test_one_that_crashes_is_said(place: Place, logged: Path) -> None:
    hooks = place.hooks(("when_ready", "die"))
    hooks.ask(HookInfo("when_ready"), 0.0)
    _reap(hooks, 0.0)
    assert f"The hook when_ready ({MODULE}:die) was killed by signal 9" in logged.read_text()


def test_a_flood_of_events_is_bounded(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    hooks = place.hooks(("child_exit", "hang"))
    for _ in range(1000):
        hooks.ask(HookInfo("child_exit"), 0.0)
    assert caplog.text.count("the latest are dropped") == 1
    assert len(hooks._waiting) <= 256
    hooks.kill()
    _reap(hooks, 0.0)
    assert hooks.look(0.0) == math.inf


def test_no_process_to_be_had_is_said(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    hooks = place.hooks(("when_ready", "note"), ("on_starting", "note"))
    hooks.ask(HookInfo("when_ready"), 0.0)
    assert "cannot be run" in caplog.text and hooks.look(0.0) == math.inf
    with pytest.raises(LoadError):
        hooks.run_starting(HookInfo("on_starting"))


def test_the_start_waits_for_on_starting(place: Place) -> None:
    assert place.hooks(("on_starting", "note")).run_starting(HookInfo("on_starting"))
    assert [line[0] for line in place.noted()] == ["on_starting"]


def test_a_failing_on_starting_stops_the_start(place: Place, logged: Path) -> None:
    hooks = place.hooks(("on_starting", "fail"), ("on_starting", "note"))
    with pytest.raises(LoadError) as caught:
        hooks.run_starting(HookInfo("on_starting"))
    assert caught.value.exit_code == 3
    assert str(caught.value) == f"the hook on_starting ({MODULE}:fail) failed, so nothing is started"
    assert logged.read_text().count("Traceback") == 1
    assert len(place.noted()) == 1, "what comes after it is not run"


def test_on_starting_is_bounded(place: Place) -> None:
    with pytest.raises(LoadError):
        place.hooks(("on_starting", "hang")).run_starting(HookInfo("on_starting"), timeout_s=0.2)


def test_a_signal_interrupts_on_starting(place: Place) -> None:
    reading, writing = os.pipe()

    def wake() -> None:
        while not place.noted():
            time.sleep(0.01)
        os.write(writing, b"!")

    waking = threading.Thread(target=wake)
    waking.start()
    assert not place.hooks(("on_starting", "hang")).run_starting(HookInfo("on_starting"), wake=reading)
    waking.join()
    os.close(reading)
    os.close(writing)
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.noted()[0][1]), 0)


def test_the_end_runs_what_waits_and_on_exit_last(place: Place) -> None:
    hooks = place.hooks(("child_exit", "note"), ("on_exit", "note"))
    for _ in range(3):
        hooks.ask(HookInfo("child_exit"), time.monotonic())
    hooks.finish(HookInfo("on_exit"))
    assert [line[0] for line in place.noted()] == ["child_exit"] * 3 + ["on_exit"]


def test_the_end_is_bounded(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    hooks = place.hooks(("child_exit", "hang"), ("on_exit", "note"))
    hooks.ask(HookInfo("child_exit"), time.monotonic())
    hooks.finish(HookInfo("on_exit"), timeout_s=0.2)
    assert "takes too long: ended" in caplog.text and "1 were not run: there is no time left" in caplog.text
    assert hooks._running is None


def test_strangers_are_not_ours(place: Place) -> None:
    hooks = place.hooks(("child_exit", "note"))
    assert not hooks.note_gone(os.getpid(), 0, 0.0)
    hooks.ask(HookInfo("child_exit"), 0.0)
    assert not hooks.note_gone(os.getpid(), 0, 0.0)
    _reap(hooks, 0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_connections_of_the_server_are_not_the_hooks(place: Place) -> None:
    left, right = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)), left, right:
        hooks = place.hooks(("when_ready", "count_sockets"))
        hooks.ask(HookInfo("when_ready"), 0.0)
        _reap(hooks, 0.0)
        left.send(b"x")
        assert right.recv(1) == b"x", "closed in the child alone"
    assert place.noted() == [["0"]]


def test_what_a_hook_prints_is_seen(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    hooks = place.hooks(("when_ready", "say"))
    hooks.ask(HookInfo("when_ready"), 0.0)
    _reap(hooks, 0.0)
    assert capfd.readouterr().out == "said by a hook\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_hook_of_the_server_runs_as_the_user_of_the_workers(place: Place) -> None:
    # What a hook needs is imported by one here: Python may be in a folder that other users may not read.
    WorkerHooks([("post_fork", f"{MODULE}:note")], HookInfo(""), app_dir=str(place.folder)).run("post_fork")
    (place.folder / "noted").unlink()
    # pytest's folders are for one user only.
    place.folder.chmod(0o777)
    for folder in place.folder.parents:
        if folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o755)
    hooks = Hooks([("when_ready", f"{MODULE}:who")], app_dir=str(place.folder), user="54321", group="54322")
    hooks.ask(HookInfo("when_ready"), 0.0)
    _reap(hooks, 0.0)
    assert place.noted() == [["54321", "54322"]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_hook_ends_when_the_server_is_killed(place: Place) -> None:
    server = os.fork()
    if server == 0:
        place.hooks(("when_ready", "hang")).ask(HookInfo("when_ready"), 0.0)
        time.sleep(600)
        os._exit(0)
    deadline = time.monotonic() + 10
    while not place.noted() and time.monotonic() < deadline:
        time.sleep(0.01)
    watched = os.pidfd_open(int(place.noted()[0][1]))
    os.kill(server, 9)
    os.waitpid(server, 0)
    assert select.select([watched], [], [], 10)[0]
    os.close(watched)


def test_a_hook_of_the_worker_runs_in_the_worker(place: Place, logged: Path) -> None:
    about = HookInfo("", pid=5, worker_pid=os.getpid(), slot=2, generation=3)
    named = [("post_fork", f"{MODULE}:note"), ("worker_exit", f"{MODULE}:fail"), ("when_ready", f"{MODULE}:note")]
    hooks = WorkerHooks(named, about, app_dir=str(place.folder))
    hooks.run("post_fork")
    hooks.run("post_worker_init")
    hooks.run("when_ready")
    hooks.run("worker_exit", "max_requests")
    own = str(os.getpid())
    assert place.noted() == [["post_fork", own, "5", own, ""], ["worker_exit", own, "5", own, "max_requests"]]
    assert "The hook worker_exit" in logged.read_text()
