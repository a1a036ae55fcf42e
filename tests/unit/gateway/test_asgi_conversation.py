"""A conversation through the ASGI gateway, without a network (``spec.md`` WS, EXT-DENIAL)."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from tests.support.conversing import handshake
from tests.support.inprocess import logged
from tests.unit.gateway.asgi_stage import attempt, child, converse, echo, gateway_for, idle, in_each_loop, until
from torana.exchange.states import CLOSED
from torana.gateway.asgi.wakeup import Wakeup
from torana.gateway.error_page import error_fields

ACCEPT = {"type": "websocket.accept"}
OS_ERROR = "ClientDisconnected OSError Exception BaseException object"
MISTAKE = "ApplicationError RuntimeError Exception BaseException object"


def accepting(then: Any) -> Any:
    """An application that accepts, and goes on with ``then(receive, send)``."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await then(receive, send)

    return app


# scope


@in_each_loop
async def test_scope() -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send({"type": "websocket.close"})

    fields = ((b"host", b"a"), (b"sec-websocket-protocol", b"chat, talk"))
    await converse(app, target=b"/a%20b?c=d", fields=fields, subprotocols=("chat", "talk"))
    assert scopes == [
        {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c=d",
            "root_path": "",
            "headers": list(fields),
            "client": ("10.0.0.1", 5),
            "server": ("10.0.0.2", 80),
            "subprotocols": ["chat", "talk"],
            "extensions": {"websocket.http.response": {}},
        }
    ]


@in_each_loop
async def test_scope_of_another_version_over_tls() -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    with logged():
        await converse(app, version="2", scheme="https", tls={"tls_version": 772})
    assert (scopes[0]["http_version"], scopes[0]["scheme"]) == ("2", "wss")
    assert scopes[0]["extensions"] == {"websocket.http.response": {}, "tls": {"tls_version": 772}}


# receive


@in_each_loop
async def test_echo() -> None:
    stage = await converse(echo)
    for message in ("a", b"b", "", b"", "ö" * 100):
        stage.duplex.push(message)
        await stage.heard(len(stage.acts))
    await idle()
    assert stage.link.sent() == ["a", b"b", "", b"", "ö" * 100]
    stage.duplex.lose(1000, "")
    await stage.over()
    assert stage.gateway.running() == 0


@in_each_loop
async def test_events_have_one_key_of_the_two() -> None:
    events = []

    async def rest(receive: Any, send: Any) -> None:
        for _ in range(3):
            events.append(await receive())

    stage = await converse(accepting(rest))
    stage.duplex.push("")
    stage.duplex.push(b"")
    stage.duplex.lose(4000, "ré")
    await stage.over()
    assert events == [
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive", "bytes": b""},
        {"type": "websocket.disconnect", "code": 4000, "reason": "ré"},
    ]


@in_each_loop
async def test_disconnect_is_repeated() -> None:
    events = []

    async def rest(receive: Any, send: Any) -> None:
        for _ in range(4):
            events.append(await receive())

    stage = await converse(accepting(rest))
    stage.duplex.lose(1006, "")
    await stage.over()
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}] * 4
    assert len({id(event) for event in events}) == 4


@in_each_loop
async def test_disconnect_before_the_answer() -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(await receive())
        events.append(await receive())
        events.append(await attempt(send, ACCEPT))
        await send({"type": "websocket.close"})

    with logged() as log:
        stage = await converse(app)
        assert len(events) == 1
        stage.duplex.request.lose()
        stage.duplex.response.lose()
        stage.duplex.lose(1006, "")
        await stage.over()
    assert events[1:] == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, OS_ERROR]
    assert (stage.acts, stage.channel.is_aborted, log.errors()) == ([], True, [])


@in_each_loop
async def test_receive_cancelled_loses_no_message() -> None:
    async def rest(receive: Any, send: Any) -> None:
        missed = 0
        while True:
            try:
                event = await asyncio.wait_for(receive(), 0.001)
            except TimeoutError:
                missed += 1
                continue
            if event["type"] == "websocket.disconnect":
                assert missed
                return
            await send({"type": "websocket.send", "text": event["text"]})

    stage = await converse(accepting(rest))
    for number in range(50):
        stage.duplex.push(str(number))
        if number % 10 == 0:
            await asyncio.sleep(0.003)
        elif number % 3 == 0:
            await asyncio.sleep(0.001)
    await until(lambda: not stage.duplex.buffered)
    await idle()
    stage.duplex.lose(1000, "")
    await stage.over()
    assert stage.link.sent() == [str(number) for number in range(50)]


@pytest.mark.parametrize("is_first", [True, False])
@in_each_loop
async def test_receive_cancelled_in_the_turn_its_message_comes(is_first: bool) -> None:
    async def rest(receive: Any, send: Any) -> None:
        async with child(receive()) as waiting:
            await asyncio.sleep(0)
            if is_first:
                waiting.cancel()
                duplexes[0].push("kept")
            else:
                # From inside a task, so that the waiting one gets its step later.
                duplexes[0].push("kept")
                waiting.cancel()
            assert (await asyncio.gather(waiting, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    duplexes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await begin.wait()
        await rest(receive, send)

    begin = asyncio.Event()
    stage = await converse(app)
    duplexes.append(stage.duplex)
    begin.set()
    await stage.over()
    assert stage.link.sent() == ["kept"]


@in_each_loop
async def test_several_tasks_receive() -> None:
    taken: list[tuple[int, Any]] = []

    async def rest(receive: Any, send: Any) -> None:
        async def one(number: int) -> None:
            while (event := await receive())["type"] == "websocket.receive":
                taken.append((number, event["text"]))
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(one(number))

    stage = await converse(accepting(rest))
    for number in range(100):
        stage.duplex.push(str(number))
        if number % 7 == 0:
            await idle()
    stage.duplex.lose(1000, "")
    await stage.over()
    assert [text for _, text in taken] == [str(number) for number in range(100)]
    assert len({number for number, _ in taken}) > 1


@in_each_loop
async def test_receive_and_send_as_tasks() -> None:
    """As anyio's task groups and asyncio.wait use them."""

    async def rest(receive: Any, send: Any) -> None:
        waiting = asyncio.create_task(receive())
        done, pending = await asyncio.wait({waiting}, timeout=0.001)
        assert not done and pending == {waiting}
        await asyncio.create_task(send({"type": "websocket.send", "text": "now"}))
        event = await asyncio.shield(waiting)
        await asyncio.gather(send({"type": "websocket.send", "text": event["text"]}), return_exceptions=False)

    stage = await converse(accepting(rest))
    await until(lambda: stage.link.sent() == ["now"])
    stage.duplex.push("then")
    await stage.over()
    assert stage.link.sent() == ["now", "then"]


@in_each_loop
async def test_giving_up_again_and_again_leaves_nothing_behind() -> None:
    counts = []

    async def rest(receive: Any, send: Any) -> None:
        for _ in range(300):
            async with child(receive()):
                await asyncio.sleep(0)
        gc.collect()
        counts.append(sum(type(each) is Wakeup for each in gc.get_objects()))

    stage = await converse(accepting(rest))
    await stage.over()
    assert counts[0] < 5


@in_each_loop
async def test_context_and_current_task_at_a_step_made_by_a_message() -> None:
    import contextvars

    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="unset")
    seen = []

    async def rest(receive: Any, send: Any) -> None:
        name.set("mine")
        task = asyncio.current_task()
        for _ in range(3):
            await receive()
            seen.append((name.get(), asyncio.current_task() is task))

    stage = await converse(accepting(rest))
    # From a callback of the loop, as the poller does, and from a task of somebody else.
    asyncio.get_running_loop().call_soon(stage.duplex.push, "a")
    await asyncio.sleep(0)
    stage.duplex.push("b")
    await idle()
    asyncio.get_running_loop().call_soon(stage.duplex.push, "c")
    await stage.over()
    assert seen == [("mine", True)] * 3
    assert name.get() == "unset"


# send


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"text": "x"}, "x"),
        ({"text": "x", "bytes": None}, "x"),
        ({"bytes": b"x", "text": None}, b"x"),
        ({"text": ""}, ""),
        ({"bytes": b""}, b""),
        ({"bytes": bytearray(b"x")}, b"x"),
        ({"bytes": memoryview(b"xy")[:1]}, b"x"),
        ({"text": "x", "bytes": b"x"}, None),
        ({"text": "", "bytes": b""}, None),
        ({}, None),
        ({"text": None, "bytes": None}, None),
        ({"text": b"x"}, None),
        ({"bytes": "x"}, None),
        ({"text": 1}, None),
        ({"bytes": 1}, None),
        ({"bytes": [1]}, None),
    ],
)
@in_each_loop
async def test_shapes_of_messages(message: dict[str, Any], sent: Any) -> None:
    outcomes = []

    async def rest(receive: Any, send: Any) -> None:
        outcomes.append(await attempt(send, {"type": "websocket.send", **message}))

    stage = await converse(accepting(rest))
    await stage.over()
    if sent is None:
        assert (outcomes, stage.link.sent()) == ([MISTAKE], [])
    else:
        assert (outcomes, stage.link.sent()) == (["ok"], [sent])
        assert type(stage.link.sent()[0]) is type(sent)


class Text(str):
    """As template engines make it."""

    def __str__(self) -> str:
        return self


class Message(dict[str, Any]):
    """As some frameworks wrap it."""


@in_each_loop
async def test_subclasses_are_taken_for_what_they_are() -> None:
    async def rest(receive: Any, send: Any) -> None:
        await send(Message(type="websocket.send", text=Text("x")))

    stage = await converse(accepting(rest))
    await stage.over()
    assert type(stage.link.sent()[0]) is str


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send", "text": "x"},
        {"type": "websocket.http.response.body", "body": b"x"},
        {"type": "websocket.nope"},
        {"type": "http.response.start", "status": 200},
        {"type": None},
        {},
        {"type": "websocket.accept", "subprotocol": "not offered"},
        {"type": "websocket.accept", "subprotocol": b"chat"},
        {"type": "websocket.accept", "headers": [(b"sec-websocket-protocol", b"chat")]},
        {"type": "websocket.accept", "headers": [(b"a", b"b\r\nc: d")]},
        {"type": "websocket.accept", "headers": [b"ab"]},
        {"type": "websocket.accept", "headers": [("a", "b")]},
        {"type": "websocket.accept", "headers": 7},
        {"type": "websocket.close", "code": 1005},
        {"type": "websocket.close", "code": "1000"},
        {"type": "websocket.close", "code": True},
        {"type": "websocket.close", "code": 2**80},
        {"type": "websocket.http.response.start", "status": 101},
        {"type": "websocket.http.response.start", "status": "401"},
        {"type": "websocket.http.response.start", "status": 401, "headers": [(b"a", 1)]},
        {"type": "websocket.http.response.start"},
        "websocket.accept",
        None,
    ],
)
@in_each_loop
async def test_mistake_before_the_answer_raises_and_changes_nothing(message: Any) -> None:
    outcomes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        outcomes.append(await attempt(send, message))
        outcomes.append(await attempt(send, {"type": "websocket.accept", "subprotocol": "chat"}))

    stage = await converse(app, subprotocols=("chat",))
    await stage.over()
    assert outcomes == [MISTAKE, "ok"]
    assert stage.acts[0] == ("open", "chat", [])


@pytest.mark.parametrize(
    "message",
    [
        ACCEPT,
        {"type": "websocket.http.response.start", "status": 401},
        {"type": "websocket.http.response.body"},
        {"type": "websocket.close", "code": 1006},
        {"type": "websocket.close", "code": 9999},
        {"type": "websocket.close", "code": -(2**80)},
    ],
)
@in_each_loop
async def test_mistake_after_accept_raises_and_changes_nothing(message: Any) -> None:
    outcomes = []

    async def rest(receive: Any, send: Any) -> None:
        outcomes.append(await attempt(send, message))
        await send({"type": "websocket.send", "text": "still open"})

    stage = await converse(accepting(rest))
    await stage.over()
    assert outcomes == [MISTAKE]
    assert stage.link.sent() == ["still open"]


@in_each_loop
async def test_send_waits_while_the_client_is_slow() -> None:
    sent = []

    async def rest(receive: Any, send: Any) -> None:
        for number in range(3):
            await send({"type": "websocket.send", "text": str(number)})
            sent.append(number)

    stage = await converse(accepting(rest))
    await stage.over()
    stage = await converse(accepting(rest))
    sent.clear()

    async def slow(receive: Any, send: Any) -> None:
        await begin.wait()
        await rest(receive, send)

    begin = asyncio.Event()
    stage = await converse(accepting(slow))
    stage.link.full = True
    begin.set()
    await idle()
    assert (stage.link.sent(), sent) == (["0"], [])
    answerer = stage.duplex.answerer
    assert answerer is not None
    answerer.drained()
    await idle()
    assert sent == [], "woken, and it is still full"
    stage.link.full = False
    answerer.drained()
    await stage.over()
    assert sent == [0, 1, 2]


@in_each_loop
async def test_send_that_waits_hears_of_the_end() -> None:
    outcomes = []

    async def rest(receive: Any, send: Any) -> None:
        await begin.wait()
        outcomes.append(await attempt(send, {"type": "websocket.send", "text": "x"}))

    begin = asyncio.Event()
    stage = await converse(accepting(rest))
    stage.link.full = True
    begin.set()
    await idle()
    stage.duplex.lose(1006, "")
    await stage.over()
    assert outcomes == [OS_ERROR]


# closing


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": None, "reason": None}, 1000, ""),
        ({"code": 4321, "reason": "réason"}, 4321, "réason"),
        ({"reason": "x" * 200}, 1000, "x" * 123),
        ({"reason": [{"type": "missing"}]}, 1000, "[{'type': 'missing'}]"),
    ],
)
@in_each_loop
async def test_close(message: dict[str, Any], code: int, reason: str) -> None:
    after: list[Any] = []

    async def rest(receive: Any, send: Any) -> None:
        async with child(receive()) as waiting:
            await asyncio.sleep(0)
            await send({"type": "websocket.close", **message})
            after.append(await waiting)
        after.append(await attempt(send, {"type": "websocket.send", "text": "x"}))
        after.append(await attempt(send, {"type": "websocket.close"}))

    stage = await converse(accepting(rest))
    await stage.over()
    assert stage.acts[1:] == [("close", code, reason)]
    assert after == [{"type": "websocket.disconnect", "code": code, "reason": reason}, OS_ERROR, OS_ERROR]


@in_each_loop
async def test_close_before_accept_is_a_403_and_a_disconnect() -> None:
    events = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 4000})
        events.extend([await receive(), await receive(), await receive()])

    with logged() as log:
        stage = await converse(app)
        await stage.over()
    assert [event["type"] for event in events] == ["websocket.connect"] + ["websocket.disconnect"] * 2
    assert events[1]["code"] == 1006
    assert (stage.channel.status, stage.acts, log.errors()) == (403, [], [])


@in_each_loop
async def test_return_without_close_is_1000() -> None:
    async def rest(receive: Any, send: Any) -> None:
        await receive()

    with logged() as log:
        stage = await converse(accepting(rest))
        stage.duplex.push("x")
        await stage.over()
    assert (stage.acts[1:], log.errors()) == ([("close", 1000, "")], [])


@in_each_loop
async def test_exception_is_1011_and_logged_once() -> None:
    async def rest(receive: Any, send: Any) -> None:
        raise ValueError("a fault of the application")

    with logged() as log:
        stage = await converse(accepting(rest))
        await stage.over()
    assert stage.acts[1:] == [("close", 1011, "")]
    assert len(log.errors()) == 1
    record = log.records[-1]
    assert record.exc_info is not None and "a fault of the application" in str(record.exc_info[1])


@in_each_loop
async def test_exception_before_the_answer_is_a_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ValueError("secret")

    with logged() as log:
        stage = await converse(app)
        await stage.over()
        assert (stage.channel.status, stage.acts, len(log.errors())) == (500, [], 1)
        assert b"secret" not in stage.channel.body
        stage = await converse(app, error_page=error_fields)
        await stage.over()
        assert stage.channel.status == 500 and b"secret" in stage.channel.body


@in_each_loop
async def test_return_before_the_answer_is_a_500_and_logged() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    with logged() as log:
        stage = await converse(app)
        await stage.over()
    assert (stage.channel.status, len(log.errors())) == (500, 1)
    assert "without giving its answer" in log.errors()[0]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("is_accepted", [True, False])
def test_nothing_an_application_raises_ends_the_loop(kind: type[BaseException], is_accepted: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if is_accepted:
            await send(ACCEPT)
            await receive()
        raise kind

    async def main() -> None:
        with logged() as log:
            stage = await converse(app)
            if is_accepted:
                asyncio.get_running_loop().call_soon(stage.duplex.push, "x")
            await stage.over()
        assert len(log.errors()) == 1

    asyncio.run(main())


def test_what_ends_a_loop_does_not_come_out_of_a_push() -> None:
    """A task of the application's own may raise KeyboardInterrupt: the loop ends, as it does for any task."""
    pushed = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)

        async def own() -> None:
            await receive()
            raise KeyboardInterrupt

        await asyncio.create_task(own())

    async def main() -> None:
        stage = await converse(app)

        def push() -> None:
            stage.duplex.push("x")
            pushed.append("whole")

        asyncio.get_running_loop().call_soon(push)
        await asyncio.Event().wait()

    with logged(), pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert pushed == ["whole"]


class WebSocketDisconnect(Exception):
    """As Starlette raises it out of its receive methods."""


@pytest.mark.parametrize("way", ["bare", "from", "group", "named"])
@in_each_loop
async def test_our_own_word_is_not_logged_as_a_failure(way: str) -> None:
    async def rest(receive: Any, send: Any) -> None:
        await receive()
        if way == "named":
            raise WebSocketDisconnect
        try:
            await send({"type": "websocket.send", "text": "x"})
        except OSError as error:
            if way == "from":
                raise WebSocketDisconnect from error
            if way == "group":
                raise BaseExceptionGroup("tasks", [error]) from None
            raise

    with logged() as log:
        stage = await converse(accepting(rest))
        stage.duplex.lose(1001, "")
        await stage.over()
    assert log.errors() == []


@in_each_loop
async def test_same_exception_while_the_client_is_there_is_a_failure() -> None:
    async def rest(receive: Any, send: Any) -> None:
        raise WebSocketDisconnect

    with logged() as log:
        stage = await converse(accepting(rest))
        await stage.over()
    assert (stage.acts[1:], len(log.errors())) == ([("close", 1011, "")], 1)


# the denial


def deny(status: int = 401, **more: Any) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, **more}


def body(data: bytes, more_body: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more_body}


@in_each_loop
async def test_denial() -> None:
    after: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(deny(headers=[(b"www-authenticate", b"x")]))
        for message in (ACCEPT, {"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}, deny()):
            after.append(await attempt(send, message))
        await send(body(b"not ", True))
        await send(body(b"you"))
        after.append(await receive())
        after.append(await attempt(send, ACCEPT))

    with logged() as log:
        stage = await converse(app)
        await stage.over()
    channel = stage.channel
    assert (channel.status, channel.body, channel.is_complete) == (401, b"not you", True)
    assert channel.fields == [(b"www-authenticate", b"x")]
    assert after == [MISTAKE] * 4 + [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, OS_ERROR]
    assert (stage.acts, log.errors(), channel.is_aborted) == ([], [], False)


@in_each_loop
async def test_denial_waits_for_a_slow_client() -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(deny())
        await begin.wait()
        for _ in range(3):
            await send(body(b"x", True))
            sent.append(1)
        await send(body(b""))

    begin = asyncio.Event()
    stage = await converse(app)
    stage.channel.full = True
    begin.set()
    await idle()
    assert (stage.channel.body, sent) == (b"x", [])
    stage.channel.full = False
    assert stage.duplex.answerer is not None
    stage.duplex.answerer.drained()
    await stage.over()
    assert (stage.channel.body, stage.channel.is_complete) == (b"xxx", True)


@pytest.mark.parametrize("has_begun", [True, False])
@in_each_loop
async def test_denial_that_is_not_completed(has_begun: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(deny())
        if has_begun:
            await send(body(b"x", True))

    with logged() as log:
        stage = await converse(app)
        await stage.over()
    assert len(log.errors()) == 1
    if has_begun:
        assert (stage.channel.status, stage.channel.is_complete, stage.channel.is_aborted) == (401, False, True)
    else:
        assert (stage.channel.status, stage.channel.is_complete) == (500, True)
    assert stage.duplex.state == CLOSED


# the server's stop


@in_each_loop
async def test_stop_tells_and_then_cancels() -> None:
    heard: list[Any] = []

    async def rest(receive: Any, send: Any) -> None:
        heard.append(await receive())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    with logged() as log:
        stage = await converse(accepting(rest))
        answerer = stage.duplex.answerer
        assert answerer is not None
        answerer.stop()
        await idle()
        assert heard == [{"type": "websocket.disconnect", "code": 1012, "reason": ""}]
        assert stage.gateway.running() == 1
        answerer.stop()
        await stage.over()
    assert (heard[1:], stage.gateway.running(), log.errors()) == (["cancelled"], 0, [])


@in_each_loop
async def test_stop_before_the_answer_is_a_503() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    with logged() as log:
        stage = await converse(app)
        assert stage.duplex.answerer is not None
        stage.duplex.answerer.stop()
        await stage.over()
    assert (stage.channel.status, stage.acts, log.errors()) == (503, [], [])


@in_each_loop
async def test_stop_lets_a_denial_be_said() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(deny())
        await send(body(b"not ", True))
        assert (await receive())["type"] == "websocket.disconnect"
        await send(body(b"you"))

    stage = await converse(app)
    assert stage.duplex.answerer is not None
    stage.duplex.answerer.stop()
    await stage.over()
    assert (stage.channel.status, stage.channel.body, stage.channel.is_complete) == (401, b"not you", True)


@in_each_loop
async def test_cancelled_before_its_first_step() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    gateway = await gateway_for(app)
    duplex = handshake()
    gateway.converse(duplex)
    assert duplex.answerer is not None
    duplex.answerer.stop()
    duplex.answerer.stop()
    await until(lambda: gateway.running() == 0)
    assert duplex.link.has_ended  # type: ignore[attr-defined]


# the whole


@in_each_loop
async def test_conversations_are_not_limited_in_time() -> None:
    gateway = await gateway_for(echo, request_s=0.001)
    duplex = handshake()
    gateway.converse(duplex)
    await idle()
    gateway.tick(1e9)
    gateway.tick(2e9)
    duplex.push("x")
    await idle()
    assert duplex.link.sent() == ["x"]  # type: ignore[attr-defined]
    duplex.lose(1000, "")
    await until(lambda: gateway.running() == 0)


@in_each_loop
async def test_nothing_is_left_for_the_garbage_collector() -> None:
    class Witness:
        pass

    witnesses = weakref.WeakSet[Any]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["witness"] = Witness()
        witnesses.add(scope["witness"])
        await echo(scope, receive, send)

    gateway = await gateway_for(app)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            duplex = handshake()
            gateway.converse(duplex)
            await idle()
            duplex.push("x")
            await idle()
            duplex.lose(1000, "")
            await until(lambda: gateway.running() == 0)
        await idle()
        assert len(witnesses) == 0
    finally:
        gc.enable()
