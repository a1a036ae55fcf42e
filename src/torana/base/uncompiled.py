"""Stands in for the ``cython`` module where Cython is not installed: our code asks it only ``compiled``."""

from __future__ import annotations

compiled = False
