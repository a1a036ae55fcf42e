"""Streamlit: a script served as its own command serves it, from 1.57 on by the ASGI application ``st.App``.

What the command ``streamlit run`` does before it serves is done here: the script's folder, its command line, and the
configuration with the variables STREAMLIT_... (of which ``st.App`` alone would hear nothing). The rest of this file is
what Streamlit leaves to the server that it expects to be. Never here: the script itself, which Streamlit runs.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Final

from torana.base.errors import LoadError
from torana.gateway import keeping
from torana.gateway.detect import ASGI3, TORNADO
from torana.gateway.find import Found
from torana.gateway.life import Life
from torana.gateway.options import ApplicationOptions
from torana.gateway.products.hosted import Hosted
from torana.gateway.program import be_program

_log = logging.getLogger("torana")

#: What Streamlit is told about its server, and Torana decides.
_DECIDED: Final = {
    "server.address": "--bind",
    "server.port": "--bind",
    "server.sslCertFile": "--certfile",
    "server.sslKeyFile": "--keyfile",
    "server.websocketPingInterval": "--ws-ping-interval",
}
_SECRET: Final = "server.cookieSecret"
#: Its own cookies begin with this.
_COOKIES: Final = b"_streamlit"


def host(found: Found, options: ApplicationOptions) -> Hosted:
    """A script, as ``streamlit run`` would serve it; raises ``LoadError``."""
    _prepare(found.path, options)
    name, why = os.path.basename(found.path), found.why or "it is a Streamlit script"
    application = _app_class()
    if application is not None:
        return Hosted(StreamlitApp(application(found.path)), ASGI3, name, why, *keeping.STREAMLIT)
    return Hosted(_OldStreamlit(found.path), TORNADO, name, why, *keeping.STREAMLIT)


def unwrap(application: Any, options: ApplicationOptions | None = None) -> Hosted:
    """An ``st.App`` of a program; raises ``LoadError``."""
    script = str(application.script_path)
    if not os.path.isabs(script) and not os.path.isfile(script):
        # As for ``streamlit run``: beside the file that names it, which is where imports look first.
        near = os.path.join(sys.path[0], script)
        if os.path.isfile(near):
            application._resolved_script_path = type(application.script_path)(near).resolve()
            script = near
    if not os.path.isfile(script):
        raise LoadError(f"there is no Streamlit script {script} (looked for in {os.getcwd()} and {sys.path[0]})")
    _prepare(os.path.abspath(script), options or ApplicationOptions())
    name = os.path.basename(script)
    return Hosted(StreamlitApp(application), ASGI3, name, "it is a Streamlit application (st.App)", *keeping.STREAMLIT)


def _app_class() -> Any:
    """``st.App``, or None before 1.57, when a server of Tornado's made what we need; raises ``LoadError`` when nothing
    does.
    """
    import streamlit

    found = getattr(streamlit, "App", None)
    if found is None and not hasattr(_server_module(), "start_listening"):
        raise LoadError(f"Streamlit {streamlit.__version__} cannot be hosted: st.App came with 1.57; install that")
    return found


def _server_module() -> Any:
    from streamlit.web.server import server

    return server


def _prepare(script: str, options: ApplicationOptions) -> None:
    """Command line, folder and configuration, as the command sets them before anything asks for them."""
    from streamlit import config
    from streamlit.web import bootstrap

    before = _hosted[0] if _hosted else script
    if before != script:
        raise LoadError(f"Streamlit runs one script in a process: {before} is here already, so {script} cannot be")
    _hosted[:] = [script]
    be_program(script, options.arguments)
    config._main_script_path = script  # where .streamlit/config.toml is looked for, among others
    bootstrap.load_config_options(_said_in_variables())
    if options.secret and not config.is_manually_set(_SECRET):
        # One that each worker made for itself would not be believed by the others.
        config.set_option(_SECRET, options.secret, "torana")
    for name, flag in _DECIDED.items():
        try:
            where = config.get_where_defined(name) if config.is_manually_set(name) else ""
        except RuntimeError:
            continue  # this version does not know it
        if where:
            _log.warning("Streamlit's %s (%s) is not heeded: say %s", name, where, flag)


#: The script that this process runs: Streamlit's runtime and its configuration exist once.
_hosted: list[str] = []


def _said_in_variables() -> dict[str, Any]:
    """Streamlit's options from its variables, read by its own command's parser."""
    import click
    from streamlit.web.cli import configurator_options

    @click.command()
    @configurator_options
    def options(**values: Any) -> None:
        """Only parsed."""

    try:
        said: dict[str, Any] = options.make_context("streamlit", []).params
    except click.ClickException as error:
        raise LoadError(f"Streamlit's options: {error.format_message()}") from None
    return said


class StreamlitApp:
    """ASGI 3: an ``st.App``, with what it would get wrong under a server that is not its own."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            send = _keeping_threads(send)
        elif scope["type"] == "http" and scope["scheme"] == "https":
            send = _securing_cookies(send)
        await self._app(scope, receive, send)


def _keeping_threads(send: Any) -> Any:
    """Streamlit sets the number of AnyIO's threads, which all applications of this process share."""
    from anyio.to_thread import current_default_thread_limiter

    limiter = current_default_thread_limiter()
    before, streamlits = limiter.total_tokens, _threads()

    def told(message: Any) -> Any:
        if message["type"] == "lifespan.startup.complete" and limiter.total_tokens == streamlits:
            limiter.total_tokens = before
        return send(message)

    return told


def _threads() -> float:
    try:
        from streamlit.web.server.starlette.starlette_server_config import ANYIO_STATIC_FILE_THREAD_TOKENS
    except ImportError:
        return 0
    return float(ANYIO_STATIC_FILE_THREAD_TOKENS)


def _securing_cookies(send: Any) -> Any:
    """Streamlit takes its cookies for insecure unless it has the certificate itself."""

    def told(message: Any) -> Any:
        if message["type"] == "http.response.start":
            fields = [(name, _secured(value) if name == b"set-cookie" else value) for name, value in message["headers"]]
            message = {**message, "headers": fields}
        return send(message)

    return told


def _secured(cookie: bytes) -> bytes:
    if not cookie.startswith(_COOKIES) or b"; secure" in cookie.lower():
        return cookie
    return cookie + b"; Secure"


class _OldStreamlit(Life):
    """Streamlit before 1.57, whose server makes a Tornado application and listens: all but the last."""

    def __init__(self, script: str) -> None:
        self._script = script
        self._server: Any = None

    async def startup(self) -> Any:
        module = _server_module()
        made: list[Any] = []
        self._server = module.Server(self._script, False)
        listening, module.start_listening = module.start_listening, made.append
        try:
            await self._server.start()
        finally:
            module.start_listening = listening
        if not made:
            raise LoadError("Streamlit's server did not give its application; install Streamlit 1.57 or later")
        return made[0]

    async def shutdown(self) -> None:
        self._server.stop()
