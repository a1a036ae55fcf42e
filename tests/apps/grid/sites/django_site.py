"""Django for the grid: as WSGI, as ASGI, and with Channels over a layer in memory or in Redis."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import django
from django.conf import settings

HAS_CHANNELS = importlib.util.find_spec("channels") is not None
LAYER: dict[str, Any] = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
if "GRID_REDIS" in os.environ:
    LAYER = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [os.environ["GRID_REDIS"]]}}

settings.configure(
    SECRET_KEY="for tests only",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["channels"] if HAS_CHANNELS else [],
    # Gives answers their length.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    CHANNEL_LAYERS={"default": LAYER},
    # Without this Django mails failures to its administrators and tells nobody else.
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR"}},
    },
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.handlers.asgi import ASGIRequest  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from outside import awaited_pieces, failure, numbered, pieces, told  # noqa: E402


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello, {request.GET['name']}!", content_type="text/plain; charset=utf-8")


def form(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"name": request.POST["name"], "colour": request.POST["colour"]})


def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    return JsonResponse(told(file.name or "", file.read()))


def stream(request: HttpRequest, token: str) -> StreamingHttpResponse:
    """Django wants an iterator of the kind that the interface has."""
    body = awaited_pieces(token) if isinstance(request, ASGIRequest) else pieces(token)
    return StreamingHttpResponse(body, content_type="text/plain")


def fail(request: HttpRequest, token: str) -> HttpResponse:
    raise failure(token)


def load(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(numbered(number), content_type="text/plain")


urlpatterns = [
    path("hello", hello),
    path("form", form),
    path("upload", upload),
    path("stream/<token>", stream),
    path("fail/<token>", fail),
    path("<int:number>", load),
]

wsgi = get_wsgi_application()
asgi = get_asgi_application()

if HAS_CHANNELS:
    from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter

    class Echo(WebsocketConsumer):
        """On a thread of Django's."""

        def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            if text_data == "close":
                self.close(4001)
            else:
                self.send(text_data, bytes_data)

    class Room(AsyncWebsocketConsumer):
        """What one says all hear, as far as the layer reaches."""

        async def connect(self) -> None:
            await self.channel_layer.group_add("room", self.channel_name)
            await self.accept()
            await self.send(str(os.getpid()))

        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            await self.channel_layer.group_send("room", {"type": "said", "text": text_data})

        async def said(self, event: dict[str, str]) -> None:
            await self.send(event["text"])

        async def disconnect(self, code: int) -> None:
            await self.channel_layer.group_discard("room", self.channel_name)

    channels = ProtocolTypeRouter(
        {"http": asgi, "websocket": URLRouter([path("echo", Echo.as_asgi()), path("room", Room.as_asgi())])}
    )
