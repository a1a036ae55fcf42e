"""start_response, write() and the iterable: what leaves, when, in how many pieces, and what is refused."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

from tests.unit.gateway.wsgi_stage import Stage, run
from torana.exchange.response import ApplicationError
from torana.gateway.options import GatewayOptions

PLAIN = [("Content-Type", "text/plain")]


def answering(result, status="200 OK", headers=PLAIN):
    def app(environ, start_response):
        start_response(status, list(headers))
        return result() if callable(result) else result

    return app


def raised_in_start(status="200 OK", headers=(), exc_info=None):
    """The exception that start_response raises, if it does, and the answer that is sent then."""
    caught = []

    def app(environ, start_response):
        try:
            start_response(status, headers, *([exc_info] if exc_info else []))
        except Exception as error:
            caught.append(error)
            raise
        return [b"x"]

    channel = run(app)
    return (caught[0] if caught else None), channel


# The usual answers


@pytest.mark.parametrize("result", [[b"hello"], (b"hello",)])
def test_one_block_leaves_in_one_piece_with_its_length(result):
    channel = run(answering(result))
    assert (channel.status, channel.reason, channel.length) == (200, b"OK", 5)
    assert (channel.body, channel.sends, channel.is_ended) == (b"hello", 1, True)
    assert channel.fields == [(b"Content-Type", b"text/plain")]


def test_declared_one_block_leaves_in_one_piece():
    channel = run(answering([b"hello"], headers=[("Content-Length", "5")]))
    assert (channel.length, channel.sends, channel.is_ended) == (5, 1, True)


def test_length_is_trusted_when_len_works():
    class One:
        def __len__(self):
            return 1

        def __iter__(self):
            yield b"hello"

    channel = run(answering(One))
    assert (channel.length, channel.sends, channel.body) == (5, 1, b"hello")


def test_length_that_does_not_work_is_no_error():
    class Odd:
        def __len__(self):
            raise TypeError("no length")

        def __iter__(self):
            yield b"a"
            yield b"b"

    assert run(answering(Odd)).body == b"ab"


@pytest.mark.parametrize("result", [[], (), lambda: iter([]), [b""], lambda: iter([b"", b""])])
def test_nothing_at_all_is_an_empty_body(result):
    channel = run(answering(result))
    assert (channel.status, channel.length, channel.body, channel.is_ended) == (200, 0, b"", True)


def test_sequence_by_getitem():
    class Old:
        def __getitem__(self, index):
            return (b"a", b"b")[index]

    assert run(answering(Old)).body == b"ab"


def test_generator_streams_block_by_block():
    with Stage(None) as stage:
        seen = []

        def app(environ, start_response):
            start_response("200 OK", PLAIN)
            for block in (b"one", b"two"):
                yield block
                # When the next block is asked for, this one has left.
                seen.append((stage.channel.blocks[-1], stage.channel.is_ended))

        stage.gateway = Stage(app).gateway
        channel = stage.run()
    assert seen == [(b"one", False), (b"two", False)]
    assert (channel.length, channel.blocks, channel.is_ended) == (-1, [b"one", b"two"], True)


def test_head_waits_for_the_first_block_that_is_not_empty():
    with Stage(None) as stage:
        seen = []

        def app(environ, start_response):
            start_response("200 OK", PLAIN)
            yield b""
            seen.append(stage.channel.status)
            yield b"x"
            seen.append(stage.channel.status)

        stage.gateway = Stage(app).gateway
        stage.run()
    assert seen == [0, 200]


def test_start_response_may_come_with_the_first_next():
    def app(environ, start_response):
        start_response("201 Created", PLAIN)
        yield b"x"

    assert run(app).status == 201


def test_empty_blocks_are_passed_over():
    assert run(answering([b"he", b"", b"llo"])).blocks == [b"he", b"llo"]


def test_bytes_are_unaltered_and_may_be_a_subclass():
    class Block(bytes):
        pass

    assert run(answering([b"\r\n\n\r", Block(b"\x00\xff")])).body == b"\r\n\n\r\x00\xff"
    assert run(answering([Block(b"x")])).body == b"x"


# What is no body


@pytest.mark.parametrize(
    "result", [b"bare", b"", "text", None, ["x"], [1], [bytearray(b"x")], lambda: iter(["x"]), 7, [b"", "x"]]
)
def test_wrong_bodies_are_an_error_before_anything_leaves(result, caplog):
    channel = run(answering(result))
    assert channel.status == 500
    assert b"Traceback" not in channel.body
    assert "test_wsgi_answer.py" in caplog.text or "Error" in caplog.text


def test_never_calling_start_response_is_an_error(caplog):
    assert run(lambda environ, start_response: [b"x"]).status == 500
    assert run(lambda environ, start_response: []).status == 500
    assert run(lambda environ, start_response: [b"x", b"y"]).status == 500
    assert "start_response" in caplog.text


# start_response: what may be said


@pytest.mark.parametrize(
    "status",
    [200, b"200 OK", "2", "", "20 OK", "OK", "2000 OK", "200OK", " 200 OK", "200  OK", "200 OK ", "200 O\r\nK",
     "200 O\x01", "200 O\x7f", "200 O\tK", "200 €", "²00 OK", "999 X", "600 X", "103 Early Hints", "100 Continue",
     None],
)  # fmt: skip
def test_wrong_status_raises_in_the_call(status):
    error, channel = raised_in_start(status)
    assert isinstance(error, ApplicationError)
    assert channel.status == 500


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [("200", 200, None), ("200 ", 200, None), ("200 Olé", 200, b"Ol\xe9"), ("404 Gone Fishing", 404, b"Gone Fishing"),
     ("299 ok", 299, b"ok")],
)  # fmt: skip
def test_status_and_reason_as_given(status, code, reason):
    channel = run(answering([b"x"], status=status))
    assert (channel.status, channel.reason) == (code, reason)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"X-A", b"1")], [("X-A", b"1")], [("X-A", 1)], [("X-A", None)], [("X A", "1")], [("X-A:", "1")], [("", "1")],
        [("X-Ä", "1")], [("X-A", "€")], [("X-A", "1\r\nX-B: 2")], [("X-A", "1\n2")], [("X-A", "1\r2")],
        [("X-A", "\x00")], [("X-A", "\x01")], [("X-A", "\x7f")], [("X-A", "\u010a")], [("X-A",)], [("X-A", "1", "2")],
        ["ab"], [["X-A", "1"]],
        {"X-A": "1"}, None, "ab", iter([("X-A", "1")]), [("Content-Length", "+5")], [("Content-Length", "-1")],
        [("Content-Length", "1"), ("content-length", "2")],
    ],
)  # fmt: skip
def test_wrong_headers_raise_in_the_call(headers):
    error, channel = raised_in_start(headers=headers)
    assert isinstance(error, ApplicationError)
    assert channel.status == 500
    assert channel.header(b"x-b") is None


@pytest.mark.parametrize(
    "name",
    ["Connection", "keep-alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Trailers",
     "Transfer-Encoding", "UPGRADE", "Proxy-Connection"],
)  # fmt: skip
def test_fields_of_the_connection_are_refused(name):
    error, channel = raised_in_start(headers=[(name, "x")])
    assert isinstance(error, ApplicationError)
    assert channel.status == 500


def test_headers_may_be_a_tuple_and_their_strings_a_subclass():
    class Text(str):
        pass

    channel = run(answering([b"x"], headers=((Text("X-A"), Text("é")), ("x-b", ""))))
    assert channel.fields == [(b"X-A", b"\xe9"), (b"x-b", b"")]

    def app(environ, start_response):
        start_response(Text("202 Fine"), (("X-A", "1"),))
        return [b"x"]

    assert run(app).status == 202


def test_repeated_fields_stay_apart():
    channel = run(answering([b"x"], headers=[("Set-Cookie", "a"), ("Set-Cookie", "b")]))
    assert [value for _, value in channel.fields] == [b"a", b"b"]


# start_response: twice


@pytest.mark.parametrize("first", ["200 OK", "bad"])
def test_second_call_without_exc_info_is_fatal(first):
    def app(environ, start_response):
        try:
            start_response(first, [])
        except ApplicationError:
            pass
        start_response("200 OK", [])
        return [b"x"]

    assert run(app).status == 500


def test_exc_info_replaces_what_was_not_sent():
    def app(environ, start_response):
        start_response("200 OK", [("X-A", "1"), ("Content-Length", "99")])
        try:
            raise ValueError("broken")
        except ValueError:
            start_response("503 Later", [("X-B", "2")], sys.exc_info())
        return [b"sorry"]

    channel = run(app)
    assert (channel.status, channel.reason, channel.body) == (503, b"Later", b"sorry")
    assert channel.fields == [(b"X-B", b"2")]


def test_exc_info_on_the_first_call_is_fine():
    def app(environ, start_response):
        try:
            raise ValueError("broken")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
        return [b"sorry"]

    assert run(app).reason == b"Oops"


def test_exc_info_after_the_head_left_raises_the_original():
    caught = []

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"part"
        try:
            raise ValueError("broken")
        except ValueError:
            try:
                start_response("500 Oops", [], sys.exc_info())
            except ValueError as error:
                caught.append(error)
                raise

    channel = run(app)
    assert str(caught[0]) == "broken"
    assert (channel.status, channel.is_aborted, channel.is_ended) == (200, True, False)


def test_no_reference_to_exc_info_is_kept():
    class Marked:
        pass

    refs = []
    keep = []

    def app(environ, start_response):
        keep.append(start_response)
        try:
            local = Marked()
            refs.append(weakref.ref(local))
            raise ValueError("broken")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
        return [b"sorry"]

    run(app)
    gc.collect()
    assert refs[0]() is None


# write()


def test_written_data_precede_yielded_data():
    def app(environ, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"w1")
        write(b"")
        write(b"w2")
        return [b"y"]

    channel = run(app)
    assert (channel.blocks, channel.length, channel.is_ended) == ([b"w1", b"w2", b"y"], -1, True)


def test_write_and_an_empty_iterable():
    def app(environ, start_response):
        start_response("200 OK", PLAIN)(b"all")
        return []

    channel = run(app)
    assert (channel.blocks, channel.is_ended) == ([b"all"], True)


def test_write_leaves_before_it_returns():
    with Stage(None) as stage:
        seen = []

        def app(environ, start_response):
            write = start_response("200 OK", PLAIN)
            write(b"now")
            seen.append(stage.channel.body)
            return []

        stage.gateway = Stage(app).gateway
        stage.run()
    assert seen == [b"now"]


@pytest.mark.parametrize("data", ["text", None, 5, bytearray(b"x")])
def test_write_takes_bytes_only(data):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)(data)
        return []

    assert run(app).status == 500


def test_write_past_the_declared_length_raises():
    caught = []

    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "4")])
        write(b"four")
        try:
            write(b"more")
        except ApplicationError as error:
            caught.append(error)
        return []

    channel = run(app)
    assert len(caught) == 1
    assert (channel.body, channel.is_ended, channel.is_aborted) == (b"four", True, False)


def test_write_after_the_request_raises():
    kept = []

    def app(environ, start_response):
        kept.append(start_response("200 OK", PLAIN))
        kept.append(start_response)
        return [b"x"]

    run(app)
    with pytest.raises(ApplicationError):
        kept[0](b"late")
    with pytest.raises(ApplicationError):
        kept[1]("200 OK", [])


# Content-Length


def test_never_more_than_declared_and_iteration_stops():
    taken = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        for block in (b"hel", b"lo", b"zzz"):
            taken.append(block)
            yield block

    channel = run(app)
    assert (channel.body, channel.is_ended, taken) == (b"hello", True, [b"hel", b"lo"])


@pytest.mark.parametrize("result", [[b"hello!!"], [b"hel", b"lo!!"], lambda: iter([b"hello!!"])])
def test_excess_is_cut_and_logged(result, caplog):
    channel = run(answering(result, headers=[("Content-Length", "5")]))
    assert (channel.body, channel.is_ended, channel.is_aborted) == (b"hello", True, False)
    assert "content-length" in caplog.text


def test_declared_zero_with_a_body(caplog):
    channel = run(answering([b"x"], headers=[("Content-Length", "0")]))
    assert (channel.status, channel.length, channel.body, channel.is_ended) == (200, 0, b"", True)


@pytest.mark.parametrize("result", [[b"he", b"l"], lambda: iter([b"hel"])])
def test_too_little_is_cut_so_that_it_shows(result, caplog):
    channel = run(answering(result, headers=[("Content-Length", "5")]))
    assert (channel.is_ended, channel.is_aborted) == (False, True)
    assert "content-length says 5" in caplog.text


@pytest.mark.parametrize("result", [[b"hel"], []])
def test_too_little_that_shows_in_time_is_an_error(result):
    assert run(answering(result, headers=[("Content-Length", "5")])).status == 500


# No body allowed


@pytest.mark.parametrize("result", [[b"hello"], lambda: iter([b"hel", b"lo"]), [b"hel", b"lo"]])
def test_head_has_no_body(result):
    channel = run(answering(result), method="HEAD")
    assert (channel.status, channel.length, channel.body, channel.is_ended) == (200, -2, b"", True)
    channel = run(answering(result, headers=[("Content-Length", "5")]), method="HEAD")
    assert (channel.length, channel.body, channel.header(b"content-length")) == (-2, b"", b"5")


def test_head_tells_the_length_of_a_single_block():
    assert run(answering([b"hello"]), method="HEAD").header(b"content-length") == b"5"
    assert run(answering(lambda: iter([b"hel", b"lo"])), method="HEAD").header(b"content-length") is None


def test_head_with_write():
    def app(environ, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"one")
        write(b"two")
        return [b"three"]

    channel = run(app, method="HEAD")
    assert (channel.body, channel.is_ended, channel.is_aborted) == (b"", True, False)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("result", [[b"hello"], lambda: iter([b"hel", b"lo"]), []])
def test_statuses_without_a_body(status, result):
    channel = run(answering(result, status=status, headers=[("Content-Length", "5")]))
    assert (channel.length, channel.body, channel.is_ended) == (-2, b"", True)
    if status[:3] == "204":
        assert channel.header(b"content-length") is None


# Early hints


def test_early_hints_send_links_and_nothing_once_it_is_late():
    def app(environ, start_response):
        hint = environ["wsgi.early_hints"]
        hint([("Link", "</a.css>; rel=preload"), ("X-Other", "1")])
        write = start_response("200 OK", PLAIN)
        hint([("link", "</b.css>; rel=preload")])
        write(b"x")
        hint([("link", "</c.css>; rel=preload")])
        return []

    channel = run(app)
    assert channel.hints == [(103, [(b"link", b"</a.css>; rel=preload")]), (103, [(b"link", b"</b.css>; rel=preload")])]
    assert run(app, version="1.0").hints == []


@pytest.mark.parametrize("headers", [[("Link", "a\r\nX: y")], [("Link", b"x")], None, [("Connection", "x")]])
def test_early_hints_are_judged(headers):
    def app(environ, start_response):
        environ["wsgi.early_hints"](headers)
        start_response("200 OK", [])
        return []

    channel = run(app)
    assert (channel.status, channel.hints) == (500, [])


# A slow client


def test_a_full_channel_is_waited_for_between_blocks():
    with Stage(answering([b"a", b"b", b"c"])) as stage:
        stage.begin()
        stage.channel.full = True
        channel = stage.finish()
    assert channel.drains == 3
    assert channel.body == b"abc"


def test_the_last_block_waits_for_nobody():
    with Stage(answering([b"a"]), GatewayOptions(threads=1)) as stage:
        stage.begin()
        stage.channel.full = True
        assert stage.finish().drains == 0
