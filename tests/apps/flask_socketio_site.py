"""Flask-SocketIO in its threading mode, as its users write it."""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask, request
from flask_socketio import SocketIO, emit, join_room

app = Flask(__name__)
app.secret_key = "for tests only"
socketio = SocketIO(app, async_mode="threading")


@app.get("/hello")
def hello() -> str:
    return "Hello, world!"


@socketio.on("connect")
def connected(auth: Any = None) -> None:
    emit("welcome", {"transport": socketio.server.transport(request.sid)})  # type: ignore[attr-defined]


@socketio.on("disconnect")
def disconnected(*reason: Any) -> None:
    print(f"note: gone {request.args.get('token')}\n", end="", file=sys.stderr, flush=True)


@socketio.on("echo")
def echo(data: Any) -> Any:
    emit("echoed", data)
    return data


@socketio.on("join")
def join(room: str) -> bool:
    join_room(room)
    return True


@socketio.on("say")
def say(data: Any) -> None:
    emit("said", data["text"], to=data["room"])
