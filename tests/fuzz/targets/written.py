"""HTTP/1 that we write ourselves, read back: no request that is passed on, and no answer of an application, may become
two messages or another one. ``wire/http1/client``, ``wire/http1/writer``."""

from __future__ import annotations

from typing import Any

from tests.fuzz.shapes.http1 import grow
from tests.fuzz.target import Target, Verdict
from tests.fuzz.targets.http1 import MESSAGES
from tests.unit.wire import http1_responses as responses
from tests.unit.wire.http1_driver import Seen, drive
from torana.base.trailers import is_forbidden_trailer
from torana.wire.events import RequestHead, WireError
from torana.wire.http1.client import NO_BODY, UNKNOWN, chunk, end, request_head
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits

_WIDE = Limits(request_line_bytes=1 << 20, field_bytes=1 << 20, head_bytes=1 << 22, field_count=10_000)
#: Never passed on as they are.
_CONNECTION = frozenset(
    b"connection keep-alive proxy-connection transfer-encoding content-length upgrade te http2-settings".split()
)


def _passed_on(seen: Seen) -> bytes | str:
    """A request as it is passed on, or why it is not."""
    head, body = seen.head, bytes(seen.body)
    length = UNKNOWN if head["content_length"] < 0 else head["content_length"] or NO_BODY
    try:
        first = request_head(
            head["method"], head["raw_path"] + (b"?" + head["query"] if head["query"] else b""), head["fields"], length
        )
        if length != UNKNOWN:
            return first + body
        before, after = chunk(body) if body else (b"", b"")
        return first + before + body + after + end(seen.trailers or [])
    except WireError as error:
        return error.reason


def _run_relay(data: bytes) -> Verdict:
    if not data:
        return ()
    verdicts: list[Verdict] = []
    for seen in drive([data]).requests:
        if not seen.is_whole:
            continue
        written = _passed_on(seen)
        verdicts.append(written)
        if isinstance(written, str):
            continue
        again = drive([written], _WIDE)
        if not any(name == b"host" for name, _ in seen.head["fields"]):
            # Of HTTP/1.0; an empty Host is right for applications, and not passed on to another worker.
            assert again.error == (400, "bad-host", ""), again
            continue
        assert again.error is None and len(again.requests) == 1, f"{written!r} is not one request: {again}"
        other = again.requests[0]
        assert other.is_whole
        assert bytes(other.body) == bytes(seen.body)
        assert (other.trailers or []) == (seen.trailers or [])
        assert other.head["method"] == seen.head["method"] and other.head["query"] == seen.head["query"]
        assert other.head["raw_path"] == seen.head["raw_path"]
        _same_fields(seen.head["fields"], other.head["fields"])
    return verdicts


def _same_fields(before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]]) -> None:
    listed = {
        option.strip(b" \t") for name, value in before if name == b"connection" for option in value.lower().split(b",")
    }
    kept = [field for field in before if field[0] not in _CONNECTION and field[0] not in listed]
    assert [field for field in after if field[0] not in _CONNECTION] == kept


RELAY = Target("http1-relay", _run_relay, MESSAGES.seeds, MESSAGES.tokens, grow=grow, share=500)


def _message(parts: list[bytes], request: bytes) -> tuple[bytes, int, list[tuple[bytes, bytes]]] | None:
    """What is written to a client for an application that says ``parts``; None when it is refused."""
    wire = Http1Connection(Limits())
    wire.receive(request)
    assert isinstance(wire.next(), RequestHead)
    status = 100 + int.from_bytes(parts[0][:2].ljust(2, b"\0"), "big") % 900
    choice = parts[0][2] if len(parts[0]) > 2 else 0
    body, reason = parts[-1], parts[0][3:] or None
    fields = [(name, value) for name, _, value in (part.partition(b"=") for part in parts[1:-1])]
    length = (len(body), -1)[choice % 2]
    defaults = b"server: torana\r\nx-default: 1\r\n"
    try:
        message = wire.send_head(status, reason, fields, length, b"", False, b"date: now\r\n", defaults)
        message += wire.begin_data(len(body), False) + body + wire.end_data(False)
        if choice & 2 and length < 0:
            trailers = [(name, value) for name, value in fields if not is_forbidden_trailer(name.lower())]
            return message + wire.send_trailers(trailers), status, fields
        return message + wire.finish(), status, fields
    except ValueError:
        return None


def _run_answers(data: bytes) -> Verdict:
    """Status, choice and reason; name=value; ...; the body: parts between 0x1f, so that any byte may be in them."""
    parts = data.split(b"\x1f")
    if len(parts) < 2:
        return ()
    verdicts: list[Verdict] = []
    for request in (b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        made = _message(parts, request)
        verdicts.append(made)
        if made is None:
            continue
        message, status, fields = made
        names = [name.lower() for name, _ in fields]
        if status < 200 or status in (204, 304) or b"content-length" in names or b"connection" in names:
            continue  # The exchange sees to these.
        outcome: Any = responses.drive([message], eof=True)
        assert outcome.error is None, (outcome.error, message)
        assert outcome.head[0] == status and bytes(outcome.body) == parts[-1], message
        dropped = (b"date", b"server", b"x-default", *_CONNECTION)
        wanted = [(name.lower(), value.strip(b" \t")) for name, value in fields if name.lower() not in dropped]
        assert [field for field in outcome.head[2] if field[0] not in dropped] == wanted, message
        assert outcome.rest == b""
    return verdicts


_OK = b"\x00\x64"
ANSWERS = Target(
    "http1-answers",
    _run_answers,
    (
        (_OK, b"\x00", b"\x1f", b"Content-Type=text/plain", b"\x1f", b"hello"),
        (_OK, b"\x01", b"All Right", b"\x1f", b"X-A=1", b"\x1f", b"x-a=2", b"\x1f", b"Date=x", b"\x1f", b"body"),
        (_OK, b"\x03", b"\x1f", b"X-Sum=1", b"\x1f", b"Trailer=x-sum", b"\x1f", b"a" * 300),
        (_OK, b"\x00", b"a\r\nb", b"\x1f", b"A=b\r\nC: d", b"\x1f", b"x"),
        (_OK, b"\x00", b"\x1f", b"A b=c", b"\x1f", b"=x", b"\x1f", b""),
        (b"\x00\xcc", b"\x01", b"\x1f", b"Server=own", b"\x1f", b"0\r\n\r\n"),
        (b"\x00\x00", b"\x02", b"\x1f", b"Transfer-Encoding=chunked", b"\x1f", b""),
    ),
    (
        b"\x1f",
        b"=",
        b"\r\n",
        b"\n",
        b"\0",
        b"Content-Length=5",
        b"Connection=close",
        b"Transfer-Encoding=x",
        b"Set-Cookie=a",
        b" ",
        b"\x80",
        b":",
    ),
)
