"""Where a value was said. Later ranks win over earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from msgspec import Struct, field


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


class Origin(Struct, frozen=True):
    """One place: "torana.toml, line 3", "TORANA_PORT", "--port"."""

    rank: Rank
    place: str
    #: Directory that relative paths mean, if it is not the current one.
    directory: str | None = None
    #: Where the keys of a table stand: "on_exit" or "0.command" -> place.
    inner: Mapping[str, str] = field(default_factory=dict)

    def place_of(self, key: str) -> str:
        """The place of a key within a table, or of the nearest table around it whose place is known."""
        while key:
            if key in self.inner:
                return self.inner[key]
            key = key.rpartition(".")[0]
        return self.place


class Said(Struct, frozen=True):
    """One raw value, as it was found."""

    name: str
    raw: Any
    origin: Origin


DEFAULT = Origin(Rank.DEFAULT, "default")
