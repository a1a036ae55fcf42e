"""Which name of a module is its application, and what its factories make."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.place import empty_place, write
from torana.base.errors import LoadError
from torana.base.worker_policy import ANY
from torana.gateway.judge import MadeOnLoop, judge, judged_at_last
from torana.gateway.load import load
from torana.gateway.options import ApplicationOptions
from torana.serve.application import load_application, made, try_out, when_judged


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with empty_place(tmp_path, monkeypatch) as directory:
        yield directory


#: Stands for a framework: known by what it says itself.
KNOWN = """
class Site:
    __torana_interface__ = "asgi3"
    def __init__(self, name, app=None):
        self.name, self.app = name, app
    async def __call__(self, scope, receive, send): ...
"""
ASGI = "async def {}(scope, receive, send): ...\n"


def named(place: Path, text: str, **options: Any) -> str:
    write(place, {"shop": text})
    application = load(ApplicationOptions(target="shop", **options))
    return str(getattr(application, "name", getattr(application, "__name__", application)))


PICKED: dict[str, tuple[str, str]] = {
    "a usual name that is no application is passed over": (
        "class Api: ...\napi = Api()\n" + ASGI.format("wsgi_app"), "wsgi_app",
    ),
    "a usual name before an unusual one": (KNOWN + "other = Site('other')\napp = Site('app')\n", "app"),
    "the only one, under whatever name": (KNOWN + "site = Site('site')\nagain = site\n", "site"),
    "the one that holds the other": (KNOWN + "inner = Site('inner')\nouter = Site('outer', inner)\n", "outer"),
    "a factory when there is nothing else": ("def made(s, r, t): ...\ndef create_app(): return made\n", "made"),
    "a factory that can do with nothing": ("def made(s, r, t): ...\ndef make_app(debug=False): return made\n", "made"),
    "an application before a factory": (KNOWN + "site = Site('site')\ndef create_app(): 1 / 0\n", "site"),
    "a class of applications": (KNOWN + "class app(Site):\n    def __init__(self): self.name = 'made'\n", "made"),
    "a factory that makes a factory": (
        "def made(s, r, t): ...\ndef create_app():\n    def inner(): return made\n    return inner\n", "made",
    ),
    "a function is no application under any name": (ASGI.format("handler") + KNOWN + "site = Site('site')\n", "site"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "name"), PICKED.values(), ids=PICKED)
def test_a_module_alone_means_its_application(place: Path, text: str, name: str) -> None:
    assert named(place, text) == name


def test_two_applications_are_both_named(place: Path) -> None:
    with pytest.raises(LoadError) as refused:
        named(place, KNOWN + "shop_site = Site('a')\nadmin_site = Site('b')\n")
    assert "has 2 applications" in str(refused.value)
    assert "shop:shop_site" in str(refused.value) and "shop:admin_site" in str(refused.value)


def test_what_is_said_needs_no_application(place: Path) -> None:
    assert named(place, "def app(*args): ...\n", interface="wsgi") == "app"


def test_why_a_usual_name_is_none_is_the_answer_where_there_is_nothing_else(place: Path) -> None:
    write(place, {"shop": "async def app(request): ...\n"})
    with pytest.raises(LoadError, match="scope, receive and send"):
        load_application(ApplicationOptions(target="shop"))


def test_factories_do_not_make_factories_for_ever(place: Path) -> None:
    write(place, {"shop": "def create_app(): return create_app\n"})
    with pytest.raises(LoadError, match="takes no arguments"):
        load_application(ApplicationOptions(target="shop"))


# Async factories

ASYNC = """
import asyncio
class Site:
    __torana_workers__ = "sticky"
    def __init__(self): self.loop = asyncio.get_running_loop()
    async def __call__(self, scope, receive, send): ...
async def create_app(fails=False):
    await asyncio.sleep(0)
    return 1 / 0 if fails else Site()
def plain(): return create_app()
async def nothing(): ...
"""


@pytest.mark.parametrize("target", ["shop", "shop:create_app", "shop:create_app()", "shop:plain", "shop:plain()"])
def test_an_async_factory_makes_its_application_on_the_loop_that_serves(place: Path, target: str) -> None:
    write(place, {"shop": ASYNC})
    application = load_application(ApplicationOptions(target=target))
    assert isinstance(application.object, MadeOnLoop)
    assert (application.interface, application.policy) == ("auto", ANY)
    assert "on the serving loop" in application.why

    async def start() -> tuple[Any, Any]:
        heard: list[tuple[str, str]] = []
        when_judged(application, lambda policy, why: heard.append((policy, why)))
        return await application.object.startup(), heard

    with asyncio.Runner() as runner:
        site, heard = runner.run(start())
        assert site.loop is runner.get_loop()
    assert heard == [("sticky", "says so (__torana_workers__ = 'sticky')")]
    known = made(application)
    assert (known.interface, known.policy) == ("asgi3", "sticky")


def test_a_check_has_it_made_on_a_loop_of_its_own(place: Path) -> None:
    write(place, {"shop": ASYNC})
    assert asyncio.run(try_out(load_application(ApplicationOptions(target="shop")))).interface == "asgi3"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [("shop:create_app(fails=True)", "ZeroDivisionError"), ("shop:nothing", "returned nothing")],
)
def test_an_async_factory_that_fails_says_so_when_it_is_called(place: Path, target: str, sentence: str) -> None:
    write(place, {"shop": ASYNC})
    application = load_application(ApplicationOptions(target=target))
    with pytest.raises(LoadError) as refused:
        asyncio.run(application.object.startup())
    assert "the factory shop:" in str(refused.value).partition("\n")[0] and sentence in str(refused.value)


def test_what_is_said_of_an_async_factory_holds_for_what_it_makes(place: Path) -> None:
    write(place, {"shop": "async def make(): return lambda *args: None\n"})
    application = load_application(ApplicationOptions(target="shop:make", interface="wsgi", is_factory=True))
    assert application.interface == "wsgi"
    asyncio.run(application.object.startup())
    judged = judged_at_last(application.object)
    assert judged is not None and judged.interface == "wsgi"


def test_a_judged_object_is_judged_the_same_again() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    once = judge(app)
    assert judge(once.application, once.interface).interface == "asgi3"
    assert inspect.iscoroutinefunction(once.application)
