"""Notices that no thread of a pool comes back any more while requests wait for one: a deadlock, or calls without end.

The loop still turns then, so nothing else would: requests would go on being answered 503 for ever. Nobody is cut short;
another worker is asked for, and this one finishes what it can. Never here: a single call that takes long (``watch``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.gateway.culprit import stack_text
from torana.gateway.failure import logger
from torana.gateway.stacks import frame_of_thread, stack_of_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from torana.gateway.threads import ThreadPool
    from torana.gateway.wsgi.raw_socket import OpenSockets

#: More time than this between two looks, and it was the loop (or the whole machine) that stood still; seconds.
_STEP_S = 2.0
#: Different stacks that are logged.
_MOST_STACKS = 10


class Starved:
    """For one gateway. ``on_worn`` is told once why another worker should take this one's place, if there is one.

    ``sockets``: threads that are meant to stay away. Another worker would soon be as full of them.
    """

    def __init__(
        self,
        limit_s: float,
        pool: ThreadPool,
        on_worn: Callable[[str], None] | None,
        sockets: OpenSockets | None = None,
    ) -> None:
        self._limit_s = limit_s
        self._pool = pool
        self._sockets = sockets
        self._on_worn = on_worn
        self._done = -1
        self._looked_s = 0.0
        # How long nothing has come back since something waited; below zero: nothing has waited yet.
        self._still_s = -1.0
        self._is_told = False

    def look(self, now: float) -> None:
        """To be called about once a second, before the queue is cleared of what has waited too long."""
        step_s, self._looked_s = min(_STEP_S, now - self._looked_s), now
        done = self._pool.done()
        if self._sockets is not None:
            # A socket that was opened is something that moves, too.
            done += self._sockets.taken
            if self._sockets.held >= self._pool.size():
                done = -1
        if done != self._done or done < 0:
            self._done = done
            self._still_s = -1.0
            self._is_told = False
        if self._still_s >= 0:
            self._still_s += step_s
        elif self._pool.waiting():
            self._still_s = 0.0
        if self._still_s >= self._limit_s and not self._is_told:
            self._is_told = True
            self._tell()

    def _tell(self) -> None:
        told, self._on_worn = self._on_worn, None
        logger.error(
            "No thread has come back for %.0f s though requests wait for one (all %d are busy; settings: timeout_hang, "
            "threads, timeout_request)%s; what they are doing:\n%s",
            self._still_s, self._pool.size(), "" if told is None else "; this worker asks to be replaced",
            self._stacks(),
        )  # fmt: skip
        if told is not None:
            told(f"no thread has come back for {self._still_s:.0f} s")

    def _stacks(self) -> str:
        found: dict[str, int] = {}
        for ident in self._pool.idents():
            text = stack_text(stack_of_frame(frame_of_thread(ident)))
            found[text] = found.get(text, 0) + 1
        shown = [f"{count} threads:\n{text}" for text, count in list(found.items())[:_MOST_STACKS]]
        if len(found) > _MOST_STACKS:
            shown.append(f"({len(found) - _MOST_STACKS} more stacks)")
        return "\n".join(shown)
