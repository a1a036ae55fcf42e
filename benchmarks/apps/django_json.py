"""Django in one file, as WSGI and as ASGI: a path parameter, a query parameter and a small JSON object.

No middleware: under ASGI every synchronous one costs a thread hop that would hide the server.
"""

from __future__ import annotations

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="a benchmark keeps no secrets",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    INSTALLED_APPS=[],
    LOGGING_CONFIG=None,
)
django.setup(set_prefix=False)


def _item(request: HttpRequest, item_id: int) -> JsonResponse:
    q = request.GET.get("q", "")
    response = JsonResponse({"id": item_id, "q": q, "name": "torana", "tags": ["a", "b"], "price": 9.5})
    # What CommonMiddleware does; without it every server would have to frame the body itself.
    response["Content-Length"] = str(len(response.content))
    return response


async def _item_async(request: HttpRequest, item_id: int) -> JsonResponse:
    return _item(request, item_id)


urlpatterns = [path("items/<int:item_id>", _item), path("async-items/<int:item_id>", _item_async)]

wsgi = WSGIHandler()
asgi = ASGIHandler()
