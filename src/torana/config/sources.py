"""Where settings come from: flag > environment > file > default. The only readers of ``os.environ`` and ``sys.argv``.

What is found stays raw; ``check`` turns it into values.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from msgspec import Struct, field

from torana.base.errors import ConfigError
from torana.config.files import find_file, read_env_file, read_file
from torana.config.origin import Origin, Rank, Said
from torana.config.program import this_program
from torana.config.settings import BY_NAME, SETTINGS, nearest
from torana.process.options import HANDOFF_VARIABLE, Program

#: Kubernetes gives each service's address to each pod: a service named "torana" puts TORANA_PORT=tcp://... there.
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://", re.ASCII)
#: The other variables of such a link: TORANA_SERVICE_HOST, TORANA_SERVICE_PORT_HTTP, TORANA_PORT_80_TCP_ADDR.
_SERVICE_VARIABLE = re.compile(r"TORANA_(SERVICE_(HOST|PORT)|PORT_[0-9]+_(TCP|UDP|SCTP))(_.*)?", re.ASCII)
#: Variables of systemd: sockets it passes (sd_listen_fds(3)), what it wants to hear (sd_notify(3)).
_SYSTEMD = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
#: Variables that begin like ours and are not settings.
_OTHER_VARIABLES = frozenset({"TORANA_PURE"})


class Gathered(Struct):
    """All that was said, by setting, the one to be heard first; and what should be told to the user."""

    said: dict[str, list[Said]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    #: Variables that are facts and not settings: what systemd says, and the user's run-time directory.
    systemd: tuple[tuple[str, str], ...] = ()
    runtime_dir: str = ""
    #: How this program was started, and what the one before it hands over.
    program: Program = field(default_factory=Program)
    handoff: str = ""

    def add(self, one: Said) -> None:
        """Keep what was said, in order of rank."""
        heard = self.said.setdefault(one.name, [])
        heard.append(one)
        heard.sort(key=lambda said: -said.origin.rank)


def command_line() -> list[str]:
    """The arguments of the process."""
    return sys.argv[1:]


def gather(
    flags: Iterable[Said] = (),
    *,
    commanded: Mapping[str, Any] | None = None,
    preferred: Mapping[str, Any] | None = None,
    command: str = "",
    environ: MutableMapping[str, str] | None = None,
    directory: str | None = None,
) -> Gathered:
    """Everything that anybody said about the settings.

    ``commanded`` and ``preferred`` are what ``command`` stands for (above the environment) and would rather have than
    the defaults. Variables of an env file are put into ``environ`` (``os.environ``), but never over what is there.
    """
    environ = os.environ if environ is None else environ
    # Taken out: what the workers start has nothing to do with it.
    gathered = Gathered(handoff=environ.pop(HANDOFF_VARIABLE, ""), program=this_program(environ))
    for said in flags:
        gathered.add(said)
    for name, raw in (commanded or {}).items():
        gathered.add(Said(name, raw, Origin(Rank.COMMAND, command)))
    for name, raw in (preferred or {}).items():
        gathered.add(Said(name, raw, Origin(Rank.CUSTOM, command)))
    _add_file(gathered, environ, directory or os.getcwd())
    places = _load_env_file(gathered, environ)
    _add_environment(gathered, environ, places)
    _add_platform(gathered, environ)
    gathered.systemd = tuple((name, environ[name]) for name in _SYSTEMD if environ.get(name))
    gathered.runtime_dir = environ.get("XDG_RUNTIME_DIR", "")
    return gathered


def _first_path(gathered: Gathered, environ: Mapping[str, str], name: str) -> tuple[str, Origin] | None:
    """A setting that must be known before the other sources can be read."""
    variable = BY_NAME[name].variable
    if environ.get(variable):
        gathered.add(Said(name, environ[variable], Origin(Rank.ENVIRONMENT, variable)))
    said = gathered.said.get(name)
    if not said:
        return None
    raw, origin = said[0].raw, said[0].origin
    if not isinstance(raw, str) or not raw:
        raise ConfigError(f"{name} ({origin.place}): found {raw!r}; accepted: {BY_NAME[name].kind.accepts}")
    return os.path.join(origin.directory or "", raw), origin


def _add_file(gathered: Gathered, environ: Mapping[str, str], directory: str) -> None:
    named = _first_path(gathered, environ, "config")
    path = named[0] if named else find_file(directory)
    if path is None:
        return
    if named and not os.path.isfile(path):
        raise ConfigError(f"config ({named[1].place}): there is no file {path!r}")
    for said in read_file(path):
        gathered.add(said)


def _load_env_file(gathered: Gathered, environ: MutableMapping[str, str]) -> dict[str, str]:
    """Put an env file into the environment; returns where each variable that came from it stands."""
    named = _first_path(gathered, environ, "env_file")
    if named is None:
        return {}
    path, origin = named
    if not os.path.isfile(path):
        raise ConfigError(f"env_file ({origin.place}): there is no file {path!r}")
    places = {}
    for name, (value, place) in read_env_file(path).items():
        if name not in environ:
            environ[name] = value
            places[name] = f"{name} ({place})"
    return places


def _add_environment(gathered: Gathered, environ: Mapping[str, str], places: Mapping[str, str]) -> None:
    for setting in SETTINGS:
        raw = environ.get(setting.variable)
        if not raw or setting.name in ("config", "env_file"):
            continue  # an empty variable is how a shell or a compose file says "not set"
        if _SERVICE_LINK.match(raw):
            gathered.notices.append(f"{setting.variable}={raw} is ignored: it comes from a Kubernetes service link")
            continue
        place = places.get(setting.variable, setting.variable)
        gathered.add(Said(setting.name, raw, Origin(Rank.ENVIRONMENT, place)))
    _complain_of_strangers(gathered, environ)


def _complain_of_strangers(gathered: Gathered, environ: Mapping[str, str]) -> None:
    """A misspelt variable cannot be told from somebody else's, so it is mentioned and not refused."""
    for variable in environ:
        if not variable.startswith("TORANA_") or variable in _OTHER_VARIABLES or _SERVICE_VARIABLE.fullmatch(variable):
            continue
        name = variable.removeprefix("TORANA_").lower()
        close = None if name in BY_NAME else nearest(name)
        if close:
            gathered.notices.append(f"{variable} is not a setting; did you mean {BY_NAME[close].variable}?")


def _add_platform(gathered: Gathered, environ: Mapping[str, str]) -> None:
    """What hosting platforms say in variables that are not ours; a bare PORT means: be reachable from outside."""
    if environ.get("PORT"):
        origin = Origin(Rank.CUSTOM, "PORT")
        gathered.add(Said("port", environ["PORT"], origin))
        gathered.add(Said("host", "0.0.0.0", origin))
    if environ.get("WEB_CONCURRENCY"):
        gathered.add(Said("workers", environ["WEB_CONCURRENCY"], Origin(Rank.CUSTOM, "WEB_CONCURRENCY")))
    if environ.get("NO_COLOR"):
        gathered.add(Said("color", "never", Origin(Rank.CUSTOM, "NO_COLOR")))
