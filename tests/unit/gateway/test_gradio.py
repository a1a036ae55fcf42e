"""Gradio's ``launch`` while a program is imported: all that it says of the demo, nothing of what it says of a server.

On a stand-in of the few names of Gradio's that count; the real one is in ``tests/apps/grid``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.place import empty_place, write
from torana.base.errors import LoadError
from torana.base.worker_policy import STICKY
from torana.gateway.options import ApplicationOptions
from torana.serve.application import Application, load_application

GRADIO = {
    "gradio/__init__": "from gradio.blocks import Blocks\n",
    "gradio/http_server": "def start_server(**said):\n    raise RuntimeError('it has served')\n",
    "gradio/blocks": """
class Router:
    lifespan_context = None

class App:
    def __init__(self):
        self.router = Router()

class Queue:
    def set_server_app(self, app):
        self.app = app

class Blocks:
    enable_monitoring = None

    def __init__(self):
        self._queue = Queue()

    def launch(self, inline=None, share=None, auth=None, *, ssr_mode=None, quiet=False, server_port=None):
        from gradio import http_server
        self.said = {"share": share, "auth": auth, "ssr_mode": ssr_mode, "quiet": quiet}
        self.app = App()
        http_server.start_server(app=self.app, server_port=server_port)
        self.is_served = True
""",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    if "gradio" in sys.modules:
        pytest.skip("the real Gradio is imported already")
    with empty_place(tmp_path, monkeypatch) as directory:
        write(directory, GRADIO)
        yield directory


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("torana"), "propagate", True)
    caplog.set_level(logging.DEBUG, logger="torana")
    return caplog


def loaded(place: Path, text: str, target: str = "shop.py", **options: Any) -> Application:
    write(place, {"shop": text})
    return load_application(ApplicationOptions(target=target, **options))


def demo_of(application: Application) -> Any:
    assert (application.interface, application.policy) == ("asgi3", STICKY)
    return application.object._demo


LAUNCHED = "import gradio as gr\ndemo = gr.Blocks()\n{}demo.launch(share=True, auth=('ann', 'secret'), server_port=9)\n"
GUARDED = LAUNCHED.format('if __name__ == "__main__":\n    ')


@pytest.mark.parametrize("text", [LAUNCHED.format(""), GUARDED], ids=["unguarded", "guarded"])
@pytest.mark.parametrize("target", ["shop.py", "shop", "shop:demo"])
def test_launch_says_what_the_demo_is_and_not_where(
    place: Path, said: pytest.LogCaptureFixture, text: str, target: str
) -> None:
    demo = demo_of(loaded(place, text, target))
    assert demo.said == {"share": False, "auth": ("ann", "secret"), "ssr_mode": False, "quiet": True}
    assert not hasattr(demo, "is_served") and demo._queue.app is demo.app
    assert "launch(share=True) is not heeded" in said.text and "say --bind" in said.text


def test_what_launch_was_is_what_it_is_again(place: Path) -> None:
    loaded(place, LAUNCHED.format(""))
    import gradio
    from gradio import http_server

    for call in (http_server.start_server, gradio.Blocks().launch):
        with pytest.raises(RuntimeError, match="it has served"):
            call()


def test_a_program_goes_on_behind_launch_and_has_its_command_line(place: Path) -> None:
    text = LAUNCHED.format("") + "import sys\nWORDS = sys.argv[1:]\n"
    application = loaded(place, text, arguments=("--colour", "green"))
    assert application.name == "shop:demo"
    assert sys.modules["shop"].WORDS == ["--colour", "green"]
    assert "--colour" not in sys.argv


def test_a_demo_without_a_name(place: Path) -> None:
    assert loaded(place, "import gradio as gr\ngr.Blocks().launch()\n").name == "shop"


def test_a_demo_that_is_imported_from_elsewhere(place: Path) -> None:
    """The file has nothing of Gradio in it but the call."""
    write(place, {"parts": "import gradio as gr\nui = gr.Blocks()\n"})
    demo = demo_of(loaded(place, "import gradio\nfrom parts import ui\nui.launch(auth=('ann', 'secret'))\n"))
    assert demo.said["auth"] == ("ann", "secret")
    assert demo is sys.modules["parts"].ui


def test_a_demo_that_is_not_launched_is_launched_without_arguments(place: Path, said: pytest.LogCaptureFixture) -> None:
    demo = demo_of(loaded(place, "import gradio as gr\nui = gr.Blocks()\n"))
    assert demo.said["auth"] is None
    assert "shop:ui is not launched by its program" in said.text


def test_a_factory_makes_a_demo(place: Path) -> None:
    text = "import gradio as gr\ndef make(count=1):\n    demo = gr.Blocks()\n    demo.count = count\n    return demo\n"
    assert demo_of(loaded(place, text, "shop:make(3)")).count == 3


@pytest.mark.parametrize("launches", ["one.launch()\ntwo.launch()\n", ""])
def test_which_of_two_must_be_said(place: Path, launches: str) -> None:
    text = f"import gradio as gr\none = gr.Blocks()\ntwo = gr.Blocks()\n{launches}"
    with pytest.raises(LoadError, match="name one: shop:one, shop:two"):
        loaded(place, text)


def test_what_fails_behind_the_guard_is_told(place: Path) -> None:
    with pytest.raises(LoadError, match=r"shop ended the program while it was imported .*with 2"):
        loaded(place, GUARDED + "    raise SystemExit(2)\n")
