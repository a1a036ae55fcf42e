"""What one case of the HTTP/2 corpus is: bytes behind both prefaces, and what must come of them.

Streams 1 and 101 are left to whoever sends the bytes: a valid request before them, and the canary behind. Requests go
to ``/hold``, which a site may answer late, so that a stream is still open when the rest arrives.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.http2 import GET, HEADERS, POST, Fields, Frame, frame, headers, split

NAMES = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
    "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM"
).split()
KINDS = "DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE CONTINUATION".split()
NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, STREAM_CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, _, CALM = range(12)

#: Largest number there is for a stream, and for a window.
TOP = 2**31 - 1


def to(path: bytes, fields: Fields = GET) -> Fields:
    """``fields`` with another path."""
    return [(name, path if name == b":path" else value) for name, value in fields]


HELD = to(b"/hold")
HELD_POST = to(b"/hold", POST)
#: A request without a body on stream 3, and one whose body is still to come.
ASKED = headers(3, HELD)
OPEN = headers(3, HELD_POST, is_end=False)
CANARY = headers(101, to(b"/canary"))


@dataclass(frozen=True)
class Case:
    """One thing a client does, and its verdict: ``goaway``, ``reset``, or ``status`` on stream 3; none: nothing."""

    threat: str
    name: str
    data: bytes
    #: Code of a connection error.
    goaway: int | None = None
    #: Code with which stream 3 is reset; all others are served.
    reset: int | None = None
    #: Status of the answer on stream 3.
    status: int | None = None
    #: What the wire tells of it.
    events: tuple[str, ...] = ()
    #: It stands in place of the client's preface.
    is_first: bool = False
    #: It needs a valid request before it that was answered on stream 1.
    is_behind: bool = False

    @property
    def verdict(self) -> str:
        """In the words of the RFC."""
        if self.goaway is not None:
            return f"GOAWAY({NAMES[self.goaway]}), closed"
        if self.reset is not None:
            return f"RST_STREAM({NAMES[self.reset]}), other streams are served"
        if self.status is not None:
            return f"{self.status}" if self.status == 200 else f"{self.status}, other streams are served"
        return "passed over"

    @property
    def sent(self) -> str:
        """In words, and in hexadecimal digits if it is short."""
        return f"{self.name}: {shown(self.data)}"


def shown(data: bytes) -> str:
    """Frames: short ones as ``length type flags stream payload``, others by their names."""
    frames, rest = split(data)
    if rest or not frames:
        return f"`{data[:40]!r}`"
    parts = [_shown(item) for item in frames[:6]]
    if len(frames) > 6:
        parts.append(f"{len(frames) - 6:,} more")
    return ", ".join(parts)


def _shown(item: Frame) -> str:
    if len(item.payload) > 24 or (item.kind == HEADERS and len(item.payload) > 12):
        kind = KINDS[item.kind] if item.kind < len(KINDS) else f"type {item.kind:#x}"
        return f"{kind} on {item.stream} ({len(item.payload):,} bytes)"
    head = frame(item.kind, item.flags, item.stream)[3:]
    digits = (len(item.payload).to_bytes(3, "big"), head[:1], head[1:2], head[2:], item.payload)
    return f"`{' '.join(part.hex() for part in digits if part)}`"


def table(threat: str, verdict: dict[str, int], cases: dict[str, bytes]) -> list[Case]:
    """Cases that share a threat and a verdict."""
    return [Case(threat, name, data, **verdict) for name, data in cases.items()]  # type: ignore[arg-type]
