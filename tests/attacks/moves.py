"""What a client of a crowd does with its connection: drip, not read, upload, ask nonsense, leave at once, shake hands.

Each move reads its words from the plan; texts are latin-1. Never here: the loop (``crowd``).
"""

from __future__ import annotations

import select
import socket
import ssl
import struct

from tests.attacks.crowd import Client, Group
from tests.support.http2 import PREFACE, SETTINGS, block, frame, settings

_ACKNOWLEDGED = frame(SETTINGS, 1, 0)
_HEADERS, _END_OF_STREAM_AND_HEADERS = 1, 0x5
#: Most that an uploading client hands to its socket at once.
_STEP_BYTES = 64 * 1024
#: SO_LINGER that makes a close a reset.
_RESET = struct.pack("ii", 1, 0)


class Drip(Client):
    """Says ``opening`` and then, every ``every_s`` (0: never), ``step`` more bytes of ``piece``, which has no end."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        words = self.words
        self._opening = words.get("opening", "").encode("latin-1")
        self._opening += b"x" * words.get("filling", 0)
        self._piece = words.get("piece", "").encode("latin-1")
        self._step = words.get("step", len(self._piece))
        self._every_s = words.get("every_s", 0)
        self._at = 0

    def begin(self) -> None:
        self._at = 0
        if self._opening:
            self.say(self._opening)
        else:
            self.said()

    def said(self) -> None:
        if self._every_s:
            self.wait(self._every_s)

    def due(self) -> None:
        at = self._at % len(self._piece)
        self._at = at + self._step
        self.say(self._piece[at : at + self._step])


class Taker(Client):
    """Says ``opening`` and then takes ``step`` bytes every ``every_s``; with ``every_s`` 0 it never reads."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self.interest = 0
        self._opening = self.words["opening"].encode("latin-1")

    def begin(self) -> None:
        self.say(self._opening)

    def said(self) -> None:
        if self.words.get("every_s"):
            self.wait(self.words["every_s"])

    def due(self) -> None:
        self.swallow(self.words["step"])
        if self.sock is not None:
            self.wait(self.words["every_s"])


class Http2Taker(Client):
    """Asks for ``path`` on ``streams`` streams with windows of ``window`` bytes, and never opens them again."""

    def begin(self) -> None:
        words = self.words
        fields = [
            (b":method", b"GET"), (b":scheme", b"http"), (b":path", words["path"].encode()), (b":authority", b"t"),
        ]  # fmt: skip
        heads = (
            frame(_HEADERS, _END_OF_STREAM_AND_HEADERS, 1 + 2 * at, block(fields)) for at in range(words["streams"])
        )
        self._is_acknowledged = False
        self.say(PREFACE + settings((4, words["window"])) + b"".join(heads))

    def readable(self) -> None:
        if self.swallow() and not self._is_acknowledged:
            self._is_acknowledged = True
            self.say(_ACKNOWLEDGED)


class Upload(Client):
    """A chunked body of ``size`` bytes, as fast as it is taken, ``pause_s`` apart; then the same again."""

    def begin(self) -> None:
        step = min(_STEP_BYTES, self.words["size"])
        self._chunk = b"%x\r\n%b\r\n" % (step, b"x" * step)
        self._left = -(-self.words["size"] // step)
        self.say(f"POST {self.words['path']} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def said(self) -> None:
        if self._left > 0 and self.words.get("pause_s"):
            self.wait(self.words["pause_s"])
        elif self._left > 0:
            self.due()

    def due(self) -> None:
        self._left -= 1
        self.say(self._chunk if self._left > 0 else self._chunk + b"0\r\n\r\n")

    def readable(self) -> None:
        if self.swallow() and self._left <= 0:
            self.group.ended(self, "closed")


class Asker(Client):
    """Says ``opening`` and waits for the connection's end."""

    def begin(self) -> None:
        self.say(self.words["opening"].encode("latin-1"))


class Passer(Client):
    """Connects and leaves at once, in the ordinary way or (``resets``) with a reset."""

    def begin(self) -> None:
        if self.words.get("resets"):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.group.ended(self, "left")


class Shaker(Client):
    """A whole TLS handshake, each with another server name; then it leaves at once, or (``stays``) says nothing."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self._context = _context(self.words.get("version", ""))
        self._count = 0

    def begin(self) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._count += 1
        name = f"n{id(self)}-{self._count}.example"
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._shake()

    def readable(self) -> None:
        data = self.swallow()
        if data:
            self._incoming.write(data)
            self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.say(self._outgoing.read())
            return
        except ssl.SSLError as error:
            self.group.ended(self, f"TLS {error.reason}")
            return
        self.say(self._outgoing.read())
        if self.sock is not None:
            self.group.count["handshakes"] += 1
            if self.words.get("stays"):
                self.interest = select.EPOLLRDHUP
                self.listen_for(self.interest)
            else:
                self.group.ended(self, "left")


def _context(version: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    return context


def client_hello(protocols: int = 0) -> bytes:
    """The first flight of a TLS client, with so many protocols in its ALPN list."""
    context = _context("")
    if protocols:
        context.set_alpn_protocols([f"p{number}" for number in range(protocols)])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="t.example")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("nobody has answered yet")


MOVES: dict[str, type[Client]] = {
    "drip": Drip,
    "take": Taker,
    "take over HTTP/2": Http2Taker,
    "upload": Upload,
    "ask": Asker,
    "pass": Passer,
    "shake": Shaker,
}
