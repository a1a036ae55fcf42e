"""Heads that come again, by ASGI: what is sent is what the first time was sent, and what is refused stays refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.conversing import RecordingChannel
from torana.base.endpoints import Endpoints
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.asgi.answer import Answer
from torana.gateway.known_heads import KnownHeads
from torana.wire.events import RequestHead

#: By then a list of headers is known.
TIMES = 4


class Own(bytes):
    """Bytes of an application's own class."""


class Listening(RecordingChannel):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[Any] = []

    def respond(self, status: int, reason: Any, fields: Any, length: int, data: Any, is_end: bool) -> None:
        self.acts.append((status, reason, list(fields), length, bytes(data), is_end))

    def write(self, data: Any, is_end: bool) -> None:
        self.acts.append((bytes(data), is_end))

    def abort(self) -> None:
        self.acts.append("abort")


def response(method: str = "GET") -> Response:
    head = RequestHead()
    head.method, head.takes_trailers = method, True
    head.fields = [(b"host", b"example.com")]
    channel = Listening()
    return Response(channel, Request(head, Endpoints(("10.0.0.1", 5), None, "http"), channel, 0, 1024))


def answered(status: Any, headers: Any, method: str = "GET", **more: Any) -> tuple[Any, Any]:
    """What left, and what ``send`` raised."""
    made = response(method)
    answer = Answer(made, False)
    raised = None
    try:
        answer.send({"type": "http.response.start", "status": status, "headers": headers, **more})
        answer.send({"type": "http.response.body", "body": b"12345"})
    except Exception as error:
        raised = type(error), str(error)
    assert isinstance(made.channel, Listening)
    return made.channel.acts, raised


def started(headers: list[Any], **more: Any) -> Response:
    made = response()
    Answer(made, False).send({"type": "http.response.start", "status": 200, "headers": headers, **more})
    return made


def test_from_the_third_time_on_answers_share_what_was_made_of_their_headers() -> None:
    lists = [started([(b"content-type", b"text/plain"), (b"x-third", b"time")]).fields for _ in range(TIMES)]
    assert lists[0] is not lists[1]
    assert lists[1] is lists[2] is lists[3]
    assert lists[3] == [(b"content-type", b"text/plain"), (b"x-third", b"time")]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-long", b"v" * 257)],
        [(b"x-" + b"n" * 63, b"v")],
        [(b"x-many", b"%d" % number) for number in range(33)],
        [[b"x-list", b"of two"]],
    ],
    ids=["long value", "long name", "many", "lists"],
)
def test_what_is_large_or_has_no_hash_is_not_kept(headers: list[Any]) -> None:
    lists = [started(list(headers)).fields for _ in range(TIMES)]
    assert len({id(each) for each in lists}) == TIMES and lists[0] == lists[-1]


def test_trailers_that_are_announced_do_not_stay_out_of_the_next_answer_nor_come_into_it() -> None:
    headers = [(b"x-trailers", b"now and then")]
    for _ in range(TIMES):
        for has_trailers in (False, True):
            made = response()
            answer = Answer(made, False)
            answer.send(
                {"type": "http.response.start", "status": 200, "headers": list(headers), "trailers": has_trailers}
            )
            answer.send({"type": "http.response.body", "body": b"12345"})
            assert made.is_over() is not has_trailers


def test_of_other_classes_nothing_is_kept() -> None:
    heads = KnownHeads(bytes)
    for headers in ([(b"x-own", Own(b"v"))], [(Own(b"x-name"), b"v")], [("x-text", "v")], [(b"x-text", 1)]):
        for _ in range(TIMES):
            made = response()
            made.start(200, [(b"x-own", b"v")])
            heads.note(headers, made)
        assert heads.find(headers) is None


@pytest.mark.parametrize("headers", [None, (), 5, {}, [{}], [[]], "ab", [(b"x", [])]])
def test_what_is_no_list_of_headers_is_not_known_and_raises_nothing(headers: Any) -> None:
    heads = KnownHeads(bytes)
    made = response()
    made.start(200, [])
    for _ in range(TIMES):
        assert heads.find(headers) is None
        heads.note(headers, made)


NAMES = st.sampled_from(
    [b"content-length", b"Content-Length", b"x-a", b"connection", b"transfer-encoding", b"date", b"", b"a b", b"x\n"]
)
VALUES = st.sampled_from(
    [b"5", b"4", b"05", b"-1", b"close", b"chunked", b"a\r\nb", b"\0", b"", Own(b"5"), "5", 5, None]
)
ITEMS = st.one_of(
    st.tuples(NAMES, VALUES),
    st.tuples(NAMES, VALUES).map(list),
    st.sampled_from([(), (b"a",), (b"a", b"b", b"c"), b"ab", None]),
)


@settings(max_examples=100, deadline=None)
@given(
    status=st.sampled_from([200, 204, 205, 304, 404, 100, 600, "200", True]),
    headers=st.one_of(st.lists(ITEMS, max_size=3), st.lists(ITEMS, max_size=2).map(tuple), st.none()),
    method=st.sampled_from(["GET", "HEAD"]),
    has_trailers=st.booleans(),
)
def test_each_time_is_like_the_first(status: Any, headers: Any, method: str, has_trailers: bool) -> None:
    first = answered(status, headers, method, trailers=has_trailers)
    for _ in range(TIMES - 1):
        assert answered(status, headers, method, trailers=has_trailers) == first


def test_the_very_same_items_in_a_list_of_another_length_are_another_head() -> None:
    items = [(b"x-same", b"%d" % number) for number in range(3)]
    for _ in range(TIMES):
        assert answered(200, items[:2])[1] is None
    for other in (items, items[:1], [items[1], items[0]], []):
        acts, raised = answered(200, other)
        assert raised is None
        assert [pair for pair in acts[0][2] if pair[0] == b"x-same"] == other


def test_a_list_that_is_changed_after_it_was_sent_is_judged_anew() -> None:
    headers = [(b"x-mine", b"1"), (b"x-other", b"2")]
    for _ in range(TIMES):
        assert answered(200, headers)[1] is None
    headers[1] = (b"x-other", b"2\r\nx-injected: 1")
    assert answered(200, headers)[1] is not None
    headers[1] = (b"x-other", 2)  # type: ignore[assignment]
    assert answered(200, headers)[1] is not None


@pytest.mark.parametrize("more", [{}, {"headers": [(b"x-trailed", b"1")]}], ids=["without headers", "with headers"])
@pytest.mark.parametrize("told", [{}, {"trailers": True}, {"trailers": False}], ids=["nothing told", "yes", "no"])
def test_trailers_are_heard_of_wherever_they_stand(more: dict[str, Any], told: dict[str, Any]) -> None:
    made = response()
    answer = Answer(made, False)
    answer.send({"type": "http.response.start", "status": 200, **told, **more})
    answer.send({"type": "http.response.body", "body": b"12345"})
    # With trailers the end is still to come.
    assert made.is_over() is not told.get("trailers", False)
