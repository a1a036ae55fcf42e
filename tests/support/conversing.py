"""A conversation without a network: a link and a channel that record what leaves, and the duplex between them.

Lives here: what serve would be told, what it would tell. Never here: frames, what an application should do.
"""

from __future__ import annotations

from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.duplex import Duplex
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.exchange.roles import Answerer, Channel, Link
from torana.wire.events import RequestHead

QUEUE_BYTES = 64 * 1024


class RecordingLink(Link):
    """What the frames would be made of, in order."""

    def __init__(self) -> None:
        #: (kind, ...) of each act.
        self.acts: list[tuple[Any, ...]] = []
        self.full = False
        self.wanted = 0
        self.has_ended = False
        #: Pushed when there is room for messages again.
        self.held: list[Any] = []
        self.duplex: Duplex | None = None

    def open(self, subprotocol: str | None, fields: Any) -> None:
        self.acts.append(("open", subprotocol, list(fields)))

    def send(self, data: Any) -> None:
        self.acts.append(("send", data))

    def close(self, code: int, reason: str) -> None:
        self.acts.append(("close", code, reason))

    def want_messages(self) -> None:
        self.wanted += 1
        duplex = self.duplex
        assert duplex is not None
        while self.held and not duplex.is_full():
            duplex.push(self.held.pop(0))

    def is_full(self) -> bool:
        return self.full

    def ended(self) -> None:
        assert not self.has_ended, "ended twice"
        self.has_ended = True

    def sent(self) -> list[Any]:
        """The messages alone."""
        return [act[1] for act in self.acts if act[0] == "send"]


class RecordingChannel(Channel):
    """The answer that a handshake got instead."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.is_complete = False
        self.is_aborted = False
        self.full = False

    def respond(self, status: int, reason: Any, fields: Any, length: int, data: Any, is_end: bool) -> None:
        assert self.status == 0, "a second head"
        self.status, self.fields = status, list(fields)
        self.write(data, is_end)

    def write(self, data: Any, is_end: bool) -> None:
        assert not self.is_complete
        self.body += bytes(data)
        self.is_complete = is_end

    def abort(self) -> None:
        self.is_aborted = True

    def is_full(self) -> bool:
        return self.full

    def want_body(self) -> None:
        pass


class Listener(Answerer):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.arrivals = 0
        self.ends = 0

    def body_arrived(self) -> None:
        self.arrivals += 1

    def disconnected(self) -> None:
        self.ends += 1


def handshake(
    *,
    subprotocols: tuple[str, ...] = (),
    fields: tuple[tuple[bytes, bytes], ...] = ((b"host", b"a"),),
    target: bytes = b"/",
    version: str = "1.1",
    scheme: str = "http",
    tls: dict[str, Any] | None = None,
    queue_bytes: int = QUEUE_BYTES,
) -> Duplex:
    """A conversation whose client waits for the answer to its handshake."""
    head = RequestHead()
    head.method = "GET"
    head.target = target
    head.raw_path, _, head.query = target.partition(b"?")
    head.fields = list(fields)
    head.version = version
    head.upgrade = b"websocket"
    link, channel = RecordingLink(), RecordingChannel()
    request = Request(head, Endpoints(("10.0.0.1", 5), ("10.0.0.2", 80), scheme, tls), channel, 0, 1024)
    duplex = Duplex(request, Response(channel, request), link, list(subprotocols), queue_bytes)
    link.duplex = duplex
    return duplex
