"""Which build of Torana runs: compiled or pure Python.

This file is itself compiled, as one of all or none, so where it came from tells for the whole tree.
Never here: looking at other modules, or at what could have been built.
"""

from __future__ import annotations


def is_compiled() -> bool:
    """Whether the compiled modules run; False in the pure Python build."""
    return not __file__.endswith((".py", ".pyc"))


def describe() -> str:
    """The word that ``torana --version`` says after the version: "compiled" or "pure"."""
    return "compiled" if is_compiled() else "pure"
