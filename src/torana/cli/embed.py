"""Torana from Python: ``torana.run`` does what the command does, ``torana.Server`` serves within a running loop.

Settings are keyword arguments, by the names of the file keys. This is a door like the commands; serving is
``process.worker``'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from msgspec.structs import replace

from torana.base.errors import ConfigError
from torana.config.assemble import assemble, supervised_by
from torana.config.check import check
from torana.config.origin import Origin, Rank, Said
from torana.config.settings import BY_NAME, nearest
from torana.config.sources import Gathered, gather
from torana.process.options import RunOptions


def run(app: Any, **settings: Any) -> None:
    """Serve an application until a signal stops it, as ``torana run`` does.

    ``app``: an application object, or a text as on the command line ("main:app"). ``settings``: by name, as in
    ``torana.toml`` (``port=8000``, ``timeout_body="1m"``); variables and the configuration file count below them.
    It serves in the process that calls it: what takes several (``workers=4``) is refused here, and is the command's.
    Returns when stopped as asked. Raises ``torana.base.errors.ToranaError``: a bad setting, an application that
    cannot be loaded, an address that cannot be bound.
    """
    options = _for(app, settings, _alone("torana.run", gather(_said("torana.run", app, settings))))
    if options.reload.is_on:
        if not isinstance(app, str):
            raise ConfigError("reload (torana.run): the application must be named, as in 'module:attribute'")
        from torana.process.reload import run_reloading

        run_reloading(options)
        return
    from torana.process.worker import run_single

    run_single(options, given=None if isinstance(app, str) else app)


class Server:
    """A server within a running event loop, for tests and notebooks::

        async with torana.Server(app) as server:
            ...  # server.url is "http://127.0.0.1:PORT"

    On a free port of 127.0.0.1 and without an access log unless ``settings`` say otherwise. Variables and files do not
    count, signals are left alone, and logging is not configured. Leaving the block stops gracefully.
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        self._app = app
        self._options = _options_of(app, settings)
        self._serving: Any = None

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs."""
        return [] if self._serving is None else list(self._serving.addresses)

    @property
    def url(self) -> str:
        """The first address, without a slash at its end."""
        return self.addresses[0]

    async def start(self) -> None:
        """Start the application up and accept; raises ``LoadError`` or ``BindError``."""
        from torana.process.worker import Serving, given_application, load_application

        options = self._options.application
        application = load_application(options) if isinstance(self._app, str) else given_application(self._app, options)
        serving = Serving(self._options, application)
        await serving.start()
        self._serving = serving

    async def stop(self) -> None:
        """Stop gracefully, and wait for the end."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.request_stop()
            await serving.finished()

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _options_of(app: Any, settings: Mapping[str, Any]) -> RunOptions:
    gathered = Gathered()
    for said in _said("torana.Server", app, settings):
        gathered.add(said)
    preferred: dict[str, Any] = {"port": 0, "access_log": False, "timeout_graceful": 1, "timeout_cancel": 1}
    for name, raw in preferred.items():
        gathered.add(Said(name, raw, Origin(Rank.CUSTOM, "torana.Server")))
    options = _alone("torana.Server", gathered)
    if options.reload.is_on:
        raise ConfigError("reload (torana.Server): only torana.run and the command can reload")
    return replace(options, process=replace(options.process, pid_file=None))


def _for(app: Any, settings: Mapping[str, Any], options: RunOptions) -> RunOptions:
    """An object that is handed over stands in the place of all applications that a file or a variable names."""
    if isinstance(app, str) or "mount" in settings:
        return options
    return replace(options, application=replace(options.application, mounts=()))


def _alone(who: str, gathered: Gathered) -> RunOptions:
    """The options of a server within this process. What asks for more processes is refused if the program says it,
    and mentioned if a file or a variable does: those may be meant for the command.
    """
    settings = check(gathered)
    options = assemble(settings)
    notices = list(options.notices)
    for name in supervised_by(settings) if options.process.is_supervised else ():
        place = settings.origin(name).place
        if name == "workers" and settings[name] == 1:
            continue
        if settings.origin(name).rank is Rank.FLAG:
            raise ConfigError(f"{name} ({place}): {who} serves in its own process; the command torana can do this")
        notices.append(f"{who} serves in its own process: it does without {name} ({place})")
    return replace(
        options,
        process=replace(options.process, is_supervised=False, workers=1),
        gateway=replace(options.gateway, is_multiprocess=False),
        notices=tuple(notices),
    )


def _said(who: str, app: Any, settings: Mapping[str, Any]) -> list[Said]:
    """Keyword arguments as settings; an unknown one is refused with the nearest right name."""
    said = [Said("app", app, Origin(Rank.FLAG, who))] if isinstance(app, str) else []
    for name, raw in settings.items():
        if name not in BY_NAME or name == "app":
            close = nearest(name)
            raise ConfigError(f"{who}: there is no setting {name!r}" + (f"; did you mean {close!r}?" if close else ""))
        if raw is not None:
            raw = os.fspath(raw) if isinstance(raw, os.PathLike) else raw
            said.append(Said(name, raw, Origin(Rank.FLAG, f"{who}({name}=...)")))
    return said
