"""Frames that carry no request: SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, priorities, GOAWAY, and the unknown.

The third storey of a connection. Each has a budget, for it costs the client less than us.
Never here: HEADERS and DATA. RFC 9113 sections 6.3 to 6.9, RFC 9218 section 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.wire.events import Mark
from torana.wire.http2.budgets import (
    ODD_BURST,
    ODD_RATE,
    PING_BURST,
    PING_GIFT,
    PING_RATE,
    SETTINGS_BURST,
    SETTINGS_RATE,
    UPDATE_BURST,
    UPDATE_GIFT,
    UPDATE_RATE,
    Bucket,
)
from torana.wire.http2.errors import (
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Http2Error,
    calm,
)
from torana.wire.http2.events import PINGED
from torana.wire.http2.events import reset as reset_event
from torana.wire.http2.frames import (
    ACK,
    ENABLE_PUSH,
    GOAWAY,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    NO_RFC7540_PRIORITIES,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS_FRAME,
    WINDOW_UPDATE,
    FrameReader,
    ping_frame,
    settings_ack,
)
from torana.wire.http2.heads import parse_priority
from torana.wire.http2.outbound import Outbound
from torana.wire.http2.states import RESET_BY_PEER, TAKE, UNEXPECTED, verdict
from torana.wire.http2.windows import LARGEST_WINDOW, can_widen

if TYPE_CHECKING:
    from torana.wire.http2.limits import Limits
    from torana.wire.http2.streams import StreamState

#: What our PINGs carry.
PING_PAYLOAD = b"torana?!"
_MOST_SETTINGS = 32
# Compiled, this is a C variable (control.pxd); this keeps it importable from Python.
globals().update(PING_PAYLOAD=PING_PAYLOAD)
#: Column of WINDOW_UPDATE in the table of ``states``.
_UPDATE_COLUMN = 4


class Control(Outbound):
    """Minds the connection."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.is_settled = False
        self.has_goaway = False
        self._reader = FrameReader()
        self._is_pinging = False
        self._settings = Bucket(SETTINGS_BURST, SETTINGS_RATE)
        self._pings = Bucket(PING_BURST, PING_RATE)
        self._updates = Bucket(UPDATE_BURST, UPDATE_RATE)
        self._odds = Bucket(ODD_BURST, ODD_RATE)

    def _on_control(self) -> Mark | None:
        """Do what the present frame says; PINGED, or None."""
        kind = self._reader.kind
        if kind == WINDOW_UPDATE:
            self._on_update()
        elif kind == SETTINGS_FRAME:
            self._on_settings()
        elif kind == PING:
            return self._on_ping()
        elif kind == RST_STREAM:
            self._on_reset()
        elif kind == PRIORITY:
            self._on_priority()
        elif kind == PRIORITY_UPDATE:
            self._on_priority_update()
        elif kind == GOAWAY:
            self._on_goaway()
        elif kind == PUSH_PROMISE:
            raise Http2Error(PROTOCOL_ERROR, "push-promise")
        else:
            self._spend_odd()  # section 5.5: unknown ones are passed over
        return None

    def _spend_odd(self) -> int:
        """A frame of those that nobody needs many of."""
        if not self._odds.take(self._now, 1.0):
            raise calm("odd-frames")
        return 0

    def _thank(self) -> int:
        """Let the data that was sent pay for what it makes the client say."""
        if self._gifts:
            self._pings.give(self._gifts * PING_GIFT)
            self._updates.give(self._gifts * UPDATE_GIFT)
            self._gifts = 0
        return 0

    def _on_settings(self) -> int:
        reader = self._reader
        size = reader.length
        if reader.stream != 0:
            raise Http2Error(PROTOCOL_ERROR, "settings-on-stream")
        if reader.flags & ACK:
            if size:
                raise Http2Error(FRAME_SIZE_ERROR, "settings-size")
            if self.is_settled:
                self._spend_odd()
            self.is_settled = True
            return 0
        if size % 6:
            raise Http2Error(FRAME_SIZE_ERROR, "settings-size")
        if size > _MOST_SETTINGS * 6 or not self._settings.take(self._now, 1.0):
            raise calm("settings")
        at = reader.start
        while at < reader.stop:
            self._apply(reader.number(at) >> 16, (reader.number(at) & 0xFFFF) << 16 | reader.number(at + 2) & 0xFFFF)
            at += 6
        self._reply(settings_ack())
        return 0

    def _apply(self, name: int, value: int) -> int:
        """One setting of the client's (section 6.5.2); those that concern only what we never send are passed over."""
        if name == INITIAL_WINDOW_SIZE:
            if value > LARGEST_WINDOW:
                raise Http2Error(FLOW_CONTROL_ERROR, "bad-window")
            self._change_windows(value - self._first_window)
            self._first_window = value
        elif name == HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif name == MAX_FRAME_SIZE:
            if value < 16384 or value > 0xFFFFFF:
                raise Http2Error(PROTOCOL_ERROR, "bad-frame-size")
        elif name == ENABLE_PUSH or name == NO_RFC7540_PRIORITIES:
            if value > 1:
                raise Http2Error(PROTOCOL_ERROR, "bad-setting")
        return 0

    def _change_windows(self, delta: int) -> int:
        """Move the window of every stream (section 6.9.2); there are few, and few SETTINGS (``budgets``)."""
        if delta == 0:
            return 0
        for stream in self._streams.values():
            self._change_window(stream, delta)
        return 0

    def _change_window(self, stream: StreamState, delta: int) -> int:
        if not can_widen(stream.window, delta):
            raise Http2Error(FLOW_CONTROL_ERROR, "window-overflow")
        stream.window += delta
        self._enqueue(stream)
        return 0

    def _on_ping(self) -> Mark | None:
        reader = self._reader
        if reader.stream != 0:
            raise Http2Error(PROTOCOL_ERROR, "ping-on-stream")
        if reader.length != 8:
            raise Http2Error(FRAME_SIZE_ERROR, "ping-size")
        payload = reader.data[reader.start : reader.stop]
        if reader.flags & ACK:
            if self._is_pinging and payload == PING_PAYLOAD:
                self._is_pinging = False
                return PINGED
            self._spend_odd()
            return None
        self._thank()
        if not self._pings.take(self._now, 1.0):
            raise calm("pings")
        self._reply(ping_frame(payload, True))
        return None

    def _on_goaway(self) -> int:
        reader = self._reader
        if reader.stream != 0:
            raise Http2Error(PROTOCOL_ERROR, "goaway-on-stream")
        if reader.length < 8:
            raise Http2Error(FRAME_SIZE_ERROR, "goaway-size")
        self._spend_odd()
        self.has_goaway = True
        return 0

    def _on_update(self) -> int:
        reader = self._reader
        if reader.length != 4:
            raise Http2Error(FRAME_SIZE_ERROR, "update-size")
        self._thank()
        if not self._updates.take(self._now, 1.0):
            raise calm("window-updates")
        increment = reader.number(reader.start) & 0x7FFFFFFF
        if reader.stream == 0:
            if increment == 0:
                raise Http2Error(PROTOCOL_ERROR, "empty-update")
            if not can_widen(self._window, increment):
                raise Http2Error(FLOW_CONTROL_ERROR, "window-overflow")
            self._window += increment
            return 0
        stream = self._streams.get(reader.stream)
        if stream is None:
            if verdict(self._state_of(reader.stream), _UPDATE_COLUMN) == UNEXPECTED:
                raise Http2Error(PROTOCOL_ERROR, "update-on-idle")
        elif increment == 0:
            self._fault(stream, PROTOCOL_ERROR, "empty-update", "")
        elif not can_widen(stream.window, increment):
            self._fault(stream, FLOW_CONTROL_ERROR, "window-overflow", "")
        else:
            stream.window += increment
            self._enqueue(stream)
        return 0

    def _on_reset(self) -> int:
        reader = self._reader
        if reader.length != 4:
            raise Http2Error(FRAME_SIZE_ERROR, "reset-size")
        if reader.stream == 0:
            raise Http2Error(PROTOCOL_ERROR, "reset-of-connection")
        stream = self._streams.get(reader.stream)
        if stream is None:
            if verdict(self._state_of(reader.stream), RST_STREAM) == UNEXPECTED:
                raise Http2Error(PROTOCOL_ERROR, "reset-of-idle")
            self._spend_odd()
            return 0
        if not stream.is_sent:  # a request that was answered in full was worth its cost
            self._spend_reset()
        code = reader.number(reader.start)
        self._close(stream, RESET_BY_PEER)
        if not stream.is_finished or not stream.is_sent:
            self._post(reset_event(stream, code, False, "", ""))
        return 0

    def _on_priority(self) -> int:
        """The priorities of RFC 7540: only their form is looked at (section 5.3.2)."""
        reader = self._reader
        self._spend_odd()
        if reader.stream == 0:
            raise Http2Error(PROTOCOL_ERROR, "priority-of-connection")
        stream = self._streams.get(reader.stream)
        state = self._state_of(reader.stream) if stream is None else stream.state
        if reader.length != 5:
            if stream is not None:
                self._fault(stream, FRAME_SIZE_ERROR, "priority-size", "")
            elif verdict(state, PRIORITY) == TAKE:
                raise Http2Error(FRAME_SIZE_ERROR, "priority-size")  # what is idle cannot be reset
        elif reader.number(reader.start) & 0x7FFFFFFF == reader.stream:
            if stream is not None:
                self._fault(stream, PROTOCOL_ERROR, "self-dependency", "")
            elif verdict(state, PRIORITY) == TAKE:
                raise Http2Error(PROTOCOL_ERROR, "self-dependency")
        return 0

    def _on_priority_update(self) -> int:
        reader = self._reader
        self._spend_odd()
        if reader.stream != 0:
            raise Http2Error(PROTOCOL_ERROR, "priority-update-on-stream")
        if reader.length < 4:
            raise Http2Error(FRAME_SIZE_ERROR, "priority-update-size")
        number = reader.number(reader.start) & 0x7FFFFFFF
        if number == 0:
            raise Http2Error(PROTOCOL_ERROR, "priority-of-connection")
        stream = self._streams.get(number)
        if stream is not None:
            urgency, is_incremental = parse_priority(reader.data[reader.start + 4 : reader.stop])
            self._prioritise(stream, urgency, is_incremental)
        return 0
