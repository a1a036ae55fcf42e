"""Frameworks that a development server imports ahead, so that a reload costs the user's own code only.

Only what the application had imported itself the last time, and only packages of this list: web frameworks and their
usual company, whose import does nothing but define things. User code is never imported
ahead; importing itself is ``load.warm_up``.
"""

from __future__ import annotations

import sys

#: In an order in which each finds what it needs.
KNOWN = """
anyio anyio._backends._asyncio sniffio typing_extensions annotated_types pydantic pydantic.main pydantic_settings
starlette.applications starlette.responses starlette.routing starlette.staticfiles starlette.templating
starlette.middleware.sessions fastapi fastapi.responses fastapi.staticfiles sse_starlette jinja2 markupsafe itsdangerous
werkzeug werkzeug.serving werkzeug.debug flask quart litestar falcon falcon.asgi bottle
asgiref.sync django django.http django.urls django.template django.forms django.db.models django.core.handlers.wsgi
django.core.handlers.asgi django.core.management django.contrib.staticfiles.handlers rest_framework.fields
sqlalchemy sqlalchemy.orm sqlalchemy.ext.asyncio sqlmodel httpx requests multipart python_multipart yaml
""".split()

#: With these, the order of imports matters: they change other modules.
_FIRST = ("gevent", "eventlet")


def imported() -> list[str]:
    """The known modules that this process has imported, for a process to come."""
    if any(name in sys.modules for name in _FIRST):
        return []
    return [name for name in KNOWN if name in sys.modules]
