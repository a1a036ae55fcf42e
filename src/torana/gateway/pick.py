"""Which name of a module is the application, when nobody has said: the usual names, then the only application there is,
then what a server was to be started with, then a function that makes one.

Never here: importing the module (``load``), what an object is (``detect``).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from torana.base.errors import LoadError
from torana.gateway.detect import examine, is_factory
from torana.gateway.find import FACTORIES, NAMES, Found
from torana.gateway.kinds import kind_of
from torana.gateway.life import Life
from torana.gateway.shape import attribute, describe, is_a
from torana.gateway.state import within


def pick(found: Found, module: ModuleType, is_told: bool, served: Sequence[Any] = ()) -> tuple[str, Any]:
    """The name and what it stands for; raises ``LoadError`` when there is none, or more than one.

    ``is_told``: the user has said what it is, so the first of the usual names is it. ``served``: what the module has
    started servers with while it was imported.
    """
    usual = [(name, module.__dict__[name]) for name in (*NAMES, *FACTORIES) if name in module.__dict__]
    # A submodule of that name is not what is meant.
    usual = [(name, value) for name, value in usual if value is not None and not is_a(value, ModuleType)]
    if is_told and usual:
        return usual[0]
    for name, value in usual:
        if name in NAMES and _is_application(value):
            return name, value
    only = _only_one(found, module)
    if only is not None:
        return only
    for application in served:
        if isinstance(application, Life) or _is_application(application):
            return _name_in(module, application), application
    for name, value in usual:
        if name in FACTORIES and callable(value):
            return name, value
    if usual:
        # Looked at again by who uses it: the reason against it is the answer.
        return usual[0]
    raise LoadError(
        f"the module {found.module!r} ({file_of(module)}) has none of the names {', '.join((*NAMES, *FACTORIES[:2]))}, "
        f"and no application of a known framework; name yours: {found.module}:NAME"
    )


def _is_application(value: Any) -> bool:
    if is_factory(value):
        return True
    try:
        examine(value)
    except LoadError:
        return False
    return True


def _only_one(found: Found, module: ModuleType) -> tuple[str, Any] | None:
    """The application of a known framework that a module has under whatever name; raises if there are several, unless
    one of them contains all the others.
    """
    applications: dict[int, tuple[str, Any]] = {}
    for name, value in list(module.__dict__.items()):
        if not is_a(value, type) and _is_known(value):
            applications.setdefault(id(value), (name, value))
    if len(applications) > 1:
        inner = {id(part) for _, whole in applications.values() for part in within(whole) if part is not whole}
        outer = {key: each for key, each in applications.items() if key not in inner}
        applications = outer or applications
    if len(applications) > 1:
        names = [f"{found.module}:{name} ({describe(value)})" for name, value in applications.values()]
        raise LoadError(
            f"the module {found.module!r} ({file_of(module)}) has {len(names)} applications; name one of them: "
            + ", ".join(names)
        )
    return next(iter(applications.values()), None)


def _is_known(value: Any) -> bool:
    if type(attribute(value, "__torana_interface__")) is str:
        return True
    try:
        kind = kind_of(value)
    except LoadError:
        return False
    # Everything that Panel shows is "servable"; that is no application yet.
    return kind is not None and kind.product != "panel"


def _name_in(module: ModuleType, application: Any) -> str:
    return next((name for name, value in module.__dict__.items() if value is application), type(application).__name__)


def file_of(module: ModuleType) -> str:
    """Where a module comes from, for a message."""
    return getattr(module, "__file__", None) or "a namespace package: it has no file of its own"
