"""A Flask application as its users write them; what happens out of a client's sight is written to standard error.

The files it serves lie in the folder named by SITE_FILES.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, redirect, request, send_file, session, stream_with_context, url_for
from werkzeug.wrappers import Response as AnyResponse

FILES = Path(os.environ["SITE_FILES"])

app = Flask(__name__, static_folder=None)
app.secret_key = "for tests only"


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


@app.get("/hello")
def hello() -> str:
    return "Hello, world!"


@app.route("/echo/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
def describe(rest: str) -> Response:
    return jsonify(
        method=request.method,
        rest=rest,
        query=request.query_string.decode(),
        url=request.url,
        args=request.args.to_dict(flat=False),
        address=request.remote_addr,
        root=request.script_root,
    )


@app.post("/json")
def json_echo() -> tuple[Response, int]:
    return jsonify(got=request.get_json()), 201


@app.post("/form")
def form() -> Response:
    file = request.files["file"]
    data = file.read()
    return jsonify(
        name=file.filename,
        type=file.content_type,
        size=len(data),
        comment=request.form["comment"],
        sha256=hashlib.sha256(data).hexdigest(),
    )


@app.post("/raw")
def raw() -> Response:
    data = request.get_data()
    return jsonify(size=len(data), sha256=hashlib.sha256(data).hexdigest(), length=request.content_length)


@app.post("/lines")
def lines() -> Response:
    return jsonify(lines=[line.decode() for line in request.stream])


@app.get("/stream")
def stream() -> Response:
    def body() -> Iterator[str]:
        for number in range(int(request.args["pieces"])):
            yield f"{number}\n"

    return Response(stream_with_context(body()), mimetype="text/plain")


@app.get("/endless/<token>")
def endless(token: str) -> Response:
    def body() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                time.sleep(0.01)
        finally:
            note(f"endless {token} closed")

    return Response(body(), mimetype="text/plain")


@app.get("/broken/<token>")
def broken(token: str) -> Response:
    def body() -> Iterator[bytes]:
        yield b"first part"
        raise RuntimeError(f"broken {token}")

    return Response(body(), mimetype="text/plain")


@app.post("/login")
def login() -> AnyResponse:
    session["name"] = request.form["name"]
    return redirect(url_for("me"), 303)


@app.get("/me")
def me() -> Response:
    return jsonify(name=session.get("name"))


@app.get("/cookies")
def cookies() -> Response:
    answer = jsonify(request.cookies)
    answer.set_cookie("one", "1")
    answer.set_cookie("two", "2", httponly=True)
    return answer


@app.get("/file")
def file() -> Response:
    return send_file(FILES / "large.bin", as_attachment=True, conditional=True)


@app.get("/fail/<token>")
def fail(token: str) -> str:
    raise RuntimeError(f"failed {token}")


@app.get("/nothing")
def nothing() -> tuple[str, int]:
    return "", 204


@app.before_request
def open_resource() -> None:
    g.token = request.args.get("resource")


@app.teardown_request
def close_resource(error: BaseException | None) -> None:
    if g.get("token"):
        note(f"resource {g.token} closed")


@app.errorhandler(404)
def missing(error: Any) -> tuple[Response, int]:
    return jsonify(error="missing"), 404
