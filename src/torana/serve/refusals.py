"""Answers that the server gives itself, and the one line each kind of refusal may write a second.

The texts are fixed a status: no byte of a request ever comes back (threats G-038, G-072).
"""

from __future__ import annotations

import logging
import threading

from torana.base.codes import REASONS

_log = logging.getLogger("torana.refused")

Fields = list[tuple[bytes, bytes]]

#: What the answer to a bad request has to say besides its status: when to come again, which WebSocket we speak.
_DEMANDS: dict[int, tuple[tuple[bytes, bytes], ...]] = {
    426: ((b"sec-websocket-version", b"13"),),
    503: ((b"retry-after", b"1"),),
}
#: The same for HTTP/1.1, where the connection has a say (RFC 9110 section 15.5.22).
_DEMANDS_1 = _DEMANDS | {
    426: ((b"upgrade", b"websocket"), (b"connection", b"upgrade, close"), (b"sec-websocket-version", b"13")),
}


def page(status: int, more: tuple[tuple[bytes, bytes], ...] = ()) -> tuple[Fields, bytes]:
    """Fields and body of the fixed answer for ``status``."""
    body = b"%d %s\n" % (status, REASONS.get(status, b"Error"))
    fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", b"%d" % len(body)),
        *more,
    ]
    return fields, body


def refusal(status: int, is_http2: bool = False) -> tuple[Fields, bytes]:
    """Fields and body of the answer to a request that deserves ``status``, with what must be said along with it."""
    return page(status, (_DEMANDS if is_http2 else _DEMANDS_1).get(status, ()))


class Refusals:
    """Counts refusals by reason and logs each kind at most once a second, with what was left out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: dict[str, int] = {}
        self._ignored_at = -60.0
        self._logged: dict[str, tuple[float, int]] = {}

    def note(self, reason: str, setting: str, client: tuple[str, int] | None, now: float) -> None:
        """Count one refusal, on any thread; ``setting`` names the setting that would have allowed it."""
        with self._lock:
            count = self.counts.get(reason, 0) + 1
            self.counts[reason] = count
            last, logged = self._logged.get(reason, (-1.0, 0))
            if last >= 0 and now - last < 1.0:
                return
            self._logged[reason] = (now, count)
        left_out = count - logged - 1
        _log.warning(
            "refused %s: %s%s%s",
            client[0] if client else "unix",
            reason,
            f" (setting: {setting})" if setting else "",
            f" [{left_out} more like it]" if left_out > 0 else "",
        )

    def note_ignored(self, names: tuple[bytes, ...], client: tuple[str, int] | None, now: float) -> None:
        """Say that forwarding fields of an untrusted peer were dropped; at most once a minute."""
        if now - self._ignored_at < 60.0:
            return
        self._ignored_at = now
        who = client[0] if client else "unix"
        _log.warning(
            "%s from the untrusted peer %s ignored; if it is your proxy, add it to forwarded_allow_ips",
            ", ".join(name.decode("latin-1") for name in names),
            who,
        )
