"""Signals that arrive together, in a process that reports its faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.server import child_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stack of signals is widened on Linux only")

#: All are held back, sent, and let through at once: each handler runs upon the one before.
PROGRAM = """
import faulthandler, os, signal
from torana.process.signal_stack import widen_signal_stack
faulthandler.enable()
if {is_wide}:
    widen_signal_stack()
numbers = [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGIO, signal.SIGURG,
           signal.SIGCHLD, signal.SIGTERM]
heard = set()
for number in numbers:
    signal.signal(number, lambda number, frame: heard.add(number))
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
for number in numbers:
    os.kill(os.getpid(), number)
signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
assert heard == set(numbers)
print("all heard")
"""


def test_nine_signals_at_once_end_nobody() -> None:
    program = PROGRAM.format(is_wide=True)
    done = subprocess.run([sys.executable, "-c", program], env=child_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "all heard\n"), done.stderr
