"""Error codes, and what is raised when a client breaks HTTP/2 (RFC 9113 sections 5.4 and 7).

A connection error is ``Http2Error``, which leaves this room; a stream error is ``StreamFault``, which does not: it
becomes RST_STREAM, or an answer. Never here: which mistake deserves which code; that stands where it is found.
"""

from __future__ import annotations

from torana.wire.events import WireError

NO_ERROR = 0
PROTOCOL_ERROR = 1
INTERNAL_ERROR = 2
FLOW_CONTROL_ERROR = 3
SETTINGS_TIMEOUT = 4
STREAM_CLOSED = 5
FRAME_SIZE_ERROR = 6
REFUSED_STREAM = 7
CANCEL = 8
COMPRESSION_ERROR = 9
CONNECT_ERROR = 10
ENHANCE_YOUR_CALM = 11
INADEQUATE_SECURITY = 12
HTTP_1_1_REQUIRED = 13

# Compiled, the names above are C variables (errors.pxd); this keeps them importable from Python.
globals().update(
    NO_ERROR=NO_ERROR, PROTOCOL_ERROR=PROTOCOL_ERROR, INTERNAL_ERROR=INTERNAL_ERROR,
    FLOW_CONTROL_ERROR=FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT=SETTINGS_TIMEOUT, STREAM_CLOSED=STREAM_CLOSED,
    FRAME_SIZE_ERROR=FRAME_SIZE_ERROR, REFUSED_STREAM=REFUSED_STREAM, CANCEL=CANCEL,
    COMPRESSION_ERROR=COMPRESSION_ERROR, CONNECT_ERROR=CONNECT_ERROR, ENHANCE_YOUR_CALM=ENHANCE_YOUR_CALM,
    INADEQUATE_SECURITY=INADEQUATE_SECURITY, HTTP_1_1_REQUIRED=HTTP_1_1_REQUIRED,
)  # fmt: skip


class Http2Error(WireError):
    """A connection error: GOAWAY with ``code``, and nothing after it is parsed. The rest is as in ``WireError``."""

    def __init__(self, code: int, reason: str, setting: str = "", status: int = 400) -> None:
        super().__init__(status, reason, setting)
        self.code = code


class StreamFault(Exception):
    """A stream error: the request is answered with ``status``, or reset with ``code`` where that is 0."""

    def __init__(self, reason: str, setting: str = "", status: int = 0, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.setting = setting
        self.status = status
        self.code = code


def calm(reason: str, setting: str = "") -> Http2Error:
    """The error for a client that asks too much of us (RFC 9113 section 10.5)."""
    return Http2Error(ENHANCE_YOUR_CALM, reason, setting, 429)
