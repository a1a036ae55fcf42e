"""All settings, in the order of the help and the reference page."""

from __future__ import annotations

from collections.abc import Iterable

from torana.config.sections.answering import IDENTITY, LOGGING
from torana.config.sections.application import APPLICATION
from torana.config.sections.guarding import LIMITS, TIMEOUTS
from torana.config.sections.listening import LISTENING, TLS
from torana.config.sections.running import DEVELOPMENT, PROCESS, SOURCES
from torana.config.setting import Setting

SETTINGS: tuple[Setting, ...] = (
    *APPLICATION,
    *LISTENING,
    *TLS,
    *PROCESS,
    *TIMEOUTS,
    *LIMITS,
    *IDENTITY,
    *LOGGING,
    *DEVELOPMENT,
    *SOURCES,
)

BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}


def key_of(name: str) -> str:
    """A setting's name from any way to write it: "--bind", "BIND", "app-dir"."""
    return name.lstrip("-").replace("-", "_").lower()


def nearest(name: str, known: Iterable[str] = BY_NAME) -> str | None:
    """The known name that was probably meant, or None."""
    import difflib  # costs milliseconds, and is needed only to complain

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
