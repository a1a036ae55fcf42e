"""Dash: an application is a wrapper around one of Flask, FastAPI or Quart, and that is what is served.

Never here: which of them; that is judged like any application.
"""

from __future__ import annotations

from typing import Any

from torana.gateway.detect import examine
from torana.gateway.options import ApplicationOptions
from torana.gateway.products.hosted import Hosted


def unwrap(application: Any, options: ApplicationOptions | None = None) -> Hosted:
    """A ``dash.Dash``; raises ``LoadError`` if what is in it is no application."""
    server = application.server
    verdict = examine(server)
    inner = type(server).__name__
    return Hosted(
        server,
        verdict.interface,
        "Dash",
        f"it is a Dash application around {inner}",
        verdict.policy,
        verdict.policy_why,
    )
