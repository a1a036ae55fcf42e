"""The role of a stream to somebody who answers as HTTP/1.1: an application's own protocol, another worker.

A plain base class: compiled, a call through it is one C call. Never here: what is said on it (``inner_http1``).
"""

from __future__ import annotations


class Pipe:
    """A stream to whoever answers; whoever has made it tells the exchange ``received``, ``drained`` and ``ended``."""

    def write(self, data: bytes) -> None:
        """Send bytes to the other end."""
        raise NotImplementedError

    def set_reading(self, is_reading: bool) -> None:
        """Pause or resume what comes from the other end; what is on its way may still come."""
        raise NotImplementedError

    def is_full(self) -> bool:
        """Whether the other end wants no more for now; ``drained`` is told when it does again."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing more will be sent or heard; the other end may finish what it is at."""
        raise NotImplementedError

    def abort(self) -> None:
        """Nothing more will be sent or heard, and the other end shall know that its client is gone."""
        raise NotImplementedError
