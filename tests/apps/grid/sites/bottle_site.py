"""Bottle for the grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bottle import Bottle, request, response
from outside import failure, numbered, pieces, told

app = Bottle()


@app.get("/hello")
def hello() -> str:
    response.content_type = "text/plain; charset=UTF-8"
    return f"Hello, {request.query.getunicode('name')}!"


@app.post("/form")
def form() -> dict[str, str]:
    return {"name": request.forms.getunicode("name"), "colour": request.forms.getunicode("colour")}


@app.post("/upload")
def upload() -> dict[str, Any]:
    file = request.files["file"]
    return told(file.raw_filename, file.file.read())


@app.get("/stream/<token>")
def stream(token: str) -> Iterator[bytes]:
    response.content_type = "text/plain"
    return pieces(token)


@app.get("/fail/<token>")
def fail(token: str) -> None:
    raise failure(token)


@app.route("/<number:int>", method=["GET", "POST"])
def load(number: int) -> str:
    response.content_type = "text/plain"
    return numbered(number)
