"""The applications of the grid that answer the same routes (``sites/outside.py``), a declaration each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pytest


class Speech(Enum):
    """What an application speaks over WebSocket."""

    NOTHING = 0
    ECHO = 1
    SOCKETIO = 2


class Reach(Enum):
    """How far a Channels layer carries."""

    NOWHERE = 0
    WORKER = 1
    SERVER = 2  # Redis; without one the site is skipped


@dataclass(frozen=True)
class Site:
    """One application: its name on the page, what is served, and what must be installed for it."""

    app: str
    target: str
    needs: tuple[str, ...]
    #: The distribution whose version the page tells, where it is not called as the application is.
    package: str = ""
    speech: Speech = Speech.ECHO
    #: What its WebSocket ends with when the site asks for 4001.
    close_code: int = 4001
    #: Flags beside ``--workers 2``.
    flags: tuple[str, ...] = ()
    #: How far its messages reach from one WebSocket to another.
    reach: Reach = Reach.NOWHERE

    @property
    def mark(self) -> pytest.MarkDecorator:
        """For the page."""
        package = {"package": self.package} if self.package else {}
        return pytest.mark.grid(app=self.app, **package)

    @property
    def word(self) -> str:
        """The name as a part of an identifier."""
        return "".join(filter(str.isalnum, self.app.title()))


#: A session of Socket.IO is in the memory of one worker, and long polling asks for it with each request.
STICKY = ("--affinity", "socketio")

SITES = [
    Site("FastAPI", "fastapi_site:app", ("fastapi", "python_multipart")),
    Site("Starlette", "starlette_site:app", ("starlette", "python_multipart")),
    Site("Litestar", "litestar_site:app", ("litestar",)),
    Site("Quart", "quart_site:app", ("quart",)),
    # Its ASGI mode forgets the code.
    Site("Sanic", "sanic_site:app", ("sanic",), close_code=1000),
    Site("BlackSheep", "blacksheep_site:app", ("blacksheep",)),
    Site("Django Channels (in memory)", "django_site:channels", ("channels",), "channels", reach=Reach.WORKER),
    Site("Django Channels (Redis)", "django_site:channels", ("channels_redis",), "channels", reach=Reach.SERVER),
    Site("Flask", "flask_site:app", ("flask", "flask_sock")),
    Site(
        "Flask-SocketIO", "flask_socketio_site:app", ("flask_socketio", "flask_sock"), "", Speech.SOCKETIO, flags=STICKY
    ),
    Site("Falcon (ASGI)", "falcon_asgi_site:app", ("falcon",), "falcon"),
    Site("aiohttp", "aiohttp_site:app", ("aiohttp",)),
    Site("Tornado", "tornado_site:app", ("tornado",)),
    Site("python-socketio", "socketio_site:app", ("socketio", "starlette"), "", Speech.SOCKETIO, flags=STICKY),
    Site("Django (WSGI)", "django_site:wsgi", ("django",), "django", Speech.NOTHING),
    Site("Django (ASGI)", "django_site:asgi", ("django",), "django", Speech.NOTHING),
    Site("Bottle", "bottle_site:app", ("bottle",), speech=Speech.NOTHING),
    Site("Pyramid", "pyramid_site:app", ("pyramid",), speech=Speech.NOTHING),
    Site("Falcon (WSGI)", "falcon_site:app", ("falcon",), "falcon", Speech.NOTHING),
]
