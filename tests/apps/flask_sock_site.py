"""WebSocket routes by Flask-Sock, as its users write them; what happens out of a client's sight is noted in the log."""

from __future__ import annotations

import sys
import time
from typing import Any

from flask import Flask, request
from flask_sock import Sock

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25, "subprotocols": ["chat", "echo"]}
sock = Sock(app)


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


@app.get("/hello")
def hello() -> str:
    return "Hello, world!"


@app.get("/keys")
def keys() -> list[str]:
    return sorted(
        key for key in request.environ if key.endswith(".socket") or key in ("HTTP_UPGRADE", "HTTP_CONNECTION")
    )


@sock.route("/echo")
def echo(ws: Any) -> None:
    while True:
        ws.send(ws.receive())


@sock.route("/seen")
def seen(ws: Any) -> None:
    ws.send(f"{request.scheme} {ws.subprotocol} {request.args.get('q')} {request.cookies.get('name')}")


@sock.route("/late")
def late(ws: Any) -> None:
    """Looks for what was sent with the handshake only after a while."""
    time.sleep(0.2)
    ws.send(ws.receive() + "!")


@sock.route("/watched/<token>")
def watched(ws: Any, token: str) -> None:
    note(f"{token} open")
    try:
        while True:
            ws.receive()
    finally:
        note(f"{token} closed")


@sock.route("/flood/<int:count>")
def flood(ws: Any, count: int) -> None:
    for number in range(count):
        ws.send(bytes([number % 256]) * 100_000)


@sock.route("/fail/<token>")
def fail(ws: Any, token: str) -> None:
    raise RuntimeError(f"failed {token}")
