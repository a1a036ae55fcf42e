"""Which product a file is a program of, from its syntax tree alone: Streamlit, Gradio, Panel or Bokeh scripts.

A file that assigns an application of a web framework is a module with an application, whatever else it imports.
Never here: objects (``detect``), running anything.
"""

from __future__ import annotations

from typing import NamedTuple

from torana.gateway.source import Source

STREAMLIT = "streamlit"
GRADIO = "gradio"
PANEL = "panel"
BOKEH = "bokeh"
DASH = "dash"
JUPYTER = "jupyter"

#: Frameworks whose applications can be called by a server, or are programs of their own.
_FRAMEWORKS = frozenset(
    "fastapi starlette flask quart sanic litestar aiohttp tornado bottle falcon blacksheep dash django pyramid robyn "
    "connexion apiflask socketio engineio channels a2wsgi asgiref microdot emmett cherrypy web nicegui".split()
)
#: Calls that make an application, by the last word of their full name.
_MAKERS = frozenset(
    "FastAPI Starlette Flask Quart Sanic Litestar Application Bottle App API Dash Robyn APIFlask OpenAPI ASGIApp "
    "WSGIApp ProtocolTypeRouter get_asgi_application get_wsgi_application make_wsgi_app FlaskApp AsyncApp "
    "WSGIMiddleware ASGIMiddleware WsgiToAsgi default_app mount_gradio_app".split()
)
#: What makes something to show of Gradio, and what shows it.
_DEMOS = frozenset("Blocks Interface ChatInterface TabbedInterface load".split())


class Recognised(NamedTuple):
    """A product, and why it must be that: a clause that can be shown."""

    product: str
    why: str


def recognise(source: Source) -> Recognised | None:
    """The product that a file is a program of; None: a module like others."""
    if source.is_broken or application_of(source):
        return None  # of a broken one the import will say what is wrong
    if ".servable" in source.calls and source.imports:
        return Recognised(PANEL, f"it calls .servable() (line {source.calls['.servable']}): a Panel program")
    shown = next((name for name in ("panel.serve", ".show") if name in source.calls), "")
    if shown and "panel" in source.top_imports:
        return Recognised(PANEL, f"it calls {shown}() (line {source.calls[shown]}): a Panel program that serves itself")
    curdoc = next((name for name in ("bokeh.io.curdoc", "bokeh.plotting.curdoc", "curdoc") if name in source.calls), "")
    if curdoc and "bokeh" in source.imports:
        return Recognised(BOKEH, f"it calls curdoc() (line {source.calls[curdoc]}): a Bokeh program")
    if "gradio" in source.top_imports and any(_is_demo(name) or name == ".launch" for name in source.calls):
        return Recognised(GRADIO, "it imports gradio and makes something to show with it")
    if _is_streamlit(source):
        return Recognised(STREAMLIT, "it imports streamlit and makes no application: a Streamlit script")
    return None


def application_of(source: Source) -> str:
    """The name of the top level that is assigned an application of a web framework, or ""."""
    for name, maker in source.made.items():
        root, _, last = maker.partition(".")[0], "", maker.rpartition(".")[2]
        is_known = root in _FRAMEWORKS or root in ("streamlit", "gradio") or maker.startswith(".")
        if is_known and last in _MAKERS:
            return name
    return ""


def _is_streamlit(source: Source) -> bool:
    """A lazy import within a function makes a script only where no framework is about that it could be a part of."""
    if "streamlit" not in source.imports:
        return False
    return "streamlit" in source.top_imports or not source.imports & _FRAMEWORKS


def _is_demo(call: str) -> bool:
    return call.startswith("gradio.") and call.rpartition(".")[2] in _DEMOS
