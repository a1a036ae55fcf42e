"""A client of a Jupyter kernel: messages over the WebSocket of its channels, in both of Jupyter's protocols.

Lives here: sending, receiving, waiting for an answer. Never here: what a kernel is expected to say.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from websockets.sync.client import connect
from websockets.typing import Subprotocol

WAIT_S = 40.0
#: Binary frames instead of JSON, by a table of offsets.
V1 = "v1.kernel.websocket.jupyter.org"

Message = dict[str, Any]


class Kernel:
    """An open connection to a kernel's channels; make it with ``opened``."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.subprotocol = socket.subprotocol or ""
        self._session = uuid.uuid4().hex

    def execute(self, code: str) -> str:
        """Have code run; returns the id that what comes of it refers to."""
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": True,
        }  # fmt: skip
        return self.send("shell", "execute_request", content)

    def send(self, channel: str, kind: str, content: Message) -> str:
        """Send one message; returns its id."""
        name = uuid.uuid4().hex
        header = {
            "msg_id": name, "msg_type": kind, "session": self._session, "username": "", "version": "5.3",
            "date": "2026-11-22T00:00:00.000000Z",
        }  # fmt: skip
        if self.subprotocol == V1:
            parts = [channel.encode(), *(json.dumps(part).encode() for part in (header, {}, {}, content))]
            self.socket.send(_packed(parts))
        else:
            whole = {"channel": channel, "header": header, "parent_header": {}, "metadata": {}, "content": content}
            self.socket.send(json.dumps(whole | {"buffers": []}))
        return name

    def receive(self) -> Message:
        """The next message: channel, header, parent_header, metadata, content."""
        data = self.socket.recv(WAIT_S)
        if self.subprotocol != V1:
            message: Message = json.loads(data)
            return message
        parts = _unpacked(data)
        names = ("header", "parent_header", "metadata", "content")
        return {"channel": parts[0].decode(), **dict(zip(names, map(json.loads, parts[1:5]), strict=True))}

    def until(self, is_it: Callable[[Message], object]) -> Message:
        """The first message that is the one."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            message = self.receive()
            if is_it(message):
                return message
        raise AssertionError("the message did not come")

    def answer(self, name: str) -> Message:
        """The reply to a request, when its outputs have come too: their text as "text", ended by its status."""
        texts: list[str] = []
        reply: Message = {}
        is_idle = False
        while not (reply and is_idle):
            message = self.until(lambda each: each["parent_header"].get("msg_id") == name)
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                texts.append(content["text"])
            elif kind == "status":
                is_idle = content["execution_state"] == "idle"
            elif kind.endswith("_reply"):
                reply = content
        return reply | {"text": "".join(texts)}


def _packed(parts: list[bytes]) -> bytes:
    count = len(parts) + 1
    offsets = [8 * (count + 1)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{count + 1}Q", count, *offsets) + b"".join(parts)


def _unpacked(data: bytes) -> list[bytes]:
    (count,) = struct.unpack_from("<Q", data)
    offsets = struct.unpack_from(f"<{count}Q", data, 8)
    return [data[start:end] for start, end in itertools.pairwise(offsets)]


@contextlib.contextmanager
def opened(origin: str, kernel: str, token: str, *, is_v1: bool = False) -> Iterator[Kernel]:
    """The channels of a kernel while the block runs."""
    url = f"{origin.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels?token={token}"
    protocols = [Subprotocol(V1)] if is_v1 else None
    with connect(url, subprotocols=protocols, proxy=None, max_size=None) as socket:
        yield Kernel(socket)
