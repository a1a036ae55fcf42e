"""Gradio: a demo served as ``demo.launch(...)`` would serve it, by the application that ``launch`` makes for itself.

Nearly every script ends with ``launch``, which starts a server and blocks. Here it does all that it does until it would
start that server; so whatever its arguments say of the demo holds, and what they say of a server is Torana's to say.
Never here: queues, events, uploads, which are Gradio's; noticing that ``launch`` is called (``hygiene``).
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from torana.base.errors import LoadError
from torana.gateway import keeping
from torana.gateway.detect import ASGI3
from torana.gateway.find import NAMES, Found
from torana.gateway.life import Life
from torana.gateway.options import ApplicationOptions
from torana.gateway.products.hosted import Hosted
from torana.gateway.program import as_program

_log = logging.getLogger("torana")

#: Names that a demo usually has, tried in this order.
_NAMES: Final = ("demo", *NAMES, "iface", "interface", "ui", "blocks", "chat")
#: What ``launch`` is told whatever the script says: nothing of it has to do with an application.
_FORCED: Final = {
    "ssr_mode": False, "share": False, "inbrowser": False, "quiet": True, "prevent_thread_lock": True,
    "num_workers": None, "node_server_name": None, "node_port": None,
}  # fmt: skip
#: What is asked for and missed, and why; the others of those are not missed.
_MISSED: Final = {
    "ssr_mode": "server-side rendering has a server of its own, in Node, before this one",
    "share": "a tunnel to Gradio's servers is started by Gradio's own server only",
}

#: Demos that were launched, by their id -> the demo and the application that ``launch`` made.
_launched: dict[int, tuple[Any, Any]] = {}


class _AboutToServe(BaseException):
    """``launch`` has made the application and would serve it now. No handler of Gradio's may take it."""


def host(found: Found, options: ApplicationOptions) -> Hosted:
    """A script or a module with a demo; raises ``LoadError``."""
    from torana.gateway.judge import judge
    from torana.gateway.load import import_program, load_found

    before = set(_launched)
    with as_program(found.path, options.arguments):
        module = import_program(found)
        demos = [demo for number, (demo, _) in _launched.items() if number not in before]
        chosen = None if found.attribute or options.is_factory else _chosen(found, vars(module), demos)
        # What is named, called if it makes a demo; or whatever other application a module with Gradio in it has.
        demo, name = chosen or load_found(found, options.is_factory)
    if _is_demo(demo):
        return _hosted(demo, name, found.why or "it is a Gradio demo")
    judged = judge(demo, "auto", options)
    return Hosted(judged.application, judged.interface, name, judged.why, judged.policy, judged.policy_why)


def unwrap(demo: Any, options: ApplicationOptions | None = None) -> Hosted:
    """A demo (``Blocks``, ``Interface``, ``ChatInterface``, ...) that was imported or handed over."""
    return _hosted(demo, type(demo).__name__, "it is a Gradio demo")


def launch(original: Callable[..., Any], demo: Any, *positional: Any, **named: Any) -> tuple[Any, str, None]:
    """``demo.launch(...)``, until it would serve; ``original`` is the method. Returns what ``launch`` does."""
    from gradio import http_server

    said = inspect.signature(original).bind(demo, *positional, **named)
    known = inspect.signature(original).parameters
    _tell_of_missed(said.arguments)
    said.arguments.update({name: value for name, value in _FORCED.items() if name in known})

    def about_to_serve(*positional: Any, **named: Any) -> None:
        raise _AboutToServe

    start_server, http_server.start_server = http_server.start_server, about_to_serve
    try:
        original(*said.args, **said.kwargs)
    except _AboutToServe:
        _finish(demo)
    finally:
        http_server.start_server = start_server
    return demo.app, "", None


def _is_demo(candidate: Any) -> bool:
    from gradio import Blocks

    return isinstance(candidate, Blocks)


def _hosted(demo: Any, name: str, why: str) -> Hosted:
    if id(demo) not in _launched:
        _log.warning(
            "%s is not launched by its program: it is served as launch() without arguments would; auth=... that "
            "stands in another file, or is never reached, does not hold",
            name,
        )
        method = type(demo).launch
        launch(getattr(method, "__wrapped__", method), demo)
    return Hosted(_Demo(*_launched[id(demo)]), ASGI3, name, why, *keeping.GRADIO)


def _chosen(found: Found, names: dict[str, Any], launched: list[Any]) -> tuple[Any, str] | None:
    """The demo of a script that was not named, and its name: the one that is launched, or else the one there is."""
    demos = {name: value for name, value in names.items() if _is_demo(value)}
    if len(launched) > 1:
        raise LoadError(f"{found.path} launches {len(launched)} demos; name one: {_ways(found, demos)}")
    if launched:
        name = next((name for name, value in demos.items() if value is launched[0]), "")
        return launched[0], f"{found.module}:{name}" if name else found.module
    usual = [name for name in _NAMES if name in demos]
    if not usual and len({id(demo) for demo in demos.values()}) > 1:
        raise LoadError(f"{found.path} makes several demos; name one: {_ways(found, demos)}")
    if not demos:
        return None
    name = usual[0] if usual else next(iter(demos))
    return demos[name], f"{found.module}:{name}"


def _ways(found: Found, demos: dict[str, Any]) -> str:
    return ", ".join(f"{found.module}:{name}" for name in demos) or f"{found.module}:NAME"


def _tell_of_missed(said: dict[str, Any]) -> None:
    for name, why in _MISSED.items():
        if said.get(name):
            _log.warning("Gradio's launch(%s=%r) is not heeded: %s", name, said[name], why)
    if said.get("ssl_certfile"):
        _log.warning("Gradio's launch(ssl_certfile=...) is not heeded: say --certfile and --keyfile")
    if said.get("server_port") or said.get("server_name"):
        _log.info("Gradio's launch(server_name=..., server_port=...) is not heeded: say --bind")


def _finish(demo: Any) -> None:
    """What ``launch`` does of its demo behind the point where it was stopped."""
    app = demo.app
    demo.has_launched = True
    demo.enable_monitoring = demo.enable_monitoring is not False
    demo._queue.set_server_app(app)
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def started(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            demo.run_startup_events()
            await demo.run_extra_startup_events()
            yield state

    app.router.lifespan_context = started
    _launched[id(demo)] = (demo, app)


class _Demo(Life):
    """A launched demo. At the end it tells its streams, which would otherwise stay as long as a page is open."""

    def __init__(self, demo: Any, app: Any) -> None:
        self._demo = demo
        self._app = app

    async def startup(self) -> Any:
        return self._app

    async def begin_drain(self) -> None:
        self._app.stop_event.set()

    async def shutdown(self) -> None:
        self._demo._queue.close()
