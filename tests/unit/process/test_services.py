"""Services: real programs, forked and executed; the clock is the test's own. They say things through a named pipe."""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torana.process.death import MemoryEvents
from torana.process.options import ServiceOptions
from torana.process.services import Services

BOUND_S = 10.0


class Stage:
    """Services with a clock that is set by hand, a reaper, and an ear."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.services = Services(())
        #: Where a service writes to be heard: it gets no descriptor of ours.
        self.tell = str(folder / "tell")
        os.mkfifo(self.tell)
        self.heard_fd = os.open(self.tell, os.O_RDONLY | os.O_NONBLOCK)
        self.tell_fd = os.open(self.tell, os.O_WRONLY)
        self.gone: list[int] = []

    def start(self, *options: ServiceOptions, user: str | None = None, group: str | None = None) -> None:
        self.services = Services(options, user=user, group=group)
        self.services.start(self.now)

    def hear(self) -> str:
        """The next line that a service said."""
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([self.heard_fd], [], [], BOUND_S)
            assert readable, f"nothing more than {line!r} was said"
            line += os.read(self.heard_fd, 1)
        return line.decode().strip()

    def reap(self) -> int:
        """Wait for the end of one of the services' processes and tell of it; its pid."""
        for pid in self.services.pids.values():
            _, status = os.waitpid(pid, 0)
            assert self.services.note_gone(pid, status, self.now)
            self.gone.append(pid)
            return pid
        raise AssertionError("there is no service")

    def pass_time(self, seconds: float) -> float:
        self.now += seconds
        return self.services.look(self.now)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.services.kill()
    for pid in made.services.pids.values():
        os.waitpid(pid, 0)
    os.close(made.heard_fd)
    os.close(made.tell_fd)


def _python(code: str, *, name: str = "one", restart: str = "always", stop_s: float = 10.0) -> ServiceOptions:
    return ServiceOptions(name, (sys.executable, "-c", code), restart=restart, stop_s=stop_s)


def _shell(script: str, *, name: str = "one", restart: str = "always", stop_s: float = 10.0) -> ServiceOptions:
    return ServiceOptions(name, script, restart=restart, stop_s=stop_s)


def _until_empty(stage: Stage) -> None:
    """Let the rest of a group end, in real time."""
    deadline = time.monotonic() + BOUND_S
    while stage.services.look(stage.now) != math.inf and not stage.services.is_over:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_that_ends_is_started_again_later_and_later(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "torana")
    stage.start(_shell("exit 3"))
    pauses = []
    for _ in range(10):
        stage.reap()
        due = stage.services.look(stage.now)
        pauses.append(due - stage.now)
        assert not stage.services.pids
        stage.pass_time(due - stage.now)
        assert stage.services.pids
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0])
    assert f"Service one (pid {stage.gone[0]}) ended after 0.0 s: exit code 3; it is started again in 0.1 s" in (
        caplog.text
    )


def test_a_good_life_makes_the_pause_short_again(stage: Stage) -> None:
    stage.start(_shell("exit 1"))
    for _ in range(4):
        stage.reap()
        stage.pass_time(40.0)
    stage.now += 11.0
    stage.reap()
    assert stage.services.look(stage.now) == pytest.approx(stage.now + 0.1)


@pytest.mark.parametrize(
    ("restart", "script", "is_again"),
    [
        ("always", "exit 0", True),
        ("always", "kill -9 $$", True),
        ("on-failure", "exit 0", False),
        ("on-failure", "exit 1", True),
        ("on-failure", "kill -9 $$", True),
        ("never", "exit 0", False),
        ("never", "exit 1", False),
    ],
)
def test_whether_it_starts_again(stage: Stage, restart: str, script: str, is_again: bool) -> None:
    stage.start(_shell(script, restart=restart))
    stage.reap()
    assert (stage.services.look(stage.now) != math.inf) == is_again
    stage.pass_time(60.0)
    assert bool(stage.services.pids) == is_again


def test_the_signal_that_ended_it_is_named(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.start(_shell("kill -SEGV $$"))
    stage.reap()
    assert "killed by signal 11 (SIGSEGV)" in caplog.text


def test_it_is_stopped_by_term(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "torana")
    stage.start(_shell(f"trap 'exit 0' TERM; echo up > {stage.tell}; while :; do sleep 0.05; done"))
    assert stage.hear() == "up"
    stage.services.stop(stage.now)
    assert not stage.services.is_over
    stage.reap()
    _until_empty(stage)
    assert stage.services.is_over and stage.pass_time(100.0) == math.inf
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


def test_one_that_does_not_hear_term_is_killed(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f" open({stage.tell!r}, 'w').write('up\\n'); time.sleep(60)"
    )
    stage.start(_python(code, stop_s=5.0))
    assert stage.hear() == "up"
    stage.services.stop(stage.now)
    assert stage.services.look(stage.now) == stage.now + 5.0
    stage.pass_time(4.9)
    assert "killed" not in caplog.text
    stage.pass_time(0.2)
    assert "Service one does not end within 5 s of TERM: killed" in caplog.text
    stage.reap()
    _until_empty(stage)
    assert stage.services.is_over


def test_what_it_started_dies_with_it(stage: Stage) -> None:
    """The child ignores TERM, so KILL must reach it though its parent is gone; the pipe says when it is."""
    script = f"(trap '' TERM; echo up; exec sleep 60) > {stage.tell} & wait"
    stage.start(_shell(script, restart="never", stop_s=2.0))
    assert stage.hear() == "up"
    os.close(stage.tell_fd)
    os.kill(stage.services.pids["one"], signal.SIGKILL)
    stage.reap()
    assert not stage.services.is_over
    stage.pass_time(2.1)
    assert select.select([stage.heard_fd], [], [], BOUND_S)[0]
    assert os.read(stage.heard_fd, 1) == b""
    stage.pass_time(1.1)
    assert stage.services.is_over
    stage.tell_fd = os.open(os.devnull, os.O_WRONLY)


def test_a_new_one_waits_for_the_rest_of_the_old(stage: Stage) -> None:
    stage.start(_shell(f"(trap '' TERM; echo up > {stage.tell}; exec sleep 60) & wait", stop_s=5.0))
    assert stage.hear() == "up"
    os.kill(stage.services.pids["one"], signal.SIGKILL)
    stage.reap()
    stage.pass_time(1.0)
    assert not stage.services.pids, "two of a kind"
    stage.pass_time(4.1)
    stage.pass_time(1.1)
    assert stage.services.pids


def test_a_restart_is_a_stop_and_a_start(stage: Stage) -> None:
    stage.start(_shell(f"echo up > {stage.tell}; exec sleep 60"), _shell("exit 0", name="once", restart="never"))
    assert stage.hear() == "up"
    once = stage.services.pids["once"]
    _, status = os.waitpid(once, 0)
    stage.services.note_gone(once, status, stage.now)
    first = stage.services.pids["one"]
    stage.services.restart(stage.now)
    assert stage.services.pids["one"] == first, "the old one is asked first"
    assert stage.services.pids["once"] != once, "one that had ended runs again: there is new code"
    _, status = os.waitpid(first, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
    stage.services.note_gone(first, status, stage.now)
    assert stage.hear() == "up"
    assert stage.services.pids["one"] != first


def test_a_stop_during_a_restart_wins(stage: Stage) -> None:
    stage.start(_shell(f"echo up > {stage.tell}; exec sleep 60"))
    assert stage.hear() == "up"
    stage.services.restart(stage.now)
    stage.services.stop(stage.now)
    stage.reap()
    assert stage.pass_time(100.0) == math.inf
    assert stage.services.is_over


def test_strangers_are_not_ours(stage: Stage) -> None:
    stage.start(_shell("exec sleep 60"))
    assert not stage.services.note_gone(os.getpid(), 3 << 8, stage.now)
    assert stage.services.pids


def test_a_program_that_is_not_there(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.start(ServiceOptions("one", ("/no/such/program",), restart="never"))
    _, status = os.waitpid(stage.services.pids["one"], 0)
    assert os.waitstatus_to_exitcode(status) == 127
    stage.services.note_gone(stage.services.pids["one"], status, stage.now)


@pytest.mark.parametrize("options", [ServiceOptions("one", ()), ServiceOptions("one", ("true",), cwd="/no/such/place")])
def test_one_that_cannot_begin_ends_with_127(stage: Stage, options: ServiceOptions) -> None:
    stage.start(options)
    _, status = os.waitpid(stage.services.pids["one"], 0)
    assert os.waitstatus_to_exitcode(status) == 127
    stage.services.note_gone(stage.services.pids["one"], status, stage.now)


def test_no_process_to_be_had_is_a_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fork", refuse)
        stage.start(_shell("exec sleep 60"))
    assert "Service one cannot be started, again in 0.1 s" in caplog.text
    assert not stage.services.pids
    stage.pass_time(0.1)
    assert stage.services.pids


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_begins_as_a_program_from_a_shell_would(stage: Stage, tmp_path: Path) -> None:
    """Its own session and group, no descriptor and no signal setting of the server's, nothing to read."""
    code = (
        "import os, signal, sys\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "fds = sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}'))\n"
        "own = os.getsid(0) == os.getpgrp() == os.getpid()\n"
        "said = [own, fds, int(status['SigBlk'], 16), int(status['SigIgn'], 16) & 0x7fffffff & ~(1 << 12 | 1 << 24)]\n"
        f"open({stage.tell!r}, 'w').write(repr([*said, sys.stdin.read(), os.getcwd()]) + chr(10))\n"
    )
    inheritable = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inheritable, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP])
    try:
        options = ServiceOptions("one", (sys.executable, "-S", "-E", "-c", code), cwd=str(tmp_path), restart="never")
        stage.start(options)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM, signal.SIGHUP])
        os.close(inheritable)
    own, fds, blocked, ignored, read, cwd = eval(stage.hear())
    assert own and fds == [0, 1, 2] and not blocked and not ignored and read == "" and cwd == str(tmp_path)
    stage.reap()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_as_the_user_of_the_workers(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "who"
    path.touch()
    os.chown(path, 54321, 54322)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(0o755)
    script = f"(id -u; id -g; id -G) > {path}"
    stage.start(_shell(script, restart="never"), user="54321", group="54322")
    stage.reap()
    assert path.read_text().split() == ["54321", "54322", "54322"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_it_ends_when_the_server_is_killed() -> None:
    """A child plays the server and dies; the end of the service closes the pipe."""
    reading, writing = os.pipe()
    server = os.fork()
    if server == 0:
        os.close(reading)
        services = Services([_shell(f"echo up > /proc/{os.getppid()}/fd/{writing}; exec sleep 60")])
        services.start(0.0)
        os.set_inheritable(writing, True)
        signal.pause()
        os._exit(0)
    try:
        assert os.read(reading, 3) == b"up\n"
        with open(f"/proc/{server}/task/{server}/children") as file:
            service = int(file.read().split()[0])
        watched = os.pidfd_open(service)
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
        os.close(reading)
        os.close(writing)
    assert select.select([watched], [], [], BOUND_S)[0]
    os.close(watched)


def test_a_lack_of_memory_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counts = iter([3, 4, 4, 4])
    monkeypatch.setattr("torana.process.services.memory_events", lambda: MemoryEvents(next(counts), None))
    stage.start(_shell("kill -KILL $$"))
    stage.reap()
    assert "killed by signal 9 (SIGKILL); since it began the kernel has ended a process here for lack of" in caplog.text
    caplog.clear()
    stage.pass_time(1.0)
    stage.reap()
    assert "SIGKILL" in caplog.text and "memory" not in caplog.text
