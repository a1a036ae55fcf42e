"""A mailbox for each worker slot, in which the workers leave each other connections of sessions that are not theirs
(affinity); and the roster, shared memory that tells them which slots serve.

Like the listening sockets, mailboxes belong to the supervisor and to no worker: what lies in one whose worker has died
waits for the next, or for the siblings that were told to look after the slot. Never here: what is in a mailbox
(``serve/affinity``).
"""

from __future__ import annotations

import contextlib
import mmap
import socket
from typing import TYPE_CHECKING

from torana.base.roster import ROSTER_BYTES, SLOTS, Roster
from torana.process.states import Mode, State

if TYPE_CHECKING:
    from torana.process.crew import Crew
    from torana.process.fleet import Fleet

#: Bytes that may wait in one mailbox; the system may allow less.
_BUFFER_BYTES = 1024 * 1024
#: Descriptors in one message.
_AT_ONCE = 64


class Mailboxes:
    """Those of every slot, counted from 0. Raises ``OSError`` when the system gives no memory."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ROSTER_BYTES)
        self._roster = Roster(memoryview(self._memory))
        #: For each slot: where letters are taken out, and where they are put in.
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        #: Workers that were told of mailboxes, and of how many: by process id.
        self._told: dict[int, int] = {}
        self._noted: set[int] = set()

    @property
    def memory(self) -> memoryview:
        """The roster, for a new worker."""
        return memoryview(self._memory)

    def grow(self, count: int) -> None:
        """Have at least ``count`` of them. Raises ``OSError``."""
        while len(self._pairs) < min(count, SLOTS):
            self._pairs.append(_pair())

    def note(self, fleet: Fleet) -> None:
        """Let the workers know which slots serve. While the server stops, those do that have not ended."""
        if fleet.mode is Mode.STOPPING:
            serving = fleet.of(State.READY, State.STOPPING)
        else:
            serving = fleet.of(State.READY)
        slots = {worker.slot for worker in serving if worker.pid in self._told}
        if slots != self._noted:
            self._noted = slots
            self._roster.set_in_service(slots)

    def introduce(self, crew: Crew, pid: int) -> None:
        """Give a worker what it has not got yet: its own mailbox first, and a way to all others."""
        post = crew.posts.get(pid)
        if post is None:
            return
        known = self._told.get(pid, -1)
        first = max(known, 0)
        others = [slot for slot in range(first, len(self._pairs)) if slot != post.slot]
        if known < 0 and post.slot < len(self._pairs):
            crew.tell([pid], {"do": "mailbox", "slot": post.slot}, [self._pairs[post.slot][0].fileno()])
        for start in range(0, len(others), _AT_ONCE):
            part = others[start : start + _AT_ONCE]
            crew.tell([pid], {"do": "postboxes", "slots": part}, [self._pairs[slot][1].fileno() for slot in part])
        if known < 0:
            crew.tell([pid], {"do": "begin"})
        self._told[pid] = len(self._pairs)

    def introduce_all(self, crew: Crew) -> None:
        """Tell those who know some of the mailboxes of the new ones."""
        self._told = {pid: count for pid, count in self._told.items() if pid in crew.posts}
        for pid, count in list(self._told.items()):
            if count < len(self._pairs):
                self.introduce(crew, pid)

    def fds_of(self, slot: int) -> list[int]:
        """What a sibling needs that looks after a slot: where its letters are taken out."""
        return [self._pairs[slot][0].fileno()] if slot < len(self._pairs) else []

    def is_told(self, pid: int) -> bool:
        """Whether a worker takes part in this."""
        return pid in self._told

    def filenos(self) -> set[int]:
        """Every descriptor held here."""
        return {end.fileno() for pair in self._pairs for end in pair}

    def forget(self) -> None:
        """In a new process: close our copies; it is given its own. Also the last thing of a supervisor."""
        for pair in self._pairs:
            for end in pair:
                end.close()
        self._pairs.clear()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends between which messages keep their bounds."""
    try:
        out, put_in = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except (OSError, AttributeError):
        # Some systems have no such sockets; with datagrams only the order is not promised.
        out, put_in = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (out, put_in):
        end.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
    return out, put_in
