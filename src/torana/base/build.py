"""Which build of Torana runs, compiled or pure Python, and on which build of the interpreter.

This file is itself compiled, as one of all or none, so where it came from tells for the whole tree.
Never here: looking at other modules, or at what could have been built.
"""

from __future__ import annotations

import sys


def is_compiled() -> bool:
    """Whether the compiled modules run; False in the pure Python build."""
    return not __file__.endswith((".py", ".pyc"))


def describe() -> str:
    """The word that ``torana --version`` says after the version: "compiled" or "pure"."""
    return "compiled" if is_compiled() else "pure"


def has_lock() -> bool:
    """Whether only one thread at a time runs Python: always but in a free-threaded build of the interpreter.

    There the pure build runs without the lock; the compiled modules make the interpreter take it again when they are
    imported, so ask later than that.
    """
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())
