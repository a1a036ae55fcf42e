"""What real products and frameworks are taken for: as objects that are imported, and as programs that are only read.

Those that are quick to import are in tests/unit/gateway/test_detect_frameworks.py.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.place import empty_place, write
from torana.base.errors import LoadError
from torana.base.worker_policy import ANY, SINGLE, STICKY
from torana.gateway.detect import Verdict, examine, is_factory
from torana.gateway.judge import judge
from torana.gateway.options import ApplicationOptions
from torana.serve.application import load_application

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with empty_place(tmp_path, monkeypatch) as directory:
        yield directory


def grid(app: str, package: str = "") -> pytest.MarkDecorator:
    more = {"package": package} if package else {}
    return pytest.mark.grid(app=app, check="detection", **more)


def imported(name: str) -> Any:
    return pytest.importorskip(name, exc_type=ImportError)


def gradio_blocks() -> Any:
    gradio = imported("gradio")
    with gradio.Blocks() as demo:
        gradio.Textbox()
    return demo


def gradio_interface() -> Any:
    return imported("gradio").Interface(str.upper, "text", "text")


def gradio_mounted() -> Any:
    return imported("gradio").mount_gradio_app(imported("fastapi").FastAPI(), gradio_blocks(), path="/demo")


def dash_flask() -> Any:
    return imported("dash").Dash("site")


def streamlit_app() -> Any:
    streamlit = imported("streamlit")
    if not hasattr(streamlit, "App"):
        pytest.skip("this Streamlit has no App")
    return streamlit.App("page.py")


def panel_column() -> Any:
    return imported("panel").Column("x")


def panel_template() -> Any:
    return imported("panel").template.MaterialTemplate(title="x")


def bokeh_application() -> Any:
    return imported("bokeh.application").Application()


def bokeh_tornado() -> Any:
    return imported("bokeh.server.tornado").BokehTornado({"/": bokeh_application()})


def jupyter_server() -> Any:
    return imported("jupyter_server.serverapp").ServerApp()


def jupyter_web() -> Any:
    kind = imported("jupyter_server.serverapp").ServerWebApplication
    return kind.__new__(kind)


def sanic_app() -> Any:
    return imported("sanic").Sanic("detected", configure_logging=False)


def litestar_app() -> Any:
    return imported("litestar").Litestar()


def blacksheep_app() -> Any:
    return imported("blacksheep").Application()


def falcon_wsgi() -> Any:
    return imported("falcon").App()


def falcon_asgi() -> Any:
    return imported("falcon.asgi").App()


def bottle_app() -> Any:
    return imported("bottle").Bottle()


def pyramid_app() -> Any:
    return imported("pyramid.config").Configurator().make_wsgi_app()


def mcp_app() -> Any:
    return imported("mcp.server.mcpserver").MCPServer("x").streamable_http_app()


def mcp_stateless() -> Any:
    return imported("mcp.server.mcpserver").MCPServer("x").streamable_http_app(stateless_http=True)


def channels_router() -> Any:
    routing = imported("channels.routing")
    return routing.ProtocolTypeRouter({"websocket": routing.URLRouter([])})


def channels_stack() -> Any:
    wrapper = imported("channels.security.websocket").OriginValidator
    return wrapper(imported("channels.routing").URLRouter([]), ["*"])


def channels_consumer() -> Any:
    return imported("channels.generic.websocket").WebsocketConsumer.as_asgi()


def wsgi_as_asgi() -> Any:
    return imported("a2wsgi").WSGIMiddleware(bottle_app())


def asgi_as_wsgi() -> Any:
    return imported("a2wsgi").ASGIMiddleware(litestar_app())


#: What makes it, whose it is on the page, the interface (or the product that unwraps it) and the policy.
OBJECTS: list[tuple[Callable[[], Any], pytest.MarkDecorator, str, str]] = [
    (gradio_blocks, grid("Gradio"), "gradio", STICKY),
    (gradio_interface, grid("Gradio"), "gradio", STICKY),
    (gradio_mounted, grid("Gradio"), "asgi3", STICKY),
    (dash_flask, grid("Dash"), "dash", ANY),
    (streamlit_app, grid("Streamlit"), "streamlit", STICKY),
    (panel_column, grid("Panel"), "panel", STICKY),
    (panel_template, grid("Panel"), "panel", STICKY),
    (bokeh_application, grid("Bokeh"), "bokeh", STICKY),
    (bokeh_tornado, grid("Bokeh"), "bokeh", STICKY),
    (jupyter_server, grid("Jupyter Server"), "jupyter", SINGLE),
    (jupyter_web, grid("Jupyter Server"), "tornado", SINGLE),
    (sanic_app, grid("Sanic"), "asgi3", ANY),
    (litestar_app, grid("Litestar"), "asgi3", ANY),
    (blacksheep_app, grid("BlackSheep"), "asgi3", ANY),
    (falcon_wsgi, grid("Falcon (WSGI)", "falcon"), "wsgi", ANY),
    (falcon_asgi, grid("Falcon (ASGI)", "falcon"), "asgi3", ANY),
    (bottle_app, grid("Bottle"), "wsgi", ANY),
    (pyramid_app, grid("Pyramid"), "wsgi", ANY),
    (mcp_app, grid("MCP Python SDK", "mcp"), "asgi3", STICKY),
    (mcp_stateless, grid("MCP Python SDK", "mcp"), "asgi3", ANY),
    (channels_router, grid("Django Channels (in memory)", "channels"), "asgi3", ANY),
    (channels_stack, grid("Django Channels (in memory)", "channels"), "asgi3", ANY),
    (channels_consumer, grid("Django Channels (in memory)", "channels"), "asgi3", ANY),
    (wsgi_as_asgi, grid("Bottle"), "asgi3", ANY),
    (asgi_as_wsgi, grid("Litestar"), "wsgi", ANY),
]


@pytest.mark.parametrize(
    ("make", "interface", "policy"),
    [pytest.param(make, interface, policy, marks=mark, id=make.__name__) for make, mark, interface, policy in OBJECTS],
)
def test_an_object_is_known_by_its_class(make: Callable[[], Any], interface: str, policy: str) -> None:
    application = make()
    verdict: Verdict = examine(application)
    assert (verdict.interface or verdict.product, verdict.policy) == (interface, policy)
    assert bool(verdict.policy_why) is (policy != ANY)
    assert not is_factory(application)


@grid("Dash")
@pytest.mark.parametrize(("backend", "interface"), [("flask", "wsgi"), ("fastapi", "asgi3"), ("quart", "asgi3")])
def test_dash_is_what_is_in_it(backend: str, interface: str) -> None:
    dash = imported("dash")
    try:
        application = dash.Dash("site", backend=backend)
    except TypeError:
        pytest.skip("this Dash has one backend")
    judged = judge(application)
    assert (judged.interface, judged.application) == (interface, application.server)


REFUSED: dict[str, tuple[Callable[[], Any], pytest.MarkDecorator, str]] = {
    "consumer class": (
        lambda: imported("channels.generic.websocket").WebsocketConsumer,
        grid("Django Channels (in memory)", "channels"),
        "WebsocketConsumer.as_asgi()",
    ),
    "MCP server": (
        lambda: imported("mcp.server.mcpserver").MCPServer("x"),
        grid("MCP Python SDK", "mcp"),
        "streamable_http_app()",
    ),
    "configurator": (
        lambda: imported("pyramid.config").Configurator(),
        grid("Pyramid"),
        "config.make_wsgi_app()",
    ),
    "Litestar router": (lambda: imported("litestar").Router("/", route_handlers=[]), grid("Litestar"), "a router"),
    "Litestar controller": (lambda: imported("litestar").Controller, grid("Litestar"), "a Litestar controller"),
    "Sanic blueprint": (lambda: imported("sanic").Blueprint("b"), grid("Sanic"), "a Sanic blueprint"),
    "Bokeh document": (lambda: imported("bokeh.document").Document(), grid("Bokeh"), "a Bokeh document"),
}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [pytest.param(make, sentence, marks=mark, id=name) for name, (make, mark, sentence) in REFUSED.items()],
)
def test_a_part_is_refused_with_what_to_name_instead(make: Callable[[], Any], sentence: str) -> None:
    candidate = make()
    with pytest.raises(LoadError) as refusal:
        examine(candidate)
    assert sentence in str(refusal.value)
    assert not is_factory(candidate)


# Programs as files, loaded as ``torana run FILE`` loads them

FILES: dict[str, tuple[pytest.MarkDecorator, tuple[str, ...], str, str, str]] = {
    "Dash": (
        grid("Dash"),
        ("dash",),
        "import dash\napp = dash.Dash(__name__)\nserver = app.server\nif __name__ == '__main__':\n    app.run()\n",
        "wsgi",
        ANY,
    ),
    "Dash that runs itself": (
        grid("Dash"), ("dash",), "import dash\napp = dash.Dash(__name__)\napp.run()\n", "wsgi", ANY,
    ),
    "Gradio that launches itself": (
        grid("Gradio"),
        ("gradio",),
        "import gradio as gr\ngr.Interface(str.upper, 'text', 'text').launch()\n",
        "asgi3",
        STICKY,
    ),
    "Gradio in FastAPI": (
        grid("Gradio"),
        ("gradio",),
        "import gradio as gr\nfrom fastapi import FastAPI\nwith gr.Blocks() as demo:\n    gr.Textbox()\n"
        "app = gr.mount_gradio_app(FastAPI(), demo, path='/demo')\n",
        "asgi3",
        STICKY,
    ),
    "Sanic that runs itself": (
        grid("Sanic"),
        ("sanic",),
        "from sanic import Sanic\nsite = Sanic('runs_itself', configure_logging=False)\nsite.run(port=0)\n",
        "asgi3",
        ANY,
    ),
    "Bottle without an application": (
        grid("Bottle"),
        ("bottle",),
        "from bottle import route, run\n@route('/')\ndef index(): return 'x'\nrun(host='localhost', port=0)\n",
        "wsgi",
        ANY,
    ),
    "Falcon": (
        grid("Falcon (ASGI)", "falcon"), ("falcon",), "import falcon.asgi\napi = falcon.asgi.App()\n", "asgi3", ANY,
    ),
    "Pyramid by wsgiref": (
        grid("Pyramid"),
        ("pyramid",),
        "from wsgiref.simple_server import make_server\nfrom pyramid.config import Configurator\n"
        "app = Configurator().make_wsgi_app()\nmake_server('127.0.0.1', 0, app).serve_forever()\n",
        "wsgi",
        ANY,
    ),
    "aiohttp by a factory": (
        grid("aiohttp"),
        ("aiohttp",),
        "from aiohttp import web\nasync def init_app(): return web.Application()\n"
        "if __name__ == '__main__':\n    web.run_app(init_app())\n",
        "auto",
        ANY,
    ),
    "Tornado's own example": (
        grid("Tornado"),
        ("tornado",),
        "import asyncio\nimport tornado.web\nclass Main(tornado.web.RequestHandler):\n    def get(self): ...\n"
        "def make_app():\n    return tornado.web.Application([('/', Main)])\nasync def main():\n"
        "    make_app().listen(8888)\n    await asyncio.Event().wait()\n"
        "if __name__ == '__main__':\n    asyncio.run(main())\n",
        "tornado",
        ANY,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("needs", "text", "interface", "policy"),
    [pytest.param(*rest, marks=mark, id=name) for name, (mark, *rest) in FILES.items()],
)
def test_a_file_is_loaded_as_what_it_is(
    place: Path, needs: tuple[str, ...], text: str, interface: str, policy: str
) -> None:
    for name in needs:
        imported(name)
    write(place, {"site_file": text})
    application = load_application(ApplicationOptions(target="site_file.py"))
    assert (application.interface, application.policy) == (interface, policy)
    if interface == "auto":
        made = asyncio.run(application.object.startup())
        assert judge(made).interface == "aiohttp"
    sys.modules.pop("site_file", None)
