"""The client's side: heads that are written, responses that are read, whole, byte by byte and cut at every offset."""

from __future__ import annotations

import pytest

from tests.unit.wire.http1_responses import BAD, CHUNKED, GOOD, drive, response
from torana.wire.events import CLOSED, NEED_DATA, PAUSED, WireError
from torana.wire.http1.client import NO_BODY, UNKNOWN, ResponseReader, chunk, end, request_head
from torana.wire.http1.limits import Limits

HOST = (b"host", b"t")


def lines(head: bytes) -> list[bytes]:
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n")


# Requests


def test_a_head_is_its_fields_in_order() -> None:
    head = request_head("GET", b"/a?b=%20", [HOST, (b"accept", b"*/*"), (b"cookie", b"a=\xff")], 0)
    assert head == b"GET /a?b=%20 HTTP/1.1\r\nhost: t\r\naccept: */*\r\ncookie: a=\xff\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "length", "line"),
    [
        ("GET", 0, None),
        ("DELETE", 0, None),
        ("POST", 0, b"content-length: 0"),
        ("PUT", 0, b"content-length: 0"),
        ("POST", NO_BODY, None),
        ("GET", 5, b"content-length: 5"),
        ("POST", UNKNOWN, b"transfer-encoding: chunked"),
        ("PURGE", 10**12, b"content-length: 1000000000000"),
    ],
)
def test_framing_is_said_once_and_anew(method: str, length: int, line: bytes | None) -> None:
    theirs = [(b"content-length", b"7"), (b"Transfer-Encoding", b"gzip"), (b"content-length", b"8")]
    said = lines(request_head(method, b"/", [*theirs, HOST], length))
    assert said[0] == method.encode() + b" / HTTP/1.1"
    assert said[1:] == [b"host: t", *([line] if line else [])]


def test_fields_of_the_connection_are_dropped() -> None:
    theirs = [
        (b"connection", b"keep-alive, X-Private"), (b"keep-alive", b"5"), (b"proxy-connection", b"close"),
        (b"x-private", b"1"), (b"upgrade", b"h2c"), (b"te", b"gzip"), (b"http2-settings", b"AAAA"),
        (b"X-Private", b"2"), (b"x-other", b"3"),
    ]  # fmt: skip
    assert lines(request_head("GET", b"/", [HOST, *theirs], 0))[1:] == [b"host: t", b"x-other: 3"]


def test_wish_for_trailers_is_passed_on() -> None:
    said = lines(request_head("GET", b"/", [HOST, (b"te", b"gzip, Trailers")], 0))
    assert said[2:] == [b"connection: te", b"te: trailers"]


def test_an_upgrade_is_asked_for_in_our_words() -> None:
    theirs = [HOST, (b"connection", b"Upgrade"), (b"upgrade", b"h2c"), (b"sec-websocket-key", b"x")]
    said = lines(request_head("GET", b"/", theirs, NO_BODY, b"websocket"))
    assert said[1:] == [b"host: t", b"sec-websocket-key: x", b"connection: upgrade", b"upgrade: websocket"]


def test_expectation_is_kept() -> None:
    assert b"expect: 100-continue\r\n" in request_head("POST", b"/", [HOST, (b"expect", b"100-continue")], 5)


def test_a_host_is_always_said() -> None:
    assert lines(request_head("GET", b"/", [], 0))[1:] == [b"host: "]


def test_whole_server_may_be_asked_for_its_options() -> None:
    assert request_head("OPTIONS", b"*", [HOST], 0).startswith(b"OPTIONS * HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("method", "target", "fields", "reason"),
    [
        ("GET", b"", [HOST], "bad-target"),
        ("GET", b"*", [HOST], "bad-target"),
        ("GET", b"http://a/", [HOST], "bad-target"),
        ("GET", b"/a b", [HOST], "bad-target"),
        ("GET", b"/\r\nX: y", [HOST], "bad-target"),
        ("GET", b"/\xe9", [HOST], "bad-target"),
        ("GET", b"/a#b", [HOST], "bad-target"),
        ("GE T", b"/", [HOST], "bad-method"),
        ("", b"/", [HOST], "bad-method"),
        ("GÉT", b"/", [HOST], "bad-method"),
        ("GET", b"/", [HOST, (b"Host", b"t")], "repeated-host"),
        ("GET", b"/", [HOST, (b"x", b"a\r\nb: c")], "bad-value"),
        ("GET", b"/", [HOST, (b"x", b"a\0")], "bad-value"),
        ("GET", b"/", [(b"host", b"t\n")], "bad-value"),
        ("GET", b"/", [HOST, (b"x y", b"a")], "bad-name"),
        ("GET", b"/", [HOST, (b"x:", b"a")], "bad-name"),
        ("GET", b"/", [HOST, (b"", b"a")], "bad-name"),
        ("GET", b"/", [HOST, (b":path", b"a")], "bad-name"),
        ("GET", b"/", [HOST, (b"connection", b"host")], "connection-lists-framing"),
    ],
)
def test_what_could_be_read_otherwise_is_refused(method: str, target: bytes, fields: list, reason: str) -> None:
    with pytest.raises(WireError, match=reason) as caught:
        request_head(method, target, fields, 0)
    assert caught.value.status == 400


def test_connect_is_not_passed_on() -> None:
    with pytest.raises(WireError, match="connect") as caught:
        request_head("CONNECT", b"t:1", [HOST], 0)
    assert caught.value.status == 501


def test_chunks_and_their_end() -> None:
    assert chunk(b"x" * 26) == (b"1a\r\n", b"\r\n")
    assert end([]) == b"0\r\n\r\n"
    assert end([(b"x-sum", b"1")]) == b"0\r\nx-sum: 1\r\n\r\n"
    with pytest.raises(ValueError, match="ends the body"):
        chunk(b"")
    for name, value in ((b"content-length", b"5"), (b"x", b"\r\n"), (b"x\r", b"")):
        with pytest.raises(WireError):
            end([(name, value)])


# Responses


@pytest.mark.parametrize("name", GOOD)
def test_a_good_response_however_it_is_cut(name: str) -> None:
    data = GOOD[name]
    whole = drive([data])
    assert whole.error is None and whole.mark is PAUSED and whole.is_reusable
    assert drive([data[i : i + 1] for i in range(len(data))]) == whole
    for at in range(1, len(data)):
        assert drive([data[:at], data[at:]]) == whole
        part = drive([data[:at]])
        assert part.error is None and part.mark is NEED_DATA and not part.is_reusable
        cut = drive([data[:at]], eof=True)
        assert cut.error in ("truncated-head", "truncated-body", "no-response")


@pytest.mark.parametrize(("reason", "data"), [(reason, data) for reason, group in BAD.items() for data in group])
def test_a_bad_response_however_it_is_cut(reason: str, data: bytes) -> None:
    data += b"HTTP/1.1 200 OK\r\n\r\n"
    whole = drive([data])
    assert whole.error == reason and whole.mark is CLOSED and not whole.is_reusable
    assert drive([data[i : i + 1] for i in range(len(data))]) == whole
    for at in range(1, len(data), 1 + len(data) // 200):
        assert drive([data[:at], data[at:]]) == whole


def test_what_is_read() -> None:
    outcome = drive([GOOD["length"]])
    assert outcome.head == (200, b"OK", [(b"content-type", b"text/plain"), (b"content-length", b"5")], 5)
    assert outcome.body == b"hello" and outcome.trailers == []
    outcome = drive([GOOD["chunks"]])
    assert outcome.head == (200, b"OK", [], -1) and outcome.body == b"helloabc"
    assert drive([GOOD["trailers"]]).trailers == [(b"x-sum", b"1")]
    assert drive([GOOD["long reason"]]).head == (299, b"All sorts \xe9 of words", [(b"content-length", b"0")], 0)
    assert drive([GOOD["not modified"]]).head is not None and drive([GOOD["not modified"]]).body == b""
    assert drive([GOOD["interim"]]).interim == [(100, []), (103, [(b"link", b"</a>"), (b"link", b"</b>")])]
    blanks = drive([GOOD["blanks"]]).head
    assert blanks is not None and blanks[2][:2] == [(b"x-a", b"a b"), (b"x-b", b"")]
    odd = drive([GOOD["odd names"]]).head
    assert odd is not None and [name for name, _ in odd[2]] == [
        b"x_y.z",
        b"set-cookie",
        b"set-cookie",
        b"content-length",
    ]
    named = drive([GOOD["named"]]).head
    assert named is not None and named[2] == [(b"content-length", b"0")]


def test_answer_to_head_has_no_body() -> None:
    for lines_ in ((b"Content-Length: 5",), (CHUNKED,), ()):
        outcome = drive([response(*lines_)], is_head=True)
        assert outcome.head is not None and outcome.head[3] == 0
        assert outcome.trailers == [] and outcome.is_reusable


def test_body_until_the_end_of_the_connection() -> None:
    data = response(b"X-A: b", body=b"all of this")
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        outcome = drive(pieces, eof=True)
        assert outcome.head is not None and outcome.head[3] == -1
        assert (outcome.body, outcome.trailers, outcome.is_reusable) == (b"all of this", [], False)
    assert drive([data]).mark is NEED_DATA


def test_no_response_at_all() -> None:
    assert drive([], eof=True).error == "no-response"
    assert drive([response(status=b"HTTP/1.1 100 Continue")], eof=True).error == "no-response"


@pytest.mark.parametrize("line", [b"Connection: close", b"connection: x, Close"])
def test_the_other_end_may_wish_to_close(line: bytes) -> None:
    outcome = drive([response(line, b"Content-Length: 0")])
    assert outcome.mark is PAUSED and not outcome.is_reusable
    old = drive([response(b"Content-Length: 0", status=b"HTTP/1.0 200 OK")])
    assert old.mark is PAUSED and not old.is_reusable


def test_a_switch_of_protocols_leaves_the_rest() -> None:
    data = response(b"Connection: upgrade", b"Upgrade: a", b"X: y", status=b"HTTP/1.1 101 Switching", body=b"\x81\x00")
    for at in range(1, len(data)):
        outcome = drive([data[:at], data[at:]])
        assert outcome.head == (101, b"Switching", [(b"x", b"y")], 0)
        assert outcome.mark is CLOSED and outcome.rest == b"\x81\x00" and not outcome.is_reusable


def test_bytes_that_nobody_asked_for_spoil_the_connection() -> None:
    outcome = drive([GOOD["length"] + b"H"])
    assert outcome.mark is PAUSED and outcome.error is None and not outcome.is_reusable


def test_one_reader_reads_one_response_after_another() -> None:
    reader = ResponseReader()
    for _ in range(3):
        for data in GOOD.values():
            reader.begin(False)
            reader.receive(data)
            while reader.next() is not PAUSED:
                pass
            assert reader.is_reusable()


def test_bounds() -> None:
    tight = Limits(request_line_bytes=40, field_bytes=50, head_bytes=120, field_count=3)
    assert drive([response(b"Content-Length: 0")], limits=tight).error is None
    assert drive([b"HTTP/1.1 200 " + b"x" * 40], limits=tight).error == "long-head"
    assert drive([response(b"X: " + b"y" * 50)], limits=tight).error == "long-head"
    assert drive([response(*[b"X: " + b"y" * 40] * 3)], limits=tight).error == "long-head"
    assert drive([response(*[b"X: y"] * 4)], limits=tight).error == "many-fields"


def test_small_chunks_of_ones_own_application_are_no_attack() -> None:
    data = response(CHUNKED, body=b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n")
    assert len(drive([data]).body) == 20_000
    assert drive([data], limits=Limits()).error == "chunk-overhead"
