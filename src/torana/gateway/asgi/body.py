"""The request as ASGI events: ``receive()`` (``spec.md`` ASGI-HTTP-27 to 36).

``http.request`` until the body's end was told, then ``http.disconnect`` as often as asked.
"""

from __future__ import annotations

import time
from typing import Any

from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.asgi.ready import ready
from torana.gateway.asgi.waiters import Waiters

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython


@cython.freelist(64)
@cython.cclass
class Body:
    """One request's inbound events."""

    def __init__(self, request: Request, response: Response) -> None:
        self.begin(request, response)

    def begin(self, request: Request, response: Response) -> None:
        """What ``__init__`` does, for ``new_body``."""
        self._request = request
        self._response = response
        self._waiters: Waiters | None = None
        self._is_end_told = False
        #: The server has asked the application to end.
        self._is_stopped = False
        #: Keep the account of ``waited_s``.
        self.is_timed = False
        self._waiting = 0
        self._since_s = 0.0
        self._waited_s = 0.0

    def receive(self) -> Any:
        """Awaitable of the next event; cancelling it loses nothing."""
        event = self._next()
        if event is not None:
            return ready(event)
        return self._receive_later()

    def wake(self) -> None:
        """Something has changed: body data, its end, or the client is gone."""
        if self._waiters is not None:
            self._waiters.wake()

    def stop(self) -> None:
        """From here on ``receive()`` tells ``http.disconnect``."""
        self._is_stopped = True
        self.wake()

    def _next(self) -> dict[str, Any] | None:
        request = self._request
        if not self._is_end_told and not self._response.is_over():
            if request.buffered:
                data = request.take()
                # Looked at after taking: taking may have read on to the end.
                self._is_end_told = request.is_ended and request.buffered == 0
                return {"type": "http.request", "body": data, "more_body": not self._is_end_told}
            if request.is_ended:
                self._is_end_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
        if request.is_broken or self._is_stopped or self._response.is_over():
            if request.is_broken:
                # Once told, the application may rely on it: sending raises from here (ASGI-HTTP-54).
                self._response.lose()
            return {"type": "http.disconnect"}
        return None

    async def _receive_later(self) -> dict[str, Any]:
        while True:
            event = self._next()
            if event is not None:
                return event
            if not self._request.is_ended:
                self._request.channel.want_body()
                event = self._next()
                if event is not None:
                    return event
            if self._waiters is None:
                self._waiters = Waiters()
            if self.is_timed and not self._request.is_ended:
                self._begin_to_wait()
                try:
                    await self._waiters.add()
                finally:
                    self._end_to_wait()
            else:
                await self._waiters.add()

    def waited_s(self, now: float) -> float:
        """How long the application has waited for a body that the client had yet to send; seconds."""
        return self._waited_s + (now - self._since_s if self._waiting else 0.0)

    def _begin_to_wait(self) -> None:
        if self._waiting == 0:
            self._since_s = time.monotonic()
        self._waiting += 1

    def _end_to_wait(self) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self._waited_s += time.monotonic() - self._since_s


def new_body(request: Request, response: Response) -> Body:
    """``Body(...)``, without the cost of a call through the type."""
    made = Body.__new__(Body)
    made.begin(request, response)
    return made
