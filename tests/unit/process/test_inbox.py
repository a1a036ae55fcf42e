"""Signals are held back, handed out one by one with their sender, and given back to a child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="signalfd is Linux's")
#: With signalfd, and as it is elsewhere.
BOTH = [pytest.param(True, marks=linux), False]


def outcome(script: str, has_signalfd: bool) -> str:
    """What a program prints that makes an inbox; in a process of its own, for signals belong to processes."""
    source = f"""
        import os, select, signal, sys
        from torana.process.inbox import Heard, Inbox
        inbox = Inbox(("SIGTERM", "SIGINT", "SIGHUP", "SIGCHLD"), has_signalfd={has_signalfd})

        def take(count):
            heard = []
            while len(heard) < count:
                assert select.select([inbox], [], [], 20)[0], heard
                heard += inbox.take()
            return heard
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source) + textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("has_signalfd", BOTH)
def test_a_signal_before_and_after_opening(has_signalfd: bool) -> None:
    script = """
        os.kill(os.getpid(), signal.SIGTERM)
        inbox.open()
        first = take(1)
        os.kill(os.getpid(), signal.SIGHUP)
        second = take(1)
        print([heard.number == number for heard, number in zip(first + second, (signal.SIGTERM, signal.SIGHUP))])
        print(inbox.take())
    """
    assert outcome(script, has_signalfd) == "[True, True]\n[]"


@linux
def test_the_sender_is_known() -> None:
    script = """
        inbox.open()
        child = os.fork()
        if child == 0:
            os.kill(os.getppid(), signal.SIGHUP)
            os._exit(0)
        os.waitpid(child, 0)
        heard = take(2)
        print([(one.number == signal.SIGHUP, one.sender == child, one.is_from_terminal)
               for one in heard if one.number != signal.SIGCHLD])
    """
    assert outcome(script, True) == "[(True, True, False)]"


@pytest.mark.parametrize("has_signalfd", BOTH)
def test_a_death_is_heard(has_signalfd: bool) -> None:
    script = """
        inbox.open()
        if os.fork() == 0:
            os._exit(3)
        print(take(1)[0].number == signal.SIGCHLD, os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert outcome(script, has_signalfd) == "True 3"


@pytest.mark.parametrize("has_signalfd", BOTH)
def test_deaths_are_heard_though_whoever_started_us_ignored_them(has_signalfd: bool) -> None:
    script = """
        inbox.close()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        inbox = Inbox(("SIGCHLD",), has_signalfd=inbox._has_signalfd)
        inbox.open()
        if os.fork() == 0:
            os._exit(4)
        print(take(1)[0].number == signal.SIGCHLD, os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert outcome(script, has_signalfd) == "True 4"


@pytest.mark.parametrize("has_signalfd", BOTH)
def test_a_child_gets_its_signals_when_it_is_ready_for_them(has_signalfd: bool) -> None:
    script = """
        inbox.open()
        reader, writer = os.pipe()
        with inbox.held():
            child = os.fork()
            if child == 0:
                inbox.forget()
                os.kill(os.getpid(), signal.SIGTERM)    # held back: nothing happens
                signal.signal(signal.SIGTERM, lambda number, frame: os.write(writer, b"heard"))
                os.write(writer, b"begin ")
                inbox.release()
                os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        print(os.read(reader, 100).decode(), [one.number == signal.SIGCHLD for one in take(1)])
    """
    assert outcome(script, has_signalfd) == "begin heard [True]"


@pytest.mark.parametrize("has_signalfd", BOTH)
def test_after_the_end_a_stop_cuts_nothing(has_signalfd: bool) -> None:
    script = """
        inbox.open()
        inbox.close()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        print("still here", signal.getsignal(signal.SIGHUP) == signal.SIG_DFL)
    """
    assert outcome(script, has_signalfd) == "still here True"


def test_what_was_ignored_at_the_start_is_known() -> None:
    script = """
        inbox.close()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        print(Inbox(("SIGHUP", "SIGUSR1")).ignored == {signal.SIGHUP})
    """
    assert outcome(script, False) == "True"


def test_names_that_a_system_lacks_are_left_out() -> None:
    script = 'print(Inbox(("SIGTERM", "SIGNOSUCH")).numbers == [signal.SIGTERM])'
    assert outcome(script, False) == "True"
