"""An exception from outside comes in the thread it is meant for, at its next step; and when it must not come at all."""

from __future__ import annotations

import ctypes
import gc
import itertools
import logging
import operator
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from torana.gateway.wsgi.interrupt import RequestTimeout, hear, interrupt, is_spared


class Spinning(threading.Thread):
    """A thread that stays in Python code until it is let go or interrupted."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.is_let_go = False
        self.spins = threading.Event()
        self.caught: BaseException | None = None

    def run(self) -> None:
        try:
            self.spins.set()
            while not self.is_let_go:
                time.sleep(0.001)
        except BaseException as error:
            self.caught = error


@pytest.fixture
def threads() -> Iterator[list[Spinning]]:
    made = [Spinning(), Spinning()]
    for thread in made:
        thread.start()
        assert thread.spins.wait(20)
    yield made
    for thread in made:
        thread.is_let_go = True
        thread.join(20)


def test_it_comes_in_the_thread_that_is_named_and_in_no_other(threads: list[Spinning]) -> None:
    hit, spared = threads
    assert hit.ident is not None
    assert interrupt(hit.ident)
    hit.join(20)
    assert isinstance(hit.caught, RequestTimeout)
    assert "timeout_request" in str(hit.caught)
    assert spared.is_alive()


def test_a_thread_that_is_gone_is_no_error(threads: list[Spinning]) -> None:
    gone = threads[0]
    gone.is_let_go = True
    gone.join(20)
    assert gone.ident is not None
    assert not interrupt(gone.ident)


def test_what_was_not_raised_yet_is_heard() -> None:
    send = ctypes.pythonapi.PyThreadState_SetAsyncExc
    send.argtypes = (ctypes.c_ulong, ctypes.py_object)
    # Called in a row by C, which comes to no step of Python code in between, as our compiled code does not.
    calls = itertools.starmap(operator.call, [(send, threading.get_ident(), RequestTimeout), (hear,)])
    # No collection, which would call others' Python code, is due in there.
    gc.collect()
    with pytest.raises(RequestTimeout) as raised:
        list(calls)
    assert raised.traceback[-1].name == "hear"


def test_except_exception_does_not_swallow_it() -> None:
    with pytest.raises(RequestTimeout):
        try:
            raise RequestTimeout
        except Exception:
            raise AssertionError("swallowed") from None


def test_a_thread_that_takes_a_log_handlers_lock_is_spared() -> None:
    handler = logging.NullHandler()
    waiting = threading.RLock()
    waiting.acquire()
    handler.lock = waiting
    thread = threading.Thread(target=logging.Handler.acquire, args=(handler,), daemon=True)
    thread.start()
    assert thread.ident is not None
    while not is_spared(sys._current_frames().get(thread.ident)):
        time.sleep(0.001)
    waiting.release()
    thread.join(20)
    assert not is_spared(sys._getframe())
    assert not is_spared(None)
