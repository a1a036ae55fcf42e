"""Answers that leave together: under load each one waits a moment for the next, so that one wake-up serves many.

A send to a sleeping peer costs the waking of that peer, which can cost more than all else that the answer took. While
answers come in quick succession they are therefore kept, for a millisecond at most, and then sent in a row; a lone
answer, or one of a slow application, leaves at once. Never here: what a sender sends, clocks (times are passed in).
"""

from __future__ import annotations

from collections import deque

#: An answer waits only if the one before it was made less than this long ago.
_PACE_S = 0.0005
#: Nothing is kept for longer than this, as long as anybody gets to look.
_MOST_S = 0.001


class Sender:
    """Whoever has something to send."""

    def leave(self) -> None:
        """Send it, and be done."""

    def has_kept(self) -> bool:
        """Whether anything waits for ``leave`` to be sent; if not, being done is all that waits."""
        return True


class Burst:
    """Senders, in order. One thread adds; ``pop`` is safe from any."""

    def __init__(self) -> None:
        self._items: deque[Sender] = deque()
        self._append = self._items.append
        self._pop = self._items.popleft
        self._last_s = 0.0
        self._since_s = 0.0

    def takes(self, now_s: float) -> bool:
        """Whether an item made now should be added, to be asked once for each: not when it comes alone."""
        is_quick = now_s - self._last_s < _PACE_S
        self._last_s = now_s
        return is_quick

    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return len(self._items) == 0

    def add(self, item: Sender, now_s: float) -> bool:
        """Keep ``item`` until ``pop``. True when it is the first, and somebody must see to it that it leaves."""
        self._append(item)
        if len(self._items) > 1:
            return False
        self._since_s = now_s
        return True

    def is_due(self, now_s: float) -> bool:
        """Whether what is kept has waited long enough."""
        return now_s - self._since_s >= _MOST_S and len(self._items) > 0

    def pop(self) -> Sender | None:
        """The oldest sender, or None."""
        try:
            return self._pop()
        except IndexError:
            return None
