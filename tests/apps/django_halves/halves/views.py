"""Views that tell by what and where they are called, and which connection to the database they have."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

#: Connections that were opened, kept so that no two have one identity.
opened: list[object] = []


def database(request: HttpRequest) -> HttpResponse:
    """A query, on the connection of this thread."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if not any(each is connection.connection for each in opened):
        opened.append(connection.connection)
    return JsonResponse(
        {
            "interface": "asgi" if hasattr(request, "scope") else "wsgi",
            "thread": threading.get_ident(),
            "opened": len(opened),
            "mine": next(number for number, each in enumerate(opened) if each is connection.connection),
        }
    )


async def ticks(request: HttpRequest) -> HttpResponse:
    """Server-sent events for as long as the client listens."""

    async def events() -> AsyncIterator[bytes]:
        for number in range(1_000_000):
            is_main = threading.current_thread() is threading.main_thread()
            yield f"data: {number} {'asgi' if hasattr(request, 'scope') else 'wsgi'} {is_main}\n\n".encode()
            await asyncio.sleep(0.01)

    return StreamingHttpResponse(events(), content_type="text/event-stream")
