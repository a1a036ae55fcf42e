"""From an object to what a gateway can call: judged by ``detect``, unwrapped by its product, or made on the loop first.

What the user says (``--interface``) wins. Never here: imports, gateways.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from torana.base.errors import LoadError
from torana.base.worker_policy import ANY
from torana.gateway.detect import TOLD, Verdict, examine
from torana.gateway.life import Life
from torana.gateway.options import ApplicationOptions
from torana.gateway.state import keeping_of

_DEEPEST = 4


class Judged(Struct, frozen=True):
    """An application, or a ``Life`` that makes one, and what is known about it; as ``products.hosted.Hosted``."""

    application: Any
    interface: str
    why: str
    policy: str = ANY
    policy_why: str = ""


def judge(application: Any, told: str = "auto", options: ApplicationOptions | None = None) -> Judged:
    """What an object is; raises ``LoadError`` if that cannot be told. ``told``: as ``--interface`` or ``detect``."""
    if isinstance(application, Life):
        why = "an application that is made on the loop"
        return Judged(application, TOLD.get(told, told), getattr(application, "why", "") or why)
    if told in TOLD:
        keeping = keeping_of(application)
        return Judged(application, TOLD[told], "--interface says so", keeping.policy, keeping.why)
    verdict = examine(application)
    if verdict.product:
        return _unwrapped(application, verdict, options)
    inside = application if verdict.inside is None else verdict.inside
    return Judged(inside, verdict.interface, verdict.why, verdict.policy, verdict.policy_why)


def _unwrapped(application: Any, verdict: Verdict, options: ApplicationOptions | None) -> Judged:
    from torana.gateway.load import unwrap

    hosted = unwrap(verdict.product, application, options)
    if hosted is not None:
        return Judged(hosted.application, hosted.interface, hosted.why, hosted.policy, hosted.policy_why)
    if verdict.inside is None:
        raise LoadError(f"{verdict.why}; name the file that makes it, torana FILE.py, instead of the object")
    judged = judge(verdict.inside, "auto", options)
    return Judged(judged.application, judged.interface, verdict.why, judged.policy, judged.policy_why)


class MadeOnLoop(Life):
    """An application that an async factory makes, on the loop that will serve it: what it binds to a loop is right."""

    def __init__(self, make: Callable[[], Awaitable[Any]], name: str, told: str = "auto") -> None:
        self._make = make
        self._name = name
        self._told = told
        self.why = f"{name} is async: it makes the application on the serving loop"
        #: What it was, once it was made; and who is told of it at once, and may refuse.
        self.judged: Judged | None = None
        self.on_judged: Callable[[Judged], None] = lambda judged: None

    async def startup(self) -> Any:
        from torana.gateway.load import made_of

        application = await made_of(self._make, self._name)
        judged = self.judged = judge(application, self._told)
        self.on_judged(judged)
        return judged.application


def judged_at_last(application: Any) -> Judged | None:
    """What became known of an application when it was made; None if there is no news."""
    return application.judged if isinstance(application, MadeOnLoop) else None
