"""A FastAPI application that a function makes, and one that has its prefix in its own routes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, WebSocket


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"ready": "yes"}


def make() -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.get("/item/{name}")
    async def item(name: str, request: Request) -> dict[str, Any]:
        link = str(request.url_for("item", name="b"))
        return {"by": "fastapi", "name": name, "link": link, "state": request.state.ready, "pid": os.getpid()}

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("fastapi: " + await socket.receive_text())
        await socket.close()

    return app


whole = FastAPI()


@whole.get("/whole/{name}")
async def part(name: str, request: Request) -> dict[str, str]:
    return {"by": "whole", "name": name, "link": str(request.url_for("part", name="b"))}
