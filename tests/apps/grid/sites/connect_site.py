"""A service of connect-python for the grid: Connect, gRPC-Web and gRPC at once, without generated code.

Messages are protobuf's own wrappers of one value; METHODS serves the client too.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, StringValue
from outside import awaited_pieces, numbered, told

SERVICE = "torana.Grid"


def method(name: str, taken: type[Any], given: type[Any] = StringValue) -> MethodInfo[Any, Any]:
    """One method of the service."""
    return MethodInfo(
        name=name, service_name=SERVICE, input=taken, output=given, idempotency_level=IdempotencyLevel.NO_SIDE_EFFECTS
    )


HELLO = method("Hello", StringValue)
UPLOAD = method("Upload", BytesValue)
STREAM = method("Stream", StringValue)
COLLECT = method("Collect", BytesValue)
ECHO = method("Echo", StringValue)
FAIL = method("Fail", StringValue)
LOAD = method("Load", Int32Value)


class Service:
    """What the methods do."""

    async def hello(self, request: StringValue, context: Any) -> StringValue:
        return StringValue(value=f"Hello, {request.value}!")

    async def upload(self, request: BytesValue, context: Any) -> StringValue:
        return StringValue(value=json.dumps(told("content", request.value)))

    async def stream(self, request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        async for piece in awaited_pieces(request.value):
            yield StringValue(value=piece.decode())

    async def collect(self, requests: AsyncIterator[BytesValue], context: Any) -> StringValue:
        content = b"".join([request.value async for request in requests])
        return StringValue(value=json.dumps(told("content", content)))

    async def echo(self, requests: AsyncIterator[StringValue], context: Any) -> AsyncIterator[StringValue]:
        async for request in requests:
            yield request

    async def fail(self, request: StringValue, context: Any) -> StringValue:
        raise ConnectError(Code.RESOURCE_EXHAUSTED, f"no more {request.value}")

    async def load(self, request: Int32Value, context: Any) -> StringValue:
        return StringValue(value=numbered(request.value))

    def endpoints(self) -> Mapping[str, Any]:
        """What a generated module would list."""
        found = [
            Endpoint.unary(HELLO, self.hello),
            Endpoint.unary(UPLOAD, self.upload),
            Endpoint.server_stream(STREAM, self.stream),
            Endpoint.client_stream(COLLECT, self.collect),
            Endpoint.bidi_stream(ECHO, self.echo),
            Endpoint.unary(FAIL, self.fail),
            Endpoint.unary(LOAD, self.load),
        ]
        return {f"/{SERVICE}/{endpoint.method.name}": endpoint for endpoint in found}


class Application(ConnectASGIApplication[Service]):
    """What a generated module would subclass."""

    @property
    def path(self) -> str:
        return f"/{SERVICE}"


app = Application(service=Service(), endpoints=Service.endpoints, read_max_bytes=32 << 20)
