"""What a product's module gives back: an application as a gateway can call it, and under which conditions.

Values only. Each product has a module beside this one with ``host(found, options) -> Hosted`` (it was recognised by its
file, nothing is imported yet) or ``unwrap(application) -> Hosted`` (an object of it was met after an import), or both;
``gateway/load.py`` calls them.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from torana.base.worker_policy import ANY


class Hosted(Struct, frozen=True):
    """An application, or a ``gateway.life.Life`` that makes one on the serving loop.

    ``interface``: as ``gateway.detect`` names them; "auto" only with a ``Life``, found out when it is made. ``name``:
    what a log calls it, like "app.py" or "module:demo". ``why``: how it was recognised, as one clause. ``policy``: one
    of ``base.worker_policy``; ``policy_why``: the reason for it, as a clause without a subject ("keeps its sessions in
    memory").
    """

    application: Any
    interface: str
    name: str
    why: str
    policy: str = ANY
    policy_why: str = ""
