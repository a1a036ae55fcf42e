"""The life of an application beside its answers, where it is more than its gateway knows: made on the loop, told of
each step until the end.

A product that is started rather than called (Jupyter, a Streamlit script) brings one of these instead of an
application; so does an async factory. Never here: answering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct


def _nowhere() -> Sequence[tuple[str, int]]:
    return ()


def _nobody(why: str) -> None:
    """Nobody can be asked to stop."""


class Place(Struct, frozen=True):
    """Where an application is served and by whom, for one that shows its own address, or can end its server."""

    #: (host, port) of each TCP listener, from start-up on; "" and "::" are every interface. None for unix sockets.
    addresses: Callable[[], Sequence[tuple[str, int]]] = _nowhere
    is_tls: bool = False
    #: Mount point: "" or "/prefix".
    root_path: str = ""
    #: Have the whole server stop gracefully, all its workers; the reason is one clause for the log.
    stop: Callable[[str], None] = _nobody


class Life:
    """Steps in this order, each on the loop's thread; all but ``startup`` are bounded in time by the server.

    What a step raises is logged, and the next step comes all the same; only ``startup`` may refuse.
    """

    #: Set before ``startup``.
    place: Place = Place()

    async def startup(self) -> Any:
        """Make the application and return it; raises ``LoadError`` when it refuses."""
        raise NotImplementedError

    async def ready(self) -> None:
        """Connections are accepted."""

    async def begin_drain(self) -> None:
        """No new connections come: say goodbye to those who would stay (``exchange.roles.Gateway.begin_drain``)."""

    async def drained(self) -> None:
        """The last exchange is over."""

    async def shutdown(self) -> None:
        """Let go of everything."""
