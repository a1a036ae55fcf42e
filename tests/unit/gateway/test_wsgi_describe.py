"""What an application is told of a request: ``environ``, against the rules of PEP 3333 and what clients may try."""

from __future__ import annotations

import pytest

from tests.unit.gateway.wsgi_stage import Stage, run, seen_environ
from torana.base.endpoints import Endpoints
from torana.gateway.options import GatewayOptions
from torana.gateway.wsgi.describe import _MOST_LEARNT, Describer, key_of
from torana.gateway.wsgi.errors import ErrorStream


def environ_at(endpoints: Endpoints, **more: object) -> dict[str, object]:
    seen: dict[str, object] = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    with Stage(app) as stage:
        stage.endpoints = endpoints
        stage.run(**more)
    return seen


def test_environ_is_a_plain_dict_of_plain_strings():
    environ = seen_environ(target=b"/a%20b?q=%20&x=%ff", fields=[(b"host", b"h"), (b"x-empty", b"")])
    assert environ["type"] is dict
    for key, value in environ.items():
        if key.isupper() or key.startswith(("HTTP_", "SERVER_")):
            assert type(value) is str, key
            assert all(ord(c) < 256 for c in value)
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/a b"
    assert environ["QUERY_STRING"] == "q=%20&x=%ff"
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == "/a%20b?q=%20&x=%ff"
    assert environ["SERVER_NAME"] == "198.51.100.1"
    assert environ["SERVER_PORT"] == "8000"
    assert environ["REMOTE_ADDR"] == "192.0.2.7"
    assert environ["REMOTE_PORT"] == "50123"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["HTTP_X_EMPTY"] == ""
    assert "CONTENT_LENGTH" not in environ
    assert "CONTENT_TYPE" not in environ
    assert "HTTPS" not in environ


def test_environ_is_fresh_and_may_be_cleared():
    seen = []

    def app(environ, start_response):
        seen.append(dict(environ))
        environ.clear()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with Stage(app) as stage:
        assert stage.run().body == b"ok"
        assert stage.run().body == b"ok"
    assert seen[0]["PATH_INFO"] == seen[1]["PATH_INFO"] == "/"
    assert seen[0].keys() == seen[1].keys()


@pytest.mark.parametrize(("version", "protocol"), [("1.0", "HTTP/1.0"), ("1.1", "HTTP/1.1"), ("2", "HTTP/2")])
def test_protocol(version, protocol):
    assert seen_environ(version=version)["SERVER_PROTOCOL"] == protocol


def test_fixed_wsgi_keys():
    environ = seen_environ(GatewayOptions(threads=4, is_multiprocess=True))
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is True
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert callable(environ["wsgi.file_wrapper"])
    assert callable(environ["wsgi.early_hints"])
    assert environ["SERVER_SOFTWARE"].startswith("torana/")
    environ = seen_environ(GatewayOptions(threads=1))
    assert environ["wsgi.multithread"] is False
    assert environ["wsgi.multiprocess"] is False


def test_no_host_field_no_key_but_a_server_name():
    environ = seen_environ(version="1.0", fields=[])
    assert "HTTP_HOST" not in environ
    assert environ["SERVER_NAME"] and environ["SERVER_PORT"]


def test_unix_socket_has_a_server_name_and_an_empty_client():
    environ = environ_at(Endpoints(None, ("/run/app.sock", None), "http"), fields=[], version="1.0")
    assert environ["SERVER_NAME"] == "localhost"
    assert environ["SERVER_PORT"] == "80"
    assert environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in environ
    assert environ_at(Endpoints(None, None, "https"))["SERVER_PORT"] == "443"


def test_ipv6_server_name_can_stand_in_a_url():
    environ = environ_at(Endpoints(("2001:db8::1", 5), ("::1", 8000), "http"))
    assert environ["SERVER_NAME"] == "[::1]"
    assert environ["REMOTE_ADDR"] == "2001:db8::1"


def test_tls_is_told():
    tls = {
        "server_cert": None,
        "client_cert_chain": ["PEM1", "PEM2"],
        "client_cert_name": "CN=Zoë",
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1301,
    }
    environ = environ_at(Endpoints(("192.0.2.7", 1), ("192.0.2.1", 443), "https", tls))
    assert environ["HTTPS"] == "on"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SSL_PROTOCOL"] == "TLSv1.3"
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert environ["SSL_CLIENT_S_DN"] == "CN=Zoë".encode().decode("latin-1")
    assert environ["SSL_CLIENT_CERT"] == "PEM1"
    assert environ["SSL_CLIENT_CERT_CHAIN_0"] == "PEM2"
    plain = {"tls_version": 0x0303, "client_cert_chain": [], "client_cert_name": None, "client_cert_error": None}
    environ = environ_at(Endpoints(("192.0.2.7", 1), ("192.0.2.1", 443), "https", plain))
    assert (environ["SSL_PROTOCOL"], environ["SSL_CLIENT_VERIFY"]) == ("TLSv1.2", "NONE")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/%ff%E2%82%AC", "/\xff\xe2\x82\xac"),
        (b"/a%2Fb", "/a/b"),
        (b"//env//x", "//env//x"),
        (b"/a/../b", "/a/../b"),
        (b"/%zz%", "/%zz%"),
        (b"/\xe9", "/\xe9"),
        (b"http://real:81/x?y", "/x"),
        (b"*", "*"),
    ],
)
def test_path_is_decoded_once_and_not_normalised(target, path):
    environ = seen_environ(target=target)
    assert environ["PATH_INFO"] == path
    assert environ["REQUEST_URI"] == target.decode("latin-1")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/api/x", "/x"),
        (b"/api", ""),
        (b"/api/", "/"),
        (b"/apix", "/apix"),
        (b"/x", "/x"),
        (b"/api%2Fx", "/x"),
        (b"/other/api", "/other/api"),
    ],
)
def test_mount_point(target, path):
    environ = seen_environ(GatewayOptions(threads=1, root_path="/api"), target=target)
    assert environ["SCRIPT_NAME"] == "/api"
    assert environ["PATH_INFO"] == path


def test_mount_point_beyond_ascii():
    environ = seen_environ(GatewayOptions(threads=1, root_path="/é"), target=b"/%C3%A9/x")
    assert environ["SCRIPT_NAME"] == "/Ã©"
    assert environ["PATH_INFO"] == "/x"


def test_repeated_fields_are_joined_in_order():
    environ = seen_environ(
        fields=[
            (b"cookie", b"a=1"),
            (b"x-a", b"1"),
            (b"x-a", b"1"),
            (b"x-b", b""),
            (b"x-b", b""),
            (b"cookie", b"b=2"),
            (b"accept", b"text/html"),
            (b"accept", b"text/plain"),
            (b"accept", b"*/*"),
        ]
    )
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_A"] == "1,1"
    assert environ["HTTP_X_B"] == ","
    assert environ["HTTP_ACCEPT"] == "text/html,text/plain,*/*"


def test_two_content_types_are_refused():
    channel = run(lambda *_: pytest.fail("called"), fields=[(b"content-type", b"a/b"), (b"content-type", b"c/d")])
    assert channel.status == 400


def test_fields_that_have_no_place():
    environ = seen_environ(
        fields=[
            (b"host", b"h"),
            (b"proxy", b"evil"),
            (b"x-foo", b"1"),
            (b"x_foo", b"2"),
            (b"remote.user", b"admin"),
            (b"transfer-encoding", b"chunked"),
            (b"connection", b"keep-alive"),
            (b"te", b"trailers"),
            (b"script_name", b"/evil"),
            (b"content_length", b"99"),
        ]
    )
    names = {key for key in environ if key.startswith("HTTP_")}
    assert names == {"HTTP_HOST", "HTTP_X_FOO"}
    assert environ["HTTP_X_FOO"] == "1"
    assert environ["SCRIPT_NAME"] == ""
    assert "CONTENT_LENGTH" not in environ


def test_client_fields_only_make_http_keys():
    environ = seen_environ(
        fields=[(b"script-name", b"/e"), (b"remote-user", b"r"), (b"remote-addr", b"1"), (b"wsgi-url-scheme", b"x")]
    )
    assert environ["SCRIPT_NAME"] == ""
    assert "REMOTE_USER" not in environ
    assert environ["REMOTE_ADDR"] == "192.0.2.7"
    assert environ["HTTP_REMOTE_USER"] == "r"


def test_obs_text_is_latin_1():
    assert seen_environ(fields=[(b"x-a", b"\xe9\xff")])["HTTP_X_A"] == "\xe9\xff"


def test_content_type_and_length_have_no_http_twins():
    environ = seen_environ(
        body=b"abc", fields=[(b"content-type", b"text/plain"), (b"content-length", b"3"), (b"host", b"h")]
    )
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["CONTENT_LENGTH"] == "3"
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_declared_empty_body_keeps_its_length():
    assert seen_environ(method="POST", fields=[(b"content-length", b"0")])["CONTENT_LENGTH"] == "0"


def test_chunked_body_has_a_length_and_no_coding():
    environ = seen_environ(body=b"abcdef", length=-1, fields=[(b"transfer-encoding", b"chunked")])
    assert environ["CONTENT_LENGTH"] == "6"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["body"] == b"abcdef"
    assert seen_environ(method="POST", length=-1)["CONTENT_LENGTH"] == "0"


def test_deployer_adds_keys():
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    with Stage(app, environ={"myapp.mode": "blue"}) as stage:
        stage.run()
    assert seen["myapp.mode"] == "blue"


def test_names_of_clients_are_forgotten_in_time():
    describer = Describer(lambda endpoints: {}, "")
    for number in range(3 * _MOST_LEARNT):
        request, _, _ = Stage(lambda *_: []).begin(fields=[(b"x-%d" % number, b"v")])
        assert describer.environ(request, -1)[f"HTTP_X_{number}"] == "v"


def test_keys():
    assert key_of(b"x-a") == "HTTP_X_A"
    assert key_of(b"content-type") == "CONTENT_TYPE"
    assert key_of(b"proxy") == ""
    assert key_of(b"a_b") == ""


def test_template_follows_the_endpoints():
    """A connection behind a proxy carries requests of several clients."""
    seen = []

    def app(environ, start_response):
        seen.append(environ["REMOTE_ADDR"])
        start_response("200 OK", [])
        return []

    with Stage(app) as stage:
        stage.run()
        stage.endpoints = Endpoints(("203.0.113.9", 1), ("198.51.100.1", 8000), "http")
        stage.run()
    assert seen == ["192.0.2.7", "203.0.113.9"]


def test_error_stream_keeps_lines_whole(caplog):
    import logging

    stream = ErrorStream(logging.getLogger("torana.error"))
    stream.write("one ")
    assert caplog.messages == []
    stream.write("line\ntwo\nthr")
    stream.writelines(["ee", " €\n"])
    stream.write("rest")
    stream.flush()
    stream.flush()
    stream.write("\ud800\n")
    assert caplog.messages == ["one line", "two", "three €", "rest", "\\ud800"]
    with pytest.raises(TypeError):
        stream.write(b"bytes")  # type: ignore[arg-type]


def test_error_stream_bounds_a_line_that_never_ends(caplog):
    import logging

    stream = ErrorStream(logging.getLogger("torana.error"))
    for _ in range(40):
        stream.write("x" * 10_000)
    assert len(caplog.messages) >= 5


def test_errors_of_an_application_reach_the_log(caplog):
    def app(environ, start_response):
        print("half a line", end="", file=environ["wsgi.errors"])
        start_response("200 OK", [])
        return []

    run(app)
    assert "half a line" in caplog.messages
