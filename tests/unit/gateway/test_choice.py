"""Which of several applications a request is for, whatever way its path and its host are written; and their lives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from torana.base.errors import LoadError
from torana.exchange.roles import Gateway
from torana.gateway.choice import Halves, Refusal, Several, pattern_of
from torana.gateway.readings import encoded, host_name, is_below, is_plain, readings, target_below, without
from torana.wire.events import RequestHead


class Named(Gateway):
    def __init__(
        self, name: str, notes: list[str] | None = None, *, refuses: str = "", converses: bool = False
    ) -> None:
        self.name = name
        self.notes = [] if notes is None else notes
        self.refuses = refuses
        self.converses = converses

    def takes_conversations(self) -> bool:
        return self.converses

    def answer(self, request: Any, response: Any) -> None:
        self._note("answer")

    def converse(self, duplex: Any) -> None:
        self._note("converse")

    def tick(self, now_s: float) -> None:
        self._note("tick")

    def running(self) -> int:
        return 2

    def waiting(self) -> int:
        return 1

    async def startup(self) -> None:
        self._note("startup")

    async def ready(self) -> None:
        self._note("ready")

    async def begin_drain(self) -> None:
        self._note("begin_drain")

    async def drained(self) -> None:
        self._note("drained")

    async def shutdown(self) -> None:
        self._note("shutdown")

    def _note(self, step: str) -> None:
        self.notes.append(f"{self.name} {step}")
        if step == self.refuses:
            raise LoadError("no") if step == "startup" else ValueError("no")


class Asked:
    """A request, as far as it is looked at."""

    def __init__(self, target: bytes = b"/", host: bytes | None = b"t", *, upgrade: bytes | None = None) -> None:
        head = RequestHead()
        head.target = target
        head.raw_path, _, head.query = target.partition(b"?")
        head.fields = [] if host is None else [(b"accept", b"*/*"), (b"host", host)]
        head.upgrade = upgrade
        self.head = head


class Told:
    def __init__(self, request: Asked) -> None:
        self.request = request


def several(*places: tuple[str, str], root_path: str = "") -> Several:
    """``places``: (host or "", path); each application is called as its place is written."""
    return Several(
        [(host + path or "/", (host,) if host else (), path, Named(host + path or "/")) for host, path in places],
        root_path,
    )


def chosen(gateway: Gateway, target: bytes = b"/", host: bytes | None = b"t") -> str | int:
    """The name of the application that answers, or the status that nobody's does."""
    found: Any = gateway.gateway_of(Asked(target, host))
    return int(found.status) if isinstance(found, Refusal) else str(found.name)


PATHS = several(("", ""), ("", "/api"), ("", "/api/v2"), ("", "/größe"))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/", "/"),
        (b"*", "/"),
        (b"", "/"),
        (b"/x", "/"),
        (b"/api", "/api"),
        (b"/api/", "/api"),
        (b"/api?x=/api/v2", "/api"),
        (b"/api/v1", "/api"),
        (b"/api/v2", "/api/v2"),
        (b"/api/v2/x", "/api/v2"),
        (b"/api/v22", "/api"),
        (b"/apix", "/"),
        (b"/apix/v2", "/"),
        (b"/API", "/"),
        (b"/x/api", "/"),
        (b"/api;x", "/"),
        (b"/gr%C3%B6%C3%9Fe/x", "/größe"),
        (b"/.well-known/x", "/"),
        (b"/api/.well-known/x", "/api"),
    ],
)
def test_the_longest_path_at_a_segments_end(target: bytes, name: str) -> None:
    assert chosen(PATHS, target) == name


@pytest.mark.parametrize(
    ("target", "name"),
    [
        # Another way to write the same.
        (b"/%61pi/x", "/api"),
        (b"/api/%76%32", "/api/v2"),
        (b"/api/x%20y", "/api"),
        (b"/a%2Fb", "/"),
        (b"/api/a%2fb", "/api"),
        (b"//x", "/"),
        (b"/x//y", "/"),
        (b"/api//x", "/api"),
        (b"/x/../y", "/"),
        (b"/api/./x", "/api"),
        (b"/api/..x", "/api"),
        # Decoded once, not twice.
        (b"/%2561pi", "/"),
        # One reader would take it for another application than the next.
        (b"//api", 400),
        (b"/./api", 400),
        (b"/x/../api", 400),
        (b"/x/%2e%2e/api/y", 400),
        (b"/x/%2E./api", 400),
        (b"/../api", 400),
        (b"/api/..", 400),
        (b"/api/../x", 400),
        (b"/api//v2", 400),
        (b"/api/%2e/v2", 400),
        (b"/api%2Fx", 400),
        (b"/api%2fv2", 400),
        (b"/api/v2%2Fx", 400),
        (b"/%2Fapi", 400),
        (b"/api%2f..%2fx", 400),
    ],
)
def test_there_is_no_way_round(target: bytes, name: str | int) -> None:
    assert chosen(PATHS, target) == name


def test_nobodys_path_is_not_found() -> None:
    gateway = several(("", "/api"), ("", "/shop"))
    assert chosen(gateway, b"/") == 404
    assert chosen(gateway, b"*") == 404
    assert chosen(gateway, b"/apix") == 404
    assert chosen(gateway, b"/shop/x") == "/shop"


def test_what_a_proxy_leaves_or_takes_of_the_servers_own_mount_point() -> None:
    gateway = several(("", ""), ("", "/api"), root_path="/pre")
    for target in (b"/api/x", b"/pre/api/x", b"/pre/%61pi/x"):
        assert chosen(gateway, target) == "/api"
    for target in (b"/x", b"/pre", b"/pre/x", b"/prex/api", b"/pre/x/api"):
        assert chosen(gateway, target) == "/"


HOSTS = several(
    ("", ""), ("", "/open"), ("a.example", ""), ("a.example", "/x"), ("*.example", ""), ("*.b.example", "/x"),
    ("[::1]", ""), ("only.org", "/x"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("host", "target", "name"),
    [
        (b"a.example", b"/", "a.example"),
        (b"A.Example", b"/", "a.example"),
        (b"a.example:8443", b"/", "a.example"),
        (b"a.example.", b"/", "a.example"),
        (b"a.example.:80", b"/", "a.example"),
        (b"a.example:", b"/", "a.example"),
        (b"a.example", b"/x/y", "a.example/x"),
        # A host's own applications come before those of every host, however long their path.
        (b"a.example", b"/open", "a.example"),
        (b"c.example", b"/open", "*.example"),
        (b"x.a.example", b"/", "*.example"),
        (b"x.b.example", b"/x", "*.b.example/x"),
        (b"x.b.example", b"/", "*.example"),
        (b"b.example", b"/x", "*.example"),
        (b"example", b"/open", "/open"),
        (b".example", b"/", "/"),
        (b"notexample", b"/", "/"),
        (b"a.example.evil", b"/", "/"),
        (b"evil-a.example", b"/", "*.example"),
        (b"[::1]", b"/", "[::1]"),
        (b"[::1]:80", b"/", "[::1]"),
        (b"[::1", b"/", "/"),
        (b"only.org", b"/x", "only.org/x"),
        (b"only.org", b"/y", "/"),
        (b"", b"/", "/"),
        (None, b"/open", "/open"),
    ],
)
def test_the_most_exact_host(host: bytes | None, target: bytes, name: str) -> None:
    assert chosen(HOSTS, target, host) == name
    assert chosen(HOSTS, target, host) == name, "from memory"


def test_a_host_that_nobody_has_is_misdirected() -> None:
    gateway = several(("a.example", "/x"), ("*.b.example", ""))
    assert chosen(gateway, b"/", b"other") == 421
    assert chosen(gateway, b"/", None) == 421
    assert chosen(gateway, b"/y", b"a.example") == 404
    assert chosen(gateway, b"/y", b"b.example") == 421
    assert chosen(gateway, b"/y", b"x.b.example") == "*.b.example"


def test_two_hosts_are_none() -> None:
    asked = Asked(b"/", b"a.example")
    asked.head.fields.append((b"host", b"b.example"))
    gateway: Any = several(("a.example", ""), ("b.example", "")).gateway_of(asked)
    assert gateway.status == 421


def test_many_hosts_do_not_pile_up() -> None:
    gateway = several(("a.example", ""), ("*.b.example", ""))
    for number in range(5000):
        assert chosen(gateway, b"/", b"%d.b.example" % number) == "*.b.example"
    assert chosen(gateway, b"/", b"x" * 10_000) == 421
    assert chosen(gateway, b"/", b"a.example") == "a.example"


def test_who_asks_and_who_answers_are_led_to_the_same() -> None:
    notes: list[str] = []
    api, site = Named("api", notes, converses=True), Named("site", notes)
    gateway = Several([("site", (), "", site), ("api", (), "/api", api)])
    assert gateway.takes_conversations()
    assert not gateway.takes_tunnels()
    gateway.answer(Asked(b"/"), None)
    gateway.answer(Asked(b"/api"), None)
    gateway.converse(Told(Asked(b"/api/ws")))
    gateway.tick(1.0)
    assert notes == ["site answer", "api answer", "api converse", "site tick", "api tick"]
    assert (gateway.running(), gateway.waiting()) == (4, 2)
    nobody = Several([("api", (), "/api", api)]).gateway_of(Asked(b"/"))
    assert nobody.takes_tunnels(), "a handshake gets its status in both versions"
    assert not nobody.takes_conversations()


def test_one_choice_within_another() -> None:
    halves = Halves(("wsgi", Named("wsgi")), ("asgi", Named("asgi")), ("/live/*",), "/pre", "/shop")
    gateway = Several([("shop", (), "/shop", halves), ("site", (), "", Named("site"))], "/pre")
    assert chosen(gateway, b"/shop/live/x") == "asgi"
    assert chosen(gateway, b"/pre/shop/live/x") == "asgi"
    assert chosen(gateway, b"/shop/x") == "wsgi"
    assert chosen(gateway, b"/live/x") == "site"


# Two halves of one site


def halves(*asgi_for: str) -> Halves:
    return Halves(("wsgi", Named("wsgi")), ("asgi", Named("asgi")), asgi_for)


def half(
    gateway: Gateway, target: bytes, upgrade: bytes | None = None, method: str = "GET", version: str = "1.1"
) -> Any:
    asked = Asked(target, upgrade=upgrade)
    asked.head.method, asked.head.version = method, version
    found: Any = gateway.gateway_of(asked)
    return found.status if isinstance(found, Refusal) else found.name


def test_websockets_go_to_the_asgi_half() -> None:
    gateway = halves("websocket")
    assert half(gateway, b"/x") == "wsgi"
    assert half(gateway, b"/x", b"websocket") == "asgi"
    assert half(gateway, b"/x", b"WebSocket") == "asgi"
    assert half(gateway, b"/x", b"websocket", "CONNECT", "2") == "asgi"
    assert half(gateway, b"/x", b"websocket", "POST") == "wsgi"
    assert half(gateway, b"/x", b"h2c") == "wsgi"
    assert half(halves("/sse/*"), b"/x", b"websocket") == "wsgi"


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("/sse/*", [b"/sse/", b"/sse/a", b"/sse/a/b"], [b"/sse", b"/ssex", b"/a/sse/b", b"/SSE/a"]),
        ("/events", [b"/events", b"/%65vents"], [b"/events/", b"/eventsx", b"/a/events"]),
        ("/rooms/*/events", [b"/rooms/1/events", b"/rooms/a%20b/events"], [b"/rooms/1/2/events", b"/rooms/1/events/x"]),
        ("/rooms/*/", [b"/rooms/1/", b"/rooms/a%20b/"], [b"/rooms/1", b"/rooms/a%20b"]),
        ("/a.b", [b"/a.b"], [b"/axb"]),
        ("/*", [b"/", b"/x", b"/x\n/y"], []),
        ("/größe/*", [b"/gr%C3%B6%C3%9Fe/x"], [b"/gr"]),
    ],
)
def test_patterns_of_paths(pattern: str, matching: list[bytes], other: list[bytes]) -> None:
    gateway = halves("websocket", "/never", pattern)
    assert {target: half(gateway, target) for target in matching} == dict.fromkeys(matching, "asgi")
    assert {target: half(gateway, target) for target in other} == dict.fromkeys(other, "wsgi")


def test_a_path_that_means_both_halves_is_refused() -> None:
    gateway = halves("/sse/*")
    assert half(gateway, b"//sse/x") == 400
    assert half(gateway, b"/sse/../x") == 400
    assert half(gateway, b"/x/..") == "wsgi"


# Readings


def test_readings_of_a_path() -> None:
    assert is_plain(b"/a/b.c/d")
    assert [is_plain(path) for path in (b"/%61", b"//", b"/a/.b", b"/..")] == [False] * 4
    assert readings(b"/a//%2e%2E/b%2fc") == [b"/a//../b/c", b"/a//../b%2Fc", b"/b/c", b"/b%2Fc"]
    assert is_below(b"/a", b"/a")
    assert is_below(b"/a/b", b"/a")
    assert not is_below(b"/ab", b"/a")
    assert not is_below(b"/", b"/a")
    assert without(b"/a/b", b"/a") == b"/b"
    assert without(b"/ab", b"/a") == b"/ab"
    assert host_name(b"A.b:1") == b"a.b"
    assert host_name(b".") == b"."
    assert readings(b"/%61/./")[1:] == [b"/a/"]
    assert readings(b"/../")[1:] == [b"/"]
    assert pattern_of("/a*b/*") == b"/a[^/]*b/.*"


# Lives


def live(gateway: Gateway) -> None:
    async def steps() -> None:
        await gateway.startup()
        await gateway.ready()
        await gateway.begin_drain()
        await gateway.drained()
        await gateway.shutdown()

    asyncio.run(steps())


def test_all_live_all_steps() -> None:
    notes: list[str] = []
    live(Several([(name, (), "/" + name, Named(name, notes)) for name in ("a", "b")]))
    assert notes == [
        "a startup", "b startup", "a ready", "b ready", "a begin_drain", "b begin_drain", "a drained", "b drained",
        "b shutdown", "a shutdown",
    ]  # fmt: skip


def test_a_refusal_ends_those_that_have_started() -> None:
    notes: list[str] = []
    parts = [("a", Named("a", notes)), ("b", Named("b", notes)), ("c", Named("c", notes, refuses="startup"))]
    gateway = Several([(name, (), "/" + name, part) for name, part in [*parts, ("d", Named("d", notes))]])
    with pytest.raises(LoadError, match=r"^c: no"):
        asyncio.run(gateway.startup())
    assert notes == ["a startup", "b startup", "c startup", "b shutdown", "a shutdown"]


def test_a_start_that_is_called_off_ends_those_that_have_started() -> None:
    notes: list[str] = []

    class Slow(Named):
        async def startup(self) -> None:
            await asyncio.Event().wait()

    async def called_off() -> None:
        gateway = Several([("a", (), "", Named("a", notes)), ("b", (), "/b", Slow("b", notes))])
        starting = asyncio.ensure_future(gateway.startup())
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(called_off())
    assert notes == ["a startup", "a shutdown"]


@pytest.mark.parametrize("step", ["ready", "begin_drain", "drained", "shutdown"])
def test_one_that_fails_does_not_stop_the_others(step: str, caplog: pytest.LogCaptureFixture) -> None:
    notes: list[str] = []
    live(Several([("a", (), "/a", Named("a", notes, refuses=step)), ("b", (), "", Named("b", notes, refuses=step))]))
    assert f"a {step}" in notes
    assert f"b {step}" in notes
    assert {"a shutdown", "b shutdown"} <= set(notes)
    assert [record.getMessage() for record in caplog.records] == [f"A step in an application's life failed: {step}"] * 2


def test_goodbyes_are_said_at_the_same_time() -> None:
    async def meet() -> None:
        both = asyncio.Barrier(2)

        class Polite(Named):
            async def begin_drain(self) -> None:
                await asyncio.wait_for(both.wait(), 10)

            async def shutdown(self) -> None:
                await asyncio.wait_for(both.wait(), 10)

        gateway = Several([("a", (), "/a", Polite("a")), ("b", (), "", Polite("b"))])
        await gateway.startup()
        await gateway.begin_drain()
        await gateway.shutdown()
        assert both.n_waiting == 0

    asyncio.run(meet())


def test_targets_of_applications_that_know_no_mount_points() -> None:
    cases = {b"/a/b?c": b"/b?c", b"/a": b"/", b"/a?b": b"/?b", b"/a/": b"/", b"/ab": b"/ab", b"/": b"/", b"*": b"*"}
    assert {target: target_below(target, b"/a") for target in cases} == cases
    assert encoded("/größe/a b") == b"/gr%C3%B6%C3%9Fe/a%20b"
