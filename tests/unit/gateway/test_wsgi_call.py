"""One call from end to end: failures at every moment, close() exactly once, clients that leave, Python's validator."""

from __future__ import annotations

import gc
import threading
import weakref
from wsgiref.validate import validator

import pytest

from tests.unit.gateway.wsgi_stage import Stage, run
from torana.exchange.response import ClientDisconnected
from torana.gateway.failure import shown
from torana.gateway.options import GatewayOptions

FAILURES = [ValueError("broken"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), RecursionError(), MemoryError(),
            StopIteration(), OSError("disk"), AssertionError()]  # fmt: skip


class Result:
    """An iterable that counts what is done to it."""

    def __init__(self, blocks, failure=None, close_failure=None):
        self.blocks = list(blocks)
        self.failure = failure
        self.close_failure = close_failure
        self.closed = 0
        self.closed_by = None
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.blocks:
            self.taken += 1
            return self.blocks.pop(0)
        if self.failure is not None:
            raise self.failure
        raise StopIteration

    def close(self):
        self.closed += 1
        self.closed_by = threading.get_ident()
        if self.close_failure is not None:
            raise self.close_failure


def fresh(failure):
    """Another exception like this one, for a raised one keeps its traceback."""
    return type(failure)(*failure.args)


def returning(result, headers=(), status="200 OK"):
    def app(environ, start_response):
        start_response(status, list(headers))
        return result

    return app


# Failures


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_failure_before_anything_left_is_a_plain_500(failure, caplog):
    def at_once(environ, start_response):
        raise fresh(failure)

    def after_start(environ, start_response):
        start_response("200 OK", [("X-A", "1"), ("Content-Length", "9")])
        raise fresh(failure)

    for app in (at_once, after_start):
        caplog.clear()
        with Stage(app) as stage:
            channel = stage.run(method="PUT", target=b"/path?q")
            assert (channel.status, channel.is_ended, channel.is_aborted) == (500, True, False)
            assert channel.header(b"content-type") == b"text/plain; charset=utf-8"
            assert channel.header(b"x-content-type-options") == b"nosniff"
            assert channel.header(b"x-a") is None
            assert channel.body == b"Internal Server Error\n"
            # The same thread serves on.
            assert stage.run().status == 500
        assert len(caplog.records) == 2
        message = caplog.records[0].getMessage()
        assert "PUT /path?q" in message
        assert "test_wsgi_call.py" in message
        assert f"line {app.__code__.co_firstlineno + 1 + (app is after_start)}:" in message
        assert caplog.records[0].exc_info[0] is type(failure)
        assert caplog.records[0].name == "torana.error"


# StopIteration is how an iterator ends, and no failure.
ITERATION_FAILURES = [failure for failure in FAILURES if not isinstance(failure, StopIteration)]


@pytest.mark.parametrize("failure", ITERATION_FAILURES, ids=lambda failure: type(failure).__name__)
def test_failure_while_iterating(failure, caplog):
    first = Result([], failure)
    channel = run(returning(first))
    assert (channel.status, first.closed) == (500, 1)
    later = Result([b"part"], failure)
    channel = run(returning(later))
    assert (channel.status, channel.body, channel.is_ended, channel.is_aborted) == (200, b"part", False, True)
    assert later.closed == 1
    assert len(caplog.records) == 2


def test_failure_within_a_declared_length_is_cut():
    channel = run(returning(Result([b"part"], ValueError()), [("Content-Length", "10")]))
    assert (channel.is_ended, channel.is_aborted) == (False, True)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_failure_in_close_is_only_logged(failure, caplog):
    result = Result([b"all"], close_failure=failure)
    channel = run(returning(result))
    assert (channel.body, channel.is_ended, channel.is_aborted, result.closed) == (b"all", True, False, 1)
    assert len(caplog.records) == 1
    assert "close()" in caplog.records[0].getMessage()


def test_deep_recursion_is_survived():
    def app(environ, start_response):
        return app(environ, start_response)

    with Stage(app, GatewayOptions(threads=1)) as stage:
        assert stage.run().status == 500
        assert stage.run().status == 500


def test_wrong_signature_is_a_500():
    assert run(list).status == 500
    assert run(None).status == 500


def test_error_page():
    def page(error):
        return [(b"content-type", b"text/html")], b"<h1>" + str(error).encode() + b"</h1>"

    def app(environ, start_response):
        raise ValueError("seen")

    with Stage(app, error_page=page) as stage:
        channel = stage.run()
    assert (channel.status, channel.body) == (500, b"<h1>seen</h1>")


def test_error_page_that_fails_is_a_plain_500():
    def page(error):
        raise RuntimeError("page")

    with Stage(None, error_page=page) as stage:
        assert stage.run().body == b"Internal Server Error\n"


def test_error_page_that_says_nonsense_cuts():
    with Stage(None, error_page=lambda error: ([(b"x y", b"")], b"")) as stage:
        channel = stage.run()
    assert (channel.status, channel.is_aborted) == (0, True)


def test_failing_log_handler_ends_nothing(monkeypatch):
    from torana.gateway import failure

    def refuse(*_, **__):
        raise RuntimeError("log")

    monkeypatch.setattr(failure.logger, "error", refuse)
    assert run(None).status == 500


def test_misuse_names_the_applications_line(caplog):
    def app(environ, start_response):
        start_response("nonsense", [])

    run(app)
    message = caplog.records[0].getMessage()
    assert f"test_wsgi_call.py, line {app.__code__.co_firstlineno + 1}:" in message


def test_targets_are_shown_safely():
    assert shown(b"/\xff\x1b[0m") == "/\\xff\\x1b[0m"
    assert len(shown(b"/" * 10_000)) < 300


# close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("blocks", [[], [b"x"], [b"x", b"y"]])
def test_close_is_called_once(method, status, blocks):
    result = Result(blocks)
    run(returning(result, status=status), method=method)
    assert result.closed == 1
    assert result.closed_by != threading.get_ident()


def test_close_of_a_list_with_a_close():
    class Closing(list):
        closed = 0

        def close(self):
            self.closed += 1

    for blocks in ([], [b"x"], [b"x", b"y"]):
        result = Closing(blocks)
        assert run(returning(result)).body == b"".join(blocks)
        assert result.closed == 1


def test_close_comes_after_the_last_byte_and_before_the_connection_goes_back():
    with Stage(None) as stage:
        seen = []

        class Watched(Result):
            def close(self):
                seen.append((stage.channel.is_ended, stage.channel.returned))

        stage.gateway = Stage(returning(Watched([b"x"]))).gateway
        stage.run()
    assert seen == [(True, 0)]


def test_close_without_start_response():
    result = Result([])
    assert run(lambda environ, start_response: result).status == 500
    assert result.closed == 1


def test_nothing_but_iteration_len_and_close_is_used():
    class Hostile:
        def __getattr__(self, name):
            if name == "close":
                raise AttributeError(name)
            raise AssertionError(name)

        def __iter__(self):
            return iter([b"a", b"b"])

    assert run(returning(Hostile())).body == b"ab"


# Clients that leave, servers that stop


def test_client_gone_stops_the_iteration_silently(caplog):
    result = Result([b"%d" % number for number in range(50)])
    with Stage(returning(result)) as stage:
        _, _, channel = stage.begin()

        def lose():
            channel.lost = channel.sends == 3

        channel.on_send = lose
        stage.finish()
        assert stage.gateway.running() == 0
    assert (result.taken, result.closed) == (3, 1)
    assert (channel.is_ended, channel.is_aborted) == (False, True)
    assert caplog.records == []


def test_client_gone_reaches_an_application_that_writes(caplog):
    caught = []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        try:
            while True:
                write(b"x")
        except ClientDisconnected as error:
            caught.append(error)
            raise

    with Stage(app) as stage:
        _, response, channel = stage.begin()
        channel.on_send = lambda: response.lose() if channel.sends == 3 else None
        stage.finish()
    assert len(caught) == 1
    assert channel.sends == 3
    assert caplog.records == []


def test_client_gone_before_a_thread_took_it_means_no_call():
    with Stage(lambda *_: pytest.fail("called")) as stage:
        request, response, channel = stage.begin()
        response.lose()
        request.lose()
        stage.finish()
    assert channel.status == 0


def test_half_closed_client_still_gets_its_answer():
    """The exchange says "disconnected" for it too, but the response is not lost."""
    with Stage(returning([b"x"])) as stage:
        request, _, _ = stage.begin()
        request.lose()
        assert stage.finish().body == b"x"


def test_stop_ends_a_stream_at_its_next_block(caplog):
    with Stage(None) as stage:

        def app(environ, start_response):
            start_response("200 OK", [])
            number = 0
            while True:
                number += 1
                if number == 3:
                    stage.request.answerer.stop()
                yield b"x"

        stage.gateway = Stage(app).gateway
        channel = stage.run()
    assert (channel.body, channel.is_ended, channel.is_aborted) == (b"xxx", False, True)
    assert caplog.records == []


def test_stop_before_a_thread_took_it_is_answered():
    with Stage(lambda *_: pytest.fail("called")) as stage:
        request, _, _ = stage.begin()
        request.answerer.stop()
        assert stage.finish().status == 503


def test_nothing_keeps_a_finished_request_alive():
    refs = []

    class Marked:
        pass

    def app(environ, start_response):
        mark = environ["mark"] = Marked()
        refs.append(weakref.ref(mark))
        start_response("200 OK", [])
        return [b"x"]

    with Stage(app, GatewayOptions(threads=1)) as stage:
        stage.start()
        gc.disable()
        try:
            for _ in range(3):
                stage.run()
            # A thread is known to have let go of a call when it has finished the next one.
            assert [ref() is None for ref in refs[:2]] == [True, True]
        finally:
            gc.enable()


# The validator that comes with Python


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("spool_bytes", [0, 1 << 20])
def test_wsgiref_validate_is_silent(spool_bytes, caplog):
    @validator
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        got = stream.read(3) + stream.readline() + b"".join(stream.readlines()) + b"".join(stream)
        environ["wsgi.errors"].write("said\n")
        environ["wsgi.errors"].writelines(["and\n"])
        environ["wsgi.errors"].flush()
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"<")
        return [got, b">"]

    options = GatewayOptions(threads=1, spool_bytes=spool_bytes, root_path="/api")
    channel = run(app, options, b"abcdef\nghi\njkl", target=b"/api/x%20y?q=1", fields=[(b"content-type", b"a/b")])
    assert channel.body == b"<abcdef\nghi\njkl>"
    assert caplog.messages == ["said", "and"]
    assert run(app, options, target=b"/api").body == b"<>"
    assert run(app, options, method="HEAD", target=b"/").status == 200


@pytest.mark.filterwarnings("error")
def test_wsgiref_validate_on_the_plainest_application(caplog):
    @validator
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]

    channel = run(app)
    assert (channel.body, channel.is_ended) == (b"hello", True)
    assert caplog.records == []
