"""From checked settings to ``RunOptions``: each value into the option it fills, and the few that must be combined."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import Any

from msgspec.structs import replace

from torana.base.errors import ConfigError
from torana.base.secret import Secret
from torana.config.app_kinds import where_of
from torana.config.check import Settings, check
from torana.config.origin import Rank
from torana.config.server_kinds import address
from torana.config.setting import option_at
from torana.config.settings import BY_NAME, SETTINGS
from torana.config.sources import Gathered
from torana.net.options import TlsOptions
from torana.process.options import RunOptions

#: What a client of TLS may choose from, by the setting ``http``; the first that it names too is taken.
_PROTOCOLS = {"auto": ("h2", "http/1.1"), "1": ("http/1.1",), "2": ("h2",)}
#: Whoever wants one of these wants processes that are looked after, even if it is one worker only: nothing of it can
#: be had from a process that is alone.
_SUPERVISED = ("preload", "max_rss", "max_lifetime", "user", "group", "hooks", "service")
_SECRET_BYTES = 32


def run_options(gathered: Gathered) -> RunOptions:
    """Check what was said and make the options of it; raises ``ConfigError``."""
    return assemble(check(gathered))


def assemble(settings: Settings) -> RunOptions:
    """The options that checked settings mean; raises ``ConfigError`` where they contradict each other."""
    notices = list(settings.notices)
    tree = _tree_of_options(settings)
    tree["process"]["systemd"] = settings.systemd
    listen = tree["net"].setdefault("listen", {})
    listen["binds"] = _binds(settings, notices)
    tls = listen.pop("tls", {})
    if tls.get("certfile"):
        listen["tls"] = TlsOptions(**tls, alpn=_PROTOCOLS[settings["http"]])
    tree["process"] |= {"runtime_dir": settings.runtime_dir, "program": settings.program, "handoff": settings.handoff}
    tree.setdefault("application", {})["secret"] = _secret()
    _choose_applications(settings, tree, notices)
    _choose_supervision(settings, tree, notices)
    _move_neighbours(settings, tree)
    _spread_max_requests(settings, tree)
    filled: RunOptions = _filled(RunOptions(notices=tuple(notices)), tree)
    return filled


@cache
def _secret() -> Secret:
    """Made once: workers that start later, and a reload, go on with it."""
    return Secret(os.urandom(_SECRET_BYTES).hex())


def _tree_of_options(settings: Settings) -> dict[str, Any]:
    """The options that were said, nested as the options are."""
    tree: dict[str, Any] = {"net": {}, "process": {}, "serve": {}}
    for setting in SETTINGS:
        if not setting.fills or not settings.is_set(setting.name):
            continue
        *branches, leaf = setting.fills.split(".")
        branch = tree
        for name in branches:
            branch = branch.setdefault(name, {})
        branch[leaf] = settings[setting.name]
    return tree


def _filled(options: Any, tree: dict[str, Any]) -> Any:
    """A copy of frozen options with the values of a tree."""
    changes = {
        name: _filled(getattr(options, name), value) if isinstance(value, dict) else value
        for name, value in tree.items()
    }
    return replace(options, **changes) if changes else options


def _binds(settings: Settings, notices: list[str]) -> tuple[str, ...]:
    """Where to listen: ``bind``, or ``host`` and ``port``, whichever was said louder."""
    bind = settings.origin("bind")
    rival = max((settings.origin(name) for name in ("host", "port")), key=lambda origin: origin.rank)
    if settings["bind"] and bind.rank > rival.rank:
        return tuple(settings["bind"])
    if settings["bind"] and bind.rank is rival.rank:
        raise ConfigError(f"say either bind ({bind.place}) or host and port ({rival.place}), not both")
    if settings["bind"]:
        notices.append(f"{rival.place} replaces the bind of {bind.place}")
    return (_host_and_port(settings),)


def _host_and_port(settings: Settings) -> str:
    host, port = settings["host"], settings["port"]
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    try:
        return str(address().read(f"{host}:{port}"))
    except ValueError as error:
        raise ConfigError(f"host ({settings.origin('host').place}): found {settings['host']!r}: {error}") from None


def _choose_applications(settings: Settings, tree: dict[str, Any], notices: list[str]) -> None:
    """One application or several. ``app`` has the root beside ``mount``; said louder than that, it is alone."""
    mounts = settings["mount"]
    if not mounts:
        return
    app, others = settings.origin("app"), settings.origin("mount")
    branch = tree.setdefault("application", {})
    if settings["app"] and app.rank > others.rank:
        notices.append(f"{app.place} replaces the applications of {others.place}")
        branch["mounts"] = ()
        return
    if settings["app"] and any("/" in where_of(one) for one in mounts):
        if app.rank is others.rank:
            raise ConfigError(f"both app ({app.place}) and mount ({others.place}) name the application at /")
        notices.append(f"{others.place} replaces the app of {app.place}")
        branch["target"] = ""
    app_dir, dirs = settings["app_dir"], {os.path.abspath(settings["app_dir"] or os.curdir): None}
    shared = {"secret": branch["secret"]}
    branch["mounts"] = tuple(
        replace(one, application=replace(one.application, app_dir=one.application.app_dir or app_dir, **shared))
        for one in mounts
    )
    if not settings["reload_dir"]:
        dirs |= {os.path.abspath(one.application.app_dir or os.curdir): None for one in branch["mounts"]}
        tree.setdefault("reload", {})["dirs"] = (os.path.abspath(os.curdir), *_elsewhere(dirs))


def _elsewhere(directories: Iterable[str]) -> list[str]:
    """Those of some absolute directories that do not lie below the current one."""
    here = os.path.abspath(os.curdir)
    return [each for each in directories if os.path.commonpath((here, each)) != here]


def _choose_supervision(settings: Settings, tree: dict[str, Any], notices: list[str]) -> None:
    """Whether there is a supervisor. ``workers`` asks for one however many they are; a reloading server has its own."""
    wants = supervised_by(settings)
    if wants and settings["reload"]:
        unheard = [f"{name} ({settings.origin(name).place})" for name in wants]
        if wants != ["workers"] or settings["workers"] != 1:
            notices.append(f"a server that reloads on change is one process: it does without {', '.join(unheard)}")
        wants = []
        tree["process"]["workers"] = 1
    # Only a supervisor can take over from another; even a single worker runs beside its replacement for a while.
    is_supervised = bool(wants or (settings.handoff and not settings["reload"]))
    tree["process"]["is_supervised"] = is_supervised
    if settings["affinity"] and (not is_supervised or settings["workers"] == 1):
        place = settings.origin("affinity").place
        notices.append(f"affinity ({place}) has nothing to do: there is one worker, and all sessions are its own")
    tree.setdefault("gateway", {})["is_multiprocess"] = is_supervised


def supervised_by(settings: Settings) -> list[str]:
    """The settings that ask for a supervisor."""
    wants = [name for name in _SUPERVISED if settings[name]]
    if settings.is_set("workers") and settings.origin("workers").rank is not Rank.COMMAND:
        wants.insert(0, "workers")
    return wants


def _move_neighbours(settings: Settings, tree: dict[str, Any]) -> None:
    """A default gives way to a value that was said: who allows heads 60 s does not mean "but at most 30"."""
    pairs = (("timeout_head", "timeout_head_max", 1), ("limit_write_resume", "limit_write_buffer", 4))
    for lesser, greater, share in pairs:
        low, high = settings[lesser], settings[greater]
        if not high or low <= high:
            continue
        moved, value = (greater, low) if settings.is_set(lesser) else (lesser, high // share)
        *branches, leaf = BY_NAME[moved].fills.split(".")
        branch = tree
        for name in branches:
            branch = branch.setdefault(name, {})
        branch[leaf] = value


def _spread_max_requests(settings: Settings, tree: dict[str, Any]) -> None:
    """Add chance to ``max_requests``, so that servers started together do not stop together.

    Of several workers each draws its own.
    """
    count = settings["max_requests"]
    jitter = settings["max_requests_jitter"]
    jitter = count // 10 if jitter is None else jitter
    if tree["process"]["is_supervised"]:
        tree["process"]["max_requests_jitter"] = jitter
        return
    if count and jitter:
        import random  # only here: start-up is counted in milliseconds

        tree["serve"].setdefault("bounds", {})["max_requests"] = count + random.randint(0, jitter)


def changed_limits(options: RunOptions) -> list[tuple[str, str, str]]:
    """The timers and bounds that differ from their defaults: (name, value, default), as text."""
    changed = []
    for setting in SETTINGS:
        if setting.section in ("Timeouts", "Limits") and setting.fills:
            value = option_at(options, setting.fills)
            if value != setting.default_value:
                changed.append((setting.name, setting.show(value), setting.show(setting.default_value)))
    return changed


def addresses(options: RunOptions) -> list[str]:
    """Where a server with these options listens, as URLs."""
    from torana.net.address import parse_address

    is_tls = options.net.listen.tls is not None
    return [parse_address(bind).describe(is_tls=is_tls) for bind in options.net.listen.binds]
