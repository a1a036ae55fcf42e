"""What a browser's page speaks with: WebSockets of ``websocket_site`` and, over HTTP, the paths below.

/page (an empty document)  /describe (the scope, as JSON)  /digest (length and SHA-256 of the body)  /sized/BYTES
/events/TOKEN (server-sent events: three at a time, counting on from Last-Event-ID, then the stream ends)
/watch/TOKEN (streams without end, notes when the client has gone)
/held/TOKEN (answers nothing, notes that it has begun and when the client has gone)
"""

from __future__ import annotations

import http2_site
import websocket_site
from http2_site import Event, Receive, Send, note, read

EVENTS_AT_ONCE = 3


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Everything."""
    if scope["type"] == "websocket":
        await websocket_site.app(scope, receive, send)
        return
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    name, *rest = scope["path"].strip("/").split("/")
    if name == "page":
        document = b"<!doctype html><title>torana</title><link rel=icon href='data:,'>"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": document})
    elif name == "events":
        await events(rest[0], scope, send)
    elif name == "held":
        await read(receive)
        note(f"held {rest[0]} began")
        while (await receive())["type"] != "http.disconnect":
            pass
        note(f"held {rest[0]} saw its client leave")
    else:
        await http2_site.asgi_app(scope, receive, send)


async def events(token: str, scope: Event, send: Send) -> None:
    """Three events, from the one after that which the client had last."""
    last = next((value.decode() for name, value in scope["headers"] if name == b"last-event-id"), "")
    note(f"events {token} asked for after {last or 'nothing'} over {scope['http_version']}")
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"retry: 20\n\n", "more_body": True})
    first = int(last) + 1 if last else 0
    for number in range(first, first + EVENTS_AT_ONCE):
        event = f"id: {number}\nevent: tick\ndata: {token}\ndata: {number} over {scope['http_version']}\n\n"
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
    await send({"type": "http.response.body"})
