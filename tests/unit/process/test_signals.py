"""What a signal does to a process that still loads its application, and to one that has begun to end."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, signal, time
from torana.process.signals import hear_no_more, only_note, stop_while_loading

me = os.getpid()
stop_while_loading()
try:
    os.kill(me, signal.{first})
    time.sleep(20)
except KeyboardInterrupt:
    hear_no_more()
    print("stopped")
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
    os.kill(me, number)
time.sleep(0)
print("ended in order")
"""


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_the_first_signal_stops_and_those_after_it_do_not_disturb_the_end(first: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\nended in order\n", "")


def test_signals_that_come_while_the_loop_begins_are_noted() -> None:
    code = """
import os, signal
from torana.process.signals import only_note, stop_while_loading

stop_while_loading()
noted = only_note()
os.kill(os.getpid(), signal.SIGTERM)
print(noted == [signal.SIGTERM])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_signal_whose_exception_gets_nowhere_is_noted_all_the_same() -> None:
    code = """
import os, signal
from torana.process.signals import only_note, stop_while_loading

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        os.getpid()

stop_while_loading()
Swallows()
print(only_note() == [signal.SIGTERM])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_what_others_lose_is_told_while_it_loads_and_by_the_old_hook_afterwards() -> None:
    code = """
import sys
from torana.process.signals import hear_no_more, only_note, stop_while_loading

class Fails:
    def __init__(self, kind):
        self.kind = kind

    def __del__(self):
        raise self.kind("lost by the application")

hook = sys.unraisablehook
stop_while_loading()
Fails(ValueError)
Fails(KeyboardInterrupt)
only_note()
print(sys.unraisablehook is hook)
stop_while_loading()
hear_no_more()
print(sys.unraisablehook is hook)
stop_while_loading()
sys.unraisablehook = theirs = lambda lost: None
only_note()
print(sys.unraisablehook is theirs)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "True\nTrue\nTrue\n")
    assert done.stderr.count("lost by the application") == 2
