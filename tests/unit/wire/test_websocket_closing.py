"""The closing handshake, whoever begins it, and what is still answered while it lasts (RFC 6455 sections 5.5.1, 7)."""

from __future__ import annotations

import pytest

from tests.unit.wire.corpus.websocket_frames import ILLEGAL_CODES, LEGAL_CODES
from tests.unit.wire.websocket_driver import (
    BINARY,
    CONTINUATION,
    LIMITS,
    PING,
    PONG_FRAME,
    TEXT,
    Outcome,
    close,
    drive,
    frame,
    pump,
    server_frames,
)
from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.websocket import states
from torana.wire.websocket.connection import PONG, WebSocketConnection
from torana.wire.websocket.extensions import Deflate


# WSP-06
@pytest.mark.parametrize("code", LEGAL_CODES)
def test_a_close_is_answered_with_its_code(code: int) -> None:
    outcome = drive([close(code, "ré".encode()) + frame(TEXT, b"late")])
    assert outcome.closed == (code, "ré", False, "")
    assert outcome.events == []
    assert outcome.mark is CLOSED
    assert server_frames(outcome.output) == [(0x88, code.to_bytes(2, "big"))]


def test_an_empty_close_is_answered_with_an_empty_one() -> None:
    outcome = drive([close()])
    assert outcome.closed == (1005, "", False, "")
    assert server_frames(outcome.output) == [(0x88, b"")]


def test_a_close_in_a_message_drops_it() -> None:
    outcome = drive([frame(TEXT, b"half", fin=False) + close(1001)])
    assert outcome.closed == (1001, "", False, "")
    assert outcome.events == []


def test_the_longest_reason() -> None:
    assert drive([close(1000, b"x" * 123)]).closed == (1000, "x" * 123, False, "")
    connection = WebSocketConnection(LIMITS, None)
    with pytest.raises(ValueError):
        connection.close(1000, "é" * 62)
    assert server_frames(connection.close(1000, "x" * 123)) == [(0x88, b"\x03\xe8" + b"x" * 123)]


@pytest.mark.parametrize("code", [code for code in ILLEGAL_CODES if code < 65536])
def test_we_send_no_illegal_code(code: int) -> None:
    connection = WebSocketConnection(LIMITS, None)
    with pytest.raises(ValueError):
        connection.close(code, "")
    assert not connection.is_closing()


@pytest.mark.parametrize("code", LEGAL_CODES)
def test_our_close_waits_for_theirs(code: int) -> None:
    connection = WebSocketConnection(LIMITS, None)
    assert server_frames(connection.close(code, "réason")) == [(0x88, code.to_bytes(2, "big") + "réason".encode())]
    assert connection.is_closing()
    assert not connection.is_closed()
    assert connection.next() is NEED_DATA
    assert connection.close(1000, "again") == b""  # WS-42: never a second frame
    outcome = drive([close(code)], connection=connection)
    assert outcome.closed == (code, "", False, "")
    assert outcome.output == b""
    assert connection.is_closed()
    assert not connection.is_closing()
    assert connection.close(1000, "") == b""


def test_what_comes_after_our_close_is_dropped() -> None:
    connection = WebSocketConnection(LIMITS, None)
    pieces = frame(BINARY, b"x" * 10, fin=False)
    connection.receive(pieces, 1.0)
    assert connection.next() is NEED_DATA
    connection.close(1000, "")
    assert connection.held() == 0
    rest = [
        frame(CONTINUATION, b"x" * 100_000, fin=False),
        frame(PING, b"unanswered"),
        frame(PONG_FRAME),
        frame(CONTINUATION, b"\xff"),
        frame(TEXT, b"one") + frame(TEXT, b"bad \xff") + frame(BINARY, b"x" * 70_000),
    ]
    data = b"".join(rest)
    outcome = Outcome()
    for at in range(0, len(data), 1000):
        connection.receive(data[at : at + 1000], 1.0)
        pump(connection, outcome)
        assert connection.held() < 200
    assert outcome.events == [PONG]
    assert not connection.has_output()
    assert drive([close()], connection=connection).closed == (1005, "", False, "")


def test_a_failure_while_closing_sends_no_second_close() -> None:
    connection = WebSocketConnection(LIMITS, None)
    connection.close(1000, "")
    outcome = drive([b"\x81\x01a"], connection=connection)
    assert outcome.closed == (1002, "unmasked-frame", True, "")
    assert outcome.output == b""
    assert connection.is_closed()


def test_a_waiting_pong_goes_before_our_close() -> None:
    connection = WebSocketConnection(LIMITS, None)
    connection.receive(frame(PING, b"p"), 1.0)
    assert connection.next() is NEED_DATA
    assert [first for first, _ in server_frames(connection.close(1000, ""))] == [0x8A, 0x88]
    assert not connection.has_output()


def test_a_waiting_pong_goes_before_the_answer_to_a_close() -> None:
    assert [first for first, _ in server_frames(drive([frame(PING) + close(1000)]).output)] == [0x8A, 0x88]


def test_after_the_end_nothing_is_taken() -> None:
    connection = WebSocketConnection(LIMITS, Deflate())
    drive([close(1000)], connection=connection)
    connection.receive(frame(TEXT, b"x") * 1000, 1.0)
    assert connection.held() == 0
    assert connection.next() is CLOSED
    assert connection.take_output() == b""


def test_the_table() -> None:
    for state in (states.OPEN, states.CLOSING, states.OVER):
        assert states.can_send(state) == (state == states.OPEN)
        for act in (states.CLOSE_SENT, states.CLOSE_RECEIVED, states.FAILED):
            assert states.after(state, act) >= state  # nothing ever opens again
            if act != states.CLOSE_SENT:
                assert states.after(state, act) == states.OVER
    assert [code for code in range(65536) if states.is_close_code(code)] == [
        *range(1000, 1004),
        *range(1007, 1015),
        *range(3000, 5000),
    ]
