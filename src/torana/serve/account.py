"""The account of one exchange or conversation: how many run, what the ledger shows of them, the access log's line.

The same whatever carries it: an HTTP/1 connection has one account for its exchanges in a row, an HTTP/2 stream one of
its own, and a conversation goes on with that of its handshake. Never here: when something begins or ends.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.serve.site import Site
    from torana.wire.events import RequestHead


class Account:
    """Opened by ``begin``, closed once by ``end``; then it may be opened again. ``end`` may be called on a thread."""

    def __init__(self, site: Site) -> None:
        self.site = site
        #: Begun and not ended.
        self.is_open = False
        self._began = 0.0
        self._began_wall = 0.0
        self._place = -1

    def begin(self, head: RequestHead, now_s: float) -> None:
        """A request has begun; ``now_s`` is the clock's (monotonic seconds)."""
        lock = self.site.lock
        if lock is None:
            self._begin(head, now_s)
        else:
            with lock:
                self._begin(head, now_s)

    def _begin(self, head: RequestHead, now_s: float) -> None:
        site = self.site
        self.is_open = True
        if site.access_log is not None:
            self._began = time.monotonic()
            self._began_wall = time.time()
        site.served += 1
        site.running += 1
        if site.ledger is not None:
            self._place = site.ledger.begin(head, now_s)

    def leave_unlogged(self) -> None:
        """Keep the present exchange out of the access log."""
        self._began = 0.0

    def end(self, status: int, request: Request, response: Response, sent: int) -> None:
        """It is over: ``status`` as the log shall have it, ``sent`` bytes of body or of messages. Later calls pass."""
        if not self.is_open:
            return
        self.is_open = False
        lock = self.site.lock
        if lock is None:
            self._end(status, request, response, sent)
        else:
            with lock:
                self._end(status, request, response, sent)

    def _end(self, status: int, request: Request, response: Response, sent: int) -> None:
        site = self.site
        site.running -= 1
        if site.ledger is not None:
            site.ledger.end(self._place)
        log = site.access_log
        if log is not None and self._began:
            head = request.head
            client = request.endpoints.client
            log.record(
                client[0] if client is not None else None, head.method, head.target, head.version, status, sent,
                time.monotonic() - self._began, self._began_wall, None, head.fields, response.fields,
            )  # fmt: skip


def new_account(site: Site) -> Account:
    """``Account(...)``, without the cost of a call through the type."""
    made = Account.__new__(Account)
    made.site = site
    made._place = -1
    made.is_open = False
    made._began = 0.0
    return made
