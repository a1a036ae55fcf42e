"""The connection as a whole: marks, cycles, keeping alive, 100 (Continue), FIN, upgrades."""

from __future__ import annotations

import sys

import pytest

from tests.support.http2 import GET as GET_FIELDS
from tests.support.http2 import Wire, headers
from tests.unit.wire.corpus.case import CANARY, chunked, get, post
from tests.unit.wire.http1_driver import LIMITS, drive
from torana.base.forwarding import FORWARDING_NAMES, FORWARDING_STEMS
from torana.wire.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, RequestHead, WireError
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.states import LegalityError

GET = get(b"Host: t")


def connected(data: bytes = b"") -> Http1Connection:
    connection = Http1Connection(LIMITS)
    if data:
        connection.receive(data)
    return connection


def answer(connection: Http1Connection, length: int = 0) -> bytes:
    return connection.send_head(200, None, [], length, b"", length == 0, b"", b"")


def head_of(data: bytes) -> RequestHead:
    head = connected(data).next()
    assert isinstance(head, RequestHead)
    return head


def test_a_new_connection_needs_data_and_is_between() -> None:
    connection = connected()
    assert connection.next() is NEED_DATA
    assert connection.is_between()
    assert connection.buffered == 0
    connection.receive(b"G")
    assert not connection.is_between()
    assert connection.buffered == 1
    assert connection.next() is NEED_DATA
    assert not connection.is_between()


def test_between_survives_the_one_empty_line() -> None:
    connection = connected(b"\r\n")
    assert connection.next() is NEED_DATA
    assert connection.is_between()


def test_request_without_body_gives_its_head_only_then_pauses() -> None:
    connection = connected(GET + GET)
    head = connection.next()
    assert isinstance(head, RequestHead)
    assert (head.method, head.target, head.raw_path, head.query, head.version) == ("GET", b"/", b"/", b"", "1.1")
    assert head.fields == [(b"host", b"t")]
    assert head.content_length == 0 and not head.has_body
    assert (head.expects_continue, head.upgrade, head.takes_trailers, head.has_forwarding) == (
        False,
        None,
        False,
        False,
    )
    assert head.keep_alive is True
    assert connection.next() is PAUSED
    assert connection.next() is PAUSED
    assert connection.buffered == len(GET)
    assert not connection.next_cycle(), "no response yet"
    answer(connection)
    assert connection.next_cycle()
    assert isinstance(connection.next(), RequestHead)
    assert connection.buffered == 0


def test_every_attribute_of_a_head_is_set() -> None:
    head = head_of(GET)
    for name in dir(RequestHead()):
        if not name.startswith("_"):
            getattr(head, name)  # raises where the parser forgot one


def test_body_by_length_is_handed_over_as_it_came() -> None:
    connection = connected(post(b"Content-Length: 10"))
    head = connection.next()
    assert isinstance(head, RequestHead) and head.content_length == 10
    assert connection.next() is NEED_DATA
    piece = b"0123456"
    connection.receive(piece)
    assert connection.next() is piece, "not copied"
    assert connection.next() is NEED_DATA
    connection.receive(b"789" + GET)
    assert connection.next() == b"789"
    end = connection.next()
    assert isinstance(end, EndOfBody) and end.trailers == []
    assert connection.next() is PAUSED
    assert connection.buffered == len(GET)


def test_chunks_that_came_together_are_one_piece() -> None:
    connection = connected(chunked(b"1\r\na\r\n" * 50 + b"5\r\nhel"))
    head = connection.next()
    assert isinstance(head, RequestHead) and head.content_length == -1
    assert connection.next() == b"a" * 50 + b"hel"
    assert connection.next() is NEED_DATA
    connection.receive(b"lo\r\n0\r\nX-T: 1\r\n\r\n" + GET)
    assert connection.next() == b"lo"
    end = connection.next()
    assert isinstance(end, EndOfBody) and end.trailers == [(b"x-t", b"1")]
    assert connection.next() is PAUSED
    assert connection.buffered == len(GET)


def test_data_before_a_fault_comes_out_first() -> None:
    connection = connected(chunked(b"5\r\nhello\r\nX\r\n"))
    connection.next()
    assert connection.next() == b"hello"
    with pytest.raises(WireError) as caught:
        connection.next()
    assert (caught.value.status, caught.value.reason) == (400, "bad-chunk-size")
    assert not connection.keep_alive


def test_after_an_error_there_is_only_closed() -> None:
    connection = connected(b"BAD\r\n" + CANARY)
    with pytest.raises(WireError):
        connection.next()
    for _ in range(3):
        assert connection.next() is CLOSED
    connection.receive(CANARY)
    assert connection.buffered == 0, "a lingering peer fills no memory"
    assert connection.next() is CLOSED
    connection.receive_eof()
    assert connection.next() is CLOSED
    assert not connection.next_cycle()
    assert b"connection: close\r\n" in connection.send_head(400, None, [], 3, b"bad", True, b"", b"")
    assert not connection.next_cycle()


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_nothing_is_read_while_paused(body: bytes) -> None:
    connection = connected(post(b"Content-Length: %d" % len(body), body=body))
    while connection.next() is not PAUSED:
        pass
    connection.receive(b"\x00\x01 rubbish")
    assert connection.next() is PAUSED
    connection.receive_eof()
    assert connection.next() is PAUSED, "the response is still owed"
    answer(connection)
    assert connection.next_cycle()
    with pytest.raises(WireError):
        connection.next()


def test_fin_at_every_offset_of_a_request() -> None:
    data = chunked(b"5\r\nhello\r\n0\r\nX: y\r\n\r\n")
    head_size = data.index(b"\r\n\r\n") + 4
    for size in range(len(data)):
        outcome = drive([data[:size]] if size else [], eof=True)
        assert outcome.mark is CLOSED
        if size == 0:
            assert outcome.error is None
        elif size < head_size:
            assert outcome.error == (400, "truncated-head", "") and not outcome.requests
        else:
            assert outcome.error == (400, "truncated-body", "")
            assert not outcome.requests[0].is_whole and outcome.requests[0].trailers is None


def test_fin_in_a_body_by_length() -> None:
    outcome = drive([post(b"Content-Length: 10", body=b"012")], eof=True)
    assert outcome.error == (400, "truncated-body", "")
    assert bytes(outcome.requests[0].body) == b"012"


def test_fin_between_requests_closes_without_error() -> None:
    outcome = drive([GET], eof=True)
    assert outcome.error is None and outcome.mark is CLOSED and len(outcome.requests) == 1


@pytest.mark.parametrize(
    ("version", "options", "kept"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"close"], False),
        (b"1.1", [b"Close"], False),
        (b"1.1", [b"keep-alive"], True),
        (b"1.1", [b"keep-alive, close"], False),
        (b"1.1", [b"a", b"b ,\tCLOSE"], False),
        (b"1.1", [b"closed, xclose"], True),
        (b"1.0", [], False),
        (b"1.0", [b"keep-alive"], True),
        (b"1.0", [b"Keep-Alive, x"], True),
        (b"1.0", [b"keep-alive", b"close"], False),
    ],
)
def test_keep_alive_rules(version: bytes, options: list[bytes], kept: bool) -> None:
    connection = connected(get(b"Host: t", *[b"Connection: " + value for value in options], version=version) + GET)
    head = connection.next()
    assert isinstance(head, RequestHead) and head.keep_alive is kept
    assert connection.keep_alive is kept
    message = answer(connection)
    assert (b"connection: close\r\n" in message) == (not kept)
    assert (b"connection: keep-alive\r\n" in message) == (kept and version == b"1.0")
    assert connection.next_cycle() is kept
    if not kept:
        assert connection.next() is PAUSED, "bytes after the last request are not looked at"


def test_host_is_optional_on_1_0() -> None:
    assert head_of(get(version=b"1.0")).fields == []


def test_absolute_form_gives_a_1_0_request_its_host() -> None:
    head = head_of(get(b"X: y", target=b"http://a:1/b?c", version=b"1.0"))
    assert head.fields == [(b"host", b"a:1"), (b"x", b"y")]
    assert (head.target, head.raw_path, head.query) == (b"http://a:1/b?c", b"/b", b"c")


def test_close_after_holds_for_present_and_coming_requests() -> None:
    connection = connected(GET)
    connection.next()
    connection.close_after()
    assert b"connection: close\r\n" in answer(connection)
    assert not connection.next_cycle()
    early = connected()
    early.close_after()
    early.receive(GET)
    assert isinstance(early.next(), RequestHead)
    assert not early.keep_alive


def test_a_cycle_needs_both_messages_whole() -> None:
    connection = connected(post(b"Content-Length: 2"))
    connection.next()
    answer(connection)
    assert not connection.next_cycle(), "body not read"
    connection.receive(b"hi")
    connection.next()
    assert not connection.next_cycle(), "its end not read"
    connection.next()
    assert connection.next_cycle()
    connection.receive(GET)
    connection.next()
    answer(connection, length=5)
    assert not connection.next_cycle(), "response not whole"
    assert connection.begin_data(5, True) + connection.end_data(True) == b""
    assert connection.next_cycle()


EXPECTING = post(b"Expect: 100-Continue", b"Content-Length: 5")


def test_client_waits_until_100_is_sent() -> None:
    connection = connected(EXPECTING)
    head = connection.next()
    assert isinstance(head, RequestHead) and head.expects_continue
    assert connection.needs_continue
    assert connection.send_informational(103, [(b"link", b"</a>")]).startswith(b"HTTP/1.1 103 Early Hints\r\nlink: ")
    assert connection.needs_continue
    assert connection.send_informational(100, []) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not connection.needs_continue
    assert b"connection: close" not in answer(connection)


def test_client_that_sends_at_once_does_not_wait() -> None:
    together = connected(EXPECTING + b"h")
    together.next()
    assert not together.needs_continue
    later = connected(EXPECTING)
    later.next()
    assert later.needs_continue
    later.receive(b"h")
    assert not later.needs_continue


def test_final_response_to_a_waiting_client_is_the_last() -> None:
    connection = connected(EXPECTING)
    connection.next()
    assert b"connection: close\r\n" in answer(connection)
    assert not connection.keep_alive
    connection.receive(b"hello")
    while connection.next() is not PAUSED:
        pass
    assert not connection.next_cycle()


def test_expectations_that_do_not_count() -> None:
    old = connected(b"POST / HTTP/1.0\r\nExpect: 100-continue, x\r\nContent-Length: 5\r\n\r\n")
    head = old.next()
    assert isinstance(head, RequestHead) and not head.expects_continue
    assert not old.needs_continue
    assert old.send_informational(100, []) == b""
    assert old.version_minor == 0
    bodyless = head_of(get(b"Host: t", b"Expect: 100-continue"))
    assert not bodyless.expects_continue


def test_interim_responses_have_their_time() -> None:
    connection = connected()
    with pytest.raises(LegalityError):
        connection.send_informational(103, [])
    connection.receive(GET)
    connection.next()
    answer(connection)
    with pytest.raises(LegalityError):
        connection.send_informational(103, [])


@pytest.mark.parametrize(
    ("version", "lines", "upgrade"),
    [
        (b"1.1", [b"Upgrade: websocket", b"Connection: keep-alive, Upgrade"], b"websocket"),
        (b"1.1", [b"Connection: upgrade", b"Upgrade: a/1", b"Upgrade: b"], b"a/1, b"),
        (b"1.1", [b"Upgrade: websocket"], None),
        (b"1.1", [b"Upgrade: websocket", b"Connection: upgraded"], None),
        (b"1.1", [b"Connection: upgrade"], None),
        (b"1.0", [b"Upgrade: websocket", b"Connection: Upgrade"], None),
    ],
)
def test_upgrade_is_noted_only_when_asked_for_properly(
    version: bytes, lines: list[bytes], upgrade: bytes | None
) -> None:
    assert head_of(get(b"Host: t", *lines, version=version)).upgrade == upgrade


def test_hand_over_gives_what_was_not_parsed_and_ends_http() -> None:
    connection = connected(get(b"Host: t", b"Upgrade: websocket", b"Connection: Upgrade") + b"\x81\x85")
    connection.next()
    assert connection.next() is PAUSED
    connection.receive(b"rest")
    message = connection.send_head(
        101, None, [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")], -2, b"", True, b"", b""
    )
    assert message == b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
    assert connection.hand_over() == b"\x81\x85rest"
    connection.receive(GET)
    assert connection.next() is CLOSED
    assert not connection.next_cycle()


def test_hand_over_of_a_request_whose_body_is_not_read_is_a_bug() -> None:
    connection = connected(post(b"Upgrade: x", b"Connection: Upgrade", b"Content-Length: 33"))
    connection.next()
    with pytest.raises(LegalityError):
        connection.hand_over()


@pytest.mark.parametrize(
    ("lines", "takes"),
    [([b"TE: trailers"], True), ([b"TE: gzip;q=1, Trailers ;q=0.5"], True), ([b"TE: gzip", b"TE: trailers"], True),
     ([b"TE: xtrailers"], False), ([b"TE:"], False), ([], False)],
)  # fmt: skip
def test_takes_trailers(lines: list[bytes], takes: bool) -> None:
    assert head_of(get(b"Host: t", *lines)).takes_trailers is takes


@pytest.mark.parametrize(
    "name",
    [b"Forwarded", b"X-Forwarded-For", b"x-forwarded-proto", b"X-FORWARDED-ANYTHING", b"X-Real-IP", b"X-Client-IP",
     b"True-Client-IP", b"CF-Connecting-IP", b"X-SSL-Client-Cert", b"X-SSL-Client-Whatever", b"X-Client-Cert",
     b"Client-Cert", b"Remote-User"],
)  # fmt: skip
def test_forwarding_fields_are_seen(name: bytes) -> None:
    assert head_of(get(b"Host: t", name + b": 1")).has_forwarding


@pytest.mark.parametrize(
    "name", [*sorted(name for name in FORWARDING_NAMES if b"_" not in name), *(s + b"x" for s in FORWARDING_STEMS[:3])]
)
def test_whatever_only_a_trusted_hop_may_say_is_seen_when_it_comes_alone(name: bytes) -> None:
    """Else it would reach the application unasked, while in company it is taken away (G-073)."""
    assert head_of(get(b"Host: t", name + b": 1")).has_forwarding
    (event,) = Wire().send(headers(1, [*GET_FIELDS, (name, b"1")]))
    assert event.head.has_forwarding


def test_ordinary_fields_are_not_forwarding() -> None:
    assert not head_of(get(b"Host: t", b"X-Forward: 1", b"X-Real: 2", b"Via: 3", b"For: 4")).has_forwarding


def test_conflated_names_are_dropped_and_counted() -> None:
    connection = connected(
        get(b"Host: t", b"X_Forwarded_For: 1", b"Remote.User: admin", b"REMOTE-USER: x", b"HTTP_HOST: e", b"Proxy: p")
    )
    head = connection.next()
    assert isinstance(head, RequestHead)
    assert head.fields == [(b"host", b"t"), (b"remote-user", b"x")]
    assert connection.dropped == 4


def test_version_of_a_refused_request_is_known_to_the_answer() -> None:
    connection = connected(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(WireError):
        connection.next()
    assert connection.version_minor == 0
    message = connection.send_head(400, None, [], -1, b"no", True, b"", b"")
    assert b"transfer-encoding" not in message and message.endswith(b"\r\n\r\nno")


@pytest.mark.parametrize(
    "pieces",
    [
        [get(b"Host: t", b"x: " + b"v" * 9000)],
        [post(b"Content-Length: 30000", body=b"x" * 30_000)],
        [post(b"Content-Length: 65536", body=b"x" * 60_000), b"x" * 5536],
        [chunked(b"2710\r\n" + b"x" * 10_000 + b"\r\n0\r\n\r\n")],
    ],
    ids=["head", "body", "body in two", "chunks"],
)
def test_what_was_received_is_not_kept_once_it_is_used_up(pieces: list[bytes]) -> None:
    """A connection may be idle for as long as its clients like, and there are many."""
    connection = connected()
    for piece in pieces:
        # Fresh objects, that nobody else holds.
        held = bytes(bytearray(piece))
        before = sys.getrefcount(held)
        connection.receive(held)
        for _ in range(4):
            if connection.next() in (NEED_DATA, PAUSED):
                break
        assert connection.buffered == 0
        assert sys.getrefcount(held) == before
