"""Stands in for the ``cython`` module where Cython is not installed: the pure build asks only whether it is compiled."""

from __future__ import annotations

compiled = False
