"""Flask-SocketIO for the grid: the Flask site, and events beside it."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_site import app
from flask_socketio import SocketIO, emit

socketio = SocketIO(app, async_mode="threading")


@socketio.on("echo")
def echo(content: Any) -> None:
    emit("echo", content)


@socketio.on("add")
def add(first: int, second: int) -> int:
    return first + second


@socketio.on("leave")
def leave() -> None:
    socketio.server.disconnect(request.sid)  # type: ignore[attr-defined]
