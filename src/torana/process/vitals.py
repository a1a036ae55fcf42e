"""How the workers are: what the board and the kernel say about each, noted into the fleet for the plan to go by.

Looks about once a second; of memory, less often. Never here: a decision.
"""

from __future__ import annotations

import math
import os

from torana.net.listener import Listener
from torana.net.queue_length import queue_length
from torana.process.board import Board, Reading
from torana.process.crew import Crew, Post
from torana.process.fleet import Fleet
from torana.process.health import Health
from torana.process.slots import Slots
from torana.process.states import State

#: From one look at the board, and at the memory of workers, to the next.
LOOK_S = 1.0
MEASURE_S = 5.0
#: Rows of the board: workers at a time, with those that still finish. Memory that nobody writes to costs nothing.
MOST_ROWS = 2048


class Vitals:
    """Looks after all workers of a fleet."""

    def __init__(self, fleet: Fleet, crew: Crew, slots: Slots) -> None:
        self._fleet = fleet
        self._crew = crew
        self._slots = slots
        self._board = Board(MOST_ROWS)
        self._health: dict[int, Health] = {}
        self._look_s = 0.0
        self._measure_s = 0.0

    def row(self, position: int) -> memoryview | None:
        """The memory that a new worker writes to, emptied; None if there are more workers than rows."""
        if position >= len(self._board):
            return None
        self._board.clear(position)
        return self._board.row(position)

    def reading(self, post: Post) -> Reading:
        """What a worker's row says now."""
        return self._board.read(post.position) if post.position < len(self._board) else Reading()

    def begin(self, pid: int, hang_s: float, now_s: float) -> None:
        """The worker is ready: from now on it is looked after."""
        self._health[pid] = Health(hang_s, now_s)

    def end(self, pid: int) -> None:
        """The worker is gone."""
        self._health.pop(pid, None)

    def look(self, now_s: float) -> float:
        """Look if it is time to, and note what was found; returns when to look again (``math.inf``: at nobody)."""
        if not self._health:
            return math.inf
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            for pid, health in self._health.items():
                self._judge(pid, health, now_s)
        if now_s >= self._measure_s:
            self._measure_s = now_s + MEASURE_S
            for worker in self._fleet.of(State.READY):
                if worker.max_rss_bytes:
                    self._fleet.note_size(worker.pid, memory_of(worker.pid))
        return min(self._look_s, self._measure_s)

    def _judge(self, pid: int, health: Health, now_s: float) -> None:
        post, worker = self._crew.posts.get(pid), self._fleet.workers.get(pid)
        if post is None or worker is None:
            return
        # A retiring worker leaves its queue to others.
        listeners = self._slots.listeners(post.slot) if worker.state is State.READY else []
        verdict = health.look(now_s, self.reading(post), _waiting(listeners))
        if verdict.is_hung:
            self._fleet.note_hung(pid, verdict.describe())
        elif verdict.is_stalled:
            self._fleet.note_stalled(pid)
        else:
            self._fleet.note_moving(pid)


def _waiting(listeners: list[Listener]) -> int:
    return sum(queue_length(listener.sock) for listener in listeners)


def memory_of(pid: int) -> int:
    """Memory of a process in bytes: its fair share of shared pages (PSS) where the kernel tells, else all of them."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return resident_size_of(pid)


def resident_size_of(pid: int) -> int:
    """Resident memory of a process in bytes, 0 where the system does not tell; cheap."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read(200).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
