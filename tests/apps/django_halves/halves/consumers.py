"""What happens on the loop: a room, and the lifespan of the ASGI application."""

from __future__ import annotations

import sys
import threading
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import connection


class Room(AsyncJsonWebsocketConsumer):
    """What one says all hear, where there is a channel layer; it asks the database too."""

    async def connect(self) -> None:
        self.name = self.scope["url_route"]["kwargs"]["name"]
        if self.channel_layer is not None:
            await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def receive_json(self, content: Any, **more: Any) -> None:
        said = {
            "type": "said",
            "text": f"{self.name}: {content['text']}",
            "on_loop": threading.current_thread() is threading.main_thread(),
            "answer": await database_sync_to_async(forty_two)(),
        }
        if self.channel_layer is not None:
            await self.channel_layer.group_send("room", said)
        else:
            await self.send_json(said)

    async def said(self, event: dict[str, Any]) -> None:
        await self.send_json(event)


def forty_two() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 42")
        return cursor.fetchone()[0]


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    for step in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{step}"
        print(f"note: lifespan {step}", file=sys.stderr, flush=True)
        await send({"type": f"lifespan.{step}.complete"})
