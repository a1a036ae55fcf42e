"""Whole answers without the way by bytes: what aiohttp would write down for us to read again, it hands over as it is.

A stream writer that differs from aiohttp's own in one case, the most frequent: head and body are there together and
have a length. All else is written by aiohttp, and read by ``inner_http1``. Never here: streamed or compressed bodies,
files, answers without a body. Where a version of aiohttp has no place for such a writer, all goes by bytes.
"""

from __future__ import annotations

from typing import Any

from aiohttp import http

#: As many names and first lines are kept ready; they are the application's, so there could be any number.
_MOST_KEPT = 512

#: What must be there of aiohttp's writer for this one to take its place.
_NEEDED = ("write_headers", "send_headers", "set_eof", "write_eof", "drain", "_compress", "_eof", "chunked", "length")

_names: dict[str, bytes] = {}
_first_lines: dict[str, tuple[int, bytes]] = {}


class Done:
    """Awaitable of nothing, and done."""

    def __await__(self) -> Done:
        return self

    def __iter__(self) -> Done:
        return self

    def __next__(self) -> Any:
        # Bare, because compiled this then costs no exception object.
        raise StopIteration


_DONE = Done()


class DirectWriter(http.StreamWriter):
    """Not for answers to HEAD. Keeps a head back until it is clear how its body goes on."""

    length: Any
    #: First line and fields that wait.
    _held: Any = None

    def write_headers(self, status_line: str, headers: Any) -> Any:
        """Called once a response, before all else."""
        if self._on_headers_sent is not None:
            return super().write_headers(status_line, headers)
        self._held = (status_line, headers)
        return _DONE

    def send_headers(self) -> None:
        self._give_head()
        super().send_headers()

    def set_eof(self) -> None:
        self._give_head()
        super().set_eof()

    def write(self, *arguments: Any, **named: Any) -> Any:
        self._give_head()
        return super().write(*arguments, **named)

    def write_eof(self, chunk: Any = b"") -> Any:
        if self._held is not None:
            if self._answer(chunk):
                return self.drain() if self._protocol.writing_paused else _DONE
            self._give_head()
        return super().write_eof(chunk)

    def _give_head(self) -> None:
        """Have aiohttp write what was kept back."""
        held, self._held = self._held, None
        if held is not None:
            writing = super().write_headers(*held)
            try:
                # It never waits: there is nobody else to be told.
                writing.send(None)
            except StopIteration:
                return
            raise RuntimeError("the head could not be written at once")

    def _answer(self, body: Any) -> bool:
        """Hand over a whole answer; False when this is none, or not for us to give."""
        if type(body) is not bytes or self.length != len(body) or self.chunked or self._compress is not None:
            return False
        transport = self._protocol.transport
        if transport is None:
            return False
        status_line, headers = self._held
        status, reason = _first_line(status_line)
        # 204 and 304 have no body, whatever they say of its length.
        if status == 204 or status == 304 or not transport.answer_whole(status, reason, headers, body):
            return False
        self._held = None
        self._eof = True
        self.length = 0
        self.output_size += len(body)
        return True


def _first_line(status_line: str) -> tuple[int, bytes]:
    """Status and reason of a status line."""
    found = _first_lines.get(status_line)
    if found is None:
        found = (int(status_line[9:12]), status_line[13:].encode("utf-8"))
        if len(_first_lines) < _MOST_KEPT:
            _first_lines[status_line] = found
    return found


def fields_of(headers: Any, own_server: bytes | None) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The fields as they go on, and whether the connection is to be kept."""
    fields = []
    keep_alive = True
    for name, value in headers.items():
        known = _names.get(name)
        if known is None:
            known = str(name).lower().encode("utf-8")
            if len(_names) < _MOST_KEPT:
                # Itself, and no copy: most names are constants of aiohttp's, and found by their identity.
                _names[name] = known
        text = str(value)
        data = text.encode("utf-8")
        size = len(known)
        if size == 10 and known == b"connection":
            if b"close" in data.lower():
                keep_alive = False
        elif size != 6 or known != b"server" or data != own_server:
            fields.append((known, data))
    return fields, keep_alive


def is_direct_known() -> bool:
    """Whether aiohttp's writer has a place for this one."""
    # ``send_headers`` (from 3.12 on) is how aiohttp says that a head is not to wait for a body.
    return all(hasattr(http.StreamWriter, name) for name in _NEEDED)


def with_direct_writers(server: Any) -> Any:
    """``server``, a ``web.Server``, with direct writers where it lets us choose them."""
    make_request = getattr(server, "request_factory", None)
    if make_request is None or not is_direct_known():
        return server

    def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
        if type(writer) is http.StreamWriter and message.method != "HEAD":
            # Nothing of it differs but what it does from here on.
            writer.__class__ = DirectWriter
        return make_request(message, payload, protocol, writer, task)

    server.request_factory = make
    return server
