"""Responses on the wire: framing, what is added, what is refused (G-035, G-036)."""

from __future__ import annotations

import h11
import pytest

from tests.unit.wire.corpus.case import get, post
from tests.unit.wire.http1_driver import LIMITS
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.states import LegalityError
from torana.wire.http1.writer import field_lines

DATE = b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
SERVER = b"server: torana\r\n"


def asked(request: bytes = get(b"Host: t")) -> Http1Connection:
    connection = Http1Connection(LIMITS)
    connection.receive(request)
    connection.next()
    return connection


OLD = get(version=b"1.0")
OLD_KEPT = get(b"Connection: keep-alive", version=b"1.0")


def test_the_plain_response() -> None:
    assert asked().send_head(200, None, [(b"content-type", b"text/plain")], 5, b"hello", True, DATE, SERVER) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + DATE + SERVER + b"content-length: 5\r\n\r\nhello"
    )


def test_what_the_fields_hold_is_not_added_again() -> None:
    fields = [(b"Date", b"now"), (b"SERVER", b"x"), (b"Content-Length", b"5")]
    message = asked().send_head(200, b"Fine", fields, 5, b"hello", True, DATE, SERVER + b"x-a: b\r\n")
    assert message == b"HTTP/1.1 200 Fine\r\nDate: now\r\nSERVER: x\r\nContent-Length: 5\r\nx-a: b\r\n\r\nhello"


@pytest.mark.parametrize("request_head", [get(b"Host: t"), OLD, OLD_KEPT], ids=["1.1", "1.0", "1.0 kept"])
@pytest.mark.parametrize("length", [-2, -1, 0, 5])
@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"Content-Type", b"text/plain"), (b"X-A", b"1")],
        [(b"Date", b"now"), (b"SERVER", b"x"), (b"Content-Length", b"5")],
        [(b"Connection", b"close"), (b"x-default", b"own")],
    ],
    ids=["none", "plain", "those that are added", "connection"],
)
def test_fields_that_are_lines_already_make_the_same_head(
    request_head: bytes, length: int, fields: list[tuple[bytes, bytes]]
) -> None:
    ready, defaults = field_lines(fields), SERVER + b"x-default: ours\r\n"
    body = b"hello" if length in (-1, 5) else b""
    for status, reason in [(200, None), (404, b"Lost")]:
        fresh = asked(request_head).send_head(status, reason, fields, length, body, True, DATE, defaults)
        assert asked(request_head).send_head(status, reason, fields, length, body, True, DATE, defaults, ready) == fresh


def test_lines_cannot_choose_the_coding() -> None:
    fields = [(b"Transfer-Encoding", b"chunked")]
    with pytest.raises(ValueError):
        asked().send_head(200, None, fields, -1, b"", True, b"", b"", field_lines(fields))


def test_default_lines_follow_the_argument() -> None:
    for name in (b"a", b"b", b"a"):
        assert name + b": 1\r\n" in asked().send_head(200, None, [], 0, b"", True, b"", name + b": 1\r\n")


@pytest.mark.parametrize("lines", [b"server\r\n", b"server: a\nb\r\n", b"server: a\x00\r\n"])
def test_bad_default_lines_are_refused(lines: bytes) -> None:
    with pytest.raises(ValueError):
        asked().send_head(200, None, [], 0, b"", True, b"", lines)


@pytest.mark.parametrize("length", [0, 1, 9, 10, 2047, 2048, 4096, 2**40])
def test_content_length_is_written(length: int) -> None:
    message = asked().send_head(200, None, [], length, b"", False, b"", b"")
    assert message == b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % length


def test_unknown_length_is_chunked_on_1_1() -> None:
    connection = asked()
    first = connection.send_head(200, None, [], -1, b"hello", False, b"", b"")
    assert first == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    assert connection.begin_data(26, False) == b"1a\r\n"
    assert connection.end_data(False) == b"\r\n"
    assert connection.begin_data(1, True) == b"1\r\n"
    assert connection.end_data(True) == b"\r\n0\r\n\r\n"
    assert connection.next_cycle()


@pytest.mark.parametrize(
    ("data", "is_end", "tail"),
    [
        (b"", False, b""),
        (b"", True, b"0\r\n\r\n"),
        (b"x" * 16, True, b"10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"),
        (bytearray(b"ab"), False, b"2\r\nab\r\n"),
        (memoryview(b"ab"), True, b"2\r\nab\r\n0\r\n\r\n"),
    ],
)
def test_first_data_in_a_chunked_head(data: bytes, is_end: bool, tail: bytes) -> None:
    message = asked().send_head(200, None, [], -1, data, is_end, b"", b"")
    assert message.partition(b"\r\n\r\n")[2] == tail


@pytest.mark.parametrize("request_", [OLD, OLD_KEPT])
def test_unknown_length_ends_with_the_connection_on_1_0(request_: bytes) -> None:
    connection = asked(request_)
    message = connection.send_head(200, None, [], -1, b"hello", False, b"", b"")
    assert message == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
    assert not connection.keep_alive
    assert connection.begin_data(3, False) + connection.end_data(False) + connection.finish() == b""
    assert not connection.next_cycle()


def test_known_length_keeps_a_1_0_connection() -> None:
    connection = asked(OLD_KEPT)
    message = connection.send_head(200, None, [], 2, b"hi", True, b"", b"")
    assert message == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi"
    assert connection.next_cycle()


@pytest.mark.parametrize("fields", [[], [(b"content-length", b"10")]])
def test_a_message_without_body_has_only_its_own_framing_fields(fields: list[tuple[bytes, bytes]]) -> None:
    connection = asked()
    message = connection.send_head(304, None, fields, -2, b"never", False, b"", b"")
    assert message == b"HTTP/1.1 304 Not Modified\r\n" + b"content-length: 10\r\n" * len(fields) + b"\r\n"
    assert connection.finish() == b""
    assert connection.next_cycle()


def test_an_empty_piece_does_not_end_the_body() -> None:
    connection = asked()
    connection.send_head(200, None, [], -1, b"", False, b"", b"")
    assert connection.begin_data(0, False) + connection.end_data(False) == b""
    assert connection.begin_data(0, True) + connection.end_data(True) == b"0\r\n\r\n"
    assert connection.next_cycle()


def test_finish_ends_once() -> None:
    connection = asked()
    connection.send_head(200, None, [], -1, b"", False, b"", b"")
    assert connection.finish() == b"0\r\n\r\n"
    assert connection.finish() == b""


def test_trailers_end_a_chunked_body() -> None:
    connection = asked()
    connection.send_head(200, None, [], -1, b"x", False, b"", b"")
    assert connection.send_trailers([(b"x-sum", b"1"), (b"server-timing", b"a")]) == (
        b"0\r\nx-sum: 1\r\nserver-timing: a\r\n\r\n"
    )
    assert connection.next_cycle()


@pytest.mark.parametrize(("request_", "length"), [(OLD, -1), (get(b"Host: t"), 1)])
def test_trailers_are_swallowed_where_there_are_none(request_: bytes, length: int) -> None:
    connection = asked(request_)
    connection.send_head(200, None, [], length, b"x", False, b"", b"")
    assert connection.send_trailers([(b"x-sum", b"1")]) == b""


@pytest.mark.parametrize("name", [b"content-length", b"Transfer-Encoding", b"set-cookie", b"host", b"content-type"])
def test_forbidden_trailers_are_refused(name: bytes) -> None:
    connection = asked()
    connection.send_head(200, None, [], -1, b"x", False, b"", b"")
    with pytest.raises(ValueError):
        connection.send_trailers([(name, b"1")])


BAD_VALUES = [b"a" + bytes([value]) + b"b" for value in [*range(0x20), 0x7F] if value != 9] + [b"\n", b"a\r\nX: y"]
BAD_NAMES = [b"", b"a b", b"a:", b"a\r\nb", b"a\n", b"\x00", b"\xe4", b"a\x7f", b"(", b" a", b"a\t"]


@pytest.mark.parametrize("writer", ["head", "lines", "interim", "trailers"])
def test_nothing_that_could_split_leaves_any_writer(writer: str) -> None:
    """Every entry point, every bad byte: refused, with the name but not the value in the message, nothing written."""
    bad = [(b"x-name", value) for value in BAD_VALUES] + [(name, b"v") for name in BAD_NAMES]
    for field in bad:
        connection = asked()
        with pytest.raises(ValueError) as caught:
            if writer == "head":
                connection.send_head(200, None, [(b"ok", b"1"), field], 0, b"", True, b"", b"")
            elif writer == "lines":
                field_lines([(b"ok", b"1"), field])
            elif writer == "interim":
                connection.send_informational(103, [field])
            else:
                connection.send_head(200, None, [], -1, b"", False, b"", b"")
                connection.send_trailers([field])
        assert "\r" not in str(caught.value) and "\n" not in str(caught.value)
        if writer == "head":
            assert connection.send_head(500, None, [], 0, b"", True, b"", b""), "still free to answer 500"


@pytest.mark.parametrize("reason", [b"OK\r\nX: y", b"a\nb", b"\x00", b"\x7f"])
def test_reason_cannot_split(reason: bytes) -> None:
    with pytest.raises(ValueError):
        asked().send_head(200, reason, [], 0, b"", True, b"", b"")


def test_obs_text_and_htab_pass_byte_exact() -> None:
    value = b"\x80\xffa\tb"
    assert b"x: " + value + b"\r\n" in asked().send_head(200, None, [(b"x", value)], 0, b"", True, b"", b"")


@pytest.mark.parametrize("status", [-1, 0, 99, 1000, 2000])
def test_status_outside_three_digits_is_refused(status: int) -> None:
    with pytest.raises(ValueError):
        asked().send_head(status, None, [], 0, b"", True, b"", b"")


def test_status_without_a_phrase() -> None:
    assert asked().send_head(299, None, [], -2, b"", True, b"", b"").startswith(b"HTTP/1.1 299 \r\n")


def test_app_cannot_choose_the_coding() -> None:
    with pytest.raises(ValueError):
        asked().send_head(200, None, [(b"Transfer-Encoding", b"chunked")], -1, b"", True, b"", b"")
    with pytest.raises(ValueError):
        asked().send_informational(103, [(b"content-length", b"1")])


def test_a_connection_field_is_not_doubled() -> None:
    connection = asked(OLD)
    message = connection.send_head(200, None, [(b"Connection", b"close")], 0, b"", True, b"", b"")
    assert message.lower().count(b"connection:") == 1


def test_second_head_and_data_out_of_turn_are_bugs() -> None:
    connection = asked()
    with pytest.raises(LegalityError):
        connection.begin_data(1, False)
    with pytest.raises(LegalityError):
        connection.finish()
    connection.send_head(200, None, [], 0, b"", True, b"", b"")
    with pytest.raises(LegalityError):
        connection.send_head(200, None, [], 0, b"", True, b"", b"")
    with pytest.raises(LegalityError):
        connection.begin_data(1, False)
    with pytest.raises(LegalityError):
        connection.end_data(True)
    with pytest.raises(LegalityError):
        connection.send_trailers([])


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("length", [0, 5, -1])
def test_another_reader_understands_every_framing(method: bytes, length: int) -> None:
    """h11, a test-only peer, reads two responses in a row from what the writer wrote."""
    client = h11.Connection(h11.CLIENT)
    request = post(b"Content-Length: 0") if method == b"POST" else get(b"Host: t")
    connection = Http1Connection(LIMITS)
    for _ in range(2):
        client.send(h11.Request(method=method, target="/", headers=[("Host", "t")]))
        client.send(h11.EndOfMessage())
        connection.receive(request)
        connection.next()
        body = b"" if length == 0 else b"hello"
        out = connection.send_head(200, None, [(b"x", b"y")], length, body[:2], False, DATE, SERVER)
        if body:
            out += connection.begin_data(3, True) + body[2:] + connection.end_data(True)
        else:
            out += connection.finish()
        client.receive_data(out)
        head = client.next_event()
        assert isinstance(head, h11.Response) and head.status_code == 200
        got = b""
        while isinstance(event := client.next_event(), h11.Data):
            got += bytes(event.data)
        assert got == body and isinstance(event, h11.EndOfMessage)
        assert client.trailing_data == (b"", False)
        assert connection.next_cycle()
        client.start_next_cycle()
