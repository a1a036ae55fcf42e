"""A WebSocket connection as a server sees it, without I/O: bytes in, messages out; messages in, frames out.

``receive`` what came, take events from ``next`` until it gives NEED_DATA, send what ``take_output`` holds. Nothing that
a client sends raises: it becomes a message, a mark, or ``Closed`` with the close frame in the output.
Never here: sockets, timers, the handshake, what is legal (``states``). RFC 6455 sections 5 to 8, RFC 7692.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.wire.events import CLOSED, NEED_DATA, Mark
from torana.wire.websocket.budget import Budget
from torana.wire.websocket.deflate import LEAST_BYTES, Deflater, InflateError, Inflater
from torana.wire.websocket.extensions import Deflate
from torana.wire.websocket.frames import binary_frame, close_payload, control_frame, frame_head, text_frame
from torana.wire.websocket.mask import rotated, unmasked, unmasked_text
from torana.wire.websocket.message import Message
from torana.wire.websocket.states import (
    BETWEEN,
    CLOSE_RECEIVED,
    CLOSE_SENT,
    CLOSING,
    COMPRESSED,
    CONTROL_FRAME,
    FAILED,
    FINAL,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    OPEN,
    OVER,
    LegalityError,
    after,
    can_send,
    complaint,
    is_close_code,
    judge,
    message_after,
)

if TYPE_CHECKING:
    from torana.wire.websocket.limits import Limits

#: A pong has arrived: the client lives.
PONG = Mark("PONG")
#: Much was inflated, and more is to come: others may want a turn before ``next`` is asked again (threat G-062).
BUSY = Mark("BUSY")

#: Compressed bytes of one step, which may become a thousand times as many, and inflated ones until others have a turn.
_STEP_BYTES = 512
_MUCH_BYTES = 256 * 1024


class Closed:
    """The end, given once: the client's close frame, or our failure of the connection.

    ``code`` is the client's (1005 when its frame had none) or that with which we failed the connection; ``reason`` the
    client's text or, for a failure, a short stable word for counters and the log; ``setting`` names the setting that
    would have allowed it, or is "".
    """

    def __init__(self, code: int, reason: str, is_failure: bool, setting: str) -> None:
        self.code = code
        self.reason = reason
        self.is_failure = is_failure
        self.setting = setting

    def __repr__(self) -> str:
        return f"Closed({self.code}, {self.reason!r}{', failure' if self.is_failure else ''})"


class WebSocketConnection:
    """Both directions of one connection after its handshake; ``deflate`` is what the handshake agreed on."""

    def __init__(self, limits: Limits, deflate: Deflate | None) -> None:
        self.state = OPEN
        self._message_bytes = limits.message_bytes
        self._budget = Budget(limits.message_bytes)
        self._deflate = deflate or Deflate()
        self._has_deflate = deflate is not None
        self._deflater: Deflater | None = None
        self._inflater: Inflater | None = None
        # What was received and not yet parsed: ``_data`` from ``_position`` on, then ``_later``.
        self._data = b""
        self._position = 0
        self._later: bytearray | None = None
        # The data frame whose payload is being read.
        self._is_in_frame = False
        self._is_final = False
        self._left = 0
        self._key = 0
        # The message being read, if it is not one whole frame.
        self._reading = BETWEEN
        self._is_compressed = False
        self._wire_bytes = 0
        self._message: Message | None = None
        self._turn_at = 0  # its size when others had a turn

        self._now = 0.0
        self._pong: bytes | None = None
        self._close_frame = b""

    # Receiving

    def receive(self, data: bytes, now: float) -> None:
        """Take what was received; ``now`` is in seconds of any clock that never goes back."""
        if self.state == OVER:
            return
        self._now = now
        if self._position == len(self._data) and self._later is None:
            self._data = data
            self._position = 0
        elif self._later is None and len(self._data) - self._position < 256:
            # A frame's head, or a control frame, that was cut.
            self._data = self._data[self._position :] + data
            self._position = 0
        else:
            if self._later is None:
                self._later = bytearray()
            self._later += data

    def next(self) -> Any:
        """The next event: a message (``str``, ``bytes``), ``Closed``, PONG, BUSY; else NEED_DATA, CLOSED at the end."""
        while self.state != OVER:
            event = self._payload() if self._is_in_frame else self._frame()
            if event is not None:
                return event
        return CLOSED

    def held(self) -> int:
        """Bytes held for the client: what is not yet parsed, and the message being read."""
        size = len(self._data) - self._position
        if self._later is not None:
            size += len(self._later)
        return size if self._message is None else size + self._message.capacity

    def _frame(self) -> Any:
        """Read a frame's head and, where possible, the frame; None to be called again."""
        raw = self._data
        start = self._position
        available = len(self._data) - start
        if available < 2:
            return self._need_data()
        first = raw[start]
        second = raw[start + 1]
        verdict = judge(self._reading, self._has_deflate, first)
        if verdict > CONTROL_FRAME:
            return self._fail(1002, complaint(verdict), "")
        if second < 0x80:
            return self._fail(1002, "unmasked-frame", "")
        size = second - 0x80
        head = 6
        if verdict == CONTROL_FRAME:
            if size > 125:
                return self._fail(1002, "long-control-frame", "")
        elif size > 125:
            head = 8 if size == 126 else 14
            if available < head - 4:
                return self._need_data()
            i = start + 2
            size = 0
            while i < start + head - 4:
                if size >> 55:
                    return self._fail(1002, "bad-length", "")
                size = size << 8 | raw[i]
                i += 1
            if size < (126 if head == 8 else 0x10000):
                return self._fail(1002, "long-length", "")
        if verdict != CONTROL_FRAME and (size > self._message_bytes or self._reading != BETWEEN):
            if self._is_too_large(size, first):
                return self._fail(1009, "large-message", "ws_max_size")
        if available < head:
            return self._need_data()
        start += head
        key = raw[start - 4]
        key = key << 8 | raw[start - 3]
        key = key << 8 | raw[start - 2]
        key = key << 8 | raw[start - 1]
        if verdict == CONTROL_FRAME:
            if available < head + size:
                return self._need_data()
            self._position = start + size
            return self._control(first & 0x0F, unmasked(self._data, start, start + size, key))
        self._position = start
        if self._reading == BETWEEN and available >= head + size and self.state == OPEN:
            # The usual case: the message is one frame, and it is all there.
            if first == (FINAL | OP_TEXT):
                self._position = start + size
                try:
                    return unmasked_text(self._data, start, start + size, key)
                except UnicodeDecodeError:
                    return self._fail(1007, "bad-utf-8", "")
            if first == (FINAL | OP_BINARY):
                self._position = start + size
                return unmasked(self._data, start, start + size, key)
        return self._begin_frame(first, size, key)

    def _is_too_large(self, size: int, first: int) -> bool:
        """Whether ``size`` bytes more are beyond the limit; known from a frame's head (threat G-060)."""
        room = self._message_bytes
        is_compressed = self._is_compressed if self._reading != BETWEEN else (first & COMPRESSED) != 0
        if is_compressed:
            # What cannot be compressed grows; the limit proper is that of the inflated size.
            room += (room >> 3) + 64
        if self._reading != BETWEEN:
            room -= self._wire_bytes
        return size > room

    def _begin_frame(self, first: int, size: int, key: int) -> Any:
        """Prepare for the payload of a data frame; None, or ``Closed`` when it was one fragment too many."""
        if self._reading == BETWEEN:
            self._is_compressed = (first & COMPRESSED) != 0
            self._wire_bytes = 0
            self._turn_at = 0
            self._budget.begin_message()
            if self.state == OPEN:
                self._message = Message((first & 0x0F) == OP_TEXT, self._message_bytes + 1)
        self._reading = message_after(self._reading, first)
        self._is_final = (first & FINAL) != 0
        if not self._budget.has_fragment():
            return self._fail(1008, "many-fragments", "")
        if size == 0 and not self._is_final and not self._budget.has_empty_fragment():
            return self._fail(1008, "empty-fragments", "")
        self._wire_bytes += size
        self._left = size
        self._key = key
        self._is_in_frame = True
        return None

    def _payload(self) -> Any:
        """Read on in a data frame; the message if that completes it, None to be called again."""
        count = len(self._data) - self._position
        if count > self._left:
            count = self._left
        if self._is_compressed and count > _STEP_BYTES:
            count = _STEP_BYTES
        if count:
            start = self._position
            self._position += count
            self._left -= count
            problem = self._take(start, start + count)
            if problem is not None:
                return problem
            message = self._message
            if self._is_compressed and message is not None and message.size - self._turn_at >= _MUCH_BYTES:
                self._turn_at = message.size
                return BUSY
        if self._left:
            return self._need_data() if self._position == len(self._data) else None
        self._is_in_frame = False
        return self._finish() if self._is_final else None

    def _take(self, start: int, end: int) -> Any:
        """Add a part of a frame's payload to the message; ``Closed`` when it may not be there, else None."""
        message = self._message
        if message is None:  # we are closing: what still comes is dropped
            return None
        if self._is_compressed:
            problem = self._inflate(message, unmasked(self._data, start, end, self._key), False)
            if problem is not None:
                return problem
        else:
            message.add_masked(self._data, start, end, self._key, self._left)
        self._key = rotated(self._key, end - start)
        if self._left or not self._is_final:
            if not message.is_valid():
                return self._fail(1007, "bad-utf-8", "")
        return None

    def _inflate(self, message: Message, data: bytes, is_end: bool) -> Any:
        """Inflate ``data`` into the message; None, or ``Closed``."""
        if self._inflater is None:
            self._inflater = Inflater(self._deflate)
        try:
            if self._inflater.inflate(data, is_end, message, self._message_bytes):
                return None
        except InflateError:
            return self._fail(1007, "bad-deflate", "")
        # Which fault is met first must not depend on how the bytes came.
        if not message.is_valid():
            return self._fail(1007, "bad-utf-8", "")
        return self._fail(1009, "large-message", "ws_max_size")

    def _finish(self) -> Any:
        """The message is complete."""
        message = self._message
        if message is None:
            return None
        if self._is_compressed:
            problem = self._inflate(message, b"", True)
            if problem is not None:
                return problem
        self._message = None
        try:
            return message.taken()
        except UnicodeDecodeError:
            return self._fail(1007, "bad-utf-8", "")

    def _control(self, opcode: int, payload: bytes) -> Any:
        """Answer a control frame; what is to be told of it, or None."""
        if opcode == OP_CLOSE:
            return self._closed_by_peer(payload)
        if not self._budget.has_control_frame(self._now):
            return self._fail(1008, "many-control-frames", "")
        if opcode != OP_PING:
            return PONG
        if can_send(self.state):
            self._pong = payload  # only the last ping that waits is answered (section 5.5.3)
        return None

    def _closed_by_peer(self, payload: bytes) -> Any:
        """The client's close frame (section 5.5.1); ours goes into the output unless it was sent before."""
        raw = payload
        size = len(payload)
        code = 1005
        reason = ""
        if size:
            code = raw[0] << 8 | raw[1] if size > 1 else 0
            if not is_close_code(code):
                return self._fail(1002, "bad-close-code", "")
            try:
                reason = payload[2:].decode("utf-8")
            except UnicodeDecodeError:
                return self._fail(1007, "bad-utf-8", "")
        if can_send(self.state):
            self._close_frame = control_frame(OP_CLOSE, payload[:2])
        self.state = after(self.state, CLOSE_RECEIVED)
        self._release()
        return Closed(code, reason, False, "")

    def _fail(self, code: int, reason: str, setting: str) -> Any:
        """Fail the connection (section 7.1.7)."""
        if can_send(self.state):
            self._close_frame = control_frame(OP_CLOSE, close_payload(code, reason))
        self.state = after(self.state, FAILED)
        self._release()
        return Closed(code, reason, True, setting)

    def _need_data(self) -> Any:
        """NEED_DATA, or None when there was more in store."""
        if self._later is not None:
            self._data = self._data[self._position :] + self._later
            self._position = 0
            self._later = None
            return None
        if self._position == len(self._data):
            self._data = b""
            self._position = 0
        return NEED_DATA

    def abandon(self) -> None:
        """The client is lost, or was told all there is to say: nothing is held for it, ``next`` gives CLOSED."""
        self.state = after(self.state, FAILED)
        self._release()

    def _release(self) -> int:
        """Nothing more is read or written: let go of all that was held."""
        self._data = b""
        self._position = 0
        self._later = None
        self._is_in_frame = False
        self._reading = BETWEEN
        self._message = None
        self._inflater = None
        self._deflater = None
        return 0

    # Sending

    def text(self, data: str) -> bytes:
        """``data`` as one text message. Raises ``UnicodeEncodeError`` for lone surrogates; then nothing was sent."""
        if self._has_deflate and len(data) >= LEAST_BYTES:
            head, payload = self.parts(data)
            return head + payload
        if not can_send(self.state):
            raise LegalityError("the connection is closing")
        return text_frame(data if type(data) is str else "".join((data,)))

    def binary(self, data: bytes) -> bytes:
        """``data`` as one binary message."""
        if self._has_deflate and len(data) >= LEAST_BYTES:
            head, payload = self.parts(data)
            return head + payload
        if not can_send(self.state):
            raise LegalityError("the connection is closing")
        return binary_frame(data if type(data) is bytes else bytes(data))

    def parts(self, data: Any) -> tuple[bytes, bytes]:
        """One message, text for ``str`` and binary for ``bytes``, as its head and its payload; bytes are not copied."""
        if not can_send(self.state):
            raise LegalityError("the connection is closing")
        first = FINAL
        if isinstance(data, str):
            first |= OP_TEXT
            payload = data.encode("utf-8")
        else:
            first |= OP_BINARY
            payload = data if type(data) is bytes else bytes(data)
        if self._has_deflate:
            if self._deflater is None:
                self._deflater = Deflater(self._deflate)
            compressed = self._deflater.deflate(payload)
            if compressed is not None:
                payload = compressed
                first |= COMPRESSED
        return frame_head(first, len(payload)), payload

    def ping(self, payload: bytes) -> bytes:
        """A ping with up to 125 bytes; b"" once the connection is closing."""
        return control_frame(OP_PING, payload) if can_send(self.state) else b""

    def close(self, code: int, reason: str) -> bytes:
        """Our close frame, and what must go before it; b"" when it was sent already. ``reason`` has up to 123 bytes.

        Messages that still come are dropped; ``Closed`` follows once the client has answered.
        """
        if not is_close_code(code):
            raise ValueError(f"close code {code} may not be sent")
        if not can_send(self.state):
            return b""
        frame = self.take_output() + control_frame(OP_CLOSE, close_payload(code, reason))
        self.state = after(self.state, CLOSE_SENT)
        self._message = None
        self._inflater = None
        self._deflater = None
        return frame

    def has_output(self) -> bool:
        """Whether ``take_output`` has anything to give."""
        return self._pong is not None or len(self._close_frame) > 0

    def take_output(self) -> bytes:
        """The answers to pings and to the client's close, or our own on failure; b"" when there are none."""
        output = self._close_frame
        if self._pong is not None:
            output = control_frame(OP_PONG, self._pong) + output
            self._pong = None
        self._close_frame = b""
        return output

    def is_closing(self) -> bool:
        """Whether our close frame is on its way and the client's is awaited."""
        return self.state == CLOSING

    def is_closed(self) -> bool:
        """Whether both sides are done: the byte stream should be ended once the output is sent (section 7.1.1)."""
        return self.state == OVER
