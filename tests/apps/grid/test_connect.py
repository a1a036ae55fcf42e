"""A Connect service by its own client, in each of its protocols: Connect, gRPC-Web (HTTP/1.1) and gRPC (HTTP/2)."""

from __future__ import annotations

import hashlib
import json
import queue
import sys
import uuid
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.apps.grid.asking import Asking, restart
from tests.apps.grid.declared import Site
from tests.apps.grid.serving import SITES_FOLDER, Served, let_go_on, serving

connect = pytest.importorskip("connectrpc.client")
errors = pytest.importorskip("connectrpc.errors")
http = pytest.importorskip("pyqwest")

from connectrpc.protocol import ProtocolType  # noqa: E402
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, StringValue  # noqa: E402

SITE = Site("Connect", "connect_site:app", ("connectrpc",))
PIECES = [hashlib.sha256(bytes([number])).digest() * 1024 for number in range(128)]  # 4 MiB
PROTOCOLS = {
    "Connect (connect-python)": (ProtocolType.CONNECT, http.HTTPVersion.HTTP1),
    "Connect over HTTP/2 (connect-python)": (ProtocolType.CONNECT, http.HTTPVersion.HTTP2),
    "gRPC-Web (connect-python)": (ProtocolType.GRPC_WEB, http.HTTPVersion.HTTP1),
    "gRPC (connect-python)": (ProtocolType.GRPC, http.HTTPVersion.HTTP2),
}


def protocols(*names: str) -> pytest.MarkDecorator:
    """Parametrises with some of them, each a row of the page."""
    marks = {name: pytest.mark.grid(app=name, package="connect-python") for name in names}
    return pytest.mark.parametrize("client", [pytest.param(name, marks=marks[name]) for name in names], indirect=True)


every_protocol = protocols(*PROTOCOLS)
#: Only here can both sides speak at once.
over_http2 = protocols("Connect over HTTP/2 (connect-python)", "gRPC (connect-python)")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(SITE, tmp_path_factory.mktemp("place")) as served:
        yield served


@pytest.fixture(scope="module")
def methods() -> Iterator[ModuleType]:
    """The site's own module, for its methods."""
    sys.path.insert(0, str(SITES_FOLDER))
    try:
        import connect_site

        yield connect_site
    finally:
        sys.path.remove(str(SITES_FOLDER))


@pytest.fixture
def client(request: pytest.FixtureRequest, served: Served) -> Iterator[Any]:
    with open_client(served, request.param) as client:
        yield client


def open_client(served: Served, name: str) -> Any:
    protocol, version = PROTOCOLS[name]
    transport = http.SyncHTTPTransport(http_version=version)
    return connect.ConnectClientSync(
        served.server.origin, protocol=protocol, timeout_ms=20_000, http_client=http.SyncClient(transport)
    )


@every_protocol
@pytest.mark.grid(check="plain request")
def test_call(client: Any, methods: ModuleType) -> None:
    answer = client.execute_unary(request=StringValue(value="Zoë & Søn"), method=methods.HELLO)
    assert answer.value == "Hello, Zoë & Søn!"


@every_protocol
@pytest.mark.grid(check="upload")
def test_large_message_and_many(client: Any, methods: ModuleType) -> None:
    content = b"".join(PIECES)
    expected = {"name": "content", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    answer = client.execute_unary(request=BytesValue(value=content), method=methods.UPLOAD)
    assert json.loads(answer.value) == expected
    messages = (BytesValue(value=piece) for piece in PIECES)
    answer = client.execute_client_stream(request=messages, method=methods.COLLECT)
    assert json.loads(answer.value) == expected


@every_protocol
@pytest.mark.grid(check="streaming")
def test_messages_arrive_one_by_one(served: Served, client: Any, methods: ModuleType) -> None:
    token = uuid.uuid4().hex
    with served.pipe(token) as pipe:
        answers = client.execute_server_stream(request=StringValue(value=token), method=methods.STREAM)
        assert next(answers).value == "first\n"
        let_go_on(pipe)
        assert [answer.value for answer in answers] == ["second\n"]


@over_http2
@pytest.mark.grid(check="both ways at once")
def test_both_ways_at_once(client: Any, methods: ModuleType) -> None:
    said: queue.SimpleQueue[StringValue | None] = queue.SimpleQueue()
    answers = client.execute_bidi_stream(request=iter(said.get, None), method=methods.ECHO)
    for number in range(5):
        # Each is sent when the one before has come back.
        said.put(StringValue(value=f"word {number}"))
        assert next(answers).value == f"word {number}"
    said.put(None)
    assert list(answers) == []


@every_protocol
@pytest.mark.grid(check="statuses")
def test_failure_has_its_code(client: Any, methods: ModuleType) -> None:
    with pytest.raises(errors.ConnectError) as failed:
        client.execute_unary(request=StringValue(value="füel"), method=methods.FAIL)
    assert (failed.value.code.value, failed.value.message) == ("resource_exhausted", "no more füel")


def ask_again_if_refused(client: Any, message: Any, method: Any) -> Any:
    """A stream beyond the last one that GOAWAY names was never begun and may be sent again (RFC 9113 section 6.8).

    This client has some that crossed it now and then, and leaves that to its user.
    """
    try:
        return client.execute_unary(request=message, method=method)
    except errors.ConnectError as error:
        if "refused by GOAWAY" not in str(error):
            raise
    return client.execute_unary(request=message, method=method)


@every_protocol
@pytest.mark.grid(check="restart under load")
def test_restart_under_load(request: pytest.FixtureRequest, served: Served, client: Any, methods: ModuleType) -> None:
    name = request.node.callspec.params["client"]

    def conversation(asking: Asking) -> None:
        with open_client(served, name) as client:
            for number in asking.numbers():
                asking.note(number, ask_again_if_refused(client, Int32Value(value=number), methods.LOAD).value)

    asking = Asking(*[conversation] * 4)
    with asking.going_on():
        restart(served.server, asking)
    assert not asking.failures
