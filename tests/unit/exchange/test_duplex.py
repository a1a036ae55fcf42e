"""A conversation's rules: what an application may say when, what waits for it, how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.conversing import Listener, handshake
from torana.exchange.duplex import ABNORMAL, Duplex, cut_reason
from torana.exchange.response import ApplicationError, ClientDisconnected
from torana.exchange.states import CLOSED, CONNECTING, DENYING, OPEN

ACTS: dict[str, Callable[[Duplex], None]] = {
    "accept": lambda duplex: duplex.accept(None, ()),
    "send": lambda duplex: duplex.send("x"),
    "close": lambda duplex: duplex.close(1000, ""),
    "deny": lambda duplex: duplex.deny(401, ()),
    "refuse": lambda duplex: duplex.refuse(b"x", False),
}


def link_of(duplex: Duplex) -> Any:
    return duplex.link


def channel_of(duplex: Duplex) -> Any:
    return duplex.response.channel


def connecting() -> Duplex:
    return handshake(subprotocols=("chat", "talk"))


def opened(**more: Any) -> Duplex:
    duplex = handshake(**more)
    duplex.accept(None, ())
    return duplex


def denying() -> Duplex:
    duplex = handshake()
    duplex.deny(401, ())
    return duplex


def closed() -> Duplex:
    duplex = opened()
    duplex.close(1000, "")
    return duplex


def lost() -> Duplex:
    duplex = opened()
    duplex.lose(ABNORMAL, "")
    return duplex


@pytest.mark.parametrize(
    ("begin", "act", "outcome"),
    [
        (connecting, "accept", OPEN),
        (connecting, "send", ApplicationError),
        (connecting, "close", CLOSED),
        (connecting, "deny", DENYING),
        (connecting, "refuse", ApplicationError),
        (opened, "accept", ApplicationError),
        (opened, "send", OPEN),
        (opened, "close", CLOSED),
        (opened, "deny", ApplicationError),
        (opened, "refuse", ApplicationError),
        (denying, "accept", ApplicationError),
        (denying, "send", ApplicationError),
        (denying, "close", ApplicationError),
        (denying, "deny", ApplicationError),
        (denying, "refuse", DENYING),
        (closed, "accept", ClientDisconnected),
        (closed, "send", ClientDisconnected),
        (closed, "close", ClientDisconnected),
        (closed, "deny", ClientDisconnected),
        (closed, "refuse", ClientDisconnected),
        (lost, "send", ClientDisconnected),
        (lost, "close", ClientDisconnected),
    ],
)
def test_what_may_be_done_when(begin: Callable[[], Duplex], act: str, outcome: Any) -> None:
    duplex = begin()
    before, acts = duplex.state, list(link_of(duplex).acts)
    if isinstance(outcome, int):
        ACTS[act](duplex)
        assert duplex.state == outcome
    else:
        with pytest.raises(outcome):
            ACTS[act](duplex)
        assert (duplex.state, link_of(duplex).acts) == (before, acts), "nothing has changed"


# the handshake


def test_accept_hands_on_a_subprotocol_and_fields_in_order() -> None:
    duplex = connecting()
    fields = [(b"X-A", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    duplex.accept("talk", fields)
    assert link_of(duplex).acts == [
        ("open", "talk", [(b"x-a", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
    ]


@pytest.mark.parametrize(
    ("subprotocol", "fields"),
    [
        ("news", ()),
        ("Chat", ()),
        ("", ()),
        (None, [(b"sec-websocket-protocol", b"chat")]),
        (None, [(b"Sec-WebSocket-Accept", b"x")]),
        (None, [(b"sec-websocket-extensions", b"x")]),
        (None, [(b"Connection", b"close")]),
        (None, [(b"upgrade", b"x")]),
        (None, [(b"transfer-encoding", b"chunked")]),
        (None, [(b"content-length", b"0")]),
        (None, [(b":status", b"200")]),
        (None, [(b"x a", b"1")]),
        (None, [(b"", b"1")]),
        (None, [(b"x", b"1\r\ny: 2")]),
        (None, [(b"x", b"1\n")]),
        (None, [(b"x", b"\x00")]),
        (None, [("x", b"1")]),
        (None, [(b"x", "1")]),
    ],
)
def test_accept_that_cannot_be_sent_leaves_the_handshake_open(subprotocol: Any, fields: Any) -> None:
    duplex = connecting()
    with pytest.raises(ApplicationError):
        duplex.accept(subprotocol, fields)
    assert (duplex.state, link_of(duplex).acts) == (CONNECTING, [])
    duplex.accept("chat", ())


def test_close_before_accept_is_a_403() -> None:
    duplex = connecting()
    duplex.close(4000, "no")
    channel = channel_of(duplex)
    assert (channel.status, channel.is_complete, duplex.state, duplex.code) == (403, True, CLOSED, ABNORMAL)
    assert link_of(duplex).acts == []


def test_denial_in_parts() -> None:
    duplex = connecting()
    duplex.answerer = listener = Listener()
    duplex.deny(401, [(b"www-authenticate", b"x")])
    assert channel_of(duplex).status == 0, "held back until there is a body"
    duplex.refuse(b"not ", False)
    duplex.refuse(b"you", True)
    channel = channel_of(duplex)
    assert (channel.status, channel.body, channel.is_complete) == (401, b"not you", True)
    assert channel.fields == [(b"www-authenticate", b"x")]
    assert (duplex.state, duplex.code, listener.ends) == (CLOSED, ABNORMAL, 1)


@pytest.mark.parametrize("status", [100, 101, 199, 600, 0, -1])
def test_denial_with_a_status_of_no_answer_leaves_the_handshake_open(status: int) -> None:
    duplex = connecting()
    with pytest.raises(ApplicationError):
        duplex.deny(status, ())
    duplex.accept(None, ())


@pytest.mark.parametrize("begin", [connecting, denying])
def test_lost_before_the_answer(begin: Callable[[], Duplex]) -> None:
    duplex = begin()
    duplex.answerer = listener = Listener()
    duplex.lose(ABNORMAL, "")
    assert listener.ends == 1
    for act in ACTS:
        with pytest.raises(ClientDisconnected):
            ACTS[act](duplex)


# messages


def test_messages_come_out_in_order_and_empty_ones_are_messages() -> None:
    duplex = opened()
    sent: list[Any] = ["a", b"b", "", b"", "ö"]
    for message in sent:
        duplex.push(message)
    assert [duplex.take() for _ in range(6)] == [*sent, None]
    assert duplex.buffered == 0


def test_push_tells_the_answerer() -> None:
    duplex = opened()
    duplex.push("before anybody listens")
    duplex.answerer = listener = Listener()
    duplex.push("x")
    assert listener.arrivals == 1


@pytest.mark.parametrize("begin", [connecting, denying, closed, lost])
def test_what_comes_when_nobody_may_receive_is_dropped(begin: Callable[[], Duplex]) -> None:
    duplex = begin()
    duplex.push("x")
    assert (duplex.take(), duplex.buffered) == (None, 0)


@pytest.mark.parametrize(("message", "count"), [("", 32), (b"", 32), (b"x" * 4096, 16), ("x" * 70_000, 1)])
def test_queue_is_bounded_by_number_and_by_bytes(message: Any, count: int) -> None:
    duplex = opened()
    for number in range(count):
        assert not duplex.is_full(), number
        duplex.push(message)
    assert duplex.is_full()
    assert link_of(duplex).wanted == 0
    duplex.take()
    assert not duplex.is_full()
    assert link_of(duplex).wanted == 1


def test_room_is_told_once_and_what_comes_because_of_it_is_kept() -> None:
    duplex = opened()
    while not duplex.is_full():
        duplex.push("x")
    link_of(duplex).held = [str(number) for number in range(100)]
    taken = []
    while (message := duplex.take()) is not None:
        taken.append(message)
    assert taken == ["x"] * 32 + [str(number) for number in range(100)]


def test_messages_before_the_end_are_still_to_be_taken() -> None:
    duplex = opened()
    duplex.push("last words")
    duplex.lose(1001, "going")
    assert (duplex.take(), duplex.take()) == ("last words", None)
    assert link_of(duplex).wanted == 0


def test_messages_are_dropped_by_ones_own_close() -> None:
    duplex = opened()
    while not duplex.is_full():
        duplex.push("x")
    duplex.close(1000, "")
    assert (duplex.take(), duplex.buffered, duplex.is_full()) == (None, 0, False)


# the end


def test_close_after_accept() -> None:
    duplex = opened()
    duplex.close(4321, "réason")
    assert link_of(duplex).acts[-1] == ("close", 4321, "réason")
    assert (duplex.code, duplex.reason) == (4321, "réason")


def test_first_end_stands() -> None:
    duplex = opened()
    duplex.answerer = listener = Listener()
    duplex.lose(1001, "going")
    duplex.lose(ABNORMAL, "")
    assert (duplex.code, duplex.reason, listener.ends) == (1001, "going", 1)
    duplex = closed()
    duplex.lose(ABNORMAL, "")
    assert duplex.code == 1000


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    duplex = opened()
    duplex.close(code, "")
    assert link_of(duplex).acts[-1] == ("close", code, "")


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 9999])
def test_codes_that_may_not_be_sent(code: int) -> None:
    duplex = opened()
    with pytest.raises(ApplicationError):
        duplex.close(code, "")
    duplex.send("still open")


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        ("", ""),
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("é" * 100, "é" * 61),
        ("x" * 122 + "é", "x" * 122),
        ("x" + "𝄞" * 40, "x" + "𝄞" * 30),
        ("a\ud800b", "a?b"),
    ],
)
def test_reason_is_cut_between_characters(reason: str, cut: str) -> None:
    assert cut_reason(reason) == cut
    assert len(cut.encode()) <= 123
