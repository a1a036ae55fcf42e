"""What a program does while it is imported that is a server's to do: noticed, not obeyed, and put back."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.place import empty_place, write
from torana.base.errors import LoadError
from torana.gateway.hygiene import watched
from torana.gateway.options import ApplicationOptions
from torana.serve.application import Application, load_application


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with empty_place(tmp_path, monkeypatch) as directory:
        yield directory


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What is logged, also where the server's logger keeps it to itself."""
    monkeypatch.setattr(logging.getLogger("torana"), "propagate", True)
    caplog.set_level(logging.DEBUG, logger="torana")
    return caplog


def loaded(place: Path, text: str, target: str = "shop") -> Application:
    write(place, {"shop": text})
    return load_application(ApplicationOptions(target=target))


def after(text: str, call: str) -> str:
    """A program that goes on behind a call that would not have come back."""
    return f"{text}{call}\nwent_on = True\n"


#: The framework, a program, and what is called in it.
BLOCKING: dict[str, tuple[str, str, str]] = {
    "Flask": ("flask", "import flask\napp = flask.Flask(__name__)\n", "app.run(port=0)"),
    "werkzeug": (
        "werkzeug",
        "from werkzeug.serving import run_simple\ndef app(environ, start_response): ...\n",
        "run_simple('127.0.0.1', 0, app)",
    ),
    "Quart": ("quart", "import quart\napp = quart.Quart(__name__)\n", "app.run(port=0)"),
    "uvicorn": ("uvicorn", "import uvicorn\nasync def app(scope, receive, send): ...\n", "uvicorn.run(app, port=0)"),
    "uvicorn by text": (
        "uvicorn",
        "from uvicorn import run\nasync def app(scope, receive, send): ...\n",
        "run('shop:app', port=0)",
    ),
    "uvicorn's server": (
        "uvicorn",
        "from uvicorn import Config, Server\nasync def app(scope, receive, send): ...\n",
        "Server(Config(app, port=0)).run()",
    ),
    "aiohttp": ("aiohttp", "from aiohttp import web\napp = web.Application()\n", "web.run_app(app, port=0)"),
    "Tornado": (
        "tornado",
        "import tornado.ioloop, tornado.web\napp = tornado.web.Application()\napp.listen(0)\n",
        "tornado.ioloop.IOLoop.current().start()",
    ),
    "Tornado's server": (
        "tornado",
        "from tornado import httpserver, ioloop, web\napp = web.Application()\nhttp = httpserver.HTTPServer(app)\n"
        "http.bind(0)\nhttp.start(2)\n",
        "ioloop.IOLoop.current().start()",
    ),
    "wsgiref": (
        "wsgiref",
        "from wsgiref.simple_server import make_server\ndef app(environ, start_response): ...\n",
        "make_server('127.0.0.1', 0, app).serve_forever()",
    ),
    "Flask-SocketIO": (
        "flask_socketio",
        "import flask, flask_socketio\napp = flask.Flask(__name__)\n"
        "sio = flask_socketio.SocketIO(app, async_mode='threading')\n",
        "sio.run(app)",
    ),
    "Bottle": ("bottle", "import bottle\napp = bottle.Bottle()\n", "bottle.run(app, port=0)"),
}  # fmt: skip


@pytest.mark.parametrize(("needs", "text", "call"), BLOCKING.values(), ids=BLOCKING)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_that_is_started_at_import_is_passed_over_and_the_import_goes_on(
    place: Path, said: pytest.LogCaptureFixture, needs: str, text: str, call: str
) -> None:
    pytest.importorskip(needs)
    program = after(text, call)
    application = loaded(place, program)
    assert sys.modules["shop"].went_on is True
    assert application.object is sys.modules["shop"].app
    line = program.count("\n", 0, program.index(call)) + 1
    assert f"shop.py, line {line} calls" in said.text
    assert 'put that under  if __name__ == "__main__":' in said.text


def test_what_is_passed_over_is_again_what_it_was(place: Path) -> None:
    flask = pytest.importorskip("flask")
    before = flask.Flask.run
    finders = list(sys.meta_path)
    loaded(place, "import flask\napp = flask.Flask(__name__)\napp.run()\n")
    assert flask.Flask.run is before
    assert sys.meta_path == finders


def test_who_keeps_a_call_while_it_is_watched_has_the_call_itself_later(place: Path) -> None:
    pytest.importorskip("werkzeug")
    loaded(
        place,
        "import socketserver\nserve = socketserver.BaseServer.serve_forever\ndef app(environ, start_response): ...\n",
    )
    served = []

    class Server:
        def __getattr__(self, name: str) -> Any:
            served.append(name)
            raise LookupError

    with pytest.raises((LookupError, TypeError)):
        sys.modules["shop"].serve(Server())
    assert served, "the real one was at work"


def test_the_application_of_a_passed_over_server_is_the_one_that_is_meant(place: Path) -> None:
    pytest.importorskip("bottle")
    text = "import bottle\n@bottle.route('/')\ndef index(): return 'x'\nbottle.run(port=0)\n"
    application = loaded(place, text)
    assert application.interface == "wsgi"
    assert application.object is sys.modules["bottle"].default_app()


def test_a_coroutine_that_makes_the_application_is_awaited_on_the_loop_that_serves(place: Path) -> None:
    pytest.importorskip("aiohttp")
    text = "from aiohttp import web\nasync def init(): return web.Application()\nweb.run_app(init())\n"
    application = loaded(place, text)
    assert application.interface == "auto"
    made = asyncio.run(application.object.startup())
    assert type(made).__module__ == "aiohttp.web_app"


IN_A_LOOP: dict[str, tuple[str, str]] = {
    "Tornado": (
        "tornado",
        "import asyncio, tornado.web\nasync def main():\n    tornado.web.Application().listen(0)\n"
        "    await asyncio.Event().wait()\nasyncio.run(main())\n",
    ),
    "aiohttp": (
        "aiohttp",
        "import asyncio\nfrom aiohttp import web\nasync def main():\n    runner = web.AppRunner(web.Application())\n"
        "    await runner.setup()\n    await web.TCPSite(runner, port=0).start()\n    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n",
    ),
    "uvicorn": (
        "uvicorn",
        "import asyncio, uvicorn\nasync def app(scope, receive, send): ...\n"
        "asyncio.run(uvicorn.Server(uvicorn.Config(app, port=0)).serve())\n",
    ),
    "asyncio": (
        "asyncio",
        "import asyncio\nasync def main():\n    server = await asyncio.start_server(lambda r, w: None, port=0)\n"
        "    await server.serve_forever()\nasyncio.run(main())\n",
    ),
    "a program that takes every exception": (
        "tornado",
        "import asyncio, tornado.web\nasync def main():\n    try:\n        tornado.web.Application().listen(0)\n"
        "    except Exception:\n        pass\n    await asyncio.Event().wait()\nasyncio.run(main())\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("needs", "text"), IN_A_LOOP.values(), ids=IN_A_LOOP)
def test_a_program_that_serves_in_a_loop_of_its_own_is_stopped_and_told_why(place: Path, needs: str, text: str) -> None:
    pytest.importorskip(needs)
    with pytest.raises(LoadError) as refused:
        loaded(place, text)
    first = str(refused.value).partition("\n")[0]
    assert "shop.py, line" in first and "it serves by itself while it is imported" in first
    assert "async factory" in first


def test_a_loop_that_comes_to_its_end_is_none_of_our_business(place: Path) -> None:
    text = "import asyncio\nasync def app(scope, receive, send): ...\nasync def ask(): return 42\n"
    loaded(place, text + "answer = asyncio.run(ask())\n")
    assert sys.modules["shop"].answer == 42


def test_tornados_run_sync_comes_back_by_itself(place: Path) -> None:
    pytest.importorskip("tornado")
    text = "from tornado import ioloop, web\nasync def ask(): return 42\napp = web.Application()\n"
    loaded(place, text + "answer = ioloop.IOLoop(make_current=False).run_sync(ask)\n")
    assert sys.modules["shop"].answer == 42


def test_a_server_in_a_thread_of_its_own_serves_and_its_address_is_told(
    place: Path, said: pytest.LogCaptureFixture
) -> None:
    text = (
        "import threading\nfrom http.server import BaseHTTPRequestHandler, HTTPServer\n"
        "metrics = HTTPServer(('127.0.0.1', 0), BaseHTTPRequestHandler)\n"
        "threading.Thread(target=metrics.serve_forever, args=(0.01,), daemon=True).start()\n"
        "async def app(scope, receive, send): ...\n"
    )
    loaded(place, text)
    metrics = sys.modules["shop"].metrics
    try:
        host, port = metrics.server_address
        assert f"shop has opened {host}:{port} for listening while it was imported" in said.text
        assert "passed over" not in said.text
        metrics.shutdown()
    finally:
        metrics.server_close()


def test_sockets_that_only_speak_are_not_mentioned(place: Path, said: pytest.LogCaptureFixture) -> None:
    loaded(place, "import socket\npair = socket.socketpair()\nasync def app(scope, receive, send): ...\n")
    assert "listening" not in said.text
    for end in sys.modules["shop"].pair:
        end.close()


def test_unix_sockets_that_listen_are_told_by_their_path(place: Path, said: pytest.LogCaptureFixture) -> None:
    text = (
        "import socket\ndoor = socket.socket(socket.AF_UNIX)\ndoor.bind('door')\ndoor.listen()\n"
        "async def app(scope, receive, send): ...\n"
    )
    loaded(place, text)
    sys.modules["shop"].door.close()
    assert "unix:door" in said.text


def test_signal_handlers_are_put_back_and_it_is_said(place: Path, said: pytest.LogCaptureFixture) -> None:
    text = (
        "import signal\ndef end(*_): ...\nsignal.signal(signal.SIGTERM, end)\nsignal.signal(signal.SIGALRM, end)\n"
        "async def app(scope, receive, send): ...\n"
    )
    before, alarm = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    try:
        loaded(place, text)
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGALRM) is sys.modules["shop"].end, "that one is the application's"
    finally:
        signal.signal(signal.SIGALRM, alarm)
    assert "shop has set handlers for SIGTERM while it was imported" in said.text


def test_signal_handlers_are_put_back_when_the_import_fails(place: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(LoadError):
        loaded(place, "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n1 / 0\n")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def loggers() -> Iterator[None]:
    """All loggers as they were."""
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    before = [(each, each.disabled) for each in known]
    yield
    for each, disabled in before:
        each.disabled = disabled


@pytest.mark.usefixtures("loggers")
def test_our_logs_are_turned_on_again_when_an_application_sets_up_its_own(place: Path) -> None:
    ours, others = [logging.getLogger(name) for name in ("torana", "torana.error")], logging.getLogger("others")
    text = "import logging.config\nlogging.config.dictConfig({'version': 1})\n"
    loaded(place, text + "async def app(scope, receive, send): ...\n")
    assert [each.disabled for each in ours] == [False, False]
    assert others.disabled is True, "those are the application's affair"


def test_event_loop_policies_are_the_applications(place: Path) -> None:
    policy = asyncio.get_event_loop_policy()
    text = (
        "import asyncio\nclass Own(asyncio.DefaultEventLoopPolicy): ...\nasyncio.set_event_loop_policy(Own())\n"
        "async def app(scope, receive, send): ...\n"
    )
    try:
        loaded(place, text)
        assert type(asyncio.get_event_loop_policy()).__name__ == "Own"
    finally:
        asyncio.set_event_loop_policy(policy)


def test_a_watch_within_a_watch_is_the_same() -> None:
    with watched("outer") as outer, watched("inner") as inner:
        assert outer is inner


def test_other_threads_are_not_watched() -> None:
    """A thread of the application may serve while another module is still imported."""
    import socketserver

    served = []

    class Silent(socketserver.BaseServer):
        def __init__(self) -> None: ...

        def serve_forever(self, poll_interval: float = 0.5) -> None:
            served.append(poll_interval)

    with watched("shop"):
        patched = socketserver.BaseServer.serve_forever
        assert patched(Silent()) is None  # type: ignore[func-returns-value]
        thread = threading.Thread(target=Silent().serve_forever)
        thread.start()
        thread.join()
    assert served == [0.5]


def test_nothing_listens_that_did_not(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)), watched("shop") as noticed:
        pass
    assert noticed.listening == []
