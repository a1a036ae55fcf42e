"""What the soak's servers serve by ASGI: short, long, streamed and endless answers, uploads, events, WebSockets.

Lives here: the application, and how many objects its process holds. Never here: state that could grow by itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import hashlib
import json
import os
import sys
from typing import Any

from tests.soak.content import PATTERN, PIECE_BYTES, content

#: In the message of each error that a client asks for, which is how its traceback is told from others in the log.
ASKED_FOR = "the client asked for this error"
#: A download by file; small enough to stay in the page cache.
FILE_BYTES = len(PATTERN)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """ASGI 3."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _echo(receive, send)
    else:
        _, name, *words = scope["path"].split("/")
        deed = DEEDS.get(name, _nothing)
        await deed(scope, receive, send, words)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        event = (await receive())["type"]
        await send({"type": event + ".complete"})
        if event == "lifespan.shutdown":
            return


async def _echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        answer = {key: message[key] for key in ("text", "bytes") if message.get(key) is not None}
        try:
            await send({"type": "websocket.send", **answer})
        except OSError:
            return


async def _answer(send: Any, body: bytes, status: int = 200) -> None:
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _nothing(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    await _answer(send, b"nothing here", 404)


async def _hello(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    await _answer(send, f"{words[0]} {os.getpid()} hello".encode())


async def _digest(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    """Of the request's body, read as it comes."""
    found, size, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body = message.get("body", b"")
        found.update(body)
        size += len(body)
        more = message.get("more_body", False)
    await _answer(send, f"{size} {found.hexdigest()}".encode())


async def _stream(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    """So many bytes, piece by piece, without a length."""
    size = int(words[0])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for start in range(0, size, PIECE_BYTES):
        piece = content(min(PIECE_BYTES, size - start), start)
        try:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        except OSError:
            return
    await send({"type": "http.response.body"})


async def _endless(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    """Until the client leaves."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass
    left = asyncio.ensure_future(receive())
    try:
        while not left.done():
            await send({"type": "http.response.body", "body": PATTERN[:PIECE_BYTES], "more_body": True})
            await asyncio.sleep(0.01)
    except OSError:
        pass
    finally:
        left.cancel()


async def _events(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    """Server-sent events."""
    fields = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for number in range(int(words[0])):
        try:
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        except OSError:
            return
        await asyncio.sleep(0.2)
    await send({"type": "http.response.body"})


async def _wait(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    """A long poll."""
    await asyncio.sleep(float(words[0]))
    await _answer(send, b"waited")


async def _raise(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    raise RuntimeError(ASKED_FOR)


async def _file(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    fields = [(b"content-length", b"%d" % FILE_BYTES)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.pathsend", "path": os.environ["SOAK_FILE"]})


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def _heap_bytes() -> int:
    """What malloc has handed out and not got back; 0 where nobody tells."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return int(found.uordblks + found.hblkhd)


async def _objects(scope: Any, receive: Any, send: Any, words: list[str]) -> None:
    """What this process holds, if it is the one that is asked for: others do not collect garbage for nothing."""
    found: dict[str, int] = {"pid": os.getpid()}
    if int(words[0]) == os.getpid():
        gc.collect()
        found |= {"heap": _heap_bytes(), "blocks": sys.getallocatedblocks(), "tasks": len(asyncio.all_tasks())}
        held = gc.get_objects()
        found["objects"] = len(held)
        if len(words) > 1:
            for one in held:
                kind = type(one).__module__ + "." + type(one).__qualname__
                found[kind] = found.get(kind, 0) + 1
        del held
    await _answer(send, json.dumps(found).encode())


DEEDS = {
    "hello": _hello, "digest": _digest, "stream": _stream, "endless": _endless, "events": _events,
    "wait": _wait, "raise": _raise, "file": _file, "objects": _objects,
}  # fmt: skip
