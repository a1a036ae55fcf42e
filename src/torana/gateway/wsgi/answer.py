"""What a WSGI application says in answer: ``start_response``, ``write``, and the iterable it returns.

Each rule of PEP 3333 about the answer is kept here or, where it is one of every interface, in ``exchange/response.py``:
the head waits there for the first block that is not empty. Never here: environ, threads, what becomes of exceptions.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from torana.base.headers import lower
from torana.exchange.response import ApplicationError, ClientDisconnected
from torana.exchange.states import DONE, IDLE
from torana.gateway.known_heads import KnownHeads
from torana.gateway.wsgi.file_wrapper import FileWrapper, span_of
from torana.wire.events import HTTP_1_0

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

if TYPE_CHECKING:
    from collections.abc import Callable

    from torana.exchange.response import Response
    from torana.exchange.roles import Channel, RawStream
    from torana.wire.events import RequestHead

#: What PEP 3333 forbids an application to say: these speak of the connection, which is the server's.
_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"trailers", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip

#: Statuses seen and found good; applications use few, and a full table starts again.
_STATUSES: dict[str, tuple[int, bytes | None]] = {}
_MOST_STATUSES = 128
#: Names of headers, likewise.
_NAMES: dict[str, bytes] = {}
_MOST_NAMES = 256
_LONGEST_NAME = 64
#: Lists of headers seen and found good.
_HEADS = KnownHeads(str)


@cython.freelist(8)
@cython.cclass
class Answer:
    """The application's side of one response, on the thread that calls it; to call it is PEP 3333's ``write``."""

    def __init__(self, response: Response, head: RequestHead) -> None:
        self.begin(response, head)

    def begin(self, response: Response, head: RequestHead) -> None:
        """What ``__init__`` does, for ``new_answer``."""
        self._response = response
        self._channel: Channel = response.channel
        self._head = head
        self._is_called = False
        self._is_bodyless = response.is_head
        #: Bytes still to come of the declared length; -1 when none was declared.
        self._left = -1
        #: Set by the loop: the server is stopping and this answer has had its time.
        self.is_stopped = False
        #: The application gave more than it declared; what was too much was not sent.
        self.has_excess = False
        #: The application has taken the connection: what it answers is passed over.
        self.is_raw = False
        self._raw: RawStream | None = None

    # What the application calls

    def start_response(self, status: Any, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        """Set status and headers; nothing is sent. Raises ``ApplicationError`` for what may not be said."""
        response = self._response
        if response is None:
            raise ApplicationError("start_response was called after the request was over")
        if self.is_raw:
            return self
        if exc_info:
            try:
                if response.is_begun():
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
            # As ``Response.replace`` does: what was said before was never sent.
            response.state = IDLE
        elif self._is_called:
            raise ApplicationError("start_response was called a second time without exc_info")
        self._is_called = True
        self._start(status, headers)
        return self

    def __call__(self, data: bytes) -> None:
        """Send a block now; returns when it is sent or the loop is sure to send it."""
        response = self._response
        if response is None:
            raise ApplicationError("write() was called after the request was over")
        if self.is_raw:
            return
        block = _block(data)
        if self._is_bodyless and response.state == DONE:
            return
        if 0 <= self._left < len(block) and not self._is_bodyless:
            raise ApplicationError(f"write() of {len(block)} bytes, but content-length leaves {self._left}")
        if block:
            self._send(block)

    def early_hints(self, headers: Any) -> None:
        """Send 103 (Early Hints) with the Link headers given; the others, which no client reads there, are left out."""
        fields = self._fields(headers)
        response = self._response
        if response is not None and self._head.version != HTTP_1_0:
            links = [value for name, value in fields if lower(name) == b"link"]
            if links:
                response.hint(links)

    def raw(self) -> RawStream | None:
        """Take the connection from HTTP, for ``RawSocket``; None when it is too late. On any thread."""
        response = self._response
        stream = None if response is None else response.hand_over()
        if stream is not None:
            self._raw = stream
            self.is_raw = True
            if self.is_stopped:
                # Told between these lines and the loop's own look at them.
                stream.stop()
        return stream

    # What the server calls

    # Callables of the application. Compiled, they are made without looking them up in the type, which takes 250
    # instructions; a subclass makes its own.

    def starter(self) -> Callable[..., Any]:
        """``start_response``."""
        if cython.compiled:
            made: Callable[..., Any] = _method(_START_RESPONSE, self)
            return made
        return self.start_response

    def hinter(self) -> Callable[..., Any]:
        """``early_hints``."""
        if cython.compiled:
            made: Callable[..., Any] = _method(_EARLY_HINTS, self)
            return made
        return self.early_hints

    def stop(self) -> None:
        """On the loop's thread: the server is stopping, and this answer has had its time."""
        self.is_stopped = True
        if self._raw is not None:
            self._raw.stop()

    def send(self, result: Any) -> None:
        """Send what the application returned. Raises what iterating raises, and ``ApplicationError``."""
        if self.is_raw:
            return
        kind = type(result)
        if kind is list or kind is tuple:
            if len(result) == 1:
                self._send_only(result[0])
                return
        elif kind is FileWrapper:
            if self._send_file(result):
                return
        elif result is None or isinstance(result, (bytes, bytearray, memoryview, str)):
            raise ApplicationError(f"the application returned {kind.__name__}, not an iterable of bytes")
        elif (_is_sized(result) if cython.compiled else hasattr(kind, "__len__")) and _length(result) == 1:
            for block in self._blocks(result):
                self._send_only(block)
                return
        self._send_each(result)

    def end(self) -> None:
        """The application has nothing more to say; it may keep its callables, but they reach nothing."""
        self._response = None  # type: ignore[assignment]
        self._channel = None  # type: ignore[assignment]
        self._head = None  # type: ignore[assignment]
        if self._raw is not None:
            self._raw.end()
            self._raw = None

    # Inside

    def _blocks(self, result: Any) -> Any:
        """What is iterated; a call with a deadline puts something between."""
        return result

    def _start(self, status: Any, headers: Any) -> None:
        known = _STATUSES.get(status) if type(status) is str else None
        if known is None:
            known = _status(status)
        code, reason = known
        response = self._response
        head = _HEADS.find(headers)
        if head is not None:
            response.start_known(code, reason, head)
        else:
            response.start(code, self._fields(headers), reason)
            _HEADS.note(headers, response)
        self._left = response.declared
        self._is_bodyless = response.is_head or code == 204 or code == 304 or code == 205

    def _send_each(self, result: Any) -> None:
        response = self._response
        if response.state >= DONE:
            return
        for block in self._blocks(result):
            if type(block) is not bytes:
                block = _block(block)
            if block:
                self._send(block)
            if response.state >= DONE:
                return
            if self.is_stopped:
                raise ClientDisconnected("the server is stopping")
        if self.is_raw:
            return
        self._check_started()
        response.write(b"", True)

    def _send_only(self, block: Any) -> None:
        """The one block there is: head, length and body leave in one piece."""
        if type(block) is not bytes:
            block = _block(block)
        self._check_started()
        left = self._left
        if left < 0 or len(block) <= left or self._is_bodyless:
            # Too little for the declared length raises before the head has left; after the end this is passed over.
            self._response.write(block, True)
        else:
            self._send(block)

    def _send(self, block: bytes) -> None:
        """A block that is not empty; ends the message when it is all that may be sent."""
        self._check_started()
        response = self._response
        left = self._left
        if self._is_bodyless:
            response.write(b"", True)
            return
        if left >= 0:
            size = len(block)
            if size > left:
                self.has_excess = True
                block = block[:left]
                size = left
            self._left = left - size
            if size == left:
                response.write(block, True)
                return
        response.write(block, False)
        if self._channel.is_full():
            self._channel.wait_drained()

    def _send_file(self, wrapper: Any) -> bool:
        """Leave a file to the system; False when it has to be read."""
        span = span_of(wrapper)
        if span is None:
            return False
        self._check_started()
        response = self._response
        fd, position, count = span
        if 0 <= self._left < count:
            count = self._left
        if response.state >= DONE:
            return True
        if self._is_bodyless or count == 0:
            may_tell = response.is_head and self._left < 0 and not response.is_begun()
            if may_tell and response.status not in (204, 205, 304):
                # As for GET (RFC 9110 section 9.3.2).
                response.add_length(count)
            response.write(b"", True)
            return True
        copy = os.dup(fd)
        is_taken = False
        try:
            is_taken = response.write_file(copy, position, count, True)
        finally:
            # The last state before the channel is called: from there on the descriptor is the channel's.
            if not is_taken and response.state != DONE:
                os.close(copy)
        return True

    def _check_started(self) -> None:
        if not self._is_called or self._response.state == IDLE:
            raise ApplicationError("the application did not call start_response before its body")

    def _fields(self, headers: Any) -> list[tuple[bytes, bytes]]:
        """The headers as bytes; Response.start judges what they say."""
        if type(headers) is not list and not isinstance(headers, (list, tuple)):
            raise ApplicationError(f"response headers must be a list, not {type(headers).__name__}")
        fields = []
        for item in headers:
            if not isinstance(item, tuple) or len(item) != 2:
                raise ApplicationError("each response header must be a tuple (name, value)")
            name, value = item
            if type(name) is not str:
                name = _text(name)
            if type(value) is not str:
                value = _text(value)
            encoded = _NAMES.get(name)
            if encoded is None:
                encoded = _name(name)
            fields.append((encoded, _latin(name, value)))
        return fields


_START_RESPONSE = Answer.start_response
_EARLY_HINTS = Answer.early_hints


def new_answer(response: Response, head: RequestHead) -> Answer:
    """``Answer(...)``, without the cost of a call through the type."""
    made = Answer.__new__(Answer)
    made.begin(response, head)
    return made


def _block(block: Any) -> bytes:
    """``block`` as plain bytes; other bytes-like objects are refused, as the PEP wants it."""
    if type(block) is bytes:
        return block
    if not isinstance(block, bytes):
        raise ApplicationError(f"a block of the body is {type(block).__name__}, not bytes")
    return b"".join((block, b""))


def _text(text: Any) -> str:
    """A subclass of str (markup, translations) as plain str."""
    if not isinstance(text, str):
        raise ApplicationError(f"header names and values must be str, found {type(text).__name__}")
    return "".join((text, ""))


def _length(result: Any) -> int:
    """What ``len`` says, if it works; the PEP trusts it then."""
    try:
        return len(result)
    except Exception:
        return -1


def _name(name: str) -> bytes:
    """The name as bytes; raises ``ApplicationError`` when it may not be said."""
    encoded = _latin(name, name)
    size = len(encoded)
    # The only forbidden names have these lengths.
    if size == 10 or size == 7 or size == 2 or size == 8 or (16 <= size <= 19):
        if lower(encoded) in _HOP_BY_HOP:
            raise ApplicationError(f"header {name[:80]!a} speaks of the connection, which is the server's (PEP 3333)")
    if size <= _LONGEST_NAME:
        if len(_NAMES) >= _MOST_NAMES:
            _NAMES.clear()
        _NAMES[name] = encoded
    return encoded


def _latin(name: str, text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ApplicationError(f"header {name[:80]!a} holds a character beyond latin-1") from None


def _status(status: Any) -> tuple[int, bytes | None]:
    """(code, reason phrase or None) of "200 OK"; the range is judged by ``Response.start``."""
    if not isinstance(status, str):
        raise ApplicationError(f"status must be str, not {type(status).__name__}")
    code, reason = status[:3], status[4:]
    if len(code) != 3 or not code.isascii() or not code.isdigit() or (len(status) > 3 and status[3] != " "):
        raise ApplicationError(f"status {status[:80]!a} is not three digits, a space and a reason")
    try:
        phrase = reason.encode("latin-1")
    except UnicodeEncodeError:
        raise ApplicationError("the reason of the status holds a character beyond latin-1") from None
    if reason != reason.strip(" ") or any(byte < 32 or byte == 127 for byte in phrase):
        raise ApplicationError("the reason of the status holds a control character, or blanks around it")
    # Without a reason the standard one is sent.
    known = (int(code), phrase or None)
    if len(_STATUSES) >= _MOST_STATUSES:
        _STATUSES.clear()
    if type(status) is str:
        _STATUSES[status] = known
    return known
