"""The application that is served: loaded, and what it speaks. The door through which ``process`` reaches ``gateway``.

Imports of user code happen in ``gateway/load.py``; nothing is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torana.base.worker_policy import ANY
from torana.gateway.detect import AIOHTTP, ASGI2, ASGI3, TORNADO, WSGI, Verdict, examine
from torana.gateway.error_page import error_page
from torana.gateway.find import find
from torana.gateway.load import call_function, load_found, warm_up
from torana.gateway.options import ApplicationOptions
from torana.gateway.warm import imported

__all__ = [
    "Application",
    "call_function",
    "failed_application",
    "given_application",
    "imported",
    "load_application",
    "warm_up",
]

#: What ``--interface`` may say, as the gateways call it.
_TOLD = {"asgi": ASGI3, "asgi2": ASGI2, "wsgi": WSGI, "aiohttp": AIOHTTP, "tornado": TORNADO}


@dataclass(frozen=True, slots=True)
class Application:
    """An application object (or a ``gateway.life.Life`` that makes one), its interface as ``gateway.detect`` names
    them ("auto": found out when it is made), and how both were found out.
    """

    object: Any
    interface: str
    #: "module:attribute", or the class of an object that was handed over.
    name: str
    found: str
    why: str
    #: In how many workers it may run: one of ``base.worker_policy``.
    policy: str = ANY


def load_application(options: ApplicationOptions) -> Application:
    """Find, import and judge the application; raises ``LoadError``."""
    found = find(options.target, options.app_dir)
    loaded, name = load_found(found, options.is_factory)
    verdict = _judge(loaded, options.interface)
    return Application(loaded, verdict.interface, name, found.how, verdict.why, verdict.policy)


def given_application(candidate: Any, options: ApplicationOptions) -> Application:
    """An application that a program hands over as an object; raises ``LoadError`` if it is none."""
    verdict = _judge(candidate, options.interface)
    return Application(
        candidate, verdict.interface, type(candidate).__name__, "given as an object", verdict.why, verdict.policy
    )


def failed_application(text: str) -> Application:
    """An application that answers everything with why the real one could not be loaded."""
    return Application(error_page(text), "asgi3", "error page", "instead of the application", "")


def _judge(application: Any, told: str) -> Verdict:
    return examine(application) if told == "auto" else Verdict(_TOLD[told], "--interface says so")
