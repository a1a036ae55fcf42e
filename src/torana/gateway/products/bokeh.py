"""Bokeh applications: what ``bokeh serve`` would make of a script, a notebook or a directory, with Torana in the place
of Tornado's HTTP server.

Bokeh's own command reads the arguments and makes the server object, so all its options keep their meaning; only what
would open a socket or run a loop is exchanged for the time it takes. Panel's command is a subclass of Bokeh's
(``panel``). Never here: answering (``gateway/tornado``).
"""

from __future__ import annotations

import contextlib
import logging
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from typing import Any, Final

from torana.base.errors import LoadError
from torana.gateway import keeping
from torana.gateway.find import Found
from torana.gateway.life import Life, Place
from torana.gateway.options import ApplicationOptions
from torana.gateway.products.hosted import Hosted

_log = logging.getLogger("torana")

#: Arguments of ``bokeh serve`` that are the server's to say, and the value at which they say nothing.
_UNHEEDED: Final = {
    "port": 5006, "address": None, "unix_socket": None, "num_procs": 1, "ssl_certfile": None, "ssl_keyfile": None,
    "use_xheaders": False,
}  # fmt: skip


def host(found: Found, options: ApplicationOptions) -> Hosted:
    """A Bokeh server that is made when ours starts."""
    import bokeh.command.subcommands.serve as command  # here: what is not installed is said before anything starts

    return Hosted(
        BokehLife(lambda: command.Serve, found.path, options.arguments),
        "tornado", os.path.basename(found.path), found.why, *keeping.BOKEH,
    )  # fmt: skip


class BokehLife(Life):
    """``command``: gives the class that is ``bokeh serve``. ``arguments``: as they would follow it and the file."""

    def __init__(self, command: Callable[[], Any], path: str, arguments: tuple[str, ...]) -> None:
        self._command = command
        self._path = path
        self._arguments = arguments
        self._server: Any = None

    async def startup(self) -> Any:
        with without_sockets(self.place) as applications:
            try:
                self._server = self.made()
            except LoadError:
                raise
            except SystemExit as error:
                raise LoadError(f"{self._path} is not served: the reason is above") from error
            except Exception as error:
                reason = str(error).strip() or type(error).__name__
                raise LoadError(f"{self._path} cannot be served: {reason}") from error
        self._server.start()
        application = applications[0]
        for path in sorted(application.app_paths):
            shown = (application.prefix or self.place.root_path) + path
            _log.info("%s is shown at %s%s", os.path.basename(self._path), _url(self.place), shown.lstrip("/"))
        return application

    def made(self) -> Any:
        """Bokeh's server object, in the circumstances of ``without_sockets``."""
        return _serve(self._command(), [self._path, *self._arguments], self.place)

    async def shutdown(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()


def _serve(command: Any, arguments: list[str], place: Place) -> Any:
    """What the command would run until it is stopped."""
    made: list[Any] = []

    class Serve(command):
        def invoke(self, args: Namespace) -> None:
            _refuse(args)
            super().invoke(args)

        def customize_kwargs(self, args: Namespace, server_kwargs: dict[str, Any]) -> dict[str, Any]:
            kwargs: dict[str, Any] = super().customize_kwargs(args, server_kwargs)
            if place.root_path:
                kwargs.setdefault("prefix", place.root_path)
            return kwargs

        def customize_server(self, server: Any) -> Any:
            made.append(super().customize_server(server))
            return _NotRun

    parser = ArgumentParser(prog="torana run APP --", description="Arguments of the application's own server.")
    serve = Serve(parser=parser)
    # It would show addresses with http in any case.
    log = logging.getLogger("bokeh.command.subcommands.serve")
    log.addFilter(_is_no_address)
    try:
        serve.invoke(parser.parse_args(arguments))
    finally:
        log.removeFilter(_is_no_address)
    return made[0]


def _is_no_address(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(("Bokeh app running at", "Starting Bokeh server"))


class _NotRun:
    """Stands where a server would be told to run its loop."""

    @staticmethod
    def run_until_shutdown() -> None:
        """The loop is the server's."""


def _refuse(args: Namespace) -> None:
    """What cannot be had from here is said, and taken back."""
    if getattr(args, "dev", None) is not None and not hasattr(args, "autoreload"):
        raise LoadError("--dev would replace this process when a file changes; use torana's own --reload")
    unheeded = [name for name, silent in _UNHEEDED.items() if getattr(args, name, silent) not in (silent, None)]
    if unheeded:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in unheeded)
        _log.warning("%s behind --: not heeded, the server's own address, certificate and workers count", names)
    for name in unheeded:
        setattr(args, name, _UNHEEDED[name])


@contextlib.contextmanager
def without_sockets(place: Place) -> Iterator[list[Any]]:
    """While the block runs, Bokeh's servers open no socket and believe to be at our place; gives the Tornado
    applications that are made.
    """
    import bokeh.server.server as module

    applications: list[Any] = []
    addresses = list(place.addresses())
    port = addresses[0][1] if addresses else 0

    class NoHttpServer:
        def __init__(self, application: Any, **_: Any) -> None:
            applications.append(application)

        def start(self, *_: Any) -> None:
            """There is one process, and it runs."""

        def add_sockets(self, *_: Any) -> None:
            """The listeners are the server's."""

        def stop(self) -> None:
            """The server stops by itself."""

    def allowed(wanted: list[str] | None, _: int | None) -> list[str]:
        # The server has looked already whose page it is (setting: ws_allowed_origins); a list of the user's own counts
        # besides.
        return list(make_list(wanted, port)) if wanted else ["*"]

    make_list = module.create_hosts_allowlist
    changes = {
        "HTTPServer": NoHttpServer,
        "bind_sockets": lambda address, wanted: ([], port),
        "create_hosts_allowlist": allowed,
        "server_url": lambda address, wanted, is_tls: _url(place),
    }
    before = {name: getattr(module, name) for name in changes}
    try:
        for name, value in changes.items():
            setattr(module, name, value)
        yield applications
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def _url(place: Place) -> str:
    for name, port in place.addresses():
        host = "localhost" if name in ("0.0.0.0", "::") else f"[{name}]" if ":" in name else name
        return f"{'https' if place.is_tls else 'http'}://{host}:{port}/"
    return "http://localhost/"
