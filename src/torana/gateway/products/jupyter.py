"""Jupyter Server, JupyterLab and Notebook 7: started on the serving loop as their own commands would start them, but
with Torana in the place of Tornado's HTTP server.

What Jupyter believes of its address is told from the listeners; its signal handlers are left out, and every way in
which it ends its process (``/api/shutdown``, no activity) becomes a graceful stop of the server. Never here: answering
(``gateway/tornado``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from torana.base.errors import LoadError
from torana.gateway import keeping
from torana.gateway.find import Found
from torana.gateway.life import Life, Place
from torana.gateway.options import ApplicationOptions
from torana.gateway.products.hosted import Hosted

_log = logging.getLogger("torana")

SERVER: Final = "server"
#: What a target may say behind "jupyter:", in the order in which they are tried when it says nothing.
_KINDS: Final = {"lab": "JupyterLab", "notebook": "Jupyter Notebook", SERVER: "Jupyter Server"}
#: What listens on every interface, as the socket says it.
_WILDCARDS: Final = ("0.0.0.0", "::")
_LOOPBACK: Final = ("127.0.0.1", "::1")
#: What is the server's to say.
_PLACE: Final = ("ip", "port", "sock", "certfile", "keyfile")
#: Jupyter's name for the extensions that are on.
_ENABLED: Final = "jpserver_extensions"
#: Jupyter only asks whether it has one.
_OUR_CERTIFICATE: Final = "(the server's)"


def host(found: Found, options: ApplicationOptions) -> Hosted:
    """A Jupyter that is made when the server starts; raises ``LoadError`` when what was asked for is not installed."""
    kind = _chosen(found.attribute)
    directory = (found.path or found.directory) if options.app_dir else ""
    life = JupyterLife(kind, options.arguments, directory)
    return Hosted(
        life, "tornado", _KINDS[kind], found.why or "asked for by name", *keeping.JUPYTER,
    )  # fmt: skip


def _chosen(wanted: str | None) -> str:
    """Which Jupyter: the one asked for, or the richest that is installed."""
    if wanted is not None and wanted not in _KINDS:
        raise LoadError(f"there is no jupyter:{wanted}; say jupyter, {', '.join(f'jupyter:{each}' for each in _KINDS)}")
    missing: ImportError | None = None
    for kind in (wanted,) if wanted else _KINDS:
        try:
            _extension(kind)
        except ImportError as error:
            missing = error
        else:
            return kind
    raise LoadError(f"Jupyter is not installed here: {missing}") from None


def _extension(kind: str) -> Any:
    """The class of the application that starts the server, None for the plain server; raises ``ImportError``."""
    if kind == "lab":
        from jupyterlab.labapp import LabApp

        return LabApp
    if kind == "notebook":
        from notebook.app import JupyterNotebookApp

        return JupyterNotebookApp
    import jupyter_server.serverapp  # noqa: F401

    return None


class JupyterLife(Life):
    """``arguments``: as they would follow ``jupyter lab``. ``directory``: of its files, "" if nobody has said."""

    def __init__(self, kind: str, arguments: tuple[str, ...], directory: str) -> None:
        self._kind = kind
        self._arguments = list(arguments)
        self._directory = directory
        self._app: Any = None

    async def startup(self) -> Any:
        name = _KINDS[self._kind]
        try:
            self._app = app = self._made()
        except (Exception, SystemExit) as error:
            # What it has to say it has logged itself; it exits when it does not know an argument.
            reason = "it ended, see above" if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
            raise LoadError(f"{name} does not start: {reason}") from error
        if not hasattr(app, "web_app"):
            raise LoadError(f"{' '.join(self._arguments)!r} is no server but a command of Jupyter's own")
        if not app.allow_root and _is_root():
            await self.shutdown()
            raise LoadError(
                f"{name} does not run as root unless it is told to: add -- --allow-root, or serve as another user"
            )
        return app.web_app

    def _made(self) -> Any:
        """The server application, initialised in all but its HTTP server."""
        from jupyter_server.serverapp import ServerApp

        extension, name, finds_others = _extension(self._kind), None, True
        if extension is None:
            app = ServerApp.instance()
        else:
            enabled = {extension.get_extension_package(): True, **extension.serverapp_config.get(_ENABLED, {})}
            name = extension.name
            finds_others = extension.load_other_extensions and _ENABLED not in extension.serverapp_config
            app = extension.make_serverapp(**{_ENABLED: enabled})
            app.aliases.update(extension.aliases)
        _take_over(app, self.place, self._directory)
        app.initialize(argv=self._arguments, find_extensions=finds_others, new_httpserver=False, starter_extension=name)
        return app

    async def ready(self) -> None:
        """What Jupyter does once it listens: its extensions' own tasks, the files others find it by, the address."""
        app = self._app
        try:
            await app.extension_manager.start_all_extensions()
        except Exception as error:
            app.log.error("An extension did not start: %s", error)
        for line in app.running_server_info(kernel_count=False).splitlines():
            app.log.info(line)
        app.write_server_info_file()
        if not app.no_browser_open_file:
            app.write_browser_open_files()
        if app.open_browser:
            app.launch_browser()
        identity = app.identity_provider
        if identity.token and identity.token_generated:
            app.log.critical("\n\n    To access the server, copy and paste one of these URLs:\n    %s", app.connect_url)

    async def begin_drain(self) -> None:
        """Who looks for a running server shall not find this one any more."""
        self._app._stopping = True
        _remove_files(self._app)

    async def shutdown(self) -> None:
        app, self._app = self._app, None
        if app is None:
            return
        for step in (app.cleanup_extensions, app.cleanup_kernels, _close_sockets(app)):
            try:
                await step()
            except Exception:
                _log.exception("Jupyter could not put everything away")
        _remove_files(app)
        app.session_manager.close()
        app.clear_instance()


def _take_over(app: Any, place: Place, directory: str) -> None:
    """Leave signals and the loop to the server, and tell Jupyter where it is."""

    def stop(*_: Any, **__: Any) -> None:
        if not app._stopping:
            app._stopping = True
            place.stop("Jupyter was told to shut down, or has been idle for long")

    async def put_away() -> None:
        """Done once, when the server has answered everybody (``JupyterLife.shutdown``)."""

    begin = app.init_ioloop

    def settle() -> None:
        # Called when all configuration has been read, and nothing been made of it.
        begin()
        # How /api/shutdown ends; it would stop the server's own loop under it.
        app.io_loop.stop = stop
        _tell_place(app, place, directory)

    app.init_signal = lambda: None
    app.init_ioloop = settle
    app.stop = stop
    app._cleanup = put_away


def _tell_place(app: Any, place: Place, directory: str) -> None:
    from traitlets.config import Config

    said = app.config.ServerApp
    unheard = [name for name in _PLACE if said.get(name)]
    if unheard:
        _log.warning("Jupyter's own %s: not heeded, the server's address and certificate count", ", ".join(unheard))
    host, port = _address_of(place)
    told: dict[str, Any] = {
        "ip": host, "port": port, "sock": "", "keyfile": "", "certfile": _OUR_CERTIFICATE if place.is_tls else "",
        "open_browser": bool(said.get("open_browser", False)),
    }  # fmt: skip
    if directory and not said.get("root_dir"):
        told["root_dir"] = directory
    if place.root_path and not said.get("base_url"):
        told["base_url"] = place.root_path + "/"
    app.update_config(Config({"ServerApp": told}))


def _address_of(place: Place) -> tuple[str, int]:
    """The listener that Jupyter believes to be its own: whether it answers to any host name follows from it."""
    addresses = list(place.addresses())
    for is_chosen in (lambda each: each in _WILDCARDS, lambda each: each not in _LOOPBACK, lambda each: True):
        for name, port in addresses:
            if is_chosen(name):
                return name, port
    return "localhost", 0


def _close_sockets(app: Any) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        close_all = getattr(app.kernel_websocket_connection_class, "close_all", None)
        if close_all is not None:
            await close_all()

    return close


def _remove_files(app: Any) -> None:
    app.remove_server_info_file()
    app.remove_browser_open_files()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
