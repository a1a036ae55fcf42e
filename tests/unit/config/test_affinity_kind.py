"""What may be said of affinity, and what it means."""

from __future__ import annotations

import re

import pytest

from torana.config.affinity_kind import PRESETS, affinity, shown
from torana.serve.options import SessionKey


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("off", ()),
        ("cookie", (SessionKey("cookie", "torana_worker"),)),
        ("cookie:mine", (SessionKey("cookie", "mine"),)),
        ("header:X-Session", (SessionKey("header", "x-session"),)),
        ("query:Sid", (SessionKey("query", "Sid"),)),
        ("client", (SessionKey("client"),)),
        *PRESETS.items(),
    ],
)
def test_what_is_accepted(text: str, keys: tuple[SessionKey, ...]) -> None:
    assert affinity().read(text) == keys
    assert shown(keys)


@pytest.mark.parametrize(
    "text", ["", "on", "cookies", "cookie:", "cookie:a b", "cookie:a=b", "header", "header:", "header:a:b", "query",
             "query:a&b", "query:é", "client:x", "Cookie", "mcp:x", "x" * 200, "cookie:" + "x" * 101, 1, None, True],
)  # fmt: skip
def test_what_is_refused(text: object) -> None:
    with pytest.raises(ValueError):
        affinity().read(text)


@pytest.mark.parametrize(
    ("preset", "answer", "name"),
    [
        ("socketio", b'0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"]}', b"lv_VI97HAXpY6yYWAAAC"),
        ("socketio", b'96:0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[]}2:40', b"lv_VI97HAXpY6yYWAAAC"),
        ("socketio", rb'___eio[0]("0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\",\"upgrades\":[]}");', b"lv_VI97HAXpY6yYWAAAC"),
        ("socketio", b"<html>sid</html>", None),
        ("mcp", b"event: endpoint\r\ndata: /messages/?session_id=0123456789abcdef0123456789abcdef\r\n\r\n",
         b"0123456789abcdef0123456789abcdef"),
        ("mcp", b"event: message\r\ndata: {}\r\n\r\n", None),
    ],
)  # fmt: skip
def test_where_an_application_says_what_it_calls_a_session(preset: str, answer: bytes, name: bytes | None) -> None:
    found = re.search(PRESETS[preset][-1].learned_by.encode(), answer)
    assert (found and found[1]) == name
