"""Several applications as one value: what stands in an application's place when a server has more than one.

Values only; ``build`` makes a gateway of them that chooses (``choice``).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Part(Struct, frozen=True):
    """One of several applications, and which requests are its."""

    #: An application, a ``life.Life`` or a ``Pair``.
    object: Any
    #: As ``detect`` names them.
    interface: str
    name: str
    #: Names of hosts, or ``*.`` and a name; none: every host.
    hosts: tuple[str, ...] = ()
    #: "" or "/prefix", decoded.
    path: str = ""
    #: What of the path the application is told as its mount point; None: all of it.
    mount: str | None = None
    #: As ``GatewayOptions`` has them; None: as all.
    lifespan: str | None = None
    threads: int | None = None


class Parts(Struct, frozen=True):
    """Several applications."""

    parts: tuple[Part, ...]


class Pair(Struct, frozen=True):
    """The WSGI and the ASGI application of one site."""

    wsgi: Any
    wsgi_name: str
    asgi: Any
    asgi_name: str
    #: "asgi3", "asgi2", or of a ``life.Life`` whatever it is said to make.
    asgi_interface: str
    #: What is the ASGI application's: "websocket", and patterns of paths.
    asgi_for: tuple[str, ...]
