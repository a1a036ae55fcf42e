"""Clients of any kind that go on asking while a server's workers are replaced, and what became of each question.

For protocols that ``tests.support.load`` does not speak. Lives here: the threads, the count. Never here: a protocol.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from tests.support.server import Server
from tests.support.supervised import ready_workers, until

#: What one more worker has to boot and one more client to say.
PATIENCE_S = 60.0


class Asking:
    """Threads that each hold one conversation: it takes numbers and notes the answers until there are no more."""

    def __init__(self, *conversations: Callable[[Asking], None]) -> None:
        self.by_worker: Counter[int] = Counter()
        self.failures: list[str] = []
        self._numbers = itertools.count(1)
        self._news = threading.Condition()
        self._is_over = False
        self._threads = [threading.Thread(target=self._run, args=(talk,), daemon=True) for talk in conversations]

    def numbers(self) -> Iterator[int]:
        """What to ask next."""
        while not self._is_over:
            yield next(self._numbers)

    def note(self, number: int, text: str) -> None:
        """The answer to it: "NUMBER PID grid"."""
        words = text.split()
        with self._news:
            if words[:1] + words[2:] == [str(number), "grid"]:
                self.by_worker[int(words[1])] += 1
            else:
                self.failures.append(f"{number} was answered {text!r}")
            self._news.notify_all()

    def wait_for_answers(self, count: int) -> None:
        """Until so many more came, from whichever conversation."""
        goal = self.by_worker.total() + count
        with self._news:
            self._news.wait_for(lambda: self.by_worker.total() >= goal or self.failures, PATIENCE_S)
            assert self.by_worker.total() >= goal and not self.failures, self.failures

    def _run(self, talk: Callable[[Asking], None]) -> None:
        try:
            talk(self)
        except Exception as error:
            with self._news:
                self.failures.append(f"{type(error).__name__}: {error}")
                self._news.notify_all()

    @contextlib.contextmanager
    def going_on(self) -> Iterator[Asking]:
        """While the block runs."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._is_over = True
            end = time.monotonic() + PATIENCE_S
            for thread in self._threads:
                thread.join(end - time.monotonic())


class Answered(Protocol):
    """Clients that can be waited for."""

    def wait_for_answers(self, count: int) -> None:
        """Until so many more answers came."""

    @property
    def by_worker(self) -> Counter[int]:
        """Answers by the process id of who gave them."""


def restart(server: Server, load: Answered, *, answers: int = 50) -> int:
    """Replace every worker while clients ask; returns the place in the log from where it is told."""
    load.wait_for_answers(answers)
    mark = server.mark()
    old = set(ready_workers(server))
    os.kill(server.pid, signal.SIGHUP)
    server.wait_for_log("Reloaded", since=mark, timeout_s=PATIENCE_S)
    until(lambda: load.by_worker.keys() - old, "a new worker answers", PATIENCE_S)
    load.wait_for_answers(answers)
    return mark
