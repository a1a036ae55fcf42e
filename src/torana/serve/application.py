"""The application that is served: loaded, and what it speaks. The door through which ``process`` reaches ``gateway``.

Imports of user code happen in ``gateway/load.py``; nothing is imported here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from torana.base.errors import LoadError
from torana.base.worker_policy import ANY, POLICIES
from torana.gateway.error_page import error_page
from torana.gateway.find import find
from torana.gateway.hygiene import watched
from torana.gateway.judge import Judged, MadeOnLoop, judge, judged_at_last
from torana.gateway.keeping import NOTHING, OF_PRODUCT, Keeping
from torana.gateway.load import call_function, host, load_found, warm_up
from torana.gateway.options import ApplicationOptions
from torana.gateway.parts import Pair, Parts
from torana.gateway.products.hosted import Hosted
from torana.gateway.warm import imported

__all__ = [
    "Application",
    "call_function",
    "failed_application",
    "foreseen",
    "given_application",
    "imported",
    "load_application",
    "made",
    "try_out",
    "warm_up",
    "when_judged",
]


class Application(Struct, frozen=True):
    """An application object (or a ``gateway.life.Life`` that makes one), its interface as ``gateway.detect`` names
    them ("auto": found out when it is made), and how both were found out.
    """

    object: Any
    interface: str
    #: "module:attribute", or the class of an object that was handed over.
    name: str
    found: str
    why: str
    #: In how many workers it may run: one of ``base.worker_policy``.
    policy: str = ANY
    policy_why: str = ""
    #: Of several applications, each with its place ("/api", "shop.example.org").
    parts: tuple[tuple[str, Application], ...] = ()


def load_application(options: ApplicationOptions) -> Application:
    """Find, import and judge the application, or all of several; raises ``LoadError``."""
    from torana.serve.several import load_several, load_site

    return load_several(options, _load_one) if options.mounts else load_site(options, _load_one)


def _load_one(options: ApplicationOptions) -> Application:
    found = find(options.target, options.app_dir, options.interface)
    # What is judged may be unwrapped by its product, which imports that: noticed like the rest.
    with watched(found.module):
        known: Hosted | Judged
        if found.product:
            known = host(found, options)
            name = known.name
        else:
            loaded, name = load_found(found, options.is_factory, options.interface)
            known = judge(loaded, options.interface, options)
    return Application(known.application, known.interface, name, found.how, known.why, known.policy, known.policy_why)


def given_application(candidate: Any, options: ApplicationOptions) -> Application:
    """An application that a program hands over as an object; raises ``LoadError`` if it is none."""
    judged = judge(candidate, options.interface, options)
    application = Application(
        judged.application, judged.interface, type(candidate).__name__, "given as an object", judged.why,
        judged.policy, judged.policy_why,
    )  # fmt: skip
    from torana.serve.several import load_several, load_site

    return (load_several if options.mounts else load_site)(options, _load_one, application)


def failed_application(text: str) -> Application:
    """An application that answers everything with why the real one could not be loaded."""
    return Application(error_page(text), "asgi3", "error page", "instead of the application", "")


def foreseen(options: ApplicationOptions) -> Keeping:
    """The policy and its reason, as far as files tell before anything is imported."""
    keeping: list[Keeping] = []
    root = (options,) if options.target or not options.mounts else ()
    for each in (*root, *(mount.application for mount in options.mounts)):
        with contextlib.suppress(LoadError):
            keeping.append(OF_PRODUCT.get(find(each.target, each.app_dir, each.interface).product, NOTHING))
    return max(keeping, key=lambda each: POLICIES.index(each.policy), default=NOTHING)


def when_judged(application: Application, then: Callable[[str, str], None]) -> None:
    """Have ``then`` told the policy and its reason of what is made on the loop, as soon as that is known and before
    anybody is answered; what it raises ends the start.
    """
    for each in _objects(application.object):
        if isinstance(each, MadeOnLoop):
            each.on_judged = lambda judged: then(judged.policy, judged.policy_why)


def _objects(candidate: Any) -> list[Any]:
    if isinstance(candidate, Parts):
        return [each for part in candidate.parts for each in _objects(part.object)]
    if isinstance(candidate, Pair):
        return [*_objects(candidate.wsgi), *_objects(candidate.asgi)]
    return [candidate]


def made(application: Application) -> Application:
    """The application as it is known now: one that was made on the loop could not be judged before."""
    news = [judged for each in _objects(application.object) if (judged := judged_at_last(each)) is not None]
    for judged in news:
        if POLICIES.index(judged.policy) > POLICIES.index(application.policy):
            application = replace(application, policy=judged.policy, policy_why=judged.policy_why)
        if application.object.__class__ is MadeOnLoop:
            application = replace(application, interface=judged.interface, why=f"{application.why}; {judged.why}")
    if application.parts:
        application = replace(application, parts=tuple((where, made(each)) for where, each in application.parts))
    return application


async def try_out(application: Application) -> Application:
    """Have an application made that is made on a loop, on this one, to see what it is; raises ``LoadError``."""
    for each in _objects(application.object):
        if isinstance(each, MadeOnLoop):
            await each.startup()
    return made(application)
