"""Pages of a development server: why the application could not be loaded, and what a failed request raised.

Everything shown is escaped; nothing of the request is shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from torana.gateway.culprit import trimmed

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Asgi3 = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:60rem;"
    "padding:0 1rem;color:#222;background:#fff}"
    "h1{font-size:1.3rem;color:#a00}pre{background:#f4f4f4;padding:1rem;overflow:auto;font-size:.85rem}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#242424}h1{color:#f77}}"
)
_WAITING = "The server waits for a change of the files and loads the application again."

Fields = list[tuple[bytes, bytes]]


def error_fields(error: BaseException) -> tuple[Fields, bytes]:
    """Fields and body of a development server's 500: what a request raised and where, as a page."""
    cause = f"{type(error).__name__}: {error}".rstrip(": ")
    page = _html(cause, trimmed(error), "").encode("utf-8", "replace")
    return [(name, value) for name, value in _fields(page, is_html=True) if name != b"content-length"], page


def error_page(text: str) -> Asgi3:
    """An application that answers each request with 500 and ``text``: first line the cause, then the traceback."""
    cause, _, detail = text.partition("\n")
    page = _html(cause, detail.strip("\n")).encode("utf-8", "replace")
    plain = f"{text}\n\n{_WAITING}\n".encode("utf-8", "replace")

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1011})
        elif scope["type"] == "http":
            await _answer(send, page if _wants_html(scope) else plain, is_html=_wants_html(scope))

    return application


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": kind + ".complete"})
        if kind == "lifespan.shutdown":
            return


def _wants_html(scope: dict[str, Any]) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def _answer(send: Send, body: bytes, *, is_html: bool) -> None:
    fields = _fields(body, is_html=is_html)
    await send({"type": "http.response.start", "status": 500, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def _fields(body: bytes, *, is_html: bool) -> Fields:
    kind = b"text/html; charset=utf-8" if is_html else b"text/plain; charset=utf-8"
    return [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    ]


def _html(cause: str, detail: str, closing: str = _WAITING) -> str:
    # Imported only here, as it reads the names of all characters: a start would wait milliseconds for them.
    from html import escape

    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The application failed</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(cause)}</h1>"
        f"{f'<pre>{escape(detail)}</pre>' if detail else ''}<p>{escape(closing)}</p></body></html>\n"
    )
