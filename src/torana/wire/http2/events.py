"""Events of an HTTP/2 connection: each tells what happened to one stream.

Opened, then Body as often as it takes, then Ended; or Reset at any time after Opened. A request without a body is
Opened only. Never here: parsing, what an event leads to. RFC 9113 section 8.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.wire.events import Fields, Mark, RequestHead

if TYPE_CHECKING:
    from torana.wire.http2.streams import StreamState

#: The client acknowledged the PING of ``ping()``: a round trip ago it was alive.
PINGED = Mark("PINGED")


class StreamEvent:
    """What all events have: the stream that it happened to."""

    stream: StreamState


class Opened(StreamEvent):
    """A request head, judged legal; ``head.content_length`` 0 means that neither Body nor Ended will follow."""

    head: RequestHead


class Body(StreamEvent):
    """Body data, never empty. ``size`` bytes are to be given back by ``acknowledge`` once the data is consumed."""

    data: bytes
    size: int


class Ended(StreamEvent):
    """The body is complete and as long as was declared; ``trailers`` are legal, [] when there were none."""

    trailers: Fields


class Reset(StreamEvent):
    """The stream is dead after Opened: nothing more comes, nothing more is sent; ``finished`` is still to be called.

    ``is_ours``: the client broke a rule of the stream (``reason`` and ``setting`` as in ``WireError``); else the client
    sent RST_STREAM with ``code``, and ``reason`` is "".
    """

    code: int
    is_ours: bool
    reason: str
    setting: str


class Refused(StreamEvent):
    """A request that never became Opened was answered with ``status``, or reset with ``code`` (then status is 0).

    For the log only: the answer is in the output, ``finished`` must not be called. ``reason``, ``setting``: as in
    ``WireError``.
    """

    status: int
    code: int
    reason: str
    setting: str


class Drained(StreamEvent):
    """A stream that was ``is_full`` takes more data again."""


class Sent(StreamEvent):
    """The answer's end, which had to wait behind data, is in the output now; given even after ``finished``."""


def opened(stream: StreamState, head: RequestHead) -> Opened:
    """Make an ``Opened``."""
    event = Opened.__new__(Opened)
    event.stream = stream
    event.head = head
    return event


def body(stream: StreamState, data: bytes, size: int) -> Body:
    """Make a ``Body``."""
    event = Body.__new__(Body)
    event.stream = stream
    event.data = data
    event.size = size
    return event


def ended(stream: StreamState, trailers: Fields) -> Ended:
    """Make an ``Ended``."""
    event = Ended.__new__(Ended)
    event.stream = stream
    event.trailers = trailers
    return event


def reset(stream: StreamState, code: int, is_ours: bool, reason: str, setting: str) -> Reset:
    """Make a ``Reset``."""
    event = Reset.__new__(Reset)
    event.stream = stream
    event.code = code
    event.is_ours = is_ours
    event.reason = reason
    event.setting = setting
    return event


def refused(stream: StreamState, status: int, code: int, reason: str, setting: str) -> Refused:
    """Make a ``Refused``."""
    event = Refused.__new__(Refused)
    event.stream = stream
    event.status = status
    event.code = code
    event.reason = reason
    event.setting = setting
    return event


def drained(stream: StreamState) -> Drained:
    """Make a ``Drained``."""
    event = Drained.__new__(Drained)
    event.stream = stream
    return event


def sent(stream: StreamState) -> Sent:
    """Make a ``Sent``."""
    event = Sent.__new__(Sent)
    event.stream = stream
    return event
