"""Applications that keep state in memory: never in two workers at a time, however many were asked for; and what else an
application may not take from its worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import child_environment, command_for, running
from tests.support.supervised import (
    answering,
    children_of,
    send,
    supervised,
    until,
    wait_for_replacement,
    write_site,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

STICKY = "\napp.__torana_workers__ = 'sticky'\n"
SINGLE = "\napp.__torana_workers__ = 'single'\n"
#: The first worker is the last to be ready: if the others served, it would be seen.
LATE_FIRST = ("def startup():\n    pass\n", "def startup():\n    time.sleep(0.5)\n")


def say(place: Path, what: str) -> None:
    path = place / "site_one.py"
    path.write_text(path.read_text() + what)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_site(tmp_path, LATE_FIRST)
    return tmp_path


def test_one_worker_serves_what_keeps_sessions_and_it_is_said_once(place: Path) -> None:
    say(place, STICKY)
    with supervised(place, workers=4) as server:
        log = server.log
        until(lambda: len(children_of(server.pid)) == 1, "one worker is left")
        assert answering(server) == children_of(server.pid)
    assert log.count("1 worker instead of 4: the application says so") == 1
    assert "say --affinity cookie to have more" in log
    assert "workers: 1, the first is ready" in log
    assert server.log.count(") is ready after") == 2, "one worker, in its own words and its supervisor's"
    assert "died" not in server.log


def test_with_affinity_there_are_as_many_as_were_asked_for(place: Path) -> None:
    say(place, STICKY)
    with supervised(place, "--affinity", "cookie", workers=2) as server:
        assert len(children_of(server.pid)) == 2
    assert "instead of" not in server.log


def test_what_must_be_one_is_one_even_with_affinity(place: Path) -> None:
    say(place, SINGLE)
    with supervised(place, "--affinity", "cookie", workers=2) as server:
        until(lambda: len(children_of(server.pid)) == 1, "one worker is left")
    assert "1 worker instead of 2" in server.log and "affinity does not change that" in server.log


def test_what_an_async_factory_makes_is_known_before_anybody_is_answered(place: Path) -> None:
    say(place, "\nmade = app\nmade.__torana_workers__ = 'sticky'\nasync def make(): return made\napp = make\n")
    with supervised(place, workers=3) as server:
        until(lambda: len(children_of(server.pid)) == 1, "one worker is left")
        assert answering(server) == children_of(server.pid)
        assert "Interface asgi3: site_one:app is async" in server.log
    assert "1 worker instead of 3" in server.log


@pytest.mark.parametrize("command", ["signal", "scale"])
def test_more_workers_are_refused_with_the_reason(place: Path, command: str) -> None:
    say(place, STICKY)
    with supervised(place, "--control-socket", str(place / "control"), workers=2) as server:
        mark = server.mark()
        if command == "signal":
            send(server, signal.SIGTTIN)
        else:
            until((place / "control").exists, "the control socket is there")
            asked = torana(place, "scale", "3", "--control-socket", str(place / "control"))
            assert asked.returncode != 0
            assert "says so" in asked.stderr
        server.wait_for_log("One worker stays: the application says so", since=mark)
        until(lambda: len(children_of(server.pid)) == 1, "one worker")


def test_new_code_decides_anew(place: Path) -> None:
    """A reload that makes the application one that keeps state, and one that undoes it."""
    path = place / "site_one.py"
    plain = path.read_text()
    with supervised(place, workers=2) as server:
        say(place, STICKY)
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        until(lambda: len(children_of(server.pid)) == 1, "one worker")
        assert "1 worker instead of 2" in server.log_since(mark)
        assert answering(server) == children_of(server.pid)
        path.write_text(plain)
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        until(lambda: len(children_of(server.pid)) == 2, "two workers again")


def test_preloaded_applications_are_no_different(place: Path) -> None:
    say(place, STICKY)
    with supervised(place, "--preload", workers=3) as server:
        server.wait_for_log("1 worker instead of 3")
        until(lambda: len(answering(server, tries=10)) == 1, "one worker answers")


def test_a_script_is_known_before_a_worker_starts(place: Path) -> None:
    """By its file alone: no second worker ever begins."""
    (place / "page.py").write_text("import streamlit\nstreamlit.title('x')\n")
    asked = torana(place, "check", "page.py", "--workers", "3")
    assert asked.returncode in (0, 3), "it may not be installed"
    from torana.base.worker_policy import STICKY as KEPT
    from torana.gateway.options import ApplicationOptions
    from torana.serve.application import foreseen

    assert foreseen(ApplicationOptions(target="page.py", app_dir=str(place)))[0] == KEPT
    assert foreseen(ApplicationOptions(target="site_one:app", app_dir=str(place)))[0] == "any"
    assert foreseen(ApplicationOptions(target="nothing_there", app_dir=str(place)))[0] == "any"


def test_check_says_what_would_run(place: Path) -> None:
    say(place, STICKY + "async def make(): return app\n")
    for target in ("site_one:app", "site_one:make"):
        asked = torana(place, "check", target, "--workers", "3")
        assert asked.returncode == 0, asked.stderr
        rows = dict(line.split(None, 1) for line in asked.stdout.splitlines() if "  " in line)
        assert rows["interface"].startswith("asgi3: ")
        assert rows["state"] == "says so (__torana_workers__ = 'sticky'): one worker, or several with affinity"
        assert rows["workers"].startswith("1 instead of 3: the application says so")


def torana(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = command_for("x")
    command = [*command[: command.index("run")], *words]
    return subprocess.run(
        command, cwd=place, env=child_environment(None), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "way", ["signal.signal(signal.SIGTERM, take)", "loop.add_signal_handler(signal.SIGTERM, take)"]
)
def test_signals_that_an_application_takes_at_its_start_are_ours_again(
    tmp_path: Path, loop: str, workers: int, way: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    taking = f"def startup():\n    import signal\n    loop = asyncio.get_running_loop()\n    {way}\n"
    write_site(tmp_path, ("def startup():\n    pass\n", taking + "\ndef take(*_):\n    open('taken', 'w').close()\n"))
    flags = ("--workers", "1") if workers else ()
    with running("site_one:app", "--loop", loop, *flags, cwd=tmp_path, expect_exit=0) as server:
        if workers:
            (worker,) = children_of(server.pid)
            mark = server.mark()
            os.kill(worker, signal.SIGTERM)
            server.wait_for_log("SIGTERM", since=mark)
            # Not before: while it starts, its application has taken them again.
            wait_for_replacement(server, mark)
        else:
            os.kill(server.pid, signal.SIGTERM)
            server.process.wait(20)
    assert not (tmp_path / "taken").exists()
