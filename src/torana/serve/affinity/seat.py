"""A worker's seat among its siblings: its slot, the roster, and the mail as it is handed in from outside.

The supervisor's word may come before the server is there to hear it; then it waits here. Never here: letters.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.serve.affinity.sessions import Affinity


class Seat:
    """Of the worker in ``slot``; ``memory`` is the roster's (``base/roster``). On the loop's thread only."""

    def __init__(self, slot: int, memory: memoryview) -> None:
        self.slot = slot
        self.memory = memory
        self._affinity: Affinity | None = None
        self._is_over = False
        self._mailboxes: dict[str, tuple[int, socket.socket]] = {}
        self._postboxes: dict[int, socket.socket] = {}

    def add_mailbox(self, key: str, slot: int, fd: int) -> None:
        """Take letters to ``slot`` from this until ``release(key)``; the descriptor is ours."""
        if self._is_over:
            os.close(fd)
            return
        sock = socket.socket(fileno=fd)
        if self._affinity is not None:
            self._affinity.add_mailbox(key, slot, sock)
        else:
            self.release(key)
            self._mailboxes[key] = (slot, sock)

    def add_postboxes(self, slots: list[int], fds: list[int]) -> None:
        """Letters to these slots are put in here; the descriptors are ours."""
        socks = {slot: socket.socket(fileno=fd) for slot, fd in zip(slots, fds, strict=True)}
        if self._is_over:
            for sock in socks.values():
                sock.close()
        elif self._affinity is not None:
            self._affinity.add_postboxes(socks)
        else:
            self._postboxes.update(socks)

    def release(self, key: str) -> None:
        """Leave what came with ``key`` to others."""
        if self._affinity is not None:
            self._affinity.release(key)
        entry = self._mailboxes.pop(key, None)
        if entry is not None:
            entry[1].close()

    def open(self, affinity: Affinity) -> None:
        """The server is there."""
        self._affinity = affinity
        affinity.add_postboxes(self._postboxes)
        for key, (slot, sock) in self._mailboxes.items():
            affinity.add_mailbox(key, slot, sock)
        self._postboxes, self._mailboxes = {}, {}

    def leave(self) -> None:
        """The server takes nobody any more: what comes now is closed."""
        self._is_over = True

    def forsake(self) -> None:
        """In a forked child: close the copies, which are the parent's."""
        for sock in (*self._postboxes.values(), *(sock for _, sock in self._mailboxes.values())):
            sock.close()
