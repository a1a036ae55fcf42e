"""The quick part of the question whose a request is: what was decided for the same name before.

Nearly every request carries the name of the one before it on its connection, and belongs where that one did. Never
here: the decision itself (``sessions``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints
    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.exchange.roles import Witness
    from torana.wire.events import RequestHead

#: Names that are remembered, and the longest of them in bytes.
_MOST_KNOWN = 4096
_MOST_BYTES = 512
#: Where the name of a session is looked for first.
COOKIE = 0
HEADER = 1
QUERY = 2
CLIENT = 3

# Compiled, the names above are C variables (judge.pxd); this keeps them importable from Python.
globals().update(COOKIE=COOKIE, HEADER=HEADER, QUERY=QUERY, CLIENT=CLIENT)


class Judge:
    """What a connection asks. ``words`` are the roster's; ``kind`` and ``field`` are of the first key."""

    def __init__(self, words: Any, at: int, kind: int, field: bytes) -> None:
        #: What is to see the answer of the request that was judged last.
        self.mark: Witness | None = None
        self._words = words
        self._at = at
        self._version = -1
        self._kind = kind
        self._field = field
        self._known: dict[bytes, int] = {}

    def owner_elsewhere(self, head: RequestHead, endpoints: Endpoints, hops: int) -> int:
        """The slot that the request belongs to; -1 when that is ours, or nobody's. Sets ``mark``.

        ``hops``: how often it was passed on before.
        """
        self.mark = None
        if self._words[self._at] != self._version:
            self.look()
        said: bytes | None = None
        if hops == 0:
            kind = self._kind
            if kind == QUERY:
                said = head.query
            elif kind != CLIENT:
                wanted = self._field
                for name, value in head.fields:
                    if name == wanted:
                        said = value
                        break
            if said is not None:
                known = self._known.get(said)
                if known is not None:
                    slot: int = known
                    return slot
        return self.decide(head, endpoints, hops, said)

    def remember(self, said: bytes | None, slot: int) -> int:
        """``slot``, which is what ``said`` will be taken for until the slots that serve change."""
        if said is not None and len(said) <= _MOST_BYTES:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[said] = slot
        return slot

    def forget(self) -> None:
        """Decide anew."""
        self._known.clear()

    # What ``sessions`` does

    def look(self) -> None:
        """Other slots serve now."""
        raise NotImplementedError

    def decide(self, head: RequestHead, endpoints: Endpoints, hops: int, said: bytes | None) -> int:
        """As ``owner_elsewhere``, when nothing is known of what was said."""
        raise NotImplementedError

    def pass_on(self, connection: Any, slot: int, data: Any) -> bool:
        """Have the worker of ``slot`` go on with a connection of which ``data`` was read; False: it cannot be."""
        raise NotImplementedError

    def relay(self, request: Request, response: Response, slot: int) -> bool:
        """Have the worker of ``slot`` answer over a connection of our own; False: here, as if it were no session's."""
        raise NotImplementedError
