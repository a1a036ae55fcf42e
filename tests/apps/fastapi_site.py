"""A FastAPI application as its users write them; what happens out of a client's sight is written to standard error."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, Header, HTTPException, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

app = FastAPI(title="Torana test site")


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


class Item(BaseModel):
    """A body that is validated."""

    name: str = Field(min_length=2)
    price: float = Field(gt=0)
    tags: list[str] = []


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None, limit: int = 10) -> dict[str, object]:
    return {"item_id": item_id, "q": q, "limit": limit}


@app.get("/files/{path:path}")
async def read_path(path: str) -> dict[str, str]:
    return {"path": path}


@app.post("/items", status_code=201)
async def create_item(item: Item, x_token: Annotated[str | None, Header()] = None) -> dict[str, object]:
    return {"item": item, "token": x_token}


@app.get("/threaded")
def threaded(n: int) -> dict[str, int]:
    return {"square": n * n}


@app.post("/upload")
async def upload(file: Annotated[UploadFile, File()], comment: Annotated[str, Form()]) -> dict[str, object]:
    digest, size = hashlib.sha256(), 0
    while piece := await file.read(65536):
        digest.update(piece)
        size += len(piece)
    return {
        "name": file.filename,
        "type": file.content_type,
        "size": size,
        "sha256": digest.hexdigest(),
        "comment": comment,
    }


@app.get("/stream")
async def stream(pieces: int, size: int = 1000) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        for number in range(pieces):
            yield bytes([number % 256]) * size

    return StreamingResponse(body(), media_type="application/octet-stream")


@app.post("/background/{token}", status_code=202)
async def background(token: str, tasks: BackgroundTasks) -> dict[str, str]:
    async def work() -> None:
        await asyncio.sleep(0)
        note(f"background {token} ran")

    tasks.add_task(work)
    return {"accepted": token}


async def resource(token: str) -> AsyncIterator[str]:
    """A dependency with something to give back."""
    note(f"resource {token} opened")
    try:
        yield f"resource-{token}"
    except Exception as error:
        note(f"resource {token} saw {type(error).__name__}")
        raise
    finally:
        note(f"resource {token} closed")


def sync_resource(token: str) -> Iterator[str]:
    """The same, run in a thread."""
    try:
        yield f"sync-{token}"
    finally:
        note(f"sync resource {token} closed")


@app.get("/resource/{token}")
async def use_resource(
    held: Annotated[str, Depends(resource)], other: Annotated[str, Depends(sync_resource)]
) -> dict[str, str]:
    return {"held": held, "other": other}


@app.get("/resource/{token}/missing")
async def resource_missing(held: Annotated[str, Depends(resource)]) -> None:
    raise HTTPException(404, f"no {held}")


@app.get("/resource/{token}/broken")
async def resource_broken(held: Annotated[str, Depends(resource)]) -> None:
    raise RuntimeError(f"broken {held}")


@app.get("/events/{token}")
async def events(token: str, count: int = 0) -> StreamingResponse:
    """Server-sent events: `count` of them, or without end when 0."""

    async def body() -> AsyncIterator[str]:
        number = 0
        try:
            while not count or number < count:
                yield f"id: {number}\nevent: tick\ndata: {token} {number}\n\n"
                number += 1
                await asyncio.sleep(0.02)
        finally:
            note(f"events {token} closed")

    return StreamingResponse(body(), media_type="text/event-stream", headers={"cache-control": "no-store"})
