"""Several applications, or the two halves of one site, loaded as one.

Never here: how one application is found and judged (``application``), how a request comes to its own (``gateway``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from msgspec.structs import replace

from torana.base.errors import LoadError
from torana.base.worker_policy import POLICIES
from torana.gateway.detect import ASGI2, ASGI3, WSGI
from torana.gateway.django_halves import halves_of, why_undivided
from torana.gateway.find import Found, find
from torana.gateway.options import ApplicationOptions, MountOptions
from torana.gateway.parts import Pair, Part, Parts
from torana.serve.application import Application

Load = Callable[[ApplicationOptions], Application]

_WEBSOCKET = ("websocket",)
_OTHER_HALF = {"wsgi": "asgi", "asgi": "wsgi"}


def load_several(options: ApplicationOptions, load_one: Load, given: Application | None = None) -> Application:
    """All applications, in the order they were named; raises ``LoadError`` with the name of the one that fails.

    ``given``: one that is loaded already and has the root.
    """
    mounts = list(options.mounts)
    loaded: list[tuple[MountOptions, Application]] = []
    root = MountOptions(replace(options, mounts=()))
    if given is not None or options.target:
        if any(not mount.path and not mount.hosts for mount in mounts):
            raise LoadError("two applications are to be at /")
        mounts.insert(0, root)
    for mount in mounts:
        own = given if mount is root else None
        if loaded:
            _refuse_namesake(mount.application)
        try:
            loaded.append((mount, load_site(mount.application, load_one, own)))
        except LoadError as error:
            raise LoadError(f"{mount.application.target} at {_where(mount)}: {error}") from error
    return _together(loaded)


def _together(loaded: list[tuple[MountOptions, Application]]) -> Application:
    parts = [
        Part(
            each.object, each.interface, each.name, mount.hosts, mount.path, mount.root_path, mount.lifespan,
            mount.threads,
        )
        for mount, each in loaded
    ]  # fmt: skip
    strictest = max((each for _, each in loaded), key=lambda each: POLICIES.index(each.policy))
    return Application(
        Parts(tuple(parts)),
        "+".join(dict.fromkeys(word for _, each in loaded for word in each.interface.split("+"))),
        ", ".join(f"{each.name} at {_where(mount)}" for mount, each in loaded),
        f"{len(loaded)} applications",
        "each has its own",
        strictest.policy,
        f"{strictest.policy_why} ({strictest.name})" if strictest.policy_why else "",
        tuple((_where(mount), each) for mount, each in loaded),
    )


def _where(mount: MountOptions) -> str:
    return " and ".join((host + mount.path) or "/" for host in mount.hosts or ("",))


def _refuse_namesake(options: ApplicationOptions) -> None:
    """Python knows one module of a name: the second ``main`` would be the first."""
    found = find(options.target, options.app_dir, options.interface)
    top = found.module.partition(".")[0]
    known = getattr(sys.modules.get(top), "__file__", None)
    if found.product or not known:
        return
    base = os.path.join(found.directory, top)
    for path in (base + ".py", os.path.join(base, "__init__.py")):
        if os.path.isfile(path) and not os.path.samefile(path, known):
            raise LoadError(
                f"{options.target}: {path} and {known} are both called {top!r}, and Python knows one module of a name; "
                "rename one of them, or serve it by a server of its own"
            )


# The two halves of one site


def load_site(options: ApplicationOptions, load_one: Load, given: Application | None = None) -> Application:
    """One application, or a WSGI and an ASGI one that share the requests of a site. ``given`` is loaded already."""
    if options.asgi_for or options.asgi_target:
        return _pair(options, load_one, given)
    if given is not None:
        return given
    found = find(options.target, options.app_dir, options.interface)
    halves = None if options.interface != "auto" or found.how == "as told" else halves_of(found.directory)
    if halves is None:
        return load_one(options)
    asgi = load_one(replace(options, target=halves.asgi, app_dir=found.directory))
    why_not = why_undivided(asgi.object)
    if why_not:
        return replace(asgi, found=found.how, why=f"{asgi.why}; HTTP too: {why_not} (asgi_for would divide them)")
    wsgi = load_one(replace(options, target=halves.wsgi, app_dir=found.directory))
    why = "HTTP by WSGI on threads and WebSocket by ASGI, which is the same to this project"
    return _halves(wsgi, asgi, _WEBSOCKET, found.how, why)


def _pair(options: ApplicationOptions, load_one: Load, given: Application | None) -> Application:
    """Both applications; which is which, they tell themselves."""
    other = _other_half(options)
    first = given or load_one(replace(options, asgi_for=(), asgi_target=""))
    second = load_one(other)
    wsgi, asgi = (first, second) if first.interface == WSGI else (second, first)
    if wsgi.interface != WSGI or asgi.interface not in (ASGI3, ASGI2):
        raise LoadError(
            f"asgi_for needs a WSGI and an ASGI application: {first.name} is {first.interface}, {second.name} is "
            f"{second.interface}"
        )
    asgi_for = options.asgi_for or _WEBSOCKET
    return _halves(wsgi, asgi, asgi_for, first.found, f"asgi_for gives {', '.join(asgi_for)} to ASGI")


def _halves(wsgi: Application, asgi: Application, asgi_for: tuple[str, ...], found: str, why: str) -> Application:
    return Application(
        Pair(wsgi.object, wsgi.name, asgi.object, asgi.name, asgi.interface, asgi_for),
        f"{WSGI}+{asgi.interface}",
        f"{wsgi.name} + {asgi.name}",
        found,
        why,
        asgi.policy,
        asgi.policy_why,
    )


def _other_half(options: ApplicationOptions) -> ApplicationOptions:
    """Where the second application is, if it was named or can be found out."""
    alone = replace(options, asgi_for=(), asgi_target="", is_factory=False, interface="auto", arguments=())
    if options.asgi_target:
        return replace(alone, target=options.asgi_target)
    found = find(options.target, options.app_dir, options.interface)
    halves = halves_of(found.directory)
    if halves is not None and found.module in (halves.wsgi.partition(":")[0], halves.asgi.partition(":")[0]):
        is_wsgi = found.module == halves.wsgi.partition(":")[0]
        return replace(alone, target=halves.asgi if is_wsgi else halves.wsgi, app_dir=found.directory)
    return replace(alone, target=_beside(found), app_dir=found.directory)


def _beside(found: Found) -> str:
    package, _, name = found.module.rpartition(".")
    other = _OTHER_HALF.get(name, "")
    path = os.path.join(found.directory, *package.split("."), f"{other}.py")
    if not other or not os.path.isfile(path):
        raise LoadError(
            f"asgi_for needs two applications, and only {found.target} is known; name its ASGI one with asgi_app"
        )
    return f"{package}.{other}".lstrip(".")
