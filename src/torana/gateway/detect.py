"""What an application speaks, judged by its shape alone: ASGI 3, ASGI 2 or WSGI. It is never called to find out.

Order (ASGI's reference helper first, then shape): hint attributes, classes, number and names of positional
parameters. ``--interface`` always wins and is applied by the caller. Where the shape is ambiguous, a ``LoadError``
says so instead of a 500 per request.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from types import MethodType
from typing import Any, Final

from torana.base.errors import LoadError
from torana.base.worker_policy import ANY

ASGI3: Final = "asgi3"
ASGI2: Final = "asgi2"
WSGI: Final = "wsgi"
AIOHTTP: Final = "aiohttp"
TORNADO: Final = "tornado"

_SAY = "say which with --interface asgi, asgi2 or wsgi"
_ASGI3_NAMES = ("scope", "receive", "send")
_WSGI_NAMES = (("environ", "env"), ("start_response", "start"))
#: What a single parameter is called in handlers that are no ASGI 2 application.
_REQUEST_NAMES = frozenset({"request", "req", "event", "environ"})
#: Applications that can be called, but not as we would: (module, class) -> what they are.
_ADAPTED = {
    ("aiohttp.web_app", "Application"): "an aiohttp application",
    ("tornado.web", "Application"): "a Tornado application",
}
_BLUEPRINT = "a Flask blueprint, a part of an application; name the application itself"
_REFUSED = {
    ("flask.blueprints", "Blueprint"): _BLUEPRINT,
    ("flask.sansio.blueprints", "Blueprint"): _BLUEPRINT,
    ("robyn", "Robyn"): "a Robyn application, which only runs on its own server",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The interface and the reason, as one clause that can be shown; and in how many workers it may run."""

    interface: str
    why: str
    #: One of ``base.worker_policy``.
    policy: str = ANY


@dataclass(frozen=True, slots=True)
class _Shape:
    """The positional parameters a callable takes."""

    least: int
    most: int
    names: tuple[str, ...]
    takes_any: bool
    is_async: bool

    def fits(self, count: int) -> bool:
        return self.least <= count and (count <= self.most or self.takes_any)


def detect(application: Any) -> str:
    """The interface of an application: "asgi3", "asgi2" or "wsgi". Raises ``LoadError`` if it cannot be told."""
    return examine(application).interface


def examine(application: Any) -> Verdict:
    """The interface of an application and why; raises ``LoadError`` if it cannot be told."""
    _refuse_by_class(application)
    if _hint(application, "_asgi_single_callable"):
        return Verdict(ASGI3, "it says so (_asgi_single_callable)")
    if _hint(application, "_asgi_double_callable"):
        return Verdict(ASGI2, "it says so (_asgi_double_callable)")
    if not callable(application):
        raise LoadError(f"{_describe(application)} is not an application: it cannot be called")
    if isinstance(application, type):
        return _examine_class(application)
    return _examine_shape(application, _shape_of(application))


def is_factory(candidate: Any) -> bool:
    """Whether an object is a function that takes nothing, and so can only make an application."""
    if not inspect.isroutine(_unwrapped(candidate)):
        return False
    if _hint(candidate, "_asgi_single_callable") or _hint(candidate, "_asgi_double_callable"):
        return False
    try:
        shape = _shape_of(candidate)
    except LoadError:
        return False
    return shape.most == 0 and not shape.takes_any


def _refuse_by_class(application: Any) -> None:
    """Frameworks whose applications look callable but mean something else; judged by names, nothing is imported."""
    for kind in type(application).__mro__:
        name = (kind.__module__, kind.__qualname__)
        if name in _ADAPTED:
            raise LoadError(f"this is {_ADAPTED[name]}; that interface is not available yet in this version")
        if name in _REFUSED:
            raise LoadError(f"this is {_REFUSED[name]}")


def _examine_class(kind: type) -> Verdict:
    """A class is an application if making an instance is the first step of a call (ASGI 2), or all of it."""
    shape = _shape_of(kind)
    if shape.fits(3) and _defines(kind, "__await__"):
        return Verdict(ASGI3, f"the class {kind.__name__} takes scope, receive and send and can be awaited")
    if shape.fits(2) and _defines(kind, "__iter__"):
        return Verdict(WSGI, f"the class {kind.__name__} takes environ and start_response and can be iterated")
    if shape.fits(1) and _defines(kind, "__call__") and (shape.least == 1 or shape.names[:1] == ("scope",)):
        return Verdict(ASGI2, f"the class {kind.__name__} takes a scope, and its instances are called")
    if shape.least == 0:
        raise LoadError(f"{kind.__name__} is a class, not an application; did you mean an instance, or --factory?")
    raise LoadError(f"the class {kind.__name__} has the shape of no known application; {_SAY}")


def _defines(kind: type, name: str) -> bool:
    """Whether instances of a class have a special method (a class itself always has ``__call__``)."""
    return any(name in base.__dict__ for base in kind.__mro__)


def _examine_shape(application: Any, shape: _Shape) -> Verdict:
    name = _describe(application)
    if shape.is_async:
        return _examine_async(name, shape)
    by_name = _judge_by_names(shape.names)
    if shape.takes_any and by_name is None:
        raise LoadError(f"{name} takes any arguments, so its interface cannot be told; {_SAY}")
    fits_wsgi, fits_asgi = shape.fits(2), shape.fits(3)
    if fits_wsgi and fits_asgi:
        fits_wsgi = by_name == WSGI or (by_name is None and shape.least == 2)
        fits_asgi = not fits_wsgi
    if fits_asgi:
        return Verdict(ASGI3, _reason(shape, 3))
    if fits_wsgi:
        return Verdict(WSGI, _reason(shape, 2))
    if shape.fits(1) and shape.names[:1] and shape.names[0] not in _REQUEST_NAMES:
        return Verdict(ASGI2, _reason(shape, 1))
    if shape.most == 0:
        raise LoadError(f"{name} takes no arguments: it looks like a factory; say --factory to call it")
    raise LoadError(f"{name} takes ({', '.join(shape.names)}), which is no ASGI or WSGI application; {_SAY}")


def _examine_async(name: str, shape: _Shape) -> Verdict:
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


def _reason(shape: _Shape, count: int) -> str:
    return f"it takes {count} argument{'s' if count > 1 else ''} ({', '.join(shape.names[:count])})"


def _shape_of(application: Any) -> _Shape:
    """The shape of a callable; wrappers that take anything are judged by what they say they wrap."""
    target: Any = application
    for _ in range(16):
        shape = _own_shape(target)
        wrapped = _wrapped_by(target)
        if not shape.takes_any or shape.is_async or wrapped is None:
            return shape
        target = wrapped
    return shape


def _wrapped_by(target: Any) -> Any:
    """What a wrapper says it wraps, or None; tracing tools also wrap the ``__call__`` of a class."""
    wrapped = _attribute(target, "__wrapped__")
    if wrapped is not None or inspect.isroutine(target) or isinstance(target, type):
        return wrapped
    inner = _attribute(_attribute(type(target), "__call__"), "__wrapped__")
    return None if inner is None else MethodType(inner, target)


def _own_shape(application: Any) -> _Shape:
    call = _attribute(type(application), "__call__")
    # An instance is asked through its class: its own attributes may answer anything, or raise.
    is_instance = inspect.isfunction(call) and not isinstance(application, type)
    try:
        signature = inspect.signature(
            MethodType(call, application) if is_instance else application, follow_wrapped=False
        )
    except (TypeError, ValueError):
        raise LoadError(f"{_describe(application)} does not say which arguments it takes; {_SAY}") from None
    names, least, takes_any = [], 0, False
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
            least += parameter.default is parameter.empty
        elif parameter.kind is parameter.VAR_POSITIONAL:
            takes_any = True
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise LoadError(f"{_describe(application)} needs the keyword {parameter.name!r}, which no server gives")
    return _Shape(least, len(names), tuple(names), takes_any, _is_async(application))


def _is_async(candidate: Any) -> bool:
    """Whether a call gives a coroutine: through partials, methods, instances and compiled functions."""
    target = _unwrapped(candidate)
    if isinstance(target, type):
        return False
    if not inspect.isroutine(target):
        target = _unwrapped(_attribute(type(target), "__call__") or target)
    if inspect.isasyncgenfunction(target):
        raise LoadError(f"{_describe(candidate)} is an async generator; an application awaits send() instead")
    # Cython's coroutine functions carry the marker and are no coroutine functions for inspect.
    return inspect.iscoroutinefunction(target) or (
        inspect.isroutine(target) and _attribute(target, "_is_coroutine") is not None
    )


def _unwrapped(candidate: Any) -> Any:
    """The function under partials and bound methods."""
    while True:
        if isinstance(candidate, functools.partial):
            candidate = candidate.func
        elif inspect.ismethod(candidate):
            candidate = candidate.__func__
        else:
            return candidate


def _attribute(candidate: Any, name: str) -> Any:
    """An attribute or None; proxies such as werkzeug's raise whatever they like when asked outside a request."""
    try:
        return getattr(candidate, name, None)
    except Exception:
        return None


def _hint(candidate: Any, name: str) -> bool:
    """A hint attribute that is set to a plain value; objects that answer every name with something do not count."""
    value = _attribute(candidate, name)
    return isinstance(value, (bool, int)) and bool(value)


def _describe(application: Any) -> str:
    target = _unwrapped(application)
    if inspect.ismodule(target):
        return f"the module {target.__name__!r}"
    name = _attribute(target, "__qualname__")
    return repr(name) if isinstance(name, str) else f"an object of class {type(target).__name__}"
