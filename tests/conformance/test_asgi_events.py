"""What goes through an ASGI application's receive and send, and what happens when it breaks its side of the bargain."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import Any

import pytest

from tests.conformance.conftest import PROBE_FILE_CONTENT
from tests.support.raw import Answer, Connection
from tests.support.server import Server

HELLO = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def ask(server: Server, target: str, *fields: str, method: str = "GET", **more: Any) -> Answer:
    with Connection(server.address) as connection:
        return connection.ask(method, target, *fields, **more)


def noted(server: Server, token: str, mark: str = "") -> Any:
    """What the probe noted under a token; `mark` must occur in it."""
    text = f"note: {token} {mark}"
    line = server.wait_for_log(text)
    return json.loads(line.partition(f"note: {token} ")[2])


def let_go(server: Server) -> None:
    assert ask(server, "/do/let_go").status == 200


# receive


def test_request_without_a_body_is_one_event(probe: Server) -> None:
    events = json.loads(ask(probe, "/").body)["events"]
    assert events == [{"type": "http.request", "body": {"bytes": ""}, "more_body": False}]


@pytest.mark.parametrize("size", [1, 65_536, 1_000_000])
def test_body_in_events_of_bounded_size(probe: Server, size: int) -> None:
    seen = json.loads(ask(probe, "/do/drain", method="POST", body=bytes(size)).body)
    assert seen["kinds"] == ["http.request bytes bool"]
    assert seen["count"] == size
    assert seen["largest"] <= 1024 * 1024


def test_body_that_ends_where_reading_was_paused(probe: Server) -> None:
    """The end of a body needs no byte more, so it must not wait for one."""
    with Connection(probe.address) as connection:
        for size in [65_536, 131_072, 1_048_576, 4_194_304] * 10:
            connection.request("POST", "/do/drain", f"Content-Length: {size}")
            connection.send(bytes(size))
            assert json.loads(connection.read("POST").body)["count"] == size


def test_application_runs_before_the_body_is_complete(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("POST", f"/do/first_piece?{token}", "Content-Length: 6")
        connection.send(b"abc")
        probe.wait_for_log(f"note: {token}")
        answer = connection.read("POST")
    assert json.loads(answer.body) == {"type": "http.request", "body": {"bytes": "abc"}, "more_body": True}


def test_each_event_is_a_new_object_and_the_last_is_the_disconnect(probe: Server, token: str) -> None:
    ask(probe, f"/do/distinct?{token}")
    assert noted(probe, token) == {"distinct": True, "types": ["http.request", "http.disconnect"]}


def test_disconnect_comes_after_the_answer_and_is_repeatable(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        connection.ask("GET", f"/do/repeat?{token}")
        events = noted(probe, token)
        assert connection.ask("GET", "/").status == 200, "the connection itself lives on"
    assert [event["type"] for event in events] == ["http.disconnect"] * 4


def test_cancelled_receive_loses_nothing(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("POST", f"/do/cancelled?{token}", "Content-Length: 5")
        probe.wait_for_log(f"note: {token}")
        connection.send(b"hello")
        assert "".join(json.loads(connection.read("POST").body)) == "hello"


@pytest.mark.parametrize("leave", ["close", "reset", "finish_writing"])
def test_client_lost_in_the_body_is_a_disconnect(probe: Server, token: str, leave: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("POST", f"/do/lost?{token}", "Content-Length: 100")
        connection.send(b"abc")
        probe.wait_for_log(f'note: {token} "began"')
        getattr(connection, leave)()
        seen = noted(probe, token, '{"seen"')["seen"]
    assert seen[-1]["type"] == "http.disconnect"
    assert sum(event["body"] for event in seen) <= 3
    assert all(event["more_body"] for event in seen[:-1])


def test_body_nobody_reads_is_not_taken_in(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("POST", f"/do/hold?{token}", "Content-Length: 90000000")
        probe.wait_for_log(f'note: {token} "began"')
        sent = 0
        connection.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while sent < 90_000_000:
                sent += connection.socket.send(bytes(262_144))
        assert sent < 30_000_000, "only what buffers of the kernel hold"
        let_go(probe)


@pytest.mark.parametrize("size", [10, 50_000, 3_000_000])
def test_unread_body_is_never_taken_for_the_next_request(probe: Server, size: int) -> None:
    evil = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
    body = (evil * (size // len(evil) + 1))[:size]
    with Connection(probe.address) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/do/unread", body=body)
            connection.send(HELLO)
        first = connection.read("POST")
        assert json.loads(first.body) == "unread"
        if first.get("connection") == b"close" or size > 1_000_000:
            assert b"/evil" not in connection.read_to_end()
        else:
            assert json.loads(connection.read().body)["scope"]["path"] == "/hello"


# send


def names_of_bad_events() -> list[str]:
    from tests.conformance.asgi_probe import BAD_EVENTS

    return list(BAD_EVENTS)


@pytest.mark.parametrize("name", names_of_bad_events())
def test_bad_event_raises_and_a_right_answer_still_goes_out(probe: Server, name: str) -> None:
    answer = ask(probe, f"/do/bad_event?{name.replace(' ', '+')}")
    assert answer.status == 200
    assert b"Exception" in answer.body, "the event was taken"
    assert answer.get("set-cookie") is None


def test_strange_keys_are_no_error(probe: Server) -> None:
    assert ask(probe, "/do/extra_keys").body == b"x"


def test_keys_with_a_default_may_be_left_out(probe: Server) -> None:
    answer = ask(probe, "/do/defaults")
    assert (answer.status, answer.body, answer.is_complete) == (201, b"one two", True)


def test_sends_at_once_stay_whole_and_in_order(probe: Server) -> None:
    body = ask(probe, "/do/gathered").body
    assert body == b"".join(bytes([48 + number]) * 50_000 for number in range(10))


def test_send_can_be_made_a_task(probe: Server) -> None:
    assert ask(probe, "/do/send_as_tasks").body == b"x"


def test_header_fields_keep_order_and_doubles(probe: Server) -> None:
    fields = [(name.lower(), value) for name, value in ask(probe, "/do/header_forms").fields]
    mine = [pair for pair in fields if pair[0].startswith((b"x-", b"set-"))]
    assert mine == [
        (b"x-one", b"1"),
        (b"set-cookie", b"a=1"),
        (b"x-two", b"2"),
        (b"set-cookie", b"b=2"),
        (b"x-latin", b"\xe9"),
    ]


def test_date_and_server_are_not_doubled(probe: Server) -> None:
    answer = ask(probe, "/do/own_date")
    assert answer.get_all("date") == [b"Sun, 06 Nov 1994 08:49:37 GMT"]
    assert answer.get_all("server") == [b"mine"]
    assert len(ask(probe, "/").get_all("date")) == 1


@pytest.mark.parametrize("coding", ["chunked", "gzip"])
def test_transfer_encoding_of_the_application_is_ignored(probe: Server, coding: str) -> None:
    with Connection(probe.address) as connection:
        answer = connection.ask("GET", f"/do/own_coding?{coding}")
        assert answer.body == b"hello"
        assert (answer.get("transfer-encoding") is None) or (answer.get("content-length") is None)
        assert connection.ask("GET", "/").status == 200


def test_buffers_are_taken_as_they_are_at_the_call(probe: Server) -> None:
    assert ask(probe, "/do/buffers").body == b"first second"


def test_first_part_goes_out_at_once(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("GET", f"/do/at_once?{token}")
        probe.wait_for_log(f"note: {token}")
        assert connection.read_until(b"first").endswith(b"first")
        let_go(probe)
        assert b"second" in connection.read_until(b"0\r\n\r\n")


def test_empty_body_flushes_the_head(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("GET", f"/do/flush_head?{token}")
        probe.wait_for_log(f"note: {token}")
        assert connection.read_head().get("x-early") == b"1"
        let_go(probe)
        assert b"late" in connection.read_until(b"0\r\n\r\n")


def test_messages_after_the_end_are_ignored(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        assert json.loads(connection.ask("GET", f"/do/after_end?{token}").body) == "whole"
        assert noted(probe, token) == ["ok", "ok", "ok"]
        assert connection.ask("GET", "/").status == 200


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("when", ["first", "start"])
def test_send_raises_oserror_once_the_client_left(probe: Server, token: str, when: str, leave: str) -> None:
    mark = probe.mark()
    with Connection(probe.address) as connection:
        connection.request("GET", f"/do/send_after_leaving/{when}?{token}")
        probe.wait_for_log(f'note: {token} "began"')
        getattr(connection, leave)()
        told = noted(probe, token, '{"told"')["told"]
    assert all(" OSError " in outcome for outcome in told), told
    assert "Traceback" not in probe.log_since(mark)


@pytest.mark.parametrize("then", ["raise", "wrap", "translate", "swallow"])
def test_stream_to_a_client_that_left_ends_in_oserror_without_noise(probe: Server, token: str, then: str) -> None:
    mark = probe.mark()
    with Connection(probe.address) as connection:
        connection.request("GET", f"/do/stream_until_error/{then}?{token}")
        connection.read_until(b"xxxx")
        connection.reset()
        assert "OSError" in noted(probe, token)["raised"]
    assert ask(probe, "/").status == 200
    assert "Traceback" not in probe.log_since(mark)


def test_send_waits_for_a_client_that_does_not_read(probe: Server, token: str) -> None:
    with Connection(probe.address, receive_buffer_bytes=16_384) as connection:
        connection.request("GET", f"/do/pressure?{token}")
        assert noted(probe, token)["taken"] < 30_000_000, "only what buffers of the kernel hold"


# applications that fail


def test_failure_before_the_start_is_500(probe: Server, token: str) -> None:
    answer = ask(probe, f"/do/fail_first?{token}")
    assert (answer.status, answer.is_complete) == (500, True)
    assert answer.get("content-length") is not None
    assert token.encode() not in answer.body
    probe.wait_for_log(f"RuntimeError: deliberate {token}")
    assert probe.log.count(f"RuntimeError: deliberate {token}") == 1


def test_failure_after_the_start_is_still_500(probe: Server, token: str) -> None:
    answer = ask(probe, f"/do/fail_after_start?{token}")
    assert (answer.status, answer.is_complete) == (500, True)
    assert answer.get("x-mine") is None


@pytest.mark.parametrize("name", ["fail_in_body", "return_in_body"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_failure_in_the_body_cuts_the_answer(probe: Server, token: str, name: str, version: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("GET", f"/do/{name}?{token}", version=version)
        if version == "1.1":
            answer = connection.read()
            assert (answer.status, answer.body, answer.is_complete) == (200, b"partial", False)
        else:
            # Without a length or chunks, a reset is the only sign.
            connection.read_until(b"partial")
            with pytest.raises(ConnectionResetError):
                assert connection.socket.recv(100) != b"", "ended as if it were whole"


def test_failure_after_the_end_is_only_logged(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        assert json.loads(connection.ask("GET", f"/do/fail_at_end?{token}").body) == "whole"
        probe.wait_for_log(f"RuntimeError: deliberate {token}")
        assert connection.ask("GET", "/").status == 200


def test_return_without_an_answer_is_500(probe: Server) -> None:
    assert ask(probe, "/do/return_first").status == 500


def test_return_after_the_start_is_500(probe: Server) -> None:
    assert ask(probe, "/do/return_after_start").status == 500


def test_returned_value_is_ignored(probe: Server) -> None:
    with Connection(probe.address) as connection:
        assert json.loads(connection.ask("GET", "/do/return_value").body) == "whole"
        assert connection.ask("GET", "/").status == 200


@pytest.mark.parametrize("name", ["exit_it", "cancel_itself"])
def test_application_cannot_end_the_worker(probe: Server, name: str) -> None:
    assert ask(probe, f"/do/{name}").status == 500
    assert ask(probe, "/").status == 200


# lengths and bodiless answers


@pytest.mark.parametrize("name", ["too_much", "too_much_in_parts"])
def test_more_than_the_declared_length_never_reaches_the_wire(probe: Server, token: str, name: str) -> None:
    with Connection(probe.address) as connection:
        connection.send(f"GET /do/{name}?{token} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + HELLO)
        assert "Exception" in noted(probe, token)[-1], "the application is told"
        answer = connection.read()
        if answer.status == 500:
            assert answer.is_complete
        else:
            assert b"012".startswith(answer.body)
            assert connection.is_ended(), "nothing may follow on this connection"


def test_less_than_the_declared_length_ends_the_connection(probe: Server, token: str) -> None:
    with Connection(probe.address) as connection:
        connection.send(f"GET /do/too_little?{token} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + HELLO)
        answer = connection.read()
        assert answer.status == 500 or not answer.is_complete


@pytest.mark.parametrize("wish", ["one", "cl", "parts", "parts,cl"])
@pytest.mark.parametrize(
    ("method", "status"), [("GET", 204), ("GET", 304), ("GET", 205), ("HEAD", 200), ("HEAD", 404), ("HEAD", 204)]
)
def test_bodiless_answers_leave_the_connection_in_step(probe: Server, method: str, status: int, wish: str) -> None:
    with Connection(probe.address) as connection:
        connection.send(f"{method} /do/bodiless/{status}?{wish} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + HELLO)
        answer = connection.read(method)
        assert (answer.status, answer.body) == (status, b"")
        if status == 204:
            assert answer.get("content-length") is None
        if method == "HEAD" and status == 200 and "cl" in wish:
            assert answer.get("content-length") == b"10"
        if status in (204, 304):
            assert answer.get("transfer-encoding") is None
        after = connection.read()
        assert (after.status, json.loads(after.body)["scope"]["path"]) == (200, "/hello")


def test_unknown_length_by_version(probe: Server) -> None:
    for version, framing in (("1.1", "chunked"), ("1.0", "close")):
        answer = ask(probe, "/do/unknown_length", version=version)
        assert (answer.framing, answer.body, answer.is_complete) == (framing, b"part 0 part 1 part 2 ", True)


# extensions


@pytest.mark.parametrize("order", ["before", "after"])
def test_early_hints(probe: Server, order: str) -> None:
    with Connection(probe.address) as connection:
        connection.request("GET", f"/do/hints/{order}")
        hint = connection.read(skip_interim=False)
        assert hint.status == 103
        links = b", ".join(hint.get_all("link"))
        assert links == b"</a.css>; rel=preload, </b.js>; rel=preload"
        assert hint.get("content-length") is None and hint.get("x-final") is None
        final = connection.read()
        assert (final.status, final.body, final.get("x-final")) == (200, b"x", b"1")


def test_no_early_hints_to_http_1_0(probe: Server) -> None:
    with Connection(probe.address) as connection:
        connection.request("GET", "/do/hints/before", version="1.0")
        assert connection.read(skip_interim=False).status == 200


def test_trailers_only_for_those_who_ask(probe: Server) -> None:
    asked = ask(probe, "/do/trailers", "TE: gzip, trailers")
    assert (asked.body, asked.trailers, asked.get("trailer")) == (b"content", [(b"x-sum", b"42")], b"x-sum")
    for answer in (ask(probe, "/do/trailers"), ask(probe, "/do/trailers", version="1.0")):
        assert (answer.body, answer.trailers, answer.is_complete) == (b"content", [], True)


def test_forgotten_trailers_cut_the_answer(probe: Server) -> None:
    answer = ask(probe, "/do/trailers_forgotten", "TE: trailers")
    assert answer.status == 500 or not answer.is_complete


@pytest.mark.parametrize("wish", ["length", "none"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_pathsend(probe: Server, wish: str, version: str) -> None:
    answer = ask(probe, f"/do/send_path?{wish}", version=version)
    assert (answer.status, answer.is_complete) == (200, True)
    assert answer.body == PROBE_FILE_CONTENT


def test_pathsend_head(probe: Server) -> None:
    with Connection(probe.address) as connection:
        answer = connection.ask("HEAD", "/do/send_path?length")
        assert answer.get("content-length") == str(len(PROBE_FILE_CONTENT)).encode()
        assert connection.ask("GET", "/do/send_path?length").body == PROBE_FILE_CONTENT


@pytest.mark.parametrize("wish", ["missing", "relative"])
def test_pathsend_of_what_cannot_be_sent_raises(probe: Server, wish: str) -> None:
    answer = ask(probe, f"/do/send_path?{wish}")
    assert answer.status in (200, 404), "the application can still answer"
    assert b"Exception" in answer.body


def test_zerocopysend(probe: Server) -> None:
    content = PROBE_FILE_CONTENT
    answer = ask(probe, "/do/send_file")
    assert answer.body == b"<" + content[10:30] + content[100:105] + content[1000:] + b">"


def test_zerocopysend_to_a_slow_client(probe: Server) -> None:
    with Connection(probe.address, receive_buffer_bytes=4096) as connection:
        connection.request("GET", "/do/send_file")
        assert connection.read().body.endswith(PROBE_FILE_CONTENT[-100:] + b">")
