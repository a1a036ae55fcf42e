"""Names as people type them: one spelling for all of them, and the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def key_of(name: str) -> str:
    """A setting's name from any way to write it: "--bind", "BIND", "app-dir"."""
    return name.lstrip("-").replace("-", "_").lower()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    import difflib  # costs milliseconds, and is needed only to complain

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
