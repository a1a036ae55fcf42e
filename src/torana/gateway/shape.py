"""The shape of a callable: which positional arguments it takes, what they are called, and whether a call gives a
coroutine; through partials, methods, instances and wrappers. Nothing is called.

Never here: what a shape means (``detect``).
"""

from __future__ import annotations

import functools
import inspect
from types import MethodType, ModuleType
from typing import Any, Final

from msgspec import Struct

from torana.base.errors import LoadError

#: The flag that decides what could not be told.
SAY: Final = "say which with --interface asgi, asgi2 or wsgi"


class Shape(Struct, frozen=True):
    """The positional parameters a callable takes."""

    least: int
    most: int
    names: tuple[str, ...]
    takes_any: bool
    is_async: bool

    def fits(self, count: int) -> bool:
        """Whether it can be called with so many arguments."""
        return self.least <= count and (count <= self.most or self.takes_any)


def shape_of(application: Any) -> Shape:
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
    wrapped = attribute(target, "__wrapped__")
    if wrapped is not None or is_routine(target) or is_a(target, type):
        return wrapped
    inner = attribute(attribute(type(target), "__call__"), "__wrapped__")
    return None if inner is None else MethodType(inner, target)


def call_shape(kind: type) -> Shape | None:
    """The shape of calls of a class's instances; None if they cannot be called or do not say."""
    call = next((base.__dict__["__call__"] for base in kind.__mro__ if "__call__" in base.__dict__), None)
    if call is None:
        return None
    try:
        return shape_of(MethodType(call, object()) if inspect.isfunction(call) else call)
    except LoadError:
        return None


def _own_shape(application: Any) -> Shape:
    call = attribute(type(application), "__call__")
    # An instance is asked through its class: its own attributes may answer anything, or raise.
    is_instance = inspect.isfunction(call) and not is_a(application, type)
    try:
        signature = inspect.signature(
            MethodType(call, application) if is_instance else application, follow_wrapped=False
        )
    except (TypeError, ValueError):
        raise LoadError(f"{describe(application)} does not say which arguments it takes; {SAY}") from None
    except Exception as error:
        # A proxy that raises whatever it likes.
        raise LoadError(f"{describe(application)} cannot be looked at: {type(error).__name__}; {SAY}") from None
    names, least, takes_any = [], 0, False
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
            least += parameter.default is parameter.empty
        elif parameter.kind is parameter.VAR_POSITIONAL:
            takes_any = True
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise LoadError(f"{describe(application)} needs the keyword {parameter.name!r}, which no server gives")
    return Shape(least, len(names), tuple(names), takes_any, _is_async(application))


def is_async(candidate: Any) -> bool:
    """Whether a call gives a coroutine; False for what does not say."""
    try:
        return _is_async(candidate)
    except LoadError:
        return False


def is_coroutine(candidate: Any) -> bool:
    """Whether this has to be awaited; not a future or another object that may be an application as well."""
    return inspect.iscoroutine(candidate) or type(candidate).__name__ == "coroutine"


def _is_async(candidate: Any) -> bool:
    """Whether a call gives a coroutine: through partials, methods, instances and compiled functions."""
    target = unwrapped(candidate)
    if is_a(target, type):
        return False
    if not is_routine(target):
        target = unwrapped(attribute(type(target), "__call__") or target)
    if inspect.isasyncgenfunction(target):
        raise LoadError(f"{describe(candidate)} is an async generator; an application awaits send() instead")
    # Cython's coroutine functions carry the marker and are no coroutine functions for inspect.
    return inspect.iscoroutinefunction(target) or (
        is_routine(target) and attribute(target, "_is_coroutine") is not None
    )


def unwrapped(candidate: Any) -> Any:
    """The function under partials and bound methods."""
    while True:
        if is_a(candidate, functools.partial):
            candidate = candidate.func
        elif is_a(candidate, MethodType):
            candidate = candidate.__func__
        else:
            return candidate


def is_a(candidate: Any, kind: type) -> bool:
    """``isinstance`` that asks the class only: a proxy's ``__class__`` may raise."""
    return issubclass(type(candidate), kind)


def is_routine(candidate: Any) -> bool:
    """Whether this is a function or method of whatever kind, compiled ones too."""
    try:
        return inspect.isroutine(candidate)
    except Exception:
        return False


def attribute(candidate: Any, name: str) -> Any:
    """An attribute or None; proxies such as werkzeug's raise whatever they like when asked outside a request."""
    try:
        return getattr(candidate, name, None)
    except Exception:
        return None


def describe(application: Any) -> str:
    """What to call an object in a message; never its ``repr``, which may be long or raise."""
    target = unwrapped(application)
    if is_a(target, ModuleType):
        return f"the module {target.__name__!r}"
    name = attribute(target, "__qualname__")
    if isinstance(name, str):
        return f"the class {name}" if is_a(target, type) else repr(name)
    return f"an object of class {type(target).__name__}"
