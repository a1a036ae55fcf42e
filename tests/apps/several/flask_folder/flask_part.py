"""A Flask application at the root."""

from __future__ import annotations

from flask import Flask, request, url_for

app = Flask(__name__)


@app.get("/")
@app.get("/<path:rest>")
def page(rest: str = "") -> dict[str, str]:
    return {"by": "flask", "rest": rest, "root": request.script_root, "link": url_for("page", rest="a")}


@app.post("/upload")
def upload() -> dict[str, int]:
    return {"size": len(request.get_data())}
