"""What the contract promises and this version cannot do yet: refused with a clear sentence, never accepted and ignored.

When a thing is built, its row goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_LATER = "not available yet in this version"

#: Setting -> whether a value is one of those that cannot be had, and what may be said instead.
_SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "static": (bool, "serving files is {later}"),
}

#: Settings of which this version knows no useful value; help and documentation pass over them.
HIDDEN = frozenset({"static"})


def refusal_of(name: str, value: Any) -> str | None:
    """Why a setting's value cannot be had yet, or None."""
    applies, sentence = _SETTINGS.get(name, (lambda _: False, ""))
    return sentence.format(later=_LATER) if applies(value) else None
