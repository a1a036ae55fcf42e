"""PEP 3333 from the wire: the environ, wsgi.input, start_response, the iterable, write() and file_wrapper."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import PROBE_FILE_CONTENT
from tests.support.raw import Answer, Connection
from tests.support.server import Server, running

HERE = Path(__file__).parent
HELLO = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"ab\ncdef\ngh"


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def server(wsgi_probe: Server) -> Server:
    return wsgi_probe


def ask(server: Server, target: str, *fields: str, method: str = "GET", **more: Any) -> Answer:
    with Connection(server.address) as connection:
        return connection.ask(method, target, *fields, **more)


def describe(server: Server, target: str = "/", *fields: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    answer = ask(server, target, *fields, method=method, **more)
    assert answer.status == 200, answer
    result: dict[str, Any] = json.loads(answer.body)
    return result


def environ(server: Server, target: str = "/", *fields: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = describe(server, target, *fields, method=method, **more)["environ"]
    return result


def noted(server: Server, token: str, mark: str = "") -> Any:
    """What the probe noted under a token; `mark` must occur in it."""
    line = server.wait_for_log(f"note: {token} {mark}")
    return json.loads(line.partition(f"note: {token} ")[2])


def all_noted(server: Server, token: str) -> list[Any]:
    """Everything noted under a token so far."""
    lines = [line for line in server.log.splitlines() if f"note: {token} " in line]
    return [json.loads(line.partition(f"note: {token} ")[2]) for line in lines]


# environ


def test_types(server: Server) -> None:
    seen = describe(server, "/a?b", "X-A: \xe9")
    assert seen["environ_type"] == "dict"
    for key, kind in seen["types"].items():
        if not key.startswith(("wsgi.", "torana.")):
            assert kind == "str", key
    assert seen["highest"] < 256
    strange = {key for key in seen["types"] if not key.isupper() and not key.startswith(("wsgi.", "torana."))}
    assert not strange


def test_required_keys(server: Server) -> None:
    seen = describe(server, "/a?b")
    found = seen["environ"]
    assert found["REQUEST_METHOD"] == "GET"
    assert (found["SCRIPT_NAME"], found["PATH_INFO"], found["QUERY_STRING"]) == ("", "/a", "b")
    assert found["SERVER_NAME"] and found["SERVER_PORT"] == str(server.port)
    assert found["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert found["wsgi.version"] == [1, 0]
    assert seen["types"]["wsgi.version"] == "tuple"
    assert found["wsgi.url_scheme"] == "http"
    assert (found["wsgi.multithread"], found["wsgi.multiprocess"], found["wsgi.run_once"]) == (True, False, False)
    assert found["wsgi.input_terminated"] is True
    assert {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper"} <= seen["types"].keys()
    assert found["REMOTE_ADDR"] == "127.0.0.1" and int(found["REMOTE_PORT"]) > 0


def test_single_thread_is_told() -> None:
    with running("wsgi_probe:app", "--interface", "wsgi", "--threads", "1", app_dir=HERE) as server:
        assert environ(server)["wsgi.multithread"] is False


def test_http_1_0_without_host(server: Server) -> None:
    found = environ(server, version="1.0")
    assert found["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in found
    assert found["SERVER_NAME"] and found["SERVER_PORT"]


def test_environ_is_fresh_and_may_be_cleared(server: Server) -> None:
    with Connection(server.address) as connection:
        before = json.loads(connection.ask("GET", "/").body)
        assert connection.ask("GET", "/do/clear").body == b"cleared"
        assert connection.ask("GET", "/do/spoil").body == b"spoilt"
        after = json.loads(connection.ask("GET", "/").body)
    assert after["calls"] == before["calls"] + 3
    assert after["environ"] == before["environ"]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/%ff%E2%82%AC", "/\xff\xe2\x82\xac", ""),
        ("//env//x", "//env//x", ""),
        ("/a%2Fb", "/a/b", ""),
        ("/a%3Fb?q=%20&x=%ff", "/a?b", "q=%20&x=%ff"),
        ("/a/../b", "/a/../b", ""),
        ("/a%20b+c", "/a b+c", ""),
        ("/?", "/", ""),
    ],
)
def test_path_and_query(server: Server, target: str, path: str, query: str) -> None:
    found = environ(server, target)
    assert (found["PATH_INFO"], found.get("QUERY_STRING", "")) == (path, query)


def test_content_type_and_length(server: Server) -> None:
    seen = describe(server, "/", "Content-Type: text/x", method="POST", body=b"abc")
    assert (seen["environ"]["CONTENT_TYPE"], seen["environ"]["CONTENT_LENGTH"]) == ("text/x", "3")
    assert (seen["body"], seen["again"]) == ("abc", "")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & seen["environ"].keys()


def test_fields(server: Server) -> None:
    found = environ(server, "/", "X-Empty:", "X-A: 1", "X-B: 2", "x-a: 3", "X-Latin: \xe9")
    assert found["HTTP_X_EMPTY"] == ""
    assert found["HTTP_X_A"].replace(" ", "") == "1,3"
    assert found["HTTP_X_LATIN"] == "\xe9"
    assert "HTTP_X_NONE" not in found


def test_cookies_are_joined_by_semicolon(server: Server) -> None:
    assert environ(server, "/", "Cookie: a=1", "Cookie: b=2")["HTTP_COOKIE"] == "a=1; b=2"


def test_two_content_types_are_refused_or_one_is_kept(server: Server) -> None:
    answer = ask(server, "/", "Content-Type: a/b", "Content-Type: c/d", method="POST", body=b"")
    assert answer.status == 400


def test_fields_cannot_pass_for_other_keys(server: Server) -> None:
    found = environ(
        server,
        "/",
        "X-Foo: 1",
        "X_Foo: 2",
        "Content_Length: 99",
        "Proxy: evil",
        "SCRIPT_NAME: /evil",
        "REMOTE-USER: evil",
        "REMOTE_ADDR: evil",
        "wsgi.url_scheme: evil",
        "wsgi.input: evil",
    )
    assert found["HTTP_X_FOO"] == "1"
    assert "HTTP_CONTENT_LENGTH" not in found
    assert "HTTP_PROXY" not in found
    assert found["SCRIPT_NAME"] == ""
    assert "REMOTE_USER" not in found
    assert found["REMOTE_ADDR"] == "127.0.0.1"
    assert found["wsgi.url_scheme"] == "http"


def test_absolute_form(server: Server) -> None:
    found = environ(server, "http://real.example:81/x%20y?z", "Host: real.example:81")
    assert (found["PATH_INFO"], found["QUERY_STRING"]) == ("/x y", "z")
    assert found["HTTP_HOST"] == "real.example:81"


@pytest.fixture(scope="module")
def mounted() -> Iterator[Server]:
    with running("wsgi_probe:app", "--interface", "wsgi", "--root-path", "/api/", app_dir=HERE) as server:
        yield server


@pytest.mark.parametrize(
    ("target", "rest"), [("/x", "/x"), ("/api/x", "/x"), ("/apix", "/apix"), ("/api", ""), ("/api/", "/")]
)
def test_root_path_is_the_script_name(mounted: Server, target: str, rest: str) -> None:
    found = environ(mounted, target)
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/api", rest)


def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    flags = ("--interface", "wsgi", "--bind", "127.0.0.1:0", "--bind", f"unix:{path}")
    with running("wsgi_probe:app", *flags, app_dir=HERE):
        with Connection(path) as connection:
            found = json.loads(connection.ask("GET", "/", version="1.0").body)["environ"]
    assert found["SERVER_NAME"] and found["SERVER_PORT"]


def test_errors_stream_takes_any_text(server: Server, token: str) -> None:
    assert ask(server, f"/do/errors?{token}").body == b"written"
    server.wait_for_log(f"note: {token}")
    server.wait_for_log("one two")


# wsgi.input


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("way", "parts"),
    [
        ("read", ["ab\ncdef\ngh", "", ""]),
        ("minus", ["ab\ncdef\ngh", ""]),
        ("none", ["ab\ncdef\ngh", ""]),
        ("sized", ["ab\n", "", "cdef", "\ngh", ""]),
        ("readline", ["ab\n", "cdef\n", "gh", "", ""]),
        ("readline_sized", ["ab", "\n", "cdef\n", "gh"]),
        ("readlines", ["ab\n", "cdef\n", "gh"]),
        ("readlines_hint", ["ab\ncdef\ngh"]),
        ("iterate", ["ab\n", "cdef\n", "gh"]),
        ("mixed", ["a", "b\n", "cdef\n", "gh"]),
        ("buffered", ["ab\ncdef\ngh"]),
    ],
)
def test_input(server: Server, way: str, parts: list[str], is_chunked: bool) -> None:
    with Connection(server.address) as connection:
        if is_chunked:
            connection.request("POST", f"/do/read_ways/{way}", "Transfer-Encoding: chunked")
            connection.send(b"4\r\nab\nc\r\n6\r\ndef\ngh\r\n0\r\n\r\n" + HELLO)
        else:
            connection.request("POST", f"/do/read_ways/{way}", body=BODY)
            connection.send(HELLO)
        assert json.loads(connection.read("POST").body) == parts
        assert json.loads(connection.read().body)["environ"]["PATH_INFO"] == "/hello"


def test_read_is_not_short_of_a_slow_client(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/do/read_exact?100", "Content-Length: 100")
        for _ in range(10):
            connection.send(b"0123456789")
        assert json.loads(connection.read("POST").body) == 100


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 2_000_000])
def test_bodies_around_the_spool_size(server: Server, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    seen = describe(server, "/", method="POST", body=body)
    assert seen["body"].encode("latin-1") == body
    assert seen["environ"]["CONTENT_LENGTH"] == str(size)


def test_chunked_body_has_an_end(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/", "Transfer-Encoding: chunked")
        connection.send(b"3\r\nabc\r\n0\r\n\r\n")
        seen = json.loads(connection.read("POST").body)
    assert (seen["body"], seen["again"]) == ("abc", "")
    assert seen["environ"].get("CONTENT_LENGTH", "3") == "3"


def test_client_lost_in_the_body_is_no_request(server: Server) -> None:
    calls = describe(server)["calls"]
    with Connection(server.address) as connection:
        connection.request("POST", "/", "Content-Length: 100")
        connection.send(b"abc")
    assert describe(server)["calls"] == calls + 1


def test_unread_body_is_never_taken_for_the_next_request(server: Server) -> None:
    evil = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
    with Connection(server.address) as connection:
        connection.request("POST", "/do/unread", body=evil)
        connection.send(HELLO)
        assert connection.read("POST").body == b"unread"
        assert json.loads(connection.read().body)["environ"]["PATH_INFO"] == "/hello"


# start_response


def names_of_bad_starts() -> list[str]:
    from tests.conformance.wsgi_probe import BAD_STARTS

    return list(BAD_STARTS)


@pytest.mark.parametrize("name", names_of_bad_starts())
def test_bad_start_raises_inside_the_call(server: Server, name: str) -> None:
    answer = ask(server, f"/do/bad_start?{name.replace(' ', '+')}")
    assert answer.status == 200
    assert b"Exception" in answer.body
    assert answer.get("x-outcome") == b"raised"
    assert answer.get("set-cookie") is None


def test_status_and_fields_on_the_wire(server: Server) -> None:
    answer = ask(server, "/do/start_forms")
    assert (answer.status, answer.reason) == (299, "Ol\xe9 ja")
    assert answer.get_all("set-cookie") == [b"a=1", b"b=2"]
    assert answer.get("x-two") == b"\xe9"
    assert answer.get_all("date") == [b"Sun, 06 Nov 1994 08:49:37 GMT"]
    assert answer.get_all("server") == [b"mine"]


def test_status_without_a_reason(server: Server) -> None:
    assert ask(server, "/do/no_reason").body == b"x"


def test_generator_may_start_late_and_empty_blocks_send_nothing(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        ask(server, "/do/let_go")
        connection.request("GET", f"/do/start_late?{token}")
        assert noted(server, token) == "nothing sent"
        answer = connection.read()
    assert (answer.status, answer.body) == (201, b"late")


def test_empty_block_does_not_send_the_head(server: Server) -> None:
    answer = ask(server, "/do/empty_first")
    assert (answer.status, answer.body, answer.get("x-first")) == (503, b"busy", None)


def test_second_start_raises(server: Server) -> None:
    assert ask(server, "/do/start_twice").body == b"raised"


def test_exc_info_replaces_what_is_not_sent(server: Server) -> None:
    answer = ask(server, "/do/replace")
    assert (answer.status, answer.reason, answer.body) == (500, "Mine", b"mine")
    assert (answer.get("x-first"), answer.get("x-second")) == (None, b"1")


def test_exc_info_after_the_head_is_raised_again(server: Server, token: str) -> None:
    answer = ask(server, f"/do/replace_late?{token}")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"first", False)
    assert noted(server, token) == "raised replaced"


@pytest.mark.parametrize("name", ["never_start", "return_none", "return_text", "return_bytes"])
def test_what_is_no_answer_is_500(server: Server, name: str) -> None:
    assert ask(server, f"/do/{name}").status == 500


# the iterable


@pytest.mark.parametrize("kind", ["list", "tuple", "generator", "sequence", "sized", "iterator", "set", "gaps"])
def test_any_iterable_of_bytes(server: Server, kind: str) -> None:
    answer = ask(server, f"/do/forms/{kind}")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"abc", True)


def test_one_block_gives_the_length(server: Server) -> None:
    answer = ask(server, "/do/one_block")
    assert (answer.get("content-length"), answer.body) == (b"8", b"only one")


def test_no_block_is_an_empty_answer(server: Server) -> None:
    answer = ask(server, "/do/no_block")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"", True)


def test_bytes_are_not_altered(server: Server) -> None:
    assert ask(server, "/do/binary").body == b"\r\n\n\r\x00\xff" + bytes(range(256))


@pytest.mark.parametrize("how", ["list1", "list2", "body", "empty", "304", "short", "fail", "unstarted"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called_once_in_the_same_thread(server: Server, token: str, how: str, method: str) -> None:
    with Connection(server.address) as connection:
        connection.ask(method, f"/do/closing/{how}?{token}")
    assert noted(server, token, '{"closed"') == {"closed": 1, "same_thread": True}
    assert ask(server, "/").status == 200
    closings = [what for what in all_noted(server, token) if "closed" in what]
    assert len(closings) == 1
    looked_at = {what["looked at"] for what in all_noted(server, token) if "looked at" in what}
    assert not looked_at, "only __iter__, __len__ and close are the server's business"


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_that_leaves_ends_the_iteration(server: Server, token: str, leave: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/do/closing/endless?{token}")
        connection.read_until(b"tick\n")
        getattr(connection, leave)()
        assert noted(server, token, '{"closed"')["closed"] == 1


def test_failing_close_is_only_logged(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("GET", f"/do/close_fails?{token}").body == b"whole"
        server.wait_for_log(f"RuntimeError: deliberate {token}")
        assert connection.ask("GET", "/").status == 200


def test_block_goes_out_before_the_next_is_asked_for(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/do/at_once?{token}")
        assert connection.read_until(b"first").endswith(b"first")
        noted(server, token)
        ask(server, "/do/let_go")
        assert b"second" in connection.read_until(b"0\r\n\r\n")


def test_iteration_stops_when_the_length_is_reached(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", f"/do/counted?{token}")
        assert answer.body == b"hel"
        assert noted(server, token)["asked"] <= 2


def test_too_little_ends_the_connection(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET /do/too_little HTTP/1.1\r\nHost: a\r\n\r\n" + HELLO)
        answer = connection.read()
        assert answer.status == 500 or not answer.is_complete


def test_unknown_length_by_version(server: Server) -> None:
    for version, framing in (("1.1", "chunked"), ("1.0", "close")):
        answer = ask(server, "/do/unknown_length", version=version)
        assert (answer.framing, answer.body, answer.is_complete) == (framing, b"part 0 part 1 part 2 ", True)


@pytest.mark.parametrize("wish", ["one", "cl", "parts", "parts,cl"])
@pytest.mark.parametrize(("method", "status"), [("GET", 204), ("GET", 304), ("HEAD", 200), ("HEAD", 404)])
def test_bodiless_answers_leave_the_connection_in_step(server: Server, method: str, status: int, wish: str) -> None:
    with Connection(server.address) as connection:
        connection.send(f"{method} /do/bodiless/{status}?{wish} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + HELLO)
        answer = connection.read(method)
        assert (answer.status, answer.body) == (status, b"")
        if status == 204:
            assert answer.get("content-length") is None
        if method == "HEAD" and "cl" in wish:
            assert answer.get("content-length") == b"10"
        after = connection.read()
        assert (after.status, json.loads(after.body)["environ"]["PATH_INFO"]) == (200, "/hello")


# write()


@pytest.mark.parametrize(("then", "body"), [("", b"one two "), ("/then", b"one two three")])
def test_write(server: Server, then: str, body: bytes) -> None:
    answer = ask(server, f"/do/writes{then}")
    assert (answer.body, answer.is_complete) == (body, True)


def test_write_of_text_raises(server: Server) -> None:
    assert ask(server, "/do/write_text").body == b"raised"


def test_write_past_the_length_raises(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("GET", f"/do/write_too_much?{token}").body == b"four"
    assert noted(server, token) == "raised"


def test_write_after_the_end_raises(server: Server) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/do/write_late").body == b"kept"
        assert json.loads(connection.ask("GET", "/do/write_late").body) == "raised"


# applications that fail


@pytest.mark.parametrize("name", ["fail_first", "fail_after_start", "fail_at_next"])
def test_failure_before_anything_is_sent_is_500(server: Server, token: str, name: str) -> None:
    answer = ask(server, f"/do/{name}?{token}")
    assert (answer.status, answer.is_complete, answer.get("x-mine")) == (500, True, None)
    assert token.encode() not in answer.body
    server.wait_for_log(f"RuntimeError: deliberate {token}")


def test_failure_in_the_body_cuts_the_answer(server: Server, token: str) -> None:
    answer = ask(server, f"/do/fail_in_body?{token}")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"partial", False)
    server.wait_for_log(f"RuntimeError: deliberate {token}")


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "StopIteration"])
def test_application_cannot_end_the_worker(server: Server, name: str) -> None:
    for _ in range(5):
        assert ask(server, f"/do/exits/{name}").status == 500
    assert ask(server, "/").status == 200


# file_wrapper


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ("plain", PROBE_FILE_CONTENT),
        ("seek", PROBE_FILE_CONTENT[10:]),
        ("length", PROBE_FILE_CONTENT[10:30]),
        ("middleware", PROBE_FILE_CONTENT.swapcase()),
        ("memory", bytes(range(256)) * 1000),
        ("text", PROBE_FILE_CONTENT[5:]),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_file_wrapper(server: Server, how: str, body: bytes, version: str) -> None:
    answer = ask(server, f"/do/file_wrapper/{how}?x", version=version)
    assert (answer.status, answer.is_complete) == (200, True)
    assert answer.body == body


@pytest.mark.parametrize(("method", "how"), [("HEAD", "plain"), ("HEAD", "memory"), ("GET", "304")])
def test_file_wrapper_without_a_body(server: Server, method: str, how: str) -> None:
    with Connection(server.address) as connection:
        connection.send(f"{method} /do/file_wrapper/{how}?x HTTP/1.1\r\nHost: a\r\n\r\n".encode() + HELLO)
        assert connection.read(method).body == b""
        assert connection.read().status == 200


def test_file_wrapper_closes_the_file_once(server: Server, token: str) -> None:
    assert ask(server, f"/do/file_wrapper/memory?{token}").status == 200
    assert noted(server, token, '"closed"') == "closed"


def test_file_wrapper_that_is_not_returned_is_not_read(server: Server, token: str) -> None:
    assert json.loads(ask(server, f"/do/file_wrapper/unused?{token}").body) == "not the file"
    assert "read" not in all_noted(server, token)


def test_file_shorter_than_its_length_is_no_whole_answer(server: Server) -> None:
    mark = server.mark()
    answer = ask(server, "/do/file_wrapper/truncated?x")
    assert answer.status == 500 or (answer.body, answer.is_complete) == (PROBE_FILE_CONTENT, False)
    # Logged after the answer, by the thread: not in the middle of the next test.
    server.wait_for_log("content-length says", since=mark)


def test_file_to_a_client_that_leaves(server: Server) -> None:
    mark = server.mark()
    with Connection(server.address, receive_buffer_bytes=4096) as connection:
        connection.request("GET", "/do/file_wrapper/plain?x")
        connection.read_head()
        connection.reset()
    assert ask(server, "/do/file_wrapper/plain?x").body == PROBE_FILE_CONTENT
    assert "Traceback" not in server.log_since(mark)


# threads, shapes


def test_threads_run_at_once(server: Server, token: str) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", f"/do/overlap?{token}")
        noted(server, token)
        ask(server, "/do/let_go")
        assert json.loads(connection.read().body) is True


SHAPES = """
import functools

def two(environ, start_response):
    start_response("200 OK", [])
    return [b"here"]

def with_more(name, environ, start_response):
    return two(environ, start_response)

partial = functools.partial(with_more, "x")

class Instance:
    def __call__(self, environ, start_response):
        return two(environ, start_response)
    def method(self, environ, start_response):
        return two(environ, start_response)

instance = Instance()
method = instance.method

class Class:
    def __init__(self, environ, start_response):
        self.start_response = start_response
    def __iter__(self):
        self.start_response("200 OK", [])
        yield b"here"

def generator(environ, start_response):
    start_response("200 OK", [])
    yield b"here"

def create():
    return two
"""


@pytest.mark.parametrize("name", ["two", "partial", "instance", "method", "Class", "generator"])
def test_shapes_of_applications(tmp_path: Path, name: str) -> None:
    (tmp_path / "shapes.py").write_text(SHAPES)
    with running(f"shapes:{name}", app_dir=tmp_path) as server, Connection(server.address) as connection:
        assert connection.ask("GET", "/").body == b"here"


def test_factory(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(SHAPES)
    with running("shapes:create", "--factory", app_dir=tmp_path) as server, Connection(server.address) as connection:
        assert connection.ask("GET", "/").body == b"here"
