"""Torana's tests. A package, so that ``tests.support`` is found whatever else is installed under that name."""
