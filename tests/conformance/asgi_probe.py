"""An ASGI application that reports what it was given, and misbehaves on demand.

/do/NAME runs the case of that name below; every other path is answered by a description of the call in JSON.
What cannot be told in a response is written to standard error as "note: TOKEN JSON"; the query string is the token.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Case = Callable[[Event, Receive, Send], Awaitable[Any]]

CASES: dict[str, Case] = {}
calls = 0
held: contextvars.ContextVar[str] = contextvars.ContextVar("held", default="unset")
shared = object()
release: asyncio.Event | None = None


def case(function: Case) -> Case:
    """Make a function reachable as /do/NAME."""
    CASES[function.__name__] = function
    return function


def note(scope: Event, what: object) -> None:
    """Tell the test, through the server's log; in one piece, so that no line of another thread comes between."""
    sys.stderr.write(f"note: {scope['query_string'].decode()} {json.dumps(what)}\n")


def plain(value: object) -> object:
    """A value as JSON can hold it, its exact type named where JSON would hide it."""
    kind = type(value)
    if kind is dict:
        return {key: plain(item) for key, item in value.items()}  # type: ignore[attr-defined]
    if kind in (list, tuple):
        return [plain(item) for item in value]  # type: ignore[attr-defined]
    if kind is bytes:
        return {"bytes": value.decode("latin-1")}  # type: ignore[attr-defined]
    if kind in (str, int, float, bool) or value is None:
        return value
    return {"strange": kind.__qualname__}


async def answer(send: Send, what: object, status: int = 200) -> None:
    """Send a whole response with JSON in it."""
    content = json.dumps(what).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": content})


async def attempt(send: Send, event: object) -> str:
    """Send one event; "ok" or the names of the exception's classes."""
    try:
        result = await send(event)  # type: ignore[arg-type]
    except Exception as error:
        return " ".join(kind.__name__ for kind in type(error).__mro__)
    return "ok" if result is None else f"returned {result!r}"


async def app(*arguments: Any, **named: Any) -> Any:
    """The application: exactly three positional arguments."""
    global calls, release
    assert len(arguments) == 3 and not named, (arguments, named)
    scope, receive, send = arguments
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return None
    if release is None:
        release = asyncio.Event()
    calls += 1
    if scope["path"].startswith("/do/"):
        return await CASES[scope["path"].split("/")[2]](scope, receive, send)
    await answer(send, await describe(scope, receive))
    return None


async def lifespan(scope: Event, receive: Receive, send: Send) -> None:
    """Fill the state; the rest of lifespan is tested elsewhere."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            if "state" in scope:
                scope["state"]["shared"] = shared
            held.set("from startup")
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def describe(scope: Event, receive: Receive) -> Event:
    """The scope and the events of the request's body."""
    events = [await receive()]
    while events[-1].get("more_body"):
        events.append(await receive())
    return {
        "scope": plain({key: value for key, value in scope.items() if key != "state"}),
        "scope_type": type(scope).__qualname__,
        "types": {key: type(value).__qualname__ for key, value in scope.items()},
        "header_types": sorted({type(item).__qualname__ for item in scope["headers"]}),
        "headers_twice": list(scope["headers"]) == list(scope["headers"]),
        "state": sorted(scope.get("state", {})),
        "state_is_shared": scope.get("state", {}).get("shared") is shared,
        "held": held.get(),
        "calls": calls,
        "events": [plain(event) for event in events],
        "is_main_thread": threading.current_thread() is threading.main_thread(),
        "task": type(asyncio.current_task()).__qualname__,
    }


# what is shared between calls


@case
async def spoil(scope: Event, receive: Receive, send: Send) -> None:
    """Change all that could leak into the next call."""
    scope["asgi"]["version"] = "spoilt"
    scope["extensions"]["spoilt"] = {}
    scope["headers"].append((b"spoilt", b"1"))
    scope["state"]["spoilt"] = True
    for value in scope["extensions"].values():
        value["spoilt"] = True
    scope["spoilt"] = True
    held.set("spoilt")
    await answer(send, "spoilt")


@case
async def threads(scope: Event, receive: Receive, send: Send) -> None:
    """What applications do with the loop."""
    loop = asyncio.get_running_loop()
    number = await loop.run_in_executor(None, lambda: threading.current_thread() is not threading.main_thread())
    async with asyncio.timeout(10):
        task = asyncio.create_task(asyncio.sleep(0, "slept"))
        await answer(
            send,
            {
                "thread": number,
                "task": await task,
                "send_task": await asyncio.gather(asyncio.create_task(as_coroutine(receive))),
            },
        )


async def as_coroutine(receive: Receive) -> str:
    """Await what receive gives, as a task of its own."""
    event = await asyncio.create_task(receive())  # type: ignore[arg-type]
    return str(event["type"])


# receive


@case
async def first_piece(scope: Event, receive: Receive, send: Send) -> None:
    """Answer after the first part of the body, before the rest came."""
    event = await receive()
    note(scope, "called")
    await answer(send, plain(event))


@case
async def drain(scope: Event, receive: Receive, send: Send) -> None:
    """Read the body to its end and describe what came."""
    count, sizes, kinds = 0, [], set()
    while True:
        event = await receive()
        kinds.add(f"{event['type']} {type(event['body']).__name__} {type(event['more_body']).__name__}")
        sizes.append(len(event["body"]))
        count += len(event["body"])
        if not event["more_body"]:
            break
    await answer(send, {"count": count, "kinds": sorted(kinds), "largest": max(sizes)})


@case
async def distinct(scope: Event, receive: Receive, send: Send) -> None:
    """Two events are two objects."""
    one = await receive()
    two = asyncio.create_task(as_event(receive))
    await answer(send, "done")
    other = await two
    note(scope, {"distinct": one is not other, "types": [one["type"], other["type"]]})


async def as_event(receive: Receive) -> Event:
    return await receive()


@case
async def repeat(scope: Event, receive: Receive, send: Send) -> None:
    """After the answer every call gives http.disconnect."""
    await receive()
    await answer(send, "done")
    note(scope, [plain(await receive()) for _ in range(4)])


@case
async def cancelled(scope: Event, receive: Receive, send: Send) -> None:
    """A cancelled receive loses nothing and tells no lie."""
    seen = []
    for _ in range(3):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                seen.append((await receive())["body"].decode())
    note(scope, "waited")
    while True:
        event = await receive()
        seen.append(event["body"].decode() if event["type"] == "http.request" else event["type"])
        if not event.get("more_body"):
            break
    await answer(send, seen)


@case
async def lost(scope: Event, receive: Receive, send: Send) -> None:
    """Read until something other than more body comes."""
    note(scope, "began")
    seen = []
    while True:
        event = await receive()
        seen.append({**event, "body": len(event.get("body", b""))})
        if event["type"] != "http.request" or not event["more_body"]:
            break
    note(scope, {"seen": seen})


@case
async def unread(scope: Event, receive: Receive, send: Send) -> None:
    """Answer without reading."""
    await answer(send, "unread")


@case
async def hold(scope: Event, receive: Receive, send: Send) -> None:
    """Read nothing until /do/let_go, then answer."""
    assert release is not None
    note(scope, "began")
    await release.wait()
    await answer(send, "let go")


@case
async def let_go(scope: Event, receive: Receive, send: Send) -> None:
    """End every /do/hold."""
    assert release is not None
    release.set()
    release.clear()
    await answer(send, "done")


# send


START: Event = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Event = {"type": "http.response.body", "body": b"x"}

BAD_EVENTS: dict[str, list[object]] = {
    "unknown type": [{"type": "http.response.nope"}],
    "no type": [{"status": 200}],
    "not a dict": [None],
    "body first": [BODY],
    "no status": [{"type": "http.response.start"}],
    "status of text": [{**START, "status": "200"}],
    "status 103": [{**START, "status": 103}],
    "status 101": [{**START, "status": 101}],
    "status 799": [{**START, "status": 799}],
    "header of text": [{**START, "headers": [("a", "b")]}],
    "header value of text": [{**START, "headers": [(b"a", "b")]}],
    "header of one": [{**START, "headers": [(b"a",)]}],
    "pseudo header": [{**START, "headers": [(b":status", b"200")]}],
    "header name with blank": [{**START, "headers": [(b"a b", b"c")]}],
    "header name with colon": [{**START, "headers": [(b"a:", b"c")]}],
    "header name empty": [{**START, "headers": [(b"", b"c")]}],
    "header with CRLF": [{**START, "headers": [(b"a", b"b\r\nset-cookie: evil=1")]}],
    "header with LF": [{**START, "headers": [(b"a", b"b\nc")]}],
    "header with NUL": [{**START, "headers": [(b"a", b"b\x00c")]}],
    "length not a number": [{**START, "headers": [(b"content-length", b"abc")]}],
    "length negative": [{**START, "headers": [(b"content-length", b"-1")]}],
    "two lengths": [{**START, "headers": [(b"content-length", b"1"), (b"content-length", b"2")]}],
    "body of text": [START, {**BODY, "body": "text"}],
    "start twice": [START, START],
    "body of None": [START, {**BODY, "body": None}],
}


@case
async def bad_event(scope: Event, receive: Receive, send: Send) -> None:
    """The event named by the query is refused, and a right response is still possible."""
    *before, bad = BAD_EVENTS[scope["query_string"].decode().replace("+", " ")]
    for event in before:
        await send(event)  # type: ignore[arg-type]
    outcome = await attempt(send, bad)
    if not before:
        await send({**START, "headers": [(b"x-outcome", outcome.encode())]})
    await send({**BODY, "body": outcome.encode()})


@case
async def extra_keys(scope: Event, receive: Receive, send: Send) -> None:
    await send({**START, "headers": [(b"content-length", b"1")], "strange": 1})
    await send({**BODY, "strange": object()})


@case
async def defaults(scope: Event, receive: Receive, send: Send) -> None:
    """Every key that has a default is left out."""
    await send({"type": "http.response.start", "status": 201})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    await send({"type": "http.response.body", "more_body": True})
    await send({"type": "http.response.body", "body": b"two", "more_body": True})
    await send({"type": "http.response.body"})


@case
async def gathered(scope: Event, receive: Receive, send: Send) -> None:
    """Ten sends at once keep their order."""
    await send(START)
    await asyncio.gather(*(as_send(send, bytes([48 + number]) * 50_000) for number in range(10)))
    await send({"type": "http.response.body"})


async def as_send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


@case
async def send_as_tasks(scope: Event, receive: Receive, send: Send) -> None:
    """What send and receive give can be made tasks of."""
    await asyncio.create_task(send(START))  # type: ignore[arg-type]
    await asyncio.create_task(send(BODY))  # type: ignore[arg-type]


@case
async def header_forms(scope: Event, receive: Receive, send: Send) -> None:
    """A generator of lists, mixed case, doubled names."""
    items = [
        [b"X-One", b"1"],
        [b"set-cookie", b"a=1"],
        [b"x-two", b"2"],
        [b"set-cookie", b"b=2"],
        [b"X-Latin", b"\xe9"],
    ]
    await send({**START, "headers": (item for item in items)})
    await send(BODY)


@case
async def own_date(scope: Event, receive: Receive, send: Send) -> None:
    await send({**START, "headers": [(b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT"), (b"SERVER", b"mine")]})
    await send(BODY)


@case
async def own_coding(scope: Event, receive: Receive, send: Send) -> None:
    """Transfer-Encoding from the application is ignored."""
    fields = [(b"transfer-encoding", scope["query_string"])]
    if scope["query_string"] == b"chunked":
        fields.append((b"content-length", b"5"))
    await send({**START, "headers": fields})
    await send({**BODY, "body": b"hello"})


@case
async def buffers(scope: Event, receive: Receive, send: Send) -> None:
    """bytearray and memoryview, changed right after send."""
    changing = bytearray(b"first ")
    await send(START)
    await send({"type": "http.response.body", "body": changing, "more_body": True})
    changing[:] = b"wrong "
    other = bytearray(b"second")
    await send({"type": "http.response.body", "body": memoryview(other)})
    other[:] = b"wrong!"


@case
async def at_once(scope: Event, receive: Receive, send: Send) -> None:
    """The first part goes out before the application goes on."""
    await send(START)
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    note(scope, "waiting")
    assert release is not None
    await release.wait()
    await send({"type": "http.response.body", "body": b"second"})


@case
async def flush_head(scope: Event, receive: Receive, send: Send) -> None:
    """An empty body with more to come flushes the head."""
    await send({**START, "headers": [(b"x-early", b"1")]})
    await send({"type": "http.response.body", "more_body": True})
    note(scope, "waiting")
    assert release is not None
    await release.wait()
    await send({"type": "http.response.body", "body": b"late"})


@case
async def after_end(scope: Event, receive: Receive, send: Send) -> None:
    """Messages after the response is complete are ignored."""
    await answer(send, "whole")
    note(scope, [await attempt(send, event) for event in (BODY, START, {"type": "http.response.body"})])


@case
async def send_after_leaving(scope: Event, receive: Receive, send: Send) -> None:
    """Once the client left, send raises OSError; before the start and after."""
    if "start" in scope["path"]:
        await send(START)
        await send({**BODY, "more_body": True})
    note(scope, "began")
    while (await receive())["type"] != "http.disconnect":
        pass
    note(
        scope,
        {
            "told": [
                await attempt(send, event)
                for event in ([START, BODY] if "start" not in scope["path"] else [{**BODY, "more_body": True}] * 2)
            ]
        },
    )


@case
async def stream_until_error(scope: Event, receive: Receive, send: Send) -> None:
    """Send without end, never receive; the error is let out, swallowed, wrapped or translated."""
    await send(START)
    try:
        while True:
            await send({**BODY, "body": b"x" * 1000, "more_body": True})
            await asyncio.sleep(0.001)
    except OSError as error:
        note(scope, {"raised": [kind.__name__ for kind in type(error).__mro__]})
        if "wrap" in scope["path"]:
            raise BaseExceptionGroup("outer", [ExceptionGroup("inner", [error])]) from None
        if "translate" in scope["path"]:
            raise RuntimeError("the framework's own word for it") from error
        if "raise" in scope["path"]:
            raise


@case
async def pressure(scope: Event, receive: Receive, send: Send) -> None:
    """Count how much send takes from a client that does not read."""
    await send(START)
    taken = 0
    try:
        for _ in range(1600):
            async with asyncio.timeout(0.5):
                await send({**BODY, "body": bytes(65536), "more_body": True})
            taken += 65536
    except (TimeoutError, OSError):
        pass
    note(scope, {"taken": taken})


# failing


@case
async def fail_first(scope: Event, receive: Receive, send: Send) -> None:
    raise RuntimeError(f"deliberate {scope['query_string'].decode()}")


@case
async def fail_after_start(scope: Event, receive: Receive, send: Send) -> None:
    await send({**START, "headers": [(b"x-mine", b"1"), (b"content-length", b"1")]})
    raise RuntimeError(f"deliberate {scope['query_string'].decode()}")


@case
async def fail_in_body(scope: Event, receive: Receive, send: Send) -> None:
    await send(START)
    await send({**BODY, "body": b"partial", "more_body": True})
    raise RuntimeError(f"deliberate {scope['query_string'].decode()}")


@case
async def return_in_body(scope: Event, receive: Receive, send: Send) -> None:
    await send(START)
    await send({**BODY, "body": b"partial", "more_body": True})


@case
async def fail_at_end(scope: Event, receive: Receive, send: Send) -> None:
    await answer(send, "whole")
    raise RuntimeError(f"deliberate {scope['query_string'].decode()}")


@case
async def return_first(scope: Event, receive: Receive, send: Send) -> None:
    return


@case
async def return_after_start(scope: Event, receive: Receive, send: Send) -> None:
    await send(START)


@case
async def return_value(scope: Event, receive: Receive, send: Send) -> int:
    await answer(send, "whole")
    return 5


@case
async def exit_it(scope: Event, receive: Receive, send: Send) -> None:
    sys.exit(7)


@case
async def cancel_itself(scope: Event, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


# lengths and statuses


@case
async def too_much(scope: Event, receive: Receive, send: Send) -> None:
    """Content-Length 3, ten bytes."""
    await send({**START, "headers": [(b"content-length", b"3")]})
    note(scope, [await attempt(send, {**BODY, "body": b"0123456789"})])


@case
async def too_much_in_parts(scope: Event, receive: Receive, send: Send) -> None:
    await send({**START, "headers": [(b"content-length", b"3")]})
    note(scope, [await attempt(send, {**BODY, "body": b"01", "more_body": True}) for _ in range(3)])


@case
async def too_little(scope: Event, receive: Receive, send: Send) -> None:
    """Content-Length 10, five bytes."""
    await send({**START, "headers": [(b"content-length", b"10")]})
    note(scope, [await attempt(send, {**BODY, "body": b"01234"})])


@case
async def bodiless(scope: Event, receive: Receive, send: Send) -> None:
    """A status that has no body, given one all the same: /do/bodiless/STATUS?cl,parts."""
    wish = scope["query_string"]
    fields = [(b"content-length", b"10")] if b"cl" in wish else []
    await send({**START, "status": int(scope["path"].split("/")[3]), "headers": fields})
    if b"parts" in wish:
        await send({**BODY, "body": b"01234", "more_body": True})
        await send({**BODY, "body": b"56789"})
    else:
        await send({**BODY, "body": b"0123456789"})


@case
async def unknown_length(scope: Event, receive: Receive, send: Send) -> None:
    await send(START)
    for number in range(3):
        await send({**BODY, "body": b"part %d " % number, "more_body": True})
    await send({"type": "http.response.body"})


# extensions


@case
async def hints(scope: Event, receive: Receive, send: Send) -> None:
    """Early hints before and after the start."""
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}
    if "before" in scope["path"]:
        await send(hint)
    await send({**START, "headers": [(b"x-final", b"1")]})
    if "after" in scope["path"]:
        await send(hint)
    await send(BODY)


@case
async def trailers(scope: Event, receive: Receive, send: Send) -> None:
    await send({**START, "headers": [(b"trailer", b"x-sum")], "trailers": True})
    await send({**BODY, "body": b"content"})
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"42")]})


@case
async def trailers_forgotten(scope: Event, receive: Receive, send: Send) -> None:
    await send({**START, "trailers": True})
    await send({**BODY, "body": b"content"})


@case
async def send_path(scope: Event, receive: Receive, send: Send) -> None:
    """http.response.pathsend of PROBE_FILE, with and without a length; of a missing and of a relative file."""
    path = os.environ["PROBE_FILE"]
    wish = scope["query_string"].decode()
    path = {"missing": path + ".none", "relative": os.path.basename(path)}.get(wish, path)
    fields = [(b"content-length", str(os.path.getsize(path)).encode())] if wish == "length" else []
    await send({**START, "headers": fields})
    outcome = await attempt(send, {"type": "http.response.pathsend", "path": path})
    if outcome != "ok":
        # The head has not left: whether it may be started anew is the server's affair, a body must do.
        await attempt(send, {**START, "status": 404})
        await send({**BODY, "body": outcome.encode()})


@case
async def send_file(scope: Event, receive: Receive, send: Send) -> None:
    """http.response.zerocopysend between two bodies; the file is closed right after."""
    await send(START)
    await send({**BODY, "body": b"<", "more_body": True})
    with open(os.environ["PROBE_FILE"], "rb") as file:
        await send({"type": "http.response.zerocopysend", "file": file, "offset": 10, "count": 20, "more_body": True})
        file.seek(100)
        await send({"type": "http.response.zerocopysend", "file": file, "count": 5, "more_body": True})
        await send({"type": "http.response.zerocopysend", "file": file, "offset": 1000, "more_body": True})
    await send({**BODY, "body": b">"})
