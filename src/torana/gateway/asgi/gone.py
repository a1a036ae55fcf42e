"""Which errors of an application only say that the client is gone: they are nobody's fault and no news.

Never here: what becomes of the exchange (``call``, ``conversation``).
"""

from __future__ import annotations

import logging

from torana.exchange.response import ClientDisconnected
from torana.gateway.culprit import last_place
from torana.gateway.failure import shown
from torana.wire.events import RequestHead

_log = logging.getLogger("torana.error")

#: A chain of causes is followed no deeper.
_DEEPEST = 16


def is_disconnect(error: BaseException) -> bool:
    """Whether an error is only our own word that the client is gone, however many groups it is wrapped in."""
    if isinstance(error, ClientDisconnected):
        return True
    if isinstance(error, BaseExceptionGroup):
        return all(is_disconnect(part) for part in error.exceptions)
    return False


def follows_disconnect(error: BaseException, depth: int = _DEEPEST) -> bool:
    """Whether an error was raised while our word that the client is gone was handled (Starlette's ClientDisconnect)."""
    if depth == 0:
        return False
    if isinstance(error, BaseExceptionGroup):
        return all(is_disconnect(part) or follows_disconnect(part, depth - 1) for part in error.exceptions)
    earlier = error.__cause__ or error.__context__
    return earlier is not None and (is_disconnect(earlier) or follows_disconnect(earlier, depth - 1))


def repeats_disconnect(error: BaseException) -> bool:
    """Whether an error is a framework's name for the disconnect event (Starlette's and Litestar's WebSocketDisconnect).

    They know no other way out of a conversation whose application does not look for its end.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_disconnect(part) or repeats_disconnect(part) for part in error.exceptions)
    return type(error).__name__ in ("WebSocketDisconnect", "WebSocketDisconnected")


def log_gone(error: BaseException, head: RequestHead) -> None:
    """One line and no traceback: frameworks put an exception of their own in the place of our word."""
    place = last_place(error)
    _log.info("%s %s: the client left; the application raised %s%s",
              head.method, shown(head.target), type(error).__name__, f" at {place}" if place else "")  # fmt: skip
