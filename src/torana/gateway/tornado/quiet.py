"""What Tornado would do to a process of its own, and must not do to a worker: watch files and start anew, write access
lines. Never here: the application's own settings beyond these two.
"""

from __future__ import annotations

import logging
from typing import Any

from tornado import autoreload

_log = logging.getLogger("torana")


def keep_still(app: Any) -> None:
    """Turn both off; says so where they were asked for."""
    autoreload.start = _not_here
    # One that was started on this loop before looks at this first.
    if hasattr(autoreload, "_reload_attempted"):
        autoreload._reload_attempted = True
    settings = getattr(app, "settings", None)
    if not isinstance(settings, dict):
        return
    if settings.get("autoreload"):
        _log.info("Tornado's autoreload is off in a worker; torana run --reload does this")
    # The server has a log of its own; a log_function that the application brought stays.
    settings.setdefault("log_function", _unlogged)


def _not_here(check_time: int = 500) -> None:
    """In the place of ``tornado.autoreload.start``."""


def _unlogged(handler: Any) -> None:
    """In the place of an access line."""
