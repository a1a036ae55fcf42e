"""Headers that come again: what is sent is what the first time was sent, and what is refused stays refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gateway.wsgi_stage import RecordingChannel, Stage, run
from torana.gateway.wsgi.file_wrapper import FileWrapper

#: By then a list of headers is known.
TIMES = 4


class Told(str):
    """Text of an application's own class."""


def answered(status: str, headers: Any, body: Any = (b"12345",), **head: Any) -> tuple[Any, list[Any]]:
    """What left, and what start_response raised."""
    raised: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            start_response(status, headers)
        except Exception as error:
            raised.append((type(error), str(error)))
            raise
        return body

    channel = run(app, **head)
    left = channel.status, channel.reason, channel.fields, channel.length, channel.body, channel.is_aborted
    return left, raised


def lists_of(headers: list[Any], times: int = TIMES) -> list[Any]:
    """The lists of fields that the answers to so many requests were made of, each from a copy of ``headers``."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", list(headers))
        return [b"12345"]

    found = []
    with Stage(app) as stage:
        for _ in range(times):
            stage.run()
            found.append(stage.response.fields)
    return found


def test_from_the_third_time_on_answers_share_what_was_made_of_their_headers() -> None:
    first, second, third, fourth = lists_of([("Content-Type", "text/plain"), ("X-Third", "time")])
    assert first is not second
    assert second is third is fourth
    assert fourth == [(b"Content-Type", b"text/plain"), (b"X-Third", b"time")]


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Long", "v" * 257)],
        [("X-" + "n" * 63, "v")],
        [("X-Many", str(number)) for number in range(33)],
        [("X-Own", Told("text"))],
        [(Told("X-Own"), "text")],
    ],
    ids=["long value", "long name", "many", "value of a class", "name of a class"],
)
def test_what_is_large_or_of_a_class_of_its_own_is_not_kept(headers: list[Any]) -> None:
    lists = lists_of(headers)
    assert len({id(each) for each in lists}) == TIMES and lists[0] == lists[-1]


def test_what_comes_only_once_displaces_nothing() -> None:
    kept = [("X-Kept", "for long")]
    lists_of(kept)
    for number in range(400):
        lists_of([("Set-Cookie", f"session={number}")], times=1)
    before, after = lists_of(kept, times=1), lists_of(kept, times=1)
    assert before[0] is after[0]


def test_no_more_than_a_few_hundred_are_kept() -> None:
    (first, *_) = lists_of([("X-First", "of many")], times=3)[2:]
    for number in range(300):
        lists_of([("X-Another", str(number))], times=3)
    again = lists_of([("X-First", "of many")], times=1)[0]
    assert again is not first and again == first


@pytest.mark.parametrize(
    "status", ["204 No Content", "304 Not Modified", "205 Reset Content", "599 Own", "600 Too much"]
)
def test_known_headers_are_judged_by_each_status(status: str) -> None:
    headers = [("Content-Length", "5"), ("X-Judged", status)]
    fresh = answered(status, [("Content-Length", "5"), ("X-judged", status)])
    lists_of(headers)
    known = answered(status, headers)
    assert known[1] == fresh[1]
    assert [(name.lower(), value) for name, value in known[0][2]] == [(n.lower(), v) for n, v in fresh[0][2]]
    assert known[0][3:] == fresh[0][3:]


def test_a_length_that_one_answer_adds_is_not_told_by_the_next(tmp_path: Any) -> None:
    headers = [("X-Length", "none")]
    lists_of(headers)
    path = tmp_path / "file"
    path.write_bytes(b"1234567")
    for body, method in [([b"123"], "HEAD"), ("file", "HEAD"), ("file", "GET"), ([b"1", b"2"], "GET")]:
        with path.open("rb") as file:
            answered("200 OK", headers, FileWrapper(file) if body == "file" else body, method=method)
        assert lists_of(headers, times=1) == [[(b"X-Length", b"none")]]


def test_a_list_that_is_changed_afterwards_changes_no_answer() -> None:
    headers = [("X-Changed", "no")]

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", headers)
        headers.append(("X-More", "1"))
        yield b"12345"
        headers.pop()

    with Stage(app) as stage:
        for _ in range(TIMES):
            assert stage.run().fields == [(b"X-Changed", b"no")]


def test_a_second_start_is_refused_with_known_headers_too() -> None:
    headers = [("X-Twice", "no")]
    lists_of(headers)
    raised: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", headers)
        try:
            start_response("200 OK", headers)
        except Exception as error:
            raised.append(str(error))
        return [b"12345"]

    channel: RecordingChannel = run(app)
    assert channel.status == 200 and raised == ["start_response was called a second time without exc_info"]


NAMES = st.sampled_from(
    [
        "Content-Length",
        "content-length",
        "Content-Type",
        "X-A",
        "Connection",
        "Transfer-Encoding",
        "Date",
        "",
        "a b",
        "X\n",
    ]
)
VALUES = st.one_of(
    st.sampled_from(["5", "4", "6", "05", "-1", "five", "close", "chunked", "a\r\nb", "\x00", "ä", "☃", ""]),
    st.text(max_size=4),
    st.sampled_from([Told("5"), b"5", 5, None, [], {}, ("5",)]),
)
ITEMS = st.one_of(
    st.tuples(NAMES, VALUES),
    st.tuples(NAMES, VALUES).map(list),
    st.sampled_from([(), ("a",), ("a", "b", "c"), "ab", None]),
)


@settings(max_examples=60, deadline=None)
@given(
    status=st.sampled_from(
        ["200 OK", "204 No Content", "304 Not Modified", "404 Not Found", "100 Continue", "20", 200]
    ),
    headers=st.one_of(st.lists(ITEMS, max_size=3), st.lists(ITEMS, max_size=2).map(tuple), st.none()),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_each_time_is_like_the_first(status: Any, headers: Any, method: str) -> None:
    first = answered(status, headers, method=method)
    for _ in range(TIMES - 1):
        assert answered(status, headers, method=method) == first
