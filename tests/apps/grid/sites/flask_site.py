"""Flask for the grid, its WebSocket by flask-sock."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request
from flask_sock import Sock
from outside import failure, numbered, pieces, told

app = Flask(__name__)
sock = Sock(app)


@app.get("/hello")
def hello() -> Any:
    return Response(f"Hello, {request.args['name']}!", mimetype="text/plain")


@app.post("/form")
def form() -> Any:
    return {"name": request.form["name"], "colour": request.form["colour"]}


@app.post("/upload")
def upload() -> Any:
    file = request.files["file"]
    return told(file.filename or "", file.read())


@app.get("/stream/<token>")
def stream(token: str) -> Any:
    return Response(pieces(token), mimetype="text/plain")


@app.get("/fail/<token>")
def fail(token: str) -> Any:
    raise failure(token)


@app.route("/<int:number>", methods=["GET", "POST"])
def load(number: int) -> Any:
    return Response(numbered(number), mimetype="text/plain")


@sock.route("/echo")
def echo(socket: Any) -> None:
    while (message := socket.receive()) != "close":
        socket.send(message)
    socket.close(4001)
