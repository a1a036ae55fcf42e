"""All settings, in the order of the help and the reference page."""

from __future__ import annotations

from collections.abc import Iterable

from torana.config import spelling
from torana.config.sections.answering import IDENTITY, LOGGING
from torana.config.sections.application import APPLICATION
from torana.config.sections.guarding import LIMITS, TIMEOUTS
from torana.config.sections.listening import LISTENING, TLS
from torana.config.sections.running import DEVELOPMENT, PROCESS, SOURCES
from torana.config.sections.speaking import HTTP2, WEBSOCKET
from torana.config.setting import Setting
from torana.config.spelling import key_of

__all__ = ["BY_NAME", "SETTINGS", "key_of", "nearest"]

SETTINGS: tuple[Setting, ...] = (
    *APPLICATION,
    *LISTENING,
    *TLS,
    *PROCESS,
    *TIMEOUTS,
    *LIMITS,
    *WEBSOCKET,
    *HTTP2,
    *IDENTITY,
    *LOGGING,
    *DEVELOPMENT,
    *SOURCES,
)

BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}


def nearest(name: str, known: Iterable[str] = BY_NAME) -> str | None:
    """The known name, of a setting if nothing else is said, that was probably meant; or None."""
    return spelling.nearest(name, known)
