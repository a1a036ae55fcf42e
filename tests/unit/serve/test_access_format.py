"""One request becomes one line that nobody can forge."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torana.base.errors import ConfigError
from torana.serve.access_format import AccessFormat, Entry, escape, legal_request_id, quote_json


def entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "client": "192.0.2.7", "method": "GET", "target": b"/a?b=c", "version": "1.1", "status": 200, "sent": 13,
        "duration_s": 0.0012345, "started_s": 1_000_000_000.25, "request_id": "id-1",
        "asked": [None, b"curl/8", b"http://r/"], "told": [], "size": 0,
    }  # fmt: skip
    values.update(changes)
    return tuple(values.values())  # type: ignore[return-value]


def test_json_holds_every_fact() -> None:
    line = AccessFormat("json").write(entry())
    assert json.loads(line) == {
        "time": "2001-09-09T01:46:40.250Z",
        "client": "192.0.2.7",
        "method": "GET",
        "target": "/a?b=c",
        "version": "HTTP/1.1",
        "status": 200,
        "bytes": 13,
        "duration_ms": 1.234,
        "request_id": "id-1",
        "referer": "http://r/",
        "user_agent": "curl/8",
    }


def test_json_says_null_for_what_is_not_known() -> None:
    told = json.loads(AccessFormat("json").write(entry(client=None, asked=[None, None, None])))
    assert (told["client"], told["referer"], told["user_agent"]) == (None, None, None)


def test_combined_is_the_known_format() -> None:
    line = AccessFormat("combined").write(entry())
    assert re.fullmatch(
        r"192\.0\.2\.7 - - \[\d\d/Sep/2001:\d\d:\d\d:\d\d [+-]\d{4}\] "
        r'"GET /a\?b=c HTTP/1\.1" 200 13 "http://r/" "curl/8"',
        line,
    )


def test_short_is_coloured_only_on_a_terminal() -> None:
    assert "\x1b[" in AccessFormat("auto", is_terminal=True).write(entry())
    plain = AccessFormat("short").write(entry())
    assert re.fullmatch(r"\d\d:\d\d:\d\d 200 GET  /a\?b=c  1\.23 ms  13 B  192\.0\.2\.7", plain)
    assert AccessFormat("auto").write(entry()).startswith("{")


def test_a_format_string_knows_the_atoms_of_gunicorn() -> None:
    text = "%(h)s %(l)s %(u)s '%(r)s' %(m)s %(U)s %(q)s %(H)s %(s)s %(b)s %(B)s"
    text += " '%(f)s' '%(a)s' %(T)s %(M)s %(D)s %(L)s 100%%"
    assert AccessFormat(text).write(entry()) == (
        "192.0.2.7 - - 'GET /a?b=c HTTP/1.1' GET /a b=c HTTP/1.1 200 13 13 'http://r/' 'curl/8' 0 1 1234 0.001234 100%"
    )


def test_a_format_string_knows_the_atoms_of_uvicorn() -> None:
    line = AccessFormat('%(client_addr)s - "%(request_line)s" %(status_code)s').write(entry())
    assert line == '192.0.2.7 - "GET /a?b=c HTTP/1.1" 200'


def test_a_format_string_names_the_fields_it_wants() -> None:
    ready = AccessFormat("%({X-Trace}i)s %({x-trace}i)s %({Content-Type}o)s %({user-agent}i)s %(id)s")
    assert ready.request_names == [b"x-request-id", b"user-agent", b"referer", b"x-trace"]
    assert ready.response_names == [b"content-type"]
    line = ready.write(entry(asked=[None, b"ua", None, b't"\n'], told=[None]))
    assert line == "t\\x22\\x0a t\\x22\\x0a - ua id-1"


@pytest.mark.parametrize(
    "text", ["", "plain", "jsn", "%h %r", "%(nope)s", "%(h)d", "%({x}e)s", "%(h)s %", "%(h)s\n", "%%(h)s"]
)
def test_a_format_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="access_log_format"):
        AccessFormat(text)


HOSTILE = [
    b"/%1b%5b31m", b"/\x1b[31m", b"/\x80\xff", b'a" 200 "-\x1b]0;x\x07', "\u2028".encode(), b"\\x22",
    b"\r\n1.2.3.4 - -", b"\x00", b"\x7f", b"/" + b"a" * 8192, b"\x1b" * 8192, b'"' * 5000,
    b"\xff" * 5000, b"/" + b"a" * 1023 + b"\x1b",
]  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE)
@pytest.mark.parametrize("text", ["json", "combined", "short", "%(r)s %(a)s %({user-agent}i)s"])
def test_hostile_bytes_never_reach_the_line(text: str, raw: bytes) -> None:
    line = AccessFormat(text).write(entry(target=raw, asked=[None, raw, raw]))
    assert line.isascii() and line.isprintable()
    if text == "json":
        told = json.loads(line)
        assert set(told) == set(json.loads(AccessFormat("json").write(entry())))


@given(st.binary(max_size=3000))
def test_escape_is_short_printable_and_has_no_bare_quote(raw: bytes) -> None:
    text = escape(raw, 100)
    assert len(text) <= 103
    assert text.isascii() and text.isprintable()
    assert '"' not in text
    assert re.fullmatch(r"(?:[^\\]|\\x[0-9a-f]{2})*", text)


@given(st.binary(max_size=3000))
def test_quote_json_is_a_short_json_string(raw: bytes) -> None:
    text = quote_json(raw, 100)
    assert len(text) <= 105
    assert text.isascii() and text.isprintable()
    assert isinstance(json.loads(text), str)


@given(st.binary(max_size=50))
def test_what_fits_can_be_read_back(raw: bytes) -> None:
    assert escape(raw, 200).encode().decode("unicode_escape").encode("latin-1") == raw


def test_json_understands_utf8() -> None:
    assert json.loads(quote_json("/é\u2028".encode())) == "/é\u2028"
    assert json.loads(quote_json(b"/\xff")) == "/\\xff"


@pytest.mark.parametrize("value", [b"a", b"550e8400-e29b-41d4-a716-446655440000", b"a/b+c=", b"x" * 128])
def test_plain_request_ids_are_legal(value: bytes) -> None:
    assert legal_request_id(value) == value.decode()


@pytest.mark.parametrize("value", [None, b"", b"a b", b"x" * 129, b'"', b"a\n", b"\xe9", b"${jndi}"])
def test_other_request_ids_are_not(value: bytes | None) -> None:
    assert legal_request_id(value) is None
