"""Flask: a path parameter, a query parameter and a small JSON object."""

from __future__ import annotations

from flask import Flask, request

app = Flask(__name__)


@app.get("/items/<int:item_id>")
def read_item(item_id: int) -> dict[str, object]:
    """Echo both parameters, parsed, among a few constants."""
    return {"id": item_id, "q": request.args.get("q", ""), "name": "torana", "tags": ["a", "b"], "price": 9.5}
