"""The WSGI and the ASGI application of a Django project, and whether they may share its requests unasked.

Channels needs ASGI, while Django's own HTTP is better off with WSGI: there a database connection belongs to a thread
that lives on, so that CONN_MAX_AGE works. Where the ASGI application gives HTTP to Django unchanged, nobody can tell
the difference, and it is divided; in doubt it is not. Looks at objects of modules that are loaded already.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from torana.gateway.django_project import read_project

_MEMORY_LAYER = "channels.layers.InMemoryChannelLayer"
_MOST_PATTERNS = 100_000


class DjangoHalves(Struct, frozen=True):
    """Both applications, as targets."""

    wsgi: str
    asgi: str


def halves_of(directory: str) -> DjangoHalves | None:
    """The applications of a project that has both and installs what needs ASGI; None where it is not so."""
    project = read_project(directory)
    if project is None or not project.needs_asgi:
        return None
    asgi, wsgi = (_target(directory, project.package, each, project.texts) for each in ("asgi", "wsgi"))
    return DjangoHalves(wsgi, asgi) if asgi and wsgi else None


def _target(directory: str, package: str, name: str, texts: dict[str, str]) -> str:
    module, _, attribute = texts.get(f"{name.upper()}_APPLICATION", "").rpartition(".")
    if module:
        return f"{module}:{attribute}"
    return f"{package}.{name}:application" if os.path.isfile(os.path.join(directory, package, name + ".py")) else ""


def why_undivided(asgi: Any) -> str:
    """Why a project's ASGI application should answer all of its requests; "" where WSGI may answer HTTP."""
    if not _is(asgi, "channels.routing", "ProtocolTypeRouter"):
        return "its ASGI application is no plain ProtocolTypeRouter"
    mapping = getattr(asgi, "application_mapping", {})
    if "websocket" not in mapping:
        return "it has no WebSockets"
    if not _is(mapping.get("http"), "django.core.handlers.asgi", "ASGIHandler"):
        return "its ProtocolTypeRouter gives HTTP to something else than Django itself"
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    layers = getattr(settings, "CHANNEL_LAYERS", None) or {}
    if any(layer.get("BACKEND") == _MEMORY_LAYER for layer in layers.values()):
        return "its channel layer in memory cannot be reached from threads"
    try:
        if any(_is_async(view) for view in _views()):
            return "some of its views are async"
    except Exception as error:
        # Its first request will say more.
        return f"its URLs cannot be looked through ({type(error).__name__})"
    return ""


def _is(candidate: Any, module: str, name: str) -> bool:
    return any((kind.__module__, kind.__qualname__) == (module, name) for kind in type(candidate).__mro__)


def _views() -> Iterator[Any]:
    resolvers: Any = sys.modules["django.urls"]
    patterns = list(resolvers.get_resolver().url_patterns)
    for _ in range(_MOST_PATTERNS):
        if not patterns:
            return
        pattern = patterns.pop()
        if hasattr(pattern, "url_patterns"):
            patterns += pattern.url_patterns
        else:
            yield pattern.callback


def _is_async(view: Any) -> bool:
    view_class = getattr(view, "view_class", None)
    return (
        inspect.iscoroutinefunction(view)
        # How Django and asgiref mark them before Python 3.12.
        or getattr(view, "_is_coroutine", None) is not None
        or bool(getattr(view_class, "view_is_async", False))
    )
