"""The mail between workers: a postbox for each slot that letters go to, and a mailbox for each that they come from.

A mailbox belongs to its slot, not to a worker: the supervisor holds both ends, and what lies in the mailbox of a worker
that dies waits for the one after it. What a mailbox does not take at once waits here, within bounds; what it does not
take in time comes back to whoever sent it. Never here: what is in a letter, what becomes of a connection.
"""

from __future__ import annotations

import array
import socket
from collections import deque
from collections.abc import Callable

from torana.net.poller import READ, WRITE, Poller, Watched
from torana.serve.affinity.letters import MOST_BYTES, MOST_FDS, Letter, NoLetter, unpack

#: Letters taken before others get their turn.
_BATCH = 64
#: Letters that wait for one mailbox, and how long one does; seconds.
_MOST_WAITING = 512
_PATIENCE_S = 3.0
#: How long nothing is taken while there is no room; seconds.
_CROWDED_S = 0.1
#: Letters are taken out of it before the next one is received.
_BUFFER = bytearray(MOST_BYTES)
_RIGHTS = socket.CMSG_SPACE(MOST_FDS * 4)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Postbox(Watched):
    """Where the letters to one slot are posted. ``returned`` is told of each that could not be delivered."""

    def __init__(self, sock: socket.socket, poller: Poller, returned: Callable[[Letter], None]) -> None:
        sock.setblocking(False)
        Watched.__init__(self, sock.fileno())
        self._sock = sock
        self._poller = poller
        self._returned = returned
        self._waiting: deque[tuple[float, Letter]] = deque()
        self._most_waiting = _MOST_WAITING

    def post(self, letter: Letter) -> None:
        """Send a letter now, or as soon as the mailbox takes it; it is ours from here on."""
        waiting = len(self._waiting)
        sent = self._send(letter) if waiting == 0 else 0
        if sent > 0:
            letter.close()
        elif sent < 0 or waiting >= self._most_waiting:
            self._returned(letter)
        else:
            self._wait(letter)
            if waiting == 0:
                self._poller.watch(self, WRITE)

    def ready(self, events: int) -> None:
        waiting = self._waiting
        while waiting:
            letter = waiting[0][1]
            sent = self._send(letter)
            if sent == 0:
                break
            waiting.popleft()
            if sent > 0:
                letter.close()
            else:
                self._returned(letter)
        self._settle()

    def expired(self, now: float) -> None:
        self.deadline = 0.0
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            self._returned(waiting.popleft()[1])
        self._settle()

    def recall(self) -> None:
        """What waits comes back, and so does from now on what would have to wait."""
        self._most_waiting = 0
        waiting, self._waiting = self._waiting, deque()
        self._settle()
        for _, letter in waiting:
            self._returned(letter)

    def close(self) -> None:
        """Nothing is sent any more: what waits comes back."""
        self.recall()
        self._sock.close()

    def forsake(self) -> None:
        """In a forked child: close our copies."""
        for _, letter in self._waiting:
            letter.close()
        self._sock.close()

    def _wait(self, letter: Letter) -> None:
        due = self._poller.clock.now + _PATIENCE_S
        self._waiting.append((due, letter))
        if not self.deadline:
            self.deadline = due

    def _settle(self) -> None:
        if self._waiting:
            self.deadline = self._waiting[0][0]
        else:
            self.deadline = 0.0
            self._poller.forget(self)

    def _send(self, letter: Letter) -> int:
        """1: sent; 0: not now; -1: never."""
        try:
            message, fds = letter.pack()
            self._sock.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # Nobody holds the mailbox any more, or the system has no room for descriptors on their way.
            return -1
        return 1


class Mailbox(Watched):
    """Where the letters to one slot arrive. ``delivered`` is told of each. ``is_full``: whether to wait; asked before
    any is taken, so that whoever is asked may also find that they are not for us, and call ``pause``.
    """

    def __init__(
        self, sock: socket.socket, poller: Poller, delivered: Callable[[Letter], None], is_full: Callable[[], bool]
    ) -> None:
        sock.setblocking(False)
        Watched.__init__(self, sock.fileno())
        # As with listeners: a descriptor that arrives may have the number of one whose events are still to be told.
        self.is_last = True
        self._sock = sock
        self._poller = poller
        self._delivered = delivered
        self._is_full = is_full
        self.is_open = False
        #: Messages that were no letters.
        self.bad = 0

    def open(self) -> None:
        """Begin to take letters."""
        if not self.is_open:
            self.is_open = True
            self._poller.watch(self, READ)

    def pause(self) -> None:
        """Leave the letters to somebody else, for now."""
        if self.is_open:
            self.is_open = False
            self.deadline = 0.0
            self._poller.forget(self)

    def let_go(self) -> None:
        """Leave what is in it to others."""
        self.pause()
        self._sock.close()

    def ready(self, events: int) -> None:
        is_full = self._is_full()
        if not self.is_open:
            return
        if is_full:
            self._poller.change(self, 0)
            self.deadline = self._poller.clock.now + _CROWDED_S
            return
        for _ in range(_BATCH):
            if not self._take() or not self.is_open:
                return

    def expired(self, now: float) -> None:
        self.deadline = 0.0
        if self.is_open:
            self._poller.change(self, READ)

    def forsake(self) -> None:
        """In a forked child: close our copy."""
        self._sock.close()

    def _take(self) -> bool:
        try:
            size, rights, flags, _ = self._sock.recvmsg_into([_BUFFER], _RIGHTS, _CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self.pause()
            return False
        fds: list[int] = []
        for level, kind, content in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found = array.array("i")
                found.frombytes(content[: len(content) - len(content) % found.itemsize])
                fds.extend(found)
        if not size and not fds:
            # Nobody can post any more.
            self.pause()
            return False
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                size = 0
            letter = unpack(memoryview(_BUFFER)[:size], fds)
        except NoLetter:
            self.bad += 1
        else:
            self._delivered(letter)
        return True
