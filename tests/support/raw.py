"""A client of plain sockets, for what real clients hide: exact bytes out, each part of the answer in.

Lives here: connecting, reading one response at a time by RFC 9112 section 6.3. Never here: retries or repair.
"""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

TIMEOUT_S = 20.0
PIECE_BYTES = 1024 * 1024


@dataclass
class Answer:
    """One response as it stood on the wire; `body` is without chunk framing."""

    version: str
    status: int
    reason: str
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    #: "none", "length", "chunked" or "close".
    framing: str = "none"
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    #: False when the connection ended before the message did.
    is_complete: bool = True

    def get(self, name: str) -> bytes | None:
        """The field's value; several lines of one name are joined by a comma; None when absent."""
        values = self.get_all(name)
        return b", ".join(values) if values else None

    def get_all(self, name: str) -> list[bytes]:
        """The values of every line of that name, in order."""
        wanted = name.lower().encode()
        return [value for key, value in self.fields if key.lower() == wanted]


class Connection:
    """One connection to a server, by TCP or (a path) by a unix socket; a context manager."""

    def __init__(
        self,
        address: tuple[str, int] | str,
        *,
        timeout_s: float = TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
        receive_buffer_bytes: int = 0,
    ) -> None:
        self.socket = socket.socket(_family(address), socket.SOCK_STREAM)
        try:
            self.socket.settimeout(timeout_s)
            if receive_buffer_bytes:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            self.socket.connect(address)
            if self.socket.family != socket.AF_UNIX:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=server_name or address[0], session=session)
        except BaseException:
            self.socket.close()
            raise
        self._pending = bytearray()
        #: The connection ended with a reset.
        self.is_reset = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # out

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def request(self, method: str, target: str, *fields: str, body: bytes | None = None, version: str = "1.1") -> None:
        """Send a request; Host and Content-Length are added unless given."""
        lines = [f"{method} {target} HTTP/{version}"]
        given = {line.partition(":")[0].lower() for line in fields}
        if "host" not in given and version != "1.0":
            lines.append("Host: test.example")
        lines += fields
        if body is not None and "content-length" not in given and "transfer-encoding" not in given:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self.send(head + (body or b""))

    def ask(self, method: str, target: str, *fields: str, body: bytes | None = None, version: str = "1.1") -> Answer:
        """Send a request and read its answer."""
        self.request(method, target, *fields, body=body, version=version)
        return self.read(method)

    def finish_writing(self) -> None:
        """Half-close: nothing more will be sent, answers are still read."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close in the ordinary way (FIN)."""
        self.socket.close()

    def reset(self) -> None:
        """Close so that the peer sees a reset (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # in

    def read(self, method: str = "GET", *, skip_interim: bool = True) -> Answer:
        """Read one response to a request of `method`; interim ones (1xx) are passed over unless asked for."""
        while True:
            answer = self.read_head()
            if not 100 <= answer.status < 200 or not skip_interim:
                break
        self._choose_framing(answer, method)
        if answer.framing == "length":
            self._read_length(answer)
        elif answer.framing == "chunked":
            self._read_chunks(answer)
        elif answer.framing == "close":
            answer.body = self.read_to_end()
        return answer

    def read_head(self) -> Answer:
        """Read a status line and its fields, and no more."""
        head = self.read_until(b"\r\n\r\n")
        status_line, *lines = head[:-4].split(b"\r\n")
        version, _, rest = status_line.decode("latin-1").partition(" ")
        code, _, reason = rest.partition(" ")
        assert version in ("HTTP/1.0", "HTTP/1.1"), f"not a response: {head!r}"
        return Answer(version, int(code), reason, [_field(line) for line in lines])

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and including `mark`; EOFError, with what came, when the connection ends first."""
        start = 0
        while (found := self._pending.find(mark, start)) < 0:
            start = max(0, len(self._pending) - len(mark))
            if not self._fill():
                raise EOFError(self._take(len(self._pending)))
        return self._take(found + len(mark))

    def read_exactly(self, count: int) -> bytes:
        """Read `count` bytes; EOFError, with what came, when the connection ends first."""
        while len(self._pending) < count:
            if not self._fill():
                raise EOFError(self._take(len(self._pending)))
        return self._take(count)

    def read_to_end(self) -> bytes:
        """Read until the peer closes."""
        while self._fill():
            pass
        return self._take(len(self._pending))

    def read_some(self) -> bytes:
        """Whatever comes next; b"" at the end."""
        if not self._pending:
            self._fill()
        return self._take(len(self._pending))

    def is_ended(self) -> bool:
        """Wait for the peer's close; False when it sends something instead."""
        return not self._pending and not self._fill()

    def _choose_framing(self, answer: Answer, method: str) -> None:
        coding = (answer.get("transfer-encoding") or b"").lower()
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            answer.framing = "none"
        elif coding:
            assert coding == b"chunked", f"unexpected coding {coding!r}"
            answer.framing = "chunked"
        else:
            answer.framing = "close" if answer.get("content-length") is None else "length"

    def _read_length(self, answer: Answer) -> None:
        try:
            answer.body = self.read_exactly(int(answer.get("content-length") or b"0"))
        except EOFError as cut:
            answer.body, answer.is_complete = cut.args[0], False

    def _read_chunks(self, answer: Answer) -> None:
        parts: list[bytes] = []
        try:
            while (size := int(self.read_until(b"\r\n").split(b";")[0], 16)) > 0:
                parts.append(self.read_exactly(size))
                assert self.read_exactly(2) == b"\r\n", "a chunk's data must end in CRLF"
            while (line := self.read_until(b"\r\n")) != b"\r\n":
                answer.trailers.append(_field(line[:-2]))
        except EOFError:
            answer.is_complete = False
        answer.body = b"".join(parts)

    def _fill(self) -> bool:
        try:
            data = self.socket.recv(PIECE_BYTES)
        except (ConnectionResetError, BrokenPipeError):
            self.is_reset = True
            data = b""
        self._pending += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken


def exchange(address: tuple[str, int] | str, data: bytes) -> bytes:
    """Send bytes on a new connection, half-close, and return all that comes back."""
    with Connection(address) as connection:
        connection.send(data)
        connection.finish_writing()
        return connection.read_to_end()


def _family(address: tuple[str, int] | str) -> int:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    assert colon, f"not a field line: {line!r}"
    return name, value.strip(b" \t")
