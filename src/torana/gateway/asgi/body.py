"""The request as ASGI events: ``receive()`` (``spec.md`` ASGI-HTTP-27 to 36).

``http.request`` until the body's end was told, then ``http.disconnect`` as often as asked.
"""

from __future__ import annotations

from typing import Any

from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.asgi.ready import ready
from torana.gateway.asgi.waiters import Waiters


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
            await self._waiters.add()


def new_body(request: Request, response: Response) -> Body:
    """``Body(...)``, without the cost of a call through the type."""
    made = Body.__new__(Body)
    made.begin(request, response)
    return made
