"""What is logged and answered when the application fails.

One record a failure on the logger ``torana.error``: the traceback, the request it belongs to, and the line of the
application's own code that it comes from. Never here: deciding whether an answer is still possible (``call.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from torana.base.codes import REASONS
from torana.gateway.culprit import last_place

if TYPE_CHECKING:
    from torana.wire.events import Fields, RequestHead

logger = logging.getLogger("torana.error")

#: Given the exception, the fields and the body of a page for developers.
ErrorPage = Callable[[BaseException], "tuple[Fields, bytes]"]

#: When a client that was turned away may try again.
_RETRY_AFTER_S = 5
_TARGET_CHARACTERS = 200


def plain(status: int) -> tuple[Fields, bytes]:
    """Fields and body of an answer of the server's own: fixed, telling nothing about the inside."""
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    if status == 503:
        fields.append((b"retry-after", b"%d" % _RETRY_AFTER_S))
    return fields, REASONS[status] + b"\n"


def internal_error(error: BaseException, page: ErrorPage | None) -> tuple[Fields, bytes]:
    """The answer to a request whose application failed before its own head left."""
    if page is not None:
        try:
            return page(error)
        except Exception:
            logger.exception("The error page failed.")
    return plain(500)


def log_failure(error: BaseException, head: RequestHead, what: str = "The application failed") -> None:
    """Log it once. Never raises: there may be no memory, or a handler of the deployer's that fails."""
    try:
        logger.error(
            "%s at %s: %s %s",
            what,
            last_place(error) or "an unknown place",
            head.method,
            shown(head.target),
            exc_info=(type(error), error, error.__traceback__),
        )
    except Exception:
        pass


def log_warning(what: str, head: RequestHead) -> None:
    """One line without a traceback; never raises."""
    try:
        logger.warning("%s: %s %s", what, head.method, shown(head.target))
    except Exception:
        pass


def log_timeout(head: RequestHead, limit_s: float, has_begun: bool, who: str, place: str | None, stack: str) -> None:
    """A request took too long: who was at work on it, and where that stood; never raises."""
    try:
        logger.error(
            "Timeout at %s: %s %s took the application longer than %g s (timeout_request) and was %s; "
            "%s stood here:\n%s",
            place or "an unknown place", head.method, shown(head.target), limit_s,
            "cut off" if has_begun else "answered 504", who, stack,
        )  # fmt: skip
    except Exception:
        pass


def shown(target: bytes) -> str:
    """A request target as one bounded line of printable ASCII."""
    text = target[:_TARGET_CHARACTERS].decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + (
        "..." if len(target) > _TARGET_CHARACTERS else ""
    )
