"""The workers as processes: forked, spoken with over their channels, taken off the list when they are gone.

Never here: what they are told and why (``supervisor`` carries out the ``plan``).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from torana.net.listener import Listener
from torana.process.channel import Channel, ChannelFull, Message
from torana.process.options import RunOptions
from torana.process.spawn import Born, Duty, Forking, Seat, Spawner

logger = logging.getLogger("torana")


class Post(Struct):
    """One worker's place: its process, how to speak with it, and which row of the board is its own."""

    pid: int
    slot: int
    generation: int
    position: int
    channel: Channel
    #: The signal that we sent it last, 0 for none.
    sent: int = 0
    #: Whether it has ended as it was asked to, by us or by somebody else.
    is_obedient: bool = False
    #: Whether it was told to retire and has not said yet that it takes no more connections.
    owes_leave: bool = False
    #: Whether its channel is still open.
    is_heard: bool = True

    def describe(self) -> str:
        """What the log calls it."""
        return f"Worker {self.slot + 1} (pid {self.pid})"


class Crew:
    """All workers that were forked and not yet waited for, by process id."""

    def __init__(self) -> None:
        self.posts: dict[int, Post] = {}
        #: Who makes the processes.
        self.spawner: Spawner = Forking()

    def spawn(
        self, options: RunOptions, slot: int, generation: int, began_s: float,
        leave: Callable[[int, int], list[Listener]], row: Callable[[int], memoryview | None],
        roster: memoryview | None = None,
    ) -> Post:  # fmt: skip
        """Have a worker made; in a fork of this process this raises ``Born`` instead. Raises ``OSError`` if none can be
        had.

        ``leave(slot, fd)`` is called in such a fork: it closes everything but the descriptor and the listeners of the
        slot, which it returns. ``row`` gives the memory that a position writes to, ``roster`` is what all share.
        """
        position = self._free_position()
        board_row = row(position)
        ours, theirs = Channel.pair()
        try:
            pid = self.spawner.fork(Seat(slot, generation, position, began_s), theirs)
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            ours.close()
            self.close()
            listeners = leave(slot, theirs.fileno())
            raise Born(Duty(options, slot, generation, began_s, theirs, listeners, board_row, roster=roster))
        theirs.close()
        post = self.posts[pid] = Post(pid, slot, generation, position, ours)
        return post

    def tell(self, pids: Iterable[int], message: Message, fds: Sequence[int] = ()) -> None:
        """Say something to these workers; one that is gone hears nothing."""
        for pid in pids:
            post = self.posts.get(pid)
            if post is None:
                continue
            try:
                post.channel.send(message, fds)
            except ChannelFull:
                logger.error("Worker %d does not listen: %r is not said to it", pid, message.get("do"))

    @property
    def is_settled(self) -> bool:
        """Whether every worker that was told to retire has left its listeners."""
        return not any(post.owes_leave and post.is_heard for post in self.posts.values())

    def name(self, pid: int) -> str:
        """What the log calls a worker."""
        post = self.posts.get(pid)
        return post.describe() if post is not None else f"A worker (pid {pid})"

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to one of ours: until it was waited for, its process id is nobody else's."""
        post = self.posts.get(pid)
        if post is not None:
            post.sent = number
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self, pid: int) -> None:
        """It was waited for."""
        post = self.posts.pop(pid, None)
        if post is not None:
            post.channel.close()

    def close(self) -> None:
        """Close all channels: workers that are left finish what they have and end."""
        for post in self.posts.values():
            post.channel.close()

    def _free_position(self) -> int:
        taken = {post.position for post in self.posts.values()}
        return next(position for position in range(len(taken) + 1) if position not in taken)
