"""Panel applications: what ``panel serve`` would make of a script, a notebook or a directory, and programs that call
``panel.serve`` or ``.show()`` themselves.

Panel is Bokeh with handlers and a command of its own (``bokeh``). A program that serves itself is run once, as its
author would run it; what it wants served is kept, and served here. Never here: answering (``gateway/tornado``).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any, Final

from torana.base.errors import LoadError
from torana.gateway import keeping
from torana.gateway.find import Found
from torana.gateway.load import run_as_main
from torana.gateway.options import ApplicationOptions
from torana.gateway.products.bokeh import BokehLife
from torana.gateway.products.hosted import Hosted
from torana.gateway.program import as_program
from torana.gateway.source import read

_log = logging.getLogger("torana")

#: What ``panel.serve`` may be told that is the server's to say.
_UNHEEDED: Final = frozenset({"port", "address", "loop", "show", "start", "verbose", "threaded", "num_procs"})


def host(found: Found, options: ApplicationOptions) -> Hosted:
    """A Panel server that is made when ours starts."""
    import panel.command.serve as command  # here: what is not installed is said before anything starts
    import panel.io.server  # noqa: F401  it puts Panel's handlers in the place of Bokeh's

    life: BokehLife
    if found.path.endswith(".py") and ".servable" not in read(found.path).calls:
        life = _OwnServer(found.path, _served_by(found, options))
    else:
        life = BokehLife(lambda: command.Serve, found.path, options.arguments)
    return Hosted(life, "tornado", os.path.basename(found.path), found.why, *keeping.PANEL)


def _served_by(found: Found, options: ApplicationOptions) -> tuple[Any, dict[str, Any]]:
    """Run a program until it serves something: what, and its wishes; raises ``LoadError``."""
    with _kept_calls() as calls, as_program(found.path, options.arguments):
        run_as_main(found)
    if not calls:
        raise LoadError(f"{found.path} was run, and has neither served nor shown anything (panel.serve, .servable)")
    if len(calls) > 1:
        raise LoadError(
            f"{found.path} calls panel.serve or .show() {len(calls)} times: each would be a server of its own; give "
            "one call a dictionary of paths instead"
        )
    return calls[0]


@contextlib.contextmanager
def _kept_calls() -> Iterator[list[tuple[Any, dict[str, Any]]]]:
    """While the block runs, nothing is served: what would be is kept, with its arguments."""
    import panel.io.server as module

    calls: list[tuple[Any, dict[str, Any]]] = []

    def get_server(panel: Any, *positional: Any, **wishes: Any) -> _NotServed:
        calls.append((panel, wishes))
        return _NotServed()

    before = module.get_server
    module.get_server = get_server
    try:
        yield calls
    finally:
        module.get_server = before


class _NotServed:
    """What a program holds for its server."""

    def start(self) -> None:
        """It starts with ours."""

    def stop(self, *_: Any, **__: Any) -> None:
        """It stops with ours."""


class _OwnServer(BokehLife):
    """A server as a program has asked for it."""

    def __init__(self, path: str, served: tuple[Any, dict[str, Any]]) -> None:
        super().__init__(lambda: None, path, ())
        self._served = served

    def made(self) -> Any:
        import panel.io.server as module

        panel, wishes = self._served
        port = wishes.get("port")
        if port:
            _log.warning("%s asks for port %s: not heeded, the server's own address counts", self._path, port)
        if self.place.root_path:
            wishes.setdefault("prefix", self.place.root_path)
        heeded = {name: value for name, value in wishes.items() if name not in _UNHEEDED}
        before, module.signal = module.signal, _NoSignals
        try:
            return module.get_server(panel, **heeded)
        finally:
            module.signal = before


class _NoSignals:
    """Stands where Panel would take SIGINT for itself."""

    SIGINT = 0

    @staticmethod
    def signal(number: int, handler: Any) -> None:
        """Signals are the server's."""
