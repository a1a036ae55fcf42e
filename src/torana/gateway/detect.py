"""What an application speaks: ASGI 3, ASGI 2, WSGI, aiohttp or Tornado. It is never called to find out.

Order: what it says itself, its class (``kinds``: some can be called, but mean something else), ASGI's hint attributes,
then its shape (``shape``): classes, number and names of positional parameters. ``--interface`` always wins and is
applied by the caller (``judge``). Where it cannot be told, a ``LoadError`` says what was seen and which flag decides,
instead of a 500 per request.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from torana.base.errors import LoadError
from torana.base.worker_policy import ANY
from torana.gateway.kinds import AIOHTTP, ASGI2, ASGI3, TORNADO, WSGI, Kind, kind_of, refuse_class
from torana.gateway.shape import SAY, Shape, attribute, call_shape, describe, is_a, is_routine, shape_of, unwrapped
from torana.gateway.state import keeping_of

__all__ = ["AIOHTTP", "ASGI2", "ASGI3", "TORNADO", "WSGI", "Verdict", "detect", "examine", "is_factory"]

#: What ``__torana_interface__`` and ``--interface`` may say, as the gateways call it.
TOLD = {"asgi": ASGI3, "asgi3": ASGI3, "asgi2": ASGI2, "wsgi": WSGI, "aiohttp": AIOHTTP, "tornado": TORNADO}

_ASGI3_NAMES = ("scope", "receive", "send")
_WSGI_NAMES = (("environ", "env"), ("start_response", "start"))
_FACTORY = re.compile(
    r"(create|make|get|build|init|new)_(\w+_)?(app|application|api|asgi|wsgi)(_\w+)?|(app|application)_factory"
)
_DEEPEST = 4


class Verdict(Struct, frozen=True):
    """The interface and the reason, as one clause that can be shown; and in how many workers it may run."""

    interface: str
    why: str
    #: One of ``base.worker_policy``, and the reason, as a clause without a subject.
    policy: str = ANY
    policy_why: str = ""
    #: The product whose module knows how to serve it ("gradio"); the interface is its to say then.
    product: str = ""
    #: What to call instead of what was examined; None: that itself.
    inside: Any = None


def detect(application: Any) -> str:
    """The interface of an application: "asgi3", "asgi2", "wsgi", "aiohttp" or "tornado". Raises ``LoadError`` if it
    cannot be told, or takes a product to be served.
    """
    verdict = examine(application)
    if not verdict.interface:
        raise LoadError(f"{verdict.why}, which has to be unwrapped first")
    return verdict.interface


def examine(application: Any) -> Verdict:
    """The interface of an application and why; raises ``LoadError`` if it cannot be told."""
    verdict = _examine(application, 0)
    keeping = keeping_of(application)
    return replace(verdict, policy=keeping.policy, policy_why=keeping.why)


def _examine(application: Any, depth: int) -> Verdict:
    said = attribute(application, "__torana_interface__")
    if type(said) is str:
        if said not in TOLD:
            raise LoadError(f"__torana_interface__ = {said!r} is no interface; write one of {', '.join(TOLD)}")
        return Verdict(TOLD[said], f"it says so (__torana_interface__ = {said!r})")
    kind = kind_of(application)
    if kind is not None:
        return _examine_kind(application, kind, depth)
    if (type(application).__module__, type(application).__name__) == ("werkzeug.local", "LocalProxy"):
        return _examine_proxy(application, depth)
    if _hint(application, "_asgi_single_callable"):
        return Verdict(ASGI3, "it says so (_asgi_single_callable)")
    if _hint(application, "_asgi_double_callable"):
        return Verdict(ASGI2, "it says so (_asgi_double_callable)")
    if is_a(application, ModuleType):
        raise LoadError(f"{describe(application)} is a module, not an application: name what is in it, module:NAME")
    if not callable(application):
        raise LoadError(f"{describe(application)} is not an application: it cannot be called")
    if is_a(application, type):
        return _examine_class(application)
    return _examine_shape(application, shape_of(application))


def is_factory(candidate: Any) -> bool:
    """Whether an object can only make an application: it takes nothing, or is called like a function that makes one
    and can do with nothing.
    """
    if is_a(candidate, type):
        return _makes_applications(candidate)
    try:
        if not callable(candidate) or kind_of(candidate) is not None:
            return False
        if any(_hint(candidate, name) for name in ("_asgi_single_callable", "_asgi_double_callable")):
            return False
        if type(attribute(candidate, "__torana_interface__")) is str:
            return False
        shape = shape_of(candidate)
    except LoadError:
        return False
    if shape.most == 0:
        return not shape.takes_any
    name = attribute(unwrapped(candidate), "__name__")
    is_named = is_routine(unwrapped(candidate)) and type(name) is str and _FACTORY.fullmatch(name) is not None
    return is_named and shape.least == 0 and _judge_by_names(shape.names) is None


def _makes_applications(kind: type) -> bool:
    """Whether a class needs nothing to make an instance that is called as an application."""
    try:
        refuse_class(kind)
        shape = shape_of(kind)
    except LoadError:
        return False
    if shape.least or shape.takes_any or shape.names[:1] == ("scope",):
        return False
    call = call_shape(kind)
    return call is not None and (call.fits(3) or call.fits(2))


def _examine_kind(application: Any, kind: Kind, depth: int) -> Verdict:
    """What its class says; some are a cover with the application inside."""
    if kind.product:
        return Verdict(
            "", f"it is {kind.what}", product=kind.product, inside=attribute(application, kind.inside or " ")
        )
    if kind.inside and depth < _DEEPEST:
        inside = attribute(application, kind.inside)
        found = kind_of(inside)
        if (found is not None and found.interface) or (kind.interface == WSGI and inside is not None):
            verdict = _examine(inside, depth + 1)
            return replace(verdict, why=f"it is {kind.what}: {verdict.why}", inside=verdict.inside or inside)
    return Verdict(kind.interface, f"it is {kind.what}")


def _examine_proxy(proxy: Any, depth: int) -> Verdict:
    """werkzeug's stand-in for something that may only be there while a request runs."""
    try:
        inside = type(proxy).__dict__["_get_current_object"] and proxy._get_current_object()
    except Exception:
        raise LoadError("this is a proxy (werkzeug's LocalProxy) of something that is not there yet") from None
    if depth >= _DEEPEST:
        raise LoadError("this is a proxy of proxies")
    verdict = _examine(inside, depth + 1)
    return replace(verdict, inside=verdict.inside or inside)


def _examine_class(kind: type) -> Verdict:
    """A class is an application if making an instance is the first step of a call (ASGI 2), or all of it."""
    refuse_class(kind)
    shape = shape_of(kind)
    if shape.fits(3) and _defines(kind, "__await__"):
        return Verdict(ASGI3, f"the class {kind.__name__} takes scope, receive and send and can be awaited")
    if shape.fits(2) and _defines(kind, "__iter__"):
        return Verdict(WSGI, f"the class {kind.__name__} takes environ and start_response and can be iterated")
    call = call_shape(kind)
    is_second_half = _defines(kind, "__call__") and (call is None or call.fits(2)) and shape.fits(1)
    if is_second_half and (shape.least == 1 or shape.names[:1] == ("scope",)):
        return Verdict(ASGI2, f"the class {kind.__name__} takes a scope, and its instances are called")
    needs = f" made with ({', '.join(shape.names[: shape.least])})" if shape.least else ""
    if shape.least == 0 or (call is not None and call.fits(3)):
        raise LoadError(
            f"{kind.__name__} is a class, not an application; did you mean an instance{needs}, or --factory?"
        )
    raise LoadError(f"the class {kind.__name__} has the shape of no known application; {SAY}")


def _defines(kind: type, name: str) -> bool:
    """Whether instances of a class have a special method (a class itself always has ``__call__``)."""
    return any(name in base.__dict__ for base in kind.__mro__)


def _examine_shape(application: Any, shape: Shape) -> Verdict:
    name = describe(application)
    if shape.is_async:
        return _examine_async(name, shape)
    by_name = _judge_by_names(shape.names)
    if shape.takes_any and by_name is None:
        raise LoadError(f"{name} takes any arguments, so its interface cannot be told; {SAY}")
    fits_wsgi, fits_asgi = shape.fits(2), shape.fits(3)
    if fits_wsgi and fits_asgi:
        fits_wsgi = by_name == WSGI or (by_name is None and shape.least == 2)
        fits_asgi = not fits_wsgi
    if fits_asgi:
        return Verdict(ASGI3, _reason(shape, 3))
    if fits_wsgi:
        return Verdict(WSGI, _reason(shape, 2))
    if shape.fits(1) and shape.names[:1] == ("scope",):
        return Verdict(ASGI2, _reason(shape, 1))
    taken = ", ".join(shape.names)
    if shape.most == 0:
        raise LoadError(f"{name} takes no arguments: it looks like a factory; say --factory to call it")
    own = attribute(unwrapped(application), "__name__")
    if type(own) is str and _FACTORY.fullmatch(own):
        raise LoadError(f"{name} looks like a factory that needs ({taken}); write module:{own}(...) with plain values")
    raise LoadError(f"{name} takes ({taken}), which is no ASGI or WSGI application; {SAY}")


def _examine_async(name: str, shape: Shape) -> Verdict:
    if shape.fits(3):
        return Verdict(ASGI3, "it is async and takes " + ", ".join(shape.names[:3] or ("any arguments",)))
    if shape.most == 0:
        raise LoadError(f"{name} is an async function without arguments; an application takes scope, receive and send")
    raise LoadError(
        f"{name} is async and takes ({', '.join(shape.names)}), but ASGI calls with scope, receive and send"
    )


def _judge_by_names(names: tuple[str, ...]) -> str | None:
    if names[:3] == _ASGI3_NAMES or names[:1] == ("scope",):
        return ASGI3
    if len(names) >= 2 and all(name in known for name, known in zip(names, _WSGI_NAMES, strict=False)):
        return WSGI
    return None


def _reason(shape: Shape, count: int) -> str:
    return f"it takes {count} argument{'s' if count > 1 else ''} ({', '.join(shape.names[:count])})"


def _hint(candidate: Any, name: str) -> bool:
    """A hint attribute that is set to a plain value; objects that answer every name with something do not count."""
    value = attribute(candidate, name)
    return type(value) in (bool, int) and bool(value)
