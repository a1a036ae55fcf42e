"""Where a value was said. Later ranks win over earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Rank(IntEnum):
    """Who is heard: flag > command > environment > file > custom > default."""

    DEFAULT = 0
    #: What a platform or a command would rather have than the default: PORT, ``torana dev``.
    CUSTOM = 1
    FILE = 2
    ENVIRONMENT = 3
    #: What a command stands for: ``torana dev`` reloads whatever a file says.
    COMMAND = 4
    FLAG = 5


@dataclass(frozen=True, slots=True)
class Origin:
    """One place: "torana.toml, line 3", "TORANA_PORT", "--port"."""

    rank: Rank
    place: str
    #: Directory that relative paths mean, if it is not the current one.
    directory: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One raw value, as it was found."""

    name: str
    raw: Any
    origin: Origin


DEFAULT = Origin(Rank.DEFAULT, "default")
