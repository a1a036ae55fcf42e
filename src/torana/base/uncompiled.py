"""Stands in for the ``cython`` module where Cython is not installed: for what our code asks of it, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Class = TypeVar("_Class", bound=type)

compiled = False


def cclass(made: _Class) -> _Class:
    """What a class with a ``.pxd`` has to say in the source if it says anything else there."""
    return made


def freelist(size: int) -> Callable[[_Class], _Class]:
    """Compiled: keep up to ``size`` freed objects for the next ones."""
    return cclass
