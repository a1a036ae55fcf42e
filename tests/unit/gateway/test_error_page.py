"""The page of an application that could not be loaded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from torana.gateway.error_page import error_fields, error_page

TEXT = 'main has a <b>syntax error</b>\n\n  File "main.py"\n</pre><script>alert(1)</script>'


def answer(headers: list[tuple[bytes, bytes]]) -> tuple[dict[str, Any], bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    asyncio.run(error_page(TEXT)({"type": "http", "headers": headers}, receive, send))
    return sent[0], sent[1]["body"]


def test_a_browser_gets_a_page_in_which_everything_is_escaped() -> None:
    start, body = answer([(b"accept", b"text/html,*/*")])
    fields = dict(start["headers"])
    assert start["status"] == 500
    assert fields[b"content-type"].startswith(b"text/html")
    assert fields[b"content-length"] == str(len(body)).encode()
    assert fields[b"cache-control"] == b"no-store"
    assert b"&lt;b&gt;syntax error" in body
    assert b"<script" not in body


def test_others_get_plain_text() -> None:
    start, body = answer([(b"accept", b"*/*")])
    assert dict(start["headers"])[b"content-type"].startswith(b"text/plain")
    assert TEXT.encode() in body


def test_lifespan_completes() -> None:
    kinds = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": next(kinds)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    asyncio.run(error_page(TEXT)({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("error", [ValueError("<script>"), KeyError("x"), Exception()])
def test_what_a_request_raised_is_shown_escaped(error: Exception) -> None:
    try:
        raise error
    except Exception as raised:
        fields, body = error_fields(raised)
    assert dict(fields)[b"content-type"].startswith(b"text/html")
    assert type(error).__name__.encode() in body
    assert b"<script>" not in body
