"""What an ASGI 3 application is given: the call, the scope, their types and their freshness."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, running

HERE = Path(__file__).parent


def describe(server: Server, target: str = "/", *fields: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    with Connection(server.address) as connection:
        answer = connection.ask(method, target, *fields, **more)
    assert answer.status == 200, answer
    result: dict[str, Any] = json.loads(answer.body)
    return result


def as_bytes(value: dict[str, str]) -> bytes:
    """A value the probe marked as bytes."""
    assert value.keys() == {"bytes"}
    return value["bytes"].encode("latin-1")


def fields_of(seen: dict[str, Any], *names: str) -> list[tuple[bytes, bytes]]:
    """The fields of these names (of all, when none is given) in the order received."""
    pairs = [(as_bytes(name), as_bytes(value)) for name, value in seen["scope"]["headers"]]
    return [pair for pair in pairs if not names or pair[0].decode() in names]


# the call


def test_types_of_the_scope(probe: Server) -> None:
    seen = describe(probe, "/a?b=c")
    assert seen["scope_type"] == "dict"
    exact = {
        "type": "str",
        "asgi": "dict",
        "http_version": "str",
        "method": "str",
        "scheme": "str",
        "path": "str",
        "raw_path": "bytes",
        "query_string": "bytes",
        "root_path": "str",
        "headers": "list",
        "state": "dict",
        "extensions": "dict",
    }
    assert {key: seen["types"].get(key) for key in exact} == exact
    assert seen["headers_twice"] is True
    assert seen["header_types"] in (["tuple"], ["list"])
    assert "strange" not in json.dumps(seen["scope"])


def test_versions(probe: Server) -> None:
    assert describe(probe)["scope"]["asgi"] == {"version": "3.0", "spec_version": "2.5"}


def test_one_call_for_each_request_of_a_connection(probe: Server) -> None:
    with Connection(probe.address) as connection:
        calls = [json.loads(connection.ask("GET", "/").body)["calls"] for _ in range(3)]
    assert calls == [calls[0], calls[0] + 1, calls[0] + 2]


def test_nothing_leaks_from_one_call_into_the_next(probe: Server) -> None:
    with Connection(probe.address) as connection:
        before = json.loads(connection.ask("GET", "/").body)
        assert json.loads(connection.ask("GET", "/do/spoil").body) == "spoilt"
        after = json.loads(connection.ask("GET", "/").body)
    for seen in (before, after):
        del seen["calls"]
    assert after == before


def test_runs_as_a_task_in_the_main_thread(probe: Server) -> None:
    seen = describe(probe)
    assert seen["is_main_thread"] is True
    assert seen["task"] != "NoneType"


def test_loop_threads_timeouts_and_tasks_work(probe: Server) -> None:
    assert describe(probe, "/do/threads") == {"thread": True, "task": "slept", "send_task": ["http.request"]}


def test_state_is_a_copy_that_shares_its_objects(probe: Server) -> None:
    seen = describe(probe)
    assert seen["state"] == ["shared"]
    assert seen["state_is_shared"] is True


def test_context_is_as_startup_left_it(probe: Server) -> None:
    assert describe(probe)["held"] == "from startup"


# the scope's values


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_http_version(probe: Server, version: str) -> None:
    assert describe(probe, version=version)["scope"]["http_version"] == version


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH"])
def test_method(probe: Server, method: str) -> None:
    assert describe(probe, method=method)["scope"]["method"] == method


def test_method_in_lower_case_is_not_taken_for_another(probe: Server) -> None:
    with Connection(probe.address) as connection:
        assert connection.ask("get", "/").status in (400, 501)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", b""),
        ("/a?", "/a", b""),
        ("/a?b=c?d=%20%ff+", "/a", b"b=c?d=%20%ff+"),
        ("/a%3Fb?c", "/a?b", b"c"),
        ("/a%2Fb", "/a/b", b""),
        ("/%C3%BC", "/ü", b""),
        ("/%ff%fe", "/\ufffd\ufffd", b""),
        ("//a//b", "//a//b", b""),
        ("/a/../b/./c", "/a/../b/./c", b""),
        ("/a;p=1/b+c", "/a;p=1/b+c", b""),
        ("/%2525", "/%25", b""),
        ("/%41%42", "/AB", b""),
        ("/a%20b", "/a b", b""),
    ],
)
def test_path_and_query(probe: Server, target: str, path: str, query: bytes) -> None:
    scope = describe(probe, target)["scope"]
    assert (scope["path"], as_bytes(scope["query_string"])) == (path, query)
    assert as_bytes(scope["raw_path"]) == target.partition("?")[0].encode()


@pytest.mark.parametrize("target", ["/%zz", "/%", "/a%4"])
def test_broken_percent_stays_literal_or_is_refused(probe: Server, target: str) -> None:
    with Connection(probe.address) as connection:
        answer = connection.ask("GET", target)
    assert answer.status == 400 or json.loads(answer.body)["scope"]["path"] == target


def test_absolute_form(probe: Server) -> None:
    seen = describe(probe, "http://real.example:81/x%20y?z", "Host: real.example:81")
    assert (seen["scope"]["path"], as_bytes(seen["scope"]["raw_path"])) == ("/x y", b"/x%20y")
    assert as_bytes(seen["scope"]["query_string"]) == b"z"
    assert fields_of(seen, "host") == [(b"host", b"real.example:81")]
    assert describe(probe, "http://real.example", "Host: real.example")["scope"]["path"] == "/"


def test_absolute_form_that_contradicts_host_is_refused(probe: Server) -> None:
    with Connection(probe.address) as connection:
        assert connection.ask("GET", "http://real.example/", "Host: other.example").status == 400


@pytest.mark.parametrize(("method", "target"), [("GET", "/a#b"), ("GET", "/?a#b"), ("GET", "*"), ("GET", "a")])
def test_targets_that_are_refused(probe: Server, method: str, target: str) -> None:
    with Connection(probe.address) as connection:
        assert connection.ask(method, target).status == 400


def test_asterisk(probe: Server) -> None:
    scope = describe(probe, "*", method="OPTIONS")["scope"]
    assert (scope["path"], as_bytes(scope["raw_path"])) == ("*", b"*")


def test_scheme_and_root_path(probe: Server) -> None:
    scope = describe(probe)["scope"]
    assert (scope["type"], scope["scheme"], scope["root_path"]) == ("http", "http", "")


def test_fields_keep_their_order_and_their_bytes(probe: Server) -> None:
    seen = describe(probe, "/", "X-A: 1", "Y:   2 \t ", "x-a: 3", "X-FOO:", "X-Latin: \xe9\xff")
    assert fields_of(seen, "x-a") == [(b"x-a", b"1"), (b"x-a", b"3")]
    assert fields_of(seen, "y", "x-foo", "x-latin") == [(b"y", b"2"), (b"x-foo", b""), (b"x-latin", b"\xe9\xff")]


def test_names_with_an_underscore_cannot_pass_for_others(probe: Server) -> None:
    seen = describe(probe, "/", "X-Foo: 1", "X_Foo: 2", "x_foo: 3")
    assert fields_of(seen, "x-foo", "x_foo") == [(b"x-foo", b"1")]


def test_client_and_server(probe: Server) -> None:
    with Connection(probe.address) as connection:
        here = connection.socket.getsockname()
        scope = json.loads(connection.ask("GET", "/").body)["scope"]
    assert scope["client"] == [here[0], here[1]]
    assert scope["server"] == [probe.host, probe.port]


def test_extensions(probe: Server) -> None:
    extensions = describe(probe)["scope"]["extensions"]
    assert {
        "http.response.pathsend",
        "http.response.early_hint",
        "http.response.trailers",
        "http.response.zerocopysend",
    } <= extensions.keys()
    assert not {"tls", "http.response.push", "http.response.debug"} & extensions.keys()
    assert all(type(value) is dict for value in extensions.values())


def test_chunked_body_is_decoded(probe: Server) -> None:
    with Connection(probe.address) as connection:
        connection.request("POST", "/", "Transfer-Encoding: chunked")
        connection.send(b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n")
        seen = json.loads(connection.read("POST").body)
    assert b"".join(as_bytes(event["body"]) for event in seen["events"]) == b"abcde"
    assert fields_of(seen, "x-trailer") == []


def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with running("asgi_probe:app", "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", app_dir=HERE):
        with Connection(path) as connection:
            scope = json.loads(connection.ask("GET", "/").body)["scope"]
    assert scope.get("client") is None
    assert scope["server"] == [path, None]


def test_ipv6() -> None:
    try:
        with running("asgi_probe:app", "--bind", "[::1]:0", app_dir=HERE) as server:
            scope = describe(server)["scope"]
            assert scope["client"][0] == "::1"
            assert scope["server"] == ["::1", server.port]
    except AssertionError as error:
        if "ddress not available" in str(error) or "not supported" in str(error):
            pytest.skip("no IPv6 on the loopback of this machine")
        raise


# root_path


@pytest.fixture(scope="module", params=["/api", "/api/"])
def mounted(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running("asgi_probe:app", "--root-path", request.param, app_dir=HERE) as server:
        yield server


@pytest.mark.parametrize(
    ("target", "path"),
    [("/x", "/api/x"), ("/api/x", "/api/x"), ("/apix", "/api/apix"), ("/api", "/api"), ("/", "/api/")],
)
def test_root_path_is_part_of_the_path_once(mounted: Server, target: str, path: str) -> None:
    scope = describe(mounted, target)["scope"]
    assert (scope["root_path"], scope["path"]) == ("/api", path)
    assert as_bytes(scope["raw_path"]) == target.encode(), "raw_path is as received"


# what counts as an application

SHAPES = """
import functools

async def three(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"here"})

async def with_more(name, scope, receive, send):
    await three(scope, receive, send)

partial = functools.partial(with_more, "x")

def plain(scope, receive, send):
    return three(scope, receive, send)

class Instance:
    async def __call__(self, scope, receive, send):
        await three(scope, receive, send)
    async def method(self, scope, receive, send):
        await three(scope, receive, send)
    def plain_method(self, scope, receive, send):
        return three(scope, receive, send)

instance = Instance()
method = instance.method
plain_method = instance.plain_method

def closure(scope):
    async def inner(receive, send):
        await three(scope, receive, send)
    return inner

class Two:
    def __init__(self, scope):
        self.scope = scope
    async def __call__(self, receive, send):
        await three(self.scope, receive, send)

def hinted(*arguments):
    return three(*arguments)
hinted._asgi_single_callable = True

def hinted_two(*arguments):
    return closure(*arguments)
hinted_two._asgi_double_callable = True

def create():
    return three
"""


@pytest.mark.parametrize(
    "name",
    ["three", "partial", "plain", "instance", "method", "plain_method", "closure", "Two", "hinted", "hinted_two"],
)
def test_shapes_of_applications(tmp_path: Path, name: str) -> None:
    (tmp_path / "shapes.py").write_text(SHAPES)
    with running(f"shapes:{name}", app_dir=tmp_path) as server, Connection(server.address) as connection:
        assert connection.ask("GET", "/").body == b"here"


def test_factory(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(SHAPES)
    with running("shapes:create", "--factory", app_dir=tmp_path) as server, Connection(server.address) as connection:
        assert connection.ask("GET", "/").body == b"here"
