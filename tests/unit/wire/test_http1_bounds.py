"""Bounds: at the bound accepted, one byte above refused, with the same verdict however the bytes come; linear cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.wire.corpus.case import chunked, get
from tests.unit.wire.http1_driver import Outcome, drive, single_bytes
from torana.wire.http1 import received
from torana.wire.http1.limits import Limits
from torana.wire.http1.received import Received

SMALL = Limits(
    request_line_bytes=64,
    method_bytes=8,
    field_bytes=80,
    head_bytes=300,
    field_count=6,
    trailer_bytes=60,
    chunk_line_bytes=32,
    chunk_extension_bytes=64,
    chunk_overhead_bytes=128,
)


def run(data: bytes, limits: Limits = SMALL) -> Outcome:
    """Whole, byte by byte, and in pieces of 7: one verdict."""
    whole = drive([data], limits)
    assert drive(single_bytes(data), limits) == whole
    assert drive([data[at : at + 7] for at in range(0, len(data), 7)], limits) == whole
    return whole


def line_of(size: int) -> bytes:
    return b"GET /" + b"a" * (size - 14) + b" HTTP/1.1"


def head_of(size: int) -> bytes:
    """A head of ``size`` bytes up to the empty line, no field above its bound."""
    head = b"GET / HTTP/1.1\r\nHost: t\r\n"
    while len(head) < size:
        step = min(75, size - len(head))
        if 0 < size - len(head) - step < 6:
            step -= 6
        head += b"x: " + b"v" * (step - 5) + b"\r\n"
    assert len(head) == size
    return head + b"\r\n"


@pytest.mark.parametrize(
    ("make", "bound", "error"),
    [
        (lambda size: line_of(size) + b"\r\nHost: t\r\n\r\n", 64, (414, "long-request-line", "limit_request_line")),
        (lambda size: b"M" * size + b" / HTTP/1.1\r\nHost: t\r\n\r\n", 8, (501, "long-method", "limit_method")),
        (lambda size: get(b"Host: t", b"x: " + b"v" * (size - 3)), 80, (431, "long-field", "limit_field")),
        (lambda size: get(b"Host: t", b"n" * (size - 1) + b":"), 80, (431, "long-field", "limit_field")),
        (lambda size: get(b"Host: t", *[b"a: b"] * (size - 1)), 6, (431, "many-fields", "limit_field_count")),
        (lambda size: get(b"Host: t", *[b"a_b: c"] * (size - 1)), 6, (431, "many-fields", "limit_field_count")),
        (
            lambda size: chunked(b"1;" + b"e" * (size - 2) + b"\r\nx\r\n0\r\n\r\n"),
            32,
            (400, "long-chunk-line", "limit_chunk_line"),
        ),
        (
            lambda size: chunked(b"1;" + b"e" * 30 + b"\r\nx\r\n" + b"1;" + b"e" * (size - 32) + b"\r\nx\r\n0\r\n\r\n"),
            62,
            None,
        ),
        (
            lambda size: chunked(b"0\r\nx: " + b"v" * (size - 3) + b"\r\n\r\n"),
            60,
            (431, "long-trailers", "limit_trailer"),
        ),
    ],
    ids=["line", "method", "field", "name", "count", "dropped-count", "chunk-line", "two-extensions", "trailer"],
)
def test_at_the_bound_and_above(make: Callable[[int], bytes], bound: int, error: tuple[int, str, str] | None) -> None:
    at = run(make(bound))
    assert at.error is None and at.requests[0].is_whole
    if error is not None:
        assert run(make(bound + 1)).error == error
        assert run(make(bound + 50)).error == error or error[1] in ("long-method", "long-field")


def test_whole_head() -> None:
    # The last line may fill what is left of the head, its CRLF not counted.
    assert run(head_of(300)).error is None
    assert run(head_of(302)).error is None
    assert run(head_of(303)).error == (431, "long-head", "limit_head")
    assert run(head_of(400)).error == (431, "long-head", "limit_head")


def test_a_line_without_end_is_refused_at_its_bound() -> None:
    assert drive([b"GET /" + b"a" * 59], SMALL).error is None
    assert drive([b"GET /" + b"a" * 60 + b"\r"], SMALL).error == (414, "long-request-line", "limit_request_line")
    assert drive([b"GET /" + b"a" * 61], SMALL).error == (414, "long-request-line", "limit_request_line")


@pytest.mark.parametrize("at", [0, 5, 60, 63, 64, 65, 66, 80, 200])
def test_control_byte_and_bound_whichever_comes_first(at: int) -> None:
    """A control byte before the bound is 400, behind it the line was too long already, however it was cut."""
    for byte in (b"\x00", b"\n", b"\r"):
        data = b"A" * at + byte + b"A" * (300 - at) + b"\r\n\r\n"
        outcome = run(data)
        assert outcome.error is not None
        assert outcome.error[0] == (400 if at < 65 or (at == 65 and byte != b"\r") else 414)


def test_extension_bound_over_a_body() -> None:
    body = b"".join(b"20;" + b"e" * 20 + b"\r\n" + b"x" * 32 + b"\r\n" for _ in range(4))
    assert run(chunked(body)).error == (400, "chunk-extensions", "limit_chunk_extension")


def test_overhead_grows_with_the_data() -> None:
    # 128 + 25 %: chunks of 1 byte cost 5 each, chunks of 64 cost 6 each.
    assert run(chunked(b"1\r\nx\r\n" * 20 + b"0\r\n\r\n")).error is None
    assert run(chunked(b"1\r\nx\r\n" * 40)).error == (400, "chunk-overhead", "limit_chunk_overhead")
    assert run(chunked((b"40\r\n" + b"x" * 64 + b"\r\n") * 100 + b"0\r\n\r\n")).error is None


def test_bounds_begin_anew_with_each_request() -> None:
    for request in (head_of(300), chunked(b"1;" + b"e" * 28 + b"\r\nx\r\n0\r\nx: " + b"v" * 55 + b"\r\n\r\n")):
        outcome = run(request * 5)
        assert outcome.error is None and len(outcome.requests) == 5


def test_verdict_of_a_long_head_does_not_depend_on_the_read_size() -> None:
    data = get(b"Host: t", *[b"x-%d: " % number + b"v" * 2000 for number in range(40)])
    verdicts = {
        drive([data[at : at + step] for at in range(0, len(data), step)]).error for step in (1, 100, 4096, 10**6)
    }
    assert verdicts == {(431, "long-head", "limit_head")}


class Counted:
    """``received.span`` that counts the bytes it is asked to look at."""

    def __init__(self, span: Callable[[Any, Any, int, int], int]) -> None:
        self.span = span
        self.bytes = 0

    def __call__(self, table: Any, data: Any, start: int, end: int) -> int:
        stop = self.span(table, data, start, end)
        self.bytes += stop - start + 1
        return stop


@pytest.mark.skipif(not received.__file__.endswith(".py"), reason="the compiled loop cannot be counted; it is the same")
@pytest.mark.parametrize(
    "data",
    [
        get(b"Host: t", b"x: " + b"v" * 16_000),
        get(b"Host: t", *[b"x: " + b"v" * 500] * 100),
        b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
        chunked(b"1;" + b"e" * 200 + b"\r\nx\r\n0\r\nx: " + b"v" * 7000 + b"\r\n\r\n"),
    ],
    ids=["long-field", "many-fields", "long-target", "chunk-lines"],
)
def test_a_trickle_is_looked_at_a_bounded_number_of_times(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(received.span)
    monkeypatch.setattr(received, "span", counted)
    assert drive(single_bytes(data)).error is None
    # Once for each byte, and once for each call that found the scan where it had left it.
    assert counted.bytes <= 2 * len(data) + 100


def test_pieces_wait_without_being_joined_again_and_again() -> None:
    """While nothing is taken, adding a piece does not touch what is held: ``data`` stays the first object."""
    buffer = Received()
    first = b"x" * 1000
    buffer.add(first)
    for _ in range(1000):
        buffer.add(b"y")
        assert buffer.data is first
    assert buffer.size() == 2000
    assert buffer.take(1500) is first
    assert buffer.take(1500) == b"y" * 1000


def test_what_is_copied_is_copied_together_with_what_came_later() -> None:
    buffer = Received()
    buffer.add(b"head" + b"x" * 1000)
    buffer.position = 4
    buffer.add(b"y" * 10)
    assert buffer.take(1005) == b"x" * 1000 + b"y" * 5
    assert buffer.size() == 5
    buffer.add(b"z")
    assert [buffer.take(100), buffer.take(100), buffer.take(100)] == [b"y" * 5, b"z", b""]
