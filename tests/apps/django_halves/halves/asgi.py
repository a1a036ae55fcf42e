"""The project as an ASGI application: HTTP by Django, WebSockets by Channels."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halves.settings")
http = get_asgi_application()

from halves.consumers import Room, lifespan  # noqa: E402

application = ProtocolTypeRouter(
    {"http": http, "websocket": URLRouter([path("ws/<str:name>", Room.as_asgi())]), "lifespan": lifespan}
)
