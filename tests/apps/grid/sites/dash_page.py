"""A Dash application around the backend that is asked for: a callback, an upload, a mistake, deep links."""

import base64
import hashlib
import os

from dash import Dash, Input, Output, State, dcc, html
from outside import failure, numbered


def made(backend: str) -> Dash:
    """The application. One in a process: Dash on FastAPI only knows the last."""
    app = Dash(backend, backend=backend, title="Fruit")
    app.layout = html.Div(
        [
            dcc.Location(id="place"),
            html.P(id="where"),
            dcc.Input(id="name", value=""),
            html.P(id="greeting"),
            html.Button("Count", id="count", n_clicks=0),
            html.P(id="counted"),
            dcc.Upload("File", id="file", max_size=-1),
            html.P(id="digested"),
        ]
    )

    @app.callback(Output("where", "children"), Input("place", "pathname"))
    def where(path: str) -> str:
        return f"at {path}"

    @app.callback(Output("greeting", "children"), Input("name", "value"))
    def greet(name: str) -> str:
        if name.startswith("fail "):
            raise failure(name.removeprefix("fail "))
        return f"Hello, {name}!"

    @app.callback(Output("counted", "children"), Input("count", "n_clicks"))
    def count(clicks: int) -> str:
        return f"count: {clicks}, process: {os.getpid()}"

    @app.callback(Output("digested", "children"), Input("file", "contents"), State("file", "filename"))
    def digest(contents: str | None, name: str | None) -> str:
        content = base64.b64decode((contents or ",").partition(",")[2])
        return f"{name} {len(content)} {hashlib.sha256(content).hexdigest()}"

    return app


app = made(os.environ["GRID_BACKEND"])

if os.environ["GRID_BACKEND"] == "flask":

    @app.server.route("/<int:number>", methods=["GET", "POST"])
    def load(number: int) -> str:
        """What ``tests.support.load`` expects."""
        return numbered(number)
