"""Who keeps a stopping server: the requests under way, counted by what they ask for, as words for the log.

Never here: ending any of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.serve.admission import Member

#: Kinds of requests that are named; the others are counted.
_MOST_KINDS = 5


def _most_first(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def holders(connections: Iterable[Member], running: int) -> str:
    """Such as "2 requests GET /events, 1 POST /upload"; ``running``: applications at work, with a client or without."""
    doing = Counter(doing for connection in connections for doing in connection.doing())
    requests = [(what, count) for (is_request, what), count in doing.items() if is_request]
    requests.sort(key=_most_first)
    parts: list[str] = []
    for what, count in requests[:_MOST_KINDS]:
        kind = ("request " if count == 1 else "requests ") if not parts else ""
        parts.append(f"{count} {kind}{what}")
    others = sum(count for _, count in requests[_MOST_KINDS:])
    if others:
        parts.append(f"{others} of other kinds")
    parts += [f"{count} {what}" for (is_request, what), count in doing.items() if not is_request]
    unawaited = running - sum(count for _, count in requests)
    if unawaited > 0:
        parts.append(f"{unawaited} calls of the application that nobody waits for")
    return ", ".join(parts) or "nobody"
