"""Pyramid for the grid."""

from __future__ import annotations

from typing import Any

from outside import failure, numbered, pieces, told
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response


def hello(request: Request) -> Response:
    return Response(f"Hello, {request.params['name']}!", content_type="text/plain")


def form(request: Request) -> dict[str, str]:
    return {"name": request.POST["name"], "colour": request.POST["colour"]}


def upload(request: Request) -> dict[str, Any]:
    file = request.POST["file"]
    return told(file.filename, file.file.read())


def stream(request: Request) -> Response:
    return Response(app_iter=pieces(request.matchdict["token"]), content_type="text/plain")


def fail(request: Request) -> Response:
    raise failure(request.matchdict["token"])


def load(request: Request) -> Response:
    return Response(numbered(int(request.matchdict["number"])), content_type="text/plain")


VIEWS: list[tuple[str, Any, dict[str, Any]]] = [
    ("/hello", hello, {}),
    ("/form", form, {"renderer": "json"}),
    ("/upload", upload, {"renderer": "json"}),
    ("/stream/{token}", stream, {}),
    ("/fail/{token}", fail, {}),
    (r"/{number:\d+}", load, {}),
]

with Configurator() as config:
    for path, view, more in VIEWS:
        config.add_route(view.__name__, path)
        config.add_view(view, route_name=view.__name__, **more)
    app = config.make_wsgi_app()
