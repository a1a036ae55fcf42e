"""Torana: one Python program between the open internet and any Python web application.

``torana.run(app)`` serves like the command, ``torana.Server(app)`` serves within a running loop. Both are imported when
they are first asked for, so that ``import torana`` costs nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torana.cli.embed import Server, run

__version__ = "0.1.0"
__all__ = ["Server", "__version__", "run"]

if not getattr(sys, "_is_gil_enabled", lambda: True)():
    # The compiled modules make a free-threaded interpreter take its lock again, and it would warn of each of the first
    # two. ``torana --version`` says it.
    import warnings

    warnings.filterwarnings("ignore", r"The global interpreter lock .* module 'torana\.", RuntimeWarning)


def __getattr__(name: str) -> Any:
    if name in ("run", "Server"):
        from torana.cli import embed

        return getattr(embed, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
