"""FastAPI: a path parameter, a query parameter and a small JSON object."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str = "") -> dict[str, object]:
    """Echo both parameters, parsed, among a few constants."""
    return {"id": item_id, "q": q, "name": "torana", "tags": ["a", "b"], "price": 9.5}
