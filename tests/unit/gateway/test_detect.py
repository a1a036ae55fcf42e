"""Shapes of applications and what they must be taken for (ASGI-CORE-03, 04, 05)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from torana.base.errors import LoadError
from torana.gateway.detect import detect, examine, is_factory


async def three(scope: Any, receive: Any, send: Any) -> None: ...


def plain_three(scope: Any, receive: Any, send: Any) -> Any:
    return three(scope, receive, send)


def two(environ: Any, start_response: Any) -> list[bytes]:
    return [b""]


def double(scope: Any) -> Any:
    return functools.partial(three, scope)


class Instance:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...

    def wsgi_method(self, environ: Any, start_response: Any) -> Any: ...

    @classmethod
    async def of_class(cls, scope: Any, receive: Any, send: Any) -> None: ...

    @staticmethod
    async def of_none(scope: Any, receive: Any, send: Any) -> None: ...


class PlainInstance:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Any: ...


class WsgiInstance:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class DoubleClass:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class AwaitableClass:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Any: ...


class WsgiClass:
    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Any: ...


def wraps_all(inner: Any) -> Any:
    @functools.wraps(inner)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return wrapper


class Traced:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


Traced.__call__ = wraps_all(Traced.__call__)  # type: ignore[method-assign]


def hinted(name: str) -> Any:
    def application(*args: Any) -> Any: ...

    setattr(application, name, True)
    return application


async def async_any(*args: Any, **kwargs: Any) -> None: ...


def with_default(environ: Any, start_response: Any, debug: bool = False) -> Any: ...


def asgi_with_default(scope: Any, receive: Any, send: Any = None) -> Any: ...


def named_then_any(environ: Any, start_response: Any, *rest: Any) -> Any: ...


async def prefixed(prefix: str, scope: Any, receive: Any, send: Any) -> None: ...


async def optional_keyword(scope: Any, receive: Any, send: Any, *, debug: bool = False) -> None: ...


def generator(environ: Any, start_response: Any) -> Any:
    yield b""


class AnswersEveryName:
    def __getattr__(self, name: str) -> Any:
        return lambda: None

    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class AttributesRaise:
    """As werkzeug's LocalProxy outside a request."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("outside of a request")

    def __call__(self, environ: Any, start_response: Any) -> Any: ...


KNOWN: dict[str, tuple[Any, str]] = {
    "async function": (three, "asgi3"),
    "plain function that returns a coroutine": (plain_three, "asgi3"),
    "instance with async __call__": (Instance(), "asgi3"),
    "instance with plain __call__": (PlainInstance(), "asgi3"),
    "bound async method": (Instance().method, "asgi3"),
    "class method": (Instance.of_class, "asgi3"),
    "static method": (Instance.of_none, "asgi3"),
    "partial of an async function": (functools.partial(prefixed, "/x"), "asgi3"),
    "partial by keyword": (functools.partial(optional_keyword, debug=True), "asgi3"),
    "partial of a partial": (functools.partial(functools.partial(prefixed), "/x"), "asgi3"),
    "partial of a bound method": (functools.partial(Instance().method), "asgi3"),
    "async with any arguments": (async_any, "asgi3"),
    "wrapper of ASGI": (wraps_all(three), "asgi3"),
    "wrapper of a wrapper": (wraps_all(wraps_all(plain_three)), "asgi3"),
    "third parameter has a default": (asgi_with_default, "asgi3"),
    "class that is awaited": (AwaitableClass, "asgi3"),
    "hint single": (hinted("_asgi_single_callable"), "asgi3"),
    "hint double": (hinted("_asgi_double_callable"), "asgi2"),
    "double function": (double, "asgi2"),
    "double class": (DoubleClass, "asgi2"),
    "WSGI function": (two, "wsgi"),
    "WSGI generator": (generator, "wsgi"),
    "WSGI instance": (WsgiInstance(), "wsgi"),
    "WSGI method": (Instance().wsgi_method, "wsgi"),
    "WSGI class": (WsgiClass, "wsgi"),
    "WSGI with a third default": (with_default, "wsgi"),
    "WSGI named, then any": (named_then_any, "wsgi"),
    "wrapper of WSGI": (wraps_all(two), "wsgi"),
    "traced class": (Traced(), "wsgi"),
    "lambda of two": (lambda environ, start_response: [], "wsgi"),
    "answers every attribute": (AnswersEveryName(), "wsgi"),
    "attributes raise": (AttributesRaise(), "wsgi"),
}


@pytest.mark.parametrize(("application", "interface"), KNOWN.values(), ids=KNOWN)
def test_the_shape_tells_the_interface(application: Any, interface: str) -> None:
    verdict = examine(application)
    assert verdict.interface == interface == detect(application)
    assert verdict.why


async def async_request(request: Any) -> None: ...


async def async_generator(scope: Any, receive: Any, send: Any) -> Any:
    yield b""


async def async_nothing() -> None: ...


def takes_any(*args: Any, **kwargs: Any) -> Any: ...


def keyword_needed(environ: Any, start_response: Any, *, config: Any) -> Any: ...


UNKNOWN: dict[str, tuple[Any, str]] = {
    "any arguments": (takes_any, "--interface"),
    "wrapper that hides what it wraps": (functools.partial(takes_any), "--interface"),
    "builtin without a signature": (max, "--interface"),
    "async handler of a request": (async_request, "scope, receive and send"),
    "async generator": (async_generator, "async generator"),
    "async without arguments": (async_nothing, "without arguments"),
    "handler of a request": (lambda request: None, "no ASGI or WSGI application"),
    "four parameters": (lambda a, b, c, d: None, "no ASGI or WSGI application"),
    "keyword needed": (keyword_needed, "'config'"),
    "module": (functools, "module 'functools' is a module, not an application: name what is in it"),
    "text": ("app", "cannot be called"),
    "none": (None, "cannot be called"),
    "factory": (lambda: None, "--factory"),
    "class of applications": (Instance, "a class, not an application"),
    "class of another shape": (type("Odd", (), {"__init__": lambda self, a, b, c, d: None}), "no known application"),
}


@pytest.mark.parametrize(("application", "sentence"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_told_is_refused_with_a_reason(application: Any, sentence: str) -> None:
    with pytest.raises(LoadError) as refusal:
        detect(application)
    assert sentence in str(refusal.value)


def of_module(module: str, name: str) -> Any:
    return type(name, (), {"__module__": module, "__qualname__": name, "__call__": lambda self: self})()


@pytest.mark.parametrize(
    ("application", "interface"),
    [
        (of_module("aiohttp.web_app", "Application"), "aiohttp"),
        (of_module("tornado.httputil", "HTTPServerConnectionDelegate"), "tornado"),
    ],
)
def test_the_class_comes_before_the_shape(application: Any, interface: str) -> None:
    assert detect(application) == interface
    assert not is_factory(application), "its call takes nothing, and means something else"


@pytest.mark.parametrize(
    ("application", "sentence"),
    [
        (of_module("flask.sansio.blueprints", "Blueprint"), "blueprint"),
        (of_module("robyn", "Robyn"), "Robyn"),
    ],
)
def test_frameworks_with_calls_of_their_own_are_named(application: Any, sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        detect(application)


class ClassOfWsgi:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class ClassNeedingSomething:
    def __init__(self, config: Any) -> None: ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class MakesOne:
    """As Reflex's App: called with nothing, it gives the application."""

    def __call__(self) -> Any: ...


def create_app(config: Any = None) -> Any: ...


def make_wsgi(environ: Any = None, start_response: Any = None) -> Any: ...


def middleware(scope: Any = None) -> Any: ...


def create_app_for(name: str) -> Any: ...


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (lambda: None, True),
        (functools.partial(double, {}), True),
        (async_nothing, True),
        (create_app, True),
        (MakesOne(), True),
        # A class of applications, whose instance takes nothing to make.
        (Instance, True),
        (ClassOfWsgi, True),
        (ClassNeedingSomething, False),
        (DoubleClass, False),
        (MakesOne, False),
        (make_wsgi, False),
        (middleware, False),
        (create_app_for, False),
        (three, False),
        (two, False),
        (takes_any, False),
        (lambda debug=False: None, False),
        (Instance(), False),
        (functools, False),
        ("text", False),
        (None, False),
    ],
)
def test_only_what_needs_nothing_is_surely_a_factory(candidate: Callable[..., Any], expected: bool) -> None:
    assert is_factory(candidate) is expected


def test_what_a_factory_needs_is_said() -> None:
    with pytest.raises(LoadError, match=r"factory that needs \(name\); write module:create_app_for\(\.\.\.\)"):
        detect(create_app_for)


def test_a_class_whose_instances_are_applications_is_no_asgi_2() -> None:
    with pytest.raises(LoadError, match=r"did you mean an instance made with \(config\)"):
        detect(ClassNeedingSomething)


def test_one_argument_is_asgi_2_only_if_it_is_called_so() -> None:
    with pytest.raises(LoadError, match="no ASGI or WSGI application"):
        detect(lambda config: None)


class EverythingRaises:
    """As a proxy outside of a request: even its class cannot be asked for."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("outside of a request")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("outside of a request")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("outside of a request")


def test_an_object_that_raises_whatever_it_is_asked_is_refused_not_obeyed() -> None:
    with pytest.raises(LoadError):
        detect(EverythingRaises())
    assert not is_factory(EverythingRaises())


@pytest.mark.parametrize(("said", "interface"), [("asgi", "asgi3"), ("asgi2", "asgi2"), ("wsgi", "wsgi")])
def test_what_an_application_says_itself_decides(said: str, interface: str) -> None:
    def application(*args: Any) -> Any: ...

    application.__torana_interface__ = said  # type: ignore[attr-defined]
    assert detect(application) == interface
