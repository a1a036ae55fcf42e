"""Django Channels with its in-memory layer: a room for asynchronous consumers, an echo on threads, one that refuses."""

from __future__ import annotations

import sys
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="test",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()

from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import path  # noqa: E402


class Room(AsyncJsonWebsocketConsumer):
    """What one says all hear."""

    async def connect(self) -> None:
        self.name = self.scope["url_route"]["kwargs"]["name"]
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept("chat" if "chat" in self.scope["subprotocols"] else None)
        await self.channel_layer.group_send("room", {"type": "said", "text": f"{self.name} joined"})

    async def receive_json(self, content: Any, **more: Any) -> None:
        await self.channel_layer.group_send("room", {"type": "said", "text": f"{self.name}: {content['text']}"})

    async def said(self, event: dict[str, Any]) -> None:
        await self.send_json({"text": event["text"]})

    async def disconnect(self, code: int) -> None:
        print(f"note: {self.name} left by {code}\n", end="", file=sys.stderr, flush=True)
        await self.channel_layer.group_discard("room", self.channel_name)
        await self.channel_layer.group_send("room", {"type": "said", "text": f"{self.name} left"})


class Echo(WebsocketConsumer):
    """On a thread of Django's."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "close":
            self.close(4001)
        else:
            self.send(text_data, bytes_data)


class Refusal(WebsocketConsumer):
    """Lets nobody in."""

    def connect(self) -> None:
        self.close()


app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter(
            [
                path("room/<str:name>", Room.as_asgi()),
                path("echo", Echo.as_asgi()),
                path("refusal", Refusal.as_asgi()),
            ]
        ),
    }
)
