"""What a target is taken for by its files alone; nothing of them is run, no framework is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.gateway.place import empty_place, write
from torana.base.errors import LoadError
from torana.gateway.find import find


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with empty_place(tmp_path, monkeypatch) as directory:
        yield directory


STREAMLIT = "import streamlit as st\nst.title('x')\n"
GRADIO = "import gradio as gr\nwith gr.Blocks() as demo:\n    gr.Textbox()\ndemo.launch()\n"
PANEL = "import panel as pn\npn.Column('x').servable()\n"
BOKEH = "from bokeh.io import curdoc\ncurdoc().add_root(None)\n"

PRODUCTS: dict[str, tuple[str, str]] = {
    "Streamlit script": (STREAMLIT, "streamlit"),
    "Streamlit from": ("from streamlit import title\ntitle('x')\n", "streamlit"),
    "Streamlit within a branch": ("try:\n    import streamlit as st\nexcept ImportError:\n    raise\n", "streamlit"),
    "Streamlit within a function": (
        "def main():\n    import streamlit\n    streamlit.title('x')\nmain()\n",
        "streamlit",
    ),
    "Streamlit's own application": ("import streamlit as st\napp = st.App('page.py')\n", ""),
    "Streamlit's own application from": ("from streamlit.starlette import App\napp = App('page.py')\n", ""),
    "Streamlit beside FastAPI": ("import streamlit\nfrom fastapi import FastAPI\napp = FastAPI()\n", ""),
    "Streamlit beside Flask in a branch": (
        "import streamlit\nimport flask\nif True:\n    site: object = flask.Flask(__name__)\n",
        "",
    ),
    "a lazy import in a Flask module": (
        "from flask import Flask\ndef create_app():\n    import streamlit\n    return Flask(__name__)\n",
        "",
    ),
    "a lazy import beside an application": (
        "import flask\napp = flask.Flask('x')\ndef f():\n    import streamlit\n",
        "",
    ),
    "a framework in the main guard only": (
        STREAMLIT + "if __name__ == '__main__':\n    from fastapi import FastAPI\n    app = FastAPI()\n",
        "streamlit",
    ),
    "Gradio demo": (GRADIO, "gradio"),
    "Gradio interface": ("import gradio\ngradio.Interface(str, 'text', 'text').launch()\n", "gradio"),
    "Gradio chat in a function": ("import gradio as gr\ndef build():\n    return gr.ChatInterface(str)\n", "gradio"),
    "Gradio mounted": (
        "import gradio as gr\nfrom fastapi import FastAPI\nwith gr.Blocks() as demo: ...\n"
        "app = gr.mount_gradio_app(FastAPI(), demo, path='/g')\n",
        "",
    ),
    "Gradio for its types only": ("import gradio as gr\ndef f(x: gr.Request): ...\n", ""),
    "Panel": (PANEL, "panel"),
    "Panel served by itself": ("import panel as pn\npn.serve(lambda: 'x')\n", "panel"),
    "Panel shown by itself": ("import panel as pn\npn.Row('x').show()\n", "panel"),
    "Panel on FastAPI": (
        "import panel as pn\nfrom fastapi import FastAPI\napp = FastAPI()\ndef page(): return pn.Row('x').servable()\n",
        "",
    ),
    "Bokeh": (BOKEH, "bokeh"),
    "Bokeh by module": ("import bokeh.io as io\nio.curdoc().title = 'x'\n", "bokeh"),
    "Bokeh for plots only": ("from bokeh.plotting import figure\nplot = figure()\n", ""),
    "a plain module": ("async def app(scope, receive, send): ...\n", ""),
    "broken": ("import streamlit\ndef f(:\n", ""),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("text", "product"), PRODUCTS.values(), ids=PRODUCTS)
def test_a_file_is_a_program_of_a_product_or_a_module(place: Path, text: str, product: str) -> None:
    write(place, {"thing": text})
    before = set(sys.modules)
    by_path, by_name = find("thing.py"), find("thing")
    assert (by_path.product, by_name.product) == (product, product)
    assert not product or (by_path.path == by_name.path == str(place / "thing.py") and by_path.why)
    assert not {"streamlit", "gradio", "panel", "bokeh", "thing"} & (set(sys.modules) - before)


def test_a_name_that_is_given_is_what_is_meant_but_gradio_is_imported_with_care(place: Path) -> None:
    write(place, {"page": STREAMLIT + "app = 1\n", "demos": GRADIO})
    assert find("page.py:app").product == ""
    found = find("demos:demo")
    assert (found.product, found.attribute) == ("gradio", "demo")


@pytest.mark.parametrize(
    ("interface", "product"), [("asgi", ""), ("wsgi", ""), ("gradio", "gradio"), ("auto", "streamlit")]
)
def test_interface_decides_over_what_a_file_looks_like(place: Path, interface: str, product: str) -> None:
    write(place, {"page": STREAMLIT})
    assert find("page.py", interface=interface).product == product


def test_a_script_may_be_called_as_no_module_can(place: Path) -> None:
    write(place, {"1_Home": STREAMLIT})
    assert find("1_Home.py").product == "streamlit"
    write(place, {"2_Home": "app = 1\n"})
    with pytest.raises(LoadError, match="is not the name of a module"):
        find("2_Home.py")


@pytest.mark.parametrize("name", ["main", "app", "streamlit_app"])
def test_a_script_is_found_in_a_directory(place: Path, name: str) -> None:
    write(place, {name: STREAMLIT})
    found = find("")
    assert (found.product, found.path) == ("streamlit", str(place / f"{name}.py"))


@pytest.mark.parametrize(
    ("target", "attribute"),
    [("jupyter", None), ("jupyter:lab", "lab"), ("jupyter:notebook", "notebook"), ("jupyter:server", "server")],
)
def test_jupyter_is_a_target_whose_root_is_the_directory(place: Path, target: str, attribute: str | None) -> None:
    found = find(target)
    assert (found.product, found.attribute, found.path) == ("jupyter", attribute, str(place))


def test_a_module_called_jupyter_is_what_is_meant_where_there_is_one(place: Path) -> None:
    write(place, {"jupyter": "app = 1\n"})
    assert find("jupyter").product == ""


def test_jupyter_has_three_programs(place: Path) -> None:
    with pytest.raises(LoadError, match="lab, notebook, server"):
        find("jupyter:hub")


def test_a_notebook_that_shows_something_is_panels(place: Path) -> None:
    write(place, {"shown.ipynb": '{"cells": ["pn.Row(1).servable()"]}', "plain.ipynb": '{"cells": []}'})
    found = find("shown.ipynb")
    assert (found.product, found.path) == ("panel", str(place / "shown.ipynb"))
    with pytest.raises(LoadError, match="torana jupyter"):
        find("plain.ipynb")


def test_a_directory_may_be_named(place: Path) -> None:
    write(place, {"board/main": BOKEH, "shop/main": "app = 1\n", "page/app": STREAMLIT})
    board, shop, page = find("board"), find("./shop"), find("page/")
    assert (board.product, board.path) == ("bokeh", str(place / "board"))
    assert (shop.target, shop.directory) == ("main:app", str(place / "shop"))
    assert (page.product, page.path) == ("streamlit", str(place / "page" / "app.py"))


def test_a_package_is_a_module_not_a_directory(place: Path) -> None:
    write(place, {"shop/__init__": "app = 1\n", "shop/main": "app = 2\n"})
    assert (find("shop").module, find("shop").directory) == ("shop", str(place))


# Django projects

MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
DJANGO: dict[str, tuple[dict[str, str], str]] = {
    "Channels is installed": (
        {"shop/settings": "INSTALLED_APPS = ['channels']\nWSGI_APPLICATION = 'shop.wsgi.application'\n"},
        "shop.asgi:application",
    ),
    "daphne by its configuration, added to others": (
        {"shop/settings": "INSTALLED_APPS = ['a'] + ['daphne.apps.X']\nWSGI_APPLICATION = 'shop.wsgi.application'\n"},
        "shop.asgi:application",
    ),
    "added later": (
        {
            "shop/settings": "INSTALLED_APPS = []\nINSTALLED_APPS += ['channels']\n"
            "WSGI_APPLICATION = 'shop.wsgi.application'\n"
        },
        "shop.asgi:application",
    ),
    "settings from elsewhere": (
        {
            "shop/settings/__init__": "from .production import *\n",
            "shop/settings/production": "from shop.settings.base import *\nDEBUG = False\n",
            "shop/settings/base": "WSGI_APPLICATION = 'shop.own.site'\n",
        },
        "shop.own:site",
    ),
    "the last word on the application": (
        {
            "shop/settings": "from shop.base import *\nASGI_APPLICATION = 'shop.late.app'\n",
            "shop/base": "ASGI_APPLICATION = 'shop.early.app'\n",
        },
        "shop.late:app",
    ),
    "settings that take from each other": (
        {"shop/settings": "from shop.base import *\n", "shop/base": "from shop.settings import *\n"},
        "shop.asgi:application",
    ),
    "broken settings": ({"shop/settings": "DEBUG = = 1\n"}, "shop.asgi:application"),
}


@pytest.mark.parametrize(("files", "target"), DJANGO.values(), ids=DJANGO)
@pytest.mark.parametrize("said", ["", "manage.py", "."])
def test_a_django_project_is_served_by_what_its_settings_need(
    place: Path, files: dict[str, str], target: str, said: str
) -> None:
    write(place, {"manage": MANAGE, "main": "app = 1\n", "shop/asgi": "", "shop/wsgi": "", **files})
    assert find(said).target == target


def test_a_manage_that_is_no_projects_is_a_file_like_others(place: Path) -> None:
    write(place, {"manage": "app = 1\n", "main": "app = 1\n"})
    assert find("").module == "main"
    assert find("manage.py").module == "manage"
