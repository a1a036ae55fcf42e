"""Pollers for systems without epoll: kqueue nested the same way, and the loop's own readers where there is neither.

Same contract as ``poller.EpollPoller``; slower, and never chosen where epoll exists.
"""

from __future__ import annotations

import select
from typing import Any

from torana.net.poller import ERROR, HANGUP, PEER_CLOSED, READ, WRITE, EpollPoller, Poller


class KqueuePoller(Poller):
    """BSD and macOS."""

    def _open(self) -> None:
        assert self._loop is not None
        self._kqueue: Any = select.kqueue()  # type: ignore[attr-defined,unused-ignore]
        self._masks: dict[int, int] = {}
        self._loop.add_reader(self._kqueue.fileno(), self._run)

    def _close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._kqueue.fileno())
        self._kqueue.close()

    def _serve_batch(self) -> None:
        ready: dict[int, int] = {}
        for event in self._kqueue.control(None, 256, 0):
            bits = WRITE if event.filter == select.KQ_FILTER_WRITE else READ  # type: ignore[attr-defined,unused-ignore]
            if event.flags & select.KQ_EV_EOF:  # type: ignore[attr-defined,unused-ignore]
                bits |= (HANGUP | ERROR) if event.fflags else PEER_CLOSED
            ready[event.ident] = ready.get(event.ident, 0) | bits
        self.serve(list(ready.items()))

    def _serve_ready(self) -> None:
        self._serve_batch()

    def _set(self, fd: int, bit: int, is_on: bool) -> None:
        kind = select.KQ_FILTER_WRITE if bit == WRITE else select.KQ_FILTER_READ  # type: ignore[attr-defined,unused-ignore]
        flag = select.KQ_EV_ADD if is_on else select.KQ_EV_DELETE  # type: ignore[attr-defined,unused-ignore]
        self._kqueue.control([select.kevent(fd, kind, flag)], 0)  # type: ignore[attr-defined,unused-ignore]

    def _add(self, fd: int, events: int) -> None:
        self._masks[fd] = 0
        self._change(fd, events)

    def _change(self, fd: int, events: int) -> None:
        # FIN is told by the read filter only, so that one stays on while either is wanted.
        before, after = self._masks[fd], _filters(events)
        for bit in (READ, WRITE):
            if (before ^ after) & bit:
                self._set(fd, bit, bool(after & bit))
        self._masks[fd] = after

    def _remove(self, fd: int) -> None:
        self._change(fd, 0)
        del self._masks[fd]


class LoopPoller(Poller):
    """Anywhere: each descriptor is a reader or writer of the loop itself; FIN shows as a readable descriptor."""

    def _open(self) -> None:
        self._masks: dict[int, int] = {}

    def _close(self) -> None:
        for fd in list(self._masks):
            self._remove(fd)

    def _add(self, fd: int, events: int) -> None:
        self._masks[fd] = 0
        self._change(fd, events)

    def _change(self, fd: int, events: int) -> None:
        assert self._loop is not None
        before, after = self._masks[fd], _filters(events)
        if (before ^ after) & READ:
            if after & READ:
                self._loop.add_reader(fd, self._tell, fd, READ)
            else:
                self._loop.remove_reader(fd)
        if (before ^ after) & WRITE:
            if after & WRITE:
                self._loop.add_writer(fd, self._tell, fd, WRITE)
            else:
                self._loop.remove_writer(fd)
        self._masks[fd] = after

    def _tell(self, fd: int, bits: int) -> None:
        self.serve([(fd, bits)])

    def _remove(self, fd: int) -> None:
        self._change(fd, 0)
        del self._masks[fd]


def _filters(events: int) -> int:
    return events & (READ | WRITE)


def poller_class() -> type[Poller]:
    """The best poller of this system."""
    if hasattr(select, "epoll"):
        return EpollPoller
    if hasattr(select, "kqueue"):
        return KqueuePoller
    return LoopPoller
