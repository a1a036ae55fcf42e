"""What is done with the head of an answer so that its session is found again: a cookie is set, or a name is learned.

Never here: which session a request belongs to. RFC 6265 section 4.1.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from torana.exchange.roles import Witness
from torana.serve.affinity.choice import hash_of
from torana.serve.affinity.names import MOST_BYTES

if TYPE_CHECKING:
    from torana.base.roster import Roster
    from torana.wire.events import Fields

#: Bytes of chance in a cookie; 22 characters.
_TOKEN_BYTES = 16
#: How much of the beginning of an answer is searched for a name.
_SEARCHED_BYTES = 4096
#: Said of answers that a cache may give to everybody.
_SHARED = (b"public", b"s-maxage")


def minute() -> int:
    """The same for all processes of the machine."""
    return int(time.monotonic()) // 60


class CookieMark(Witness):
    """Sets the cookie that leads to a slot. ``token``: what the session was called before, None for a new one."""

    def __init__(self, name: bytes, slot: int, token: bytes | None, is_secure: bool) -> None:
        self._name = name
        self._slot = slot
        self._token = token
        self._is_secure = is_secure

    def leaving(self, response: Any, fields: Fields, data: Any) -> Fields:
        if _is_shared(fields):
            # Whoever gets the copy of a cache would get its session, too.
            return fields
        token = self._token or secrets.token_urlsafe(_TOKEN_BYTES).encode()
        value = b"%s%d.%s; Path=/; HttpOnly; SameSite=Lax" % (self._name, self._slot, token)
        return [*fields, (b"set-cookie", value + b"; Secure" if self._is_secure else value)]


class Learner(Witness):
    """Learns how the application calls a session that begins: by a field of the answer, or by a pattern in its body."""

    def __init__(self, roster: Roster, slot: int, fields: list[tuple[bytes, bytes]], patterns: list[Any]) -> None:
        self._roster = roster
        self._slot = slot
        #: (name of a field, kind of the name it gives)
        self._fields = fields
        #: (compiled pattern, kind of the name it gives)
        self._patterns = patterns

    def leaving(self, response: Any, fields: Fields, data: Any) -> Fields:
        for name, kind in self._fields:
            for key, value in fields:
                if key.lower() == name:
                    self._learn(kind, value)
                    break
        if self._patterns and len(data):
            start = bytes(memoryview(data)[:_SEARCHED_BYTES])
            for pattern, kind in self._patterns:
                found = pattern.search(start)
                if found is not None:
                    self._learn(kind, found[1])
        return fields

    def _learn(self, kind: bytes, value: bytes) -> None:
        if 0 < len(value) <= MOST_BYTES:
            self._roster.learn(hash_of(kind, value), self._slot, minute())


class Both(Witness):
    """Two of them, one after the other."""

    def __init__(self, first: Witness, second: Witness) -> None:
        self._first = first
        self._second = second

    def leaving(self, response: Any, fields: Fields, data: Any) -> Fields:
        return self._second.leaving(response, self._first.leaving(response, fields, data), data)


def _is_shared(fields: Fields) -> bool:
    for key, value in fields:
        if len(key) == 13 and key.lower() == b"cache-control":
            lowered = value.lower()
            return any(word in lowered for word in _SHARED)
    return False


def compiled(pattern: str) -> re.Pattern[bytes]:
    """A pattern of the options, for bytes."""
    return re.compile(pattern.encode("latin-1"))
