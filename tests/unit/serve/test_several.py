"""Several applications, and the two halves of one site, found and loaded as one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torana.base.errors import LoadError
from torana.base.worker_policy import STICKY
from torana.exchange.roles import Gateway
from torana.gateway.build import build
from torana.gateway.choice import Halves, Several
from torana.gateway.options import ApplicationOptions, GatewayOptions, MountOptions
from torana.gateway.parts import Pair, Parts
from torana.serve.application import Application, given_application, load_application

WSGI = "def app(environ, start_response):\n    return []\n"
ASGI = "async def app(scope, receive, send):\n    pass\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory, and no module of it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(place: Path, **files: str) -> None:
    for name, text in files.items():
        path = place / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def mount(target: str, path: str = "", *hosts: str, app_dir: Path | None = None, **more: Any) -> MountOptions:
    application = ApplicationOptions(target, app_dir=str(app_dir) if app_dir else None)
    return MountOptions(application, hosts, path, **more)


def several(*mounts: MountOptions, target: str = "") -> Application:
    return load_application(ApplicationOptions(target, mounts=mounts))


def test_each_is_loaded_and_judged(place: Path) -> None:
    write(place, one_wsgi=WSGI, one_asgi=ASGI)
    found = several(mount("one_asgi:app", "/api", "x.org", "y.org", root_path=""), target="one_wsgi:app")
    assert [(where, each.name, each.interface) for where, each in found.parts] == [
        ("/", "one_wsgi:app", "wsgi"), ("x.org/api and y.org/api", "one_asgi:app", "asgi3"),
    ]  # fmt: skip
    assert found.name == "one_wsgi:app at /, one_asgi:app at x.org/api and y.org/api"
    assert found.interface == "wsgi+asgi3"
    assert isinstance(found.object, Parts)
    assert isinstance(build(found.object, found.interface, GatewayOptions(lifespan="off")), Several)


def test_without_a_target_nothing_is_searched(place: Path) -> None:
    write(place, main=ASGI, other=WSGI)
    assert [where for where, _ in several(mount("other:app", "/x")).parts] == ["/x"]


def test_one_that_fails_is_named(place: Path) -> None:
    write(place, fine=WSGI, broken="app = 5\n")
    with pytest.raises(LoadError, match=r"^broken:app at /x: "):
        several(mount("fine:app"), mount("broken:app", "/x"))


def test_two_at_the_root_are_refused(place: Path) -> None:
    write(place, fine=WSGI)
    with pytest.raises(LoadError, match="two applications are to be at /"):
        several(mount("fine:app"), target="fine:app")


def test_two_modules_of_one_name_are_told_apart(place: Path) -> None:
    write(place, a__main=WSGI, b__main=ASGI, c__main__views=ASGI)
    (place / "c" / "main" / "__init__.py").write_text("")
    with pytest.raises(LoadError, match="both called 'main'"):
        several(mount("main:app", "/a", app_dir=place / "a"), mount("main:app", "/b", app_dir=place / "b"))
    with pytest.raises(LoadError, match="both called 'main'"):
        several(mount("main:app", "/a", app_dir=place / "a"), mount("main.views:app", "/c", app_dir=place / "c"))
    same = several(mount("main:app", "/a", app_dir=place / "a"), mount("main:app", "/b", app_dir=place / "a"))
    assert [each.interface for _, each in same.parts] == ["wsgi", "wsgi"]


def test_the_strictest_policy_holds_for_all(place: Path) -> None:
    write(place, fine=WSGI)
    kept = Application(lambda scope, receive, send: None, "asgi3", "kept", "", "", STICKY, "keeps much in memory")
    from torana.serve.several import load_several

    found = load_several(ApplicationOptions(mounts=(mount("fine:app", "/x"),)), load_application, kept)
    assert (found.policy, found.policy_why) == (STICKY, "keeps much in memory (kept)")


def test_an_object_stands_at_the_root(place: Path) -> None:
    write(place, fine=ASGI)

    def site(environ: Any, start_response: Any) -> list[bytes]:
        return []

    found = given_application(site, ApplicationOptions(mounts=(mount("fine:app", "/x"),)))
    assert [(where, each.interface) for where, each in found.parts] == [("/", "wsgi"), ("/x", "asgi3")]
    paired = given_application(site, ApplicationOptions(asgi_target="fine:app"))
    assert isinstance(paired.object, Pair)
    assert paired.object.asgi_for == ("websocket",)


def test_options_of_each(place: Path) -> None:
    write(place, one_wsgi=WSGI, one_asgi=ASGI)
    found = several(
        mount("one_wsgi:app", "/w", threads=3),
        mount("one_asgi:app", "/a", lifespan="off"),
        mount("one_asgi:app", "/a/b", root_path="/a"),
        mount("one_asgi:app", "/a/c", root_path=""),
    )
    seen: list[tuple[str, GatewayOptions]] = []

    def keep(app: Any, interface: str, options: GatewayOptions) -> Gateway:
        seen.append((interface, options))
        return Gateway()

    from torana.gateway.build import _several

    _several(found.object, GatewayOptions(root_path="/pre", threads=9, lifespan="on"), keep)
    assert [(kind, each.root_path, each.mount, each.threads, each.lifespan) for kind, each in seen] == [
        ("wsgi", "/pre", "/w", 3, "on"), ("asgi3", "/pre", "/a", 9, "off"), ("asgi3", "/pre", "/a", 9, "on"),
        ("asgi3", "/pre", "", 9, "on"),
    ]  # fmt: skip


# Two halves


def test_halves_are_named(place: Path) -> None:
    write(place, web=WSGI, live=ASGI)
    found = load_application(ApplicationOptions("web:app", asgi_target="live:app", asgi_for=("websocket", "/sse/*")))
    assert (found.name, found.interface) == ("web:app + live:app", "wsgi+asgi3")
    assert found.why == "asgi_for gives websocket, /sse/* to ASGI"
    assert isinstance(build(found.object, found.interface, GatewayOptions(lifespan="off")), Halves)
    other_way = load_application(ApplicationOptions("live:app", asgi_target="web:app"))
    assert other_way.name == "web:app + live:app", "which is which, they tell themselves"


@pytest.mark.parametrize("target", ["shop.wsgi", "shop.wsgi:app", "shop.asgi:app"])
def test_the_other_half_is_found_beside_it(place: Path, target: str) -> None:
    write(place, shop____init__="", shop__wsgi=WSGI, shop__asgi=ASGI)
    found = load_application(ApplicationOptions(target, asgi_for=("/sse/*",)))
    assert found.name == "shop.wsgi:app + shop.asgi:app"


def test_halves_in_the_directory_itself(place: Path) -> None:
    write(place, wsgi=WSGI, asgi=ASGI)
    assert load_application(ApplicationOptions("wsgi:app", asgi_for=("websocket",))).name == "wsgi:app + asgi:app"


def test_a_half_that_cannot_be_found_is_asked_for(place: Path) -> None:
    write(place, web=WSGI, shop____init__="", shop__wsgi=WSGI)
    for target in ("web:app", "shop.wsgi:app"):
        with pytest.raises(LoadError, match="name its ASGI one with asgi_app"):
            load_application(ApplicationOptions(target, asgi_for=("websocket",)))


def test_two_halves_of_one_kind_are_refused(place: Path) -> None:
    write(place, one=WSGI, two=WSGI, three=ASGI, four=ASGI)
    for first, second in (("one:app", "two:app"), ("three:app", "four:app")):
        with pytest.raises(LoadError, match="asgi_for needs a WSGI and an ASGI application"):
            load_application(ApplicationOptions(first, asgi_target=second))


def test_halves_as_one_of_several(place: Path) -> None:
    write(place, web=WSGI, live=ASGI, rest=ASGI)
    site = MountOptions(ApplicationOptions("web:app", asgi_target="live:app"), path="/shop")
    found = several(site, mount("rest:app"))
    assert found.interface == "wsgi+asgi3"
    gateway = build(found.object, found.interface, GatewayOptions(lifespan="off"))
    assert gateway.takes_conversations()
