"""Whether this version of aiohttp's is one whose messages and whose handling of them are known here.

Both are not public, so both are found out when the application starts: its own parser is shown a request, and what it
makes of it must be what is made here; and the coroutine whose steps are taken here may use no names but those that are
known. Where anything is different, all requests go by bytes, which every version understands.
Never here: the handling itself (``turn``), messages (``message``).
"""

from __future__ import annotations

from contextvars import Context
from typing import Any

from aiohttp import http, web

from torana.gateway.aiohttp.message import LONGEST_LINE, MOST_FIELDS, Memory, plain_message
from torana.gateway.aiohttp.turn import Turns
from torana.gateway.aiohttp.writer import DirectWriter, is_direct_known
from torana.wire.events import RequestHead

#: Names that ``RequestHandler.start`` uses in the versions that were read: 3.10 to 3.14.
_STEPS = frozenset(
    """
    BaseEventLoop BaseException CancelledError ConnectionError ERROR Exception StreamWriter Task TimeoutError _ErrInfo
    _PAYLOAD_ACCESS_ERROR _buffer_paused _close _force_close _handle_request _keepalive _keepalive_handle
    _keepalive_timeout _lingering_time _logging_enabled _loop _make_error_handler _manager _messages
    _msg_queue_resume_size _next_keepalive_close_time _parser _process_keepalive _request_factory _request_handler
    _resume_reading_if_drained _task _task_handler _waiter asyncio bool call_at cancelling ceil_timeout close
    create_future create_task current_task force_close is_eof isinstance keep_alive len log_debug log_exception
    message_consumed popleft readany requests_count set_exception sys time transport version_info
    """.split()
)
_HANDLING = ("self", "request", "start_time", "request_handler")
_NEEDED = (
    "_close", "_current_request", "_force_close", "_keepalive", "_request_handler", "_task_handler", "_waiter",
    "force_close", "log_debug", "log_exception", "transport",
)  # fmt: skip

#: What is shown, and what aiohttp has to make of it.
_SHOWN = (
    b"POST /a%20b/~c;d//?e=f&g HTTP/1.1\r\nhost: shown\r\nx-shown: \xc3\xa4 \xe4\r\naccept: */*\r\n"
    b"content-length: 0\r\n\r\n"
)
_OF_MESSAGES = ("method", "path", "version", "raw_headers", "should_close", "compression", "upgrade", "chunked", "url")


def turns_of(server: Any, loop: Any, context: Context) -> Turns | None:
    """The turns of a ``web.Server``; None where requests have to go by bytes."""
    try:
        shown = _shown(server)
        if shown is None or not _has_known_steps():
            return None
    except Exception:
        # Whatever has changed, it is not what is known.
        return None
    message_type, payload = shown
    writer = DirectWriter if is_direct_known() else http.StreamWriter
    return Turns(server, server.request_factory, message_type, payload, (writer, http.StreamWriter), loop, context)


def _shown(server: Any) -> tuple[Any, Any] | None:
    """The class of its messages and its empty body; None when a message is not what is made here."""
    protocol = server()
    if type(server) is not web.Server or type(protocol) is not web.RequestHandler:
        return None
    if protocol._request_handler is not server.request_handler:
        return None
    if protocol.access_logger is not None or not all(hasattr(protocol, name) for name in _NEEDED):
        return None
    # An application may want to have shorter heads than it is handed here.
    bounds = server._kwargs
    if min(bounds.get(name, LONGEST_LINE) for name in ("max_line_size", "max_field_size")) < LONGEST_LINE:
        return None
    if bounds.get("max_headers", MOST_FIELDS + 1) <= MOST_FIELDS:
        return None
    protocol.data_received(_SHOWN)
    ((theirs, payload),) = protocol._messages
    ours = plain_message(_head_of_shown(), (), type(theirs), Memory())
    for name in _OF_MESSAGES:
        their, our = getattr(theirs, name), getattr(ours, name)
        if type(their) is not type(our) or their != our:
            return None
    if type(theirs.headers) is not type(ours.headers) or list(theirs.headers.items()) != list(ours.headers.items()):
        return None
    return (type(theirs), payload) if payload.is_eof() else None


def _head_of_shown() -> RequestHead:
    line, *fields = _SHOWN.decode("latin-1").split("\r\n")[:-2]
    head = RequestHead()
    head.method, target, _ = line.split(" ")
    head.target = target.encode("latin-1")
    for field in fields:
        name, _, value = field.partition(": ")
        head.fields.append((name.encode("latin-1"), value.encode("latin-1")))
    return head


def _has_known_steps() -> bool:
    handling = web.RequestHandler._handle_request.__code__
    if handling.co_varnames[: handling.co_argcount + handling.co_kwonlyargcount] != _HANDLING:
        return False
    return _STEPS.issuperset(web.RequestHandler.start.__code__.co_names)
