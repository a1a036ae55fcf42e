"""`whoami` with an import that takes a second, as one that waits for a database or a model file does."""

from __future__ import annotations

import time

from benchmarks.apps.whoami import asgi, wsgi

__all__ = ["asgi", "wsgi"]

# Asleep, not busy: the load would else measure who gets the core, not who answers.
time.sleep(1.0)
