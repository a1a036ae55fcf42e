"""A task that makes its first step at once is to its application what any task of asyncio's is.

Each scenario runs twice: as a request of ours is begun, and on a loop whose task factory makes plain tasks, where the
gateway leaves it at that. Both must do as the scenario says.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import sys
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest

from tests.support.conversing import RecordingChannel
from tests.unit.gateway.asgi_stage import in_each_loop
from torana.base.endpoints import Endpoints
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.asgi.call import AsgiGateway
from torana.gateway.asgi.wakeup import new_wakeup
from torana.gateway.options import GatewayOptions
from torana.wire.events import RequestHead

Function = Callable[[], Awaitable[Any]]
seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")
HOWS = pytest.mark.parametrize("how", ["eager", "plain"])


class Asked(RecordingChannel):
    """One request's channel."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = asyncio.Event()

    def ended(self) -> None:
        self.is_over.set()


class Site:
    """A gateway for functions, each of which is one request."""

    def __init__(self, gateway: AsgiGateway, functions: dict[bytes, Function]) -> None:
        self.gateway = gateway
        self.functions = functions
        self.results: list[Any] = []

    def begin(self, function: Function) -> tuple[Any, Asked]:
        """Have it run; its call and its channel."""
        target = b"/%d" % len(self.functions)
        self.functions[target] = function
        head = RequestHead()
        head.method, head.target, head.raw_path, head.fields = "GET", target, target, [(b"host", b"t")]
        channel = Asked()
        request = Request(head, Endpoints(("10.0.0.1", 5), ("10.0.0.2", 80), "http", None), channel, 0, 65536)
        request.end([])
        self.gateway.answer(request, Response(channel, request))
        return request.answerer, channel

    async def run(self, function: Function) -> Any:
        """Run it where the loop's callbacks run, in no task; what it returned."""
        results: list[Any] = []

        async def noting() -> None:
            results.append(await function())

        _, channel = await outside(lambda: self.begin(noting))
        await channel.is_over.wait()
        assert results, "it failed, see the log"
        return results[0]


@contextlib.asynccontextmanager
async def site(how: str) -> AsyncIterator[Site]:
    """A gateway whose requests begin ``how``."""
    functions: dict[bytes, Function] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await functions[scope["raw_path"]]()
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    loop = asyncio.get_running_loop()
    if how == "plain":
        loop.set_task_factory(lambda loop, coro, **more: asyncio.Task(coro, loop=loop, **more))  # type: ignore[arg-type]
    gateway = AsgiGateway(app, GatewayOptions(lifespan="off"))
    await gateway.startup()
    yield Site(gateway, functions)
    await gateway.shutdown()


async def outside(act: Callable[[], Any]) -> Any:
    """Do it where the loop's callbacks run, in no task."""
    given = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: given.set_result(act()))
    return await given


@in_each_loop
async def test_the_first_step_is_made_at_once_and_may_be_the_last() -> None:
    async with site("eager") as it:
        before = asyncio.all_tasks()
        told = []

        async def answer() -> None:
            told.append("done")

        def begin() -> tuple[Any, list[str], int]:
            _, channel = it.begin(answer)
            return channel.is_over.is_set(), list(told), channel.status

        assert await outside(begin) == (True, ["done"], 204)
        assert asyncio.all_tasks() == before


@HOWS
@in_each_loop
async def test_there_is_one_task_from_the_first_step_to_the_last(how: str) -> None:
    tasks: list[Any] = []

    async def wait() -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        tasks.append(asyncio.current_task())

    async with site(how) as it:
        await it.run(wait)
        first, second, third = tasks
        assert first is second is third
        assert isinstance(first, asyncio.Task)
        assert await first is None


@HOWS
@in_each_loop
async def test_what_it_is_asked_at_its_first_step(how: str) -> None:
    loop = asyncio.get_running_loop()
    told: dict[str, Any] = {}

    async def ask() -> None:
        task: Any = asyncio.current_task()
        told.update(
            done=task.done(), cancelled=task.cancelled(), cancelling=task.cancelling(), loop=task.get_loop(),
            is_known=task in asyncio.all_tasks(), is_shown="pending" in repr(task), coro=task.get_coro() is not None,
        )  # fmt: skip
        task.set_name("renamed")
        task.mine = 5
        await asyncio.sleep(0.001)
        told.update(after=(task.get_name(), task.mine))

    async with site(how) as it:
        await it.run(ask)
    assert told == {
        "done": False, "cancelled": False, "cancelling": 0, "loop": loop, "is_known": True, "is_shown": True,
        "coro": True, "after": ("renamed", 5),
    }  # fmt: skip


@in_each_loop
async def test_its_name_tells_what_it_is() -> None:
    async def name() -> str:
        return asyncio.current_task().get_name()  # type: ignore[union-attr]

    async with site("eager") as it:
        assert await it.run(name) == "torana-request"


@HOWS
@in_each_loop
async def test_an_attribute_can_be_set_first(how: str) -> None:
    async def mark() -> Any:
        asyncio.current_task().mark = "first"  # type: ignore[union-attr]
        await asyncio.sleep(0)
        return asyncio.current_task().mark  # type: ignore[union-attr]

    async with site(how) as it:
        assert await it.run(mark) == "first"


@HOWS
@in_each_loop
async def test_whoever_waits_for_it_hears_of_its_end(how: str) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def answer() -> None:
        asyncio.current_task().add_done_callback(ended.set_result)  # type: ignore[union-attr]

    async with site(how) as it:
        await it.run(answer)
        task = await ended
        assert (task.done(), task.result(), task.cancelled()) == (True, None, False)


@HOWS
@in_each_loop
async def test_it_ends_as_its_call_says(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled at a stop, in its first step, it is a cancelled task."""
    ended = asyncio.get_running_loop().create_future()

    async with site(how) as it:

        async def fail() -> None:
            asyncio.current_task().add_done_callback(ended.set_result)  # type: ignore[union-attr]
            for call in it.gateway.calls:
                call.stop()
            raise asyncio.CancelledError

        _, channel = await outside(lambda: it.begin(fail))
        assert (await ended).cancelled()
        assert channel.status == 500


@HOWS
@in_each_loop
async def test_an_error_at_the_first_step_is_answered(how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("the application's")

    with caplog.at_level(logging.ERROR, "torana.error"):
        async with site(how) as it:
            _, channel = await outside(lambda: it.begin(fail))
            await channel.is_over.wait()
    assert channel.status == 500
    assert "ValueError: the application's" in caplog.text


@HOWS
@in_each_loop
async def test_it_may_cancel_itself_at_its_first_step(how: str) -> None:
    waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def cancel() -> str:
        asyncio.current_task().cancel("enough")  # type: ignore[union-attr]
        try:
            await waited
        except asyncio.CancelledError as error:
            return f"cancelled: {error.args}"
        return "went on"

    async with site(how) as it:
        assert await it.run(cancel) == "cancelled: ('enough',)"
    assert waited.cancelled()


@in_each_loop
async def test_it_may_be_cancelled_before_the_loops_next_turn() -> None:
    waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    told = []

    async def wait() -> None:
        try:
            await waited
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async with site("eager") as it:

        def begin_and_cancel() -> Any:
            call, channel = it.begin(wait)
            call.stop()
            call.stop()
            return channel

        channel = await outside(begin_and_cancel)
        await channel.is_over.wait()
    assert told == ["cancelled"]
    assert waited.cancelled()


@HOWS
@in_each_loop
async def test_a_cancellation_that_comes_after_the_future_is_done_is_raised_too(how: str) -> None:
    waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begun = asyncio.Event()
    told = []

    async def wait() -> None:
        begun.set()
        try:
            await waited
        except asyncio.CancelledError:
            told.append("cancelled")

    async with site(how) as it:
        call, channel = await outside(lambda: it.begin(wait))
        await begun.wait()
        waited.set_result(None)
        call.stop()
        call.stop()
        await channel.is_over.wait()
    assert told == ["cancelled"]


@HOWS
@in_each_loop
async def test_timeouts_and_groups(how: str) -> None:
    async def fail() -> None:
        raise ValueError("a child's")

    async def use() -> list[str]:
        told = []
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(20)
        except TimeoutError:
            told.append("late")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(20)
        except* ValueError as errors:
            told.append(str(errors.exceptions[0]))
        told.append(str(asyncio.current_task().cancelling()))  # type: ignore[union-attr]
        return told

    async with site(how) as it:
        assert await it.run(use) == ["late", "a child's", "0"]


@HOWS
@in_each_loop
async def test_scopes_of_anyio(how: str) -> None:
    async def use() -> list[str]:
        told = []
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep(20)
        told.append(str(scope.cancelled_caught))
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        told.append(str(scope.cancelled_caught))
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 20)
            await anyio.sleep(0)
            group.cancel_scope.cancel()
        told.append(await anyio.to_thread.run_sync(lambda: "by thread"))
        return told

    async with site(how) as it:
        assert await it.run(use) == ["True", "True", "by thread"]


@HOWS
@in_each_loop
async def test_several_that_wait_for_the_same_future(how: str) -> None:
    waited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    told = []

    async def wait() -> None:
        told.append(await waited)

    async with site(how) as it:
        channels = await outside(lambda: [it.begin(wait)[1], it.begin(wait)[1]])
        other = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waited.set_result("heard")
        for channel in channels:
            await channel.is_over.wait()
        await other
    assert told == ["heard", "heard", "heard"]


@HOWS
@in_each_loop
async def test_futures_that_are_done_before_the_loops_next_turn(how: str) -> None:
    loop = asyncio.get_running_loop()
    plain: asyncio.Future[None] = loop.create_future()
    ours = new_wakeup(loop)
    told = []

    class Waiting:
        def __await__(self) -> Iterator[Any]:
            yield ours

    async def wait() -> None:
        await plain
        told.append("plain")

    async def wait_for_ours() -> None:
        await Waiting()
        told.append("ours")

    async with site(how) as it:

        def begin() -> list[Asked]:
            channels = [it.begin(wait)[1], it.begin(wait_for_ours)[1]]
            plain.set_result(None)
            ours.wake()
            return channels

        for channel in await outside(begin):
            await channel.is_over.wait()
    assert sorted(told) == ["ours", "plain"]


@HOWS
@in_each_loop
async def test_what_no_task_can_wait_for_is_the_applications_error(how: str) -> None:
    class Odd:
        def __await__(self) -> Iterator[Any]:
            yield 5

    async def wait() -> str:
        try:
            await Odd()
        except RuntimeError as error:
            return str(error)
        return "went on"

    async with site(how) as it:
        assert "got bad yield: 5" in await it.run(wait)


@HOWS
@in_each_loop
async def test_the_context_is_the_tasks_own(how: str) -> None:
    async def change() -> str:
        seen.set("by the first step")
        await asyncio.sleep(0)
        return seen.get()

    async with site(how) as it:
        assert await it.run(change) == "by the first step"
    assert seen.get() == "nothing"


@HOWS
@in_each_loop
async def test_within_another_tasks_step(how: str) -> None:
    tasks = []

    async def note() -> None:
        tasks.append(asyncio.current_task())

    async with site(how) as it:
        mine = asyncio.current_task()
        _, channel = it.begin(note)
        assert asyncio.current_task() is mine
        await channel.is_over.wait()
    assert len(tasks) == 1
    assert tasks[0] is not mine
    assert isinstance(tasks[0], asyncio.Task)


@in_each_loop
async def test_in_debug_mode_asyncio_can_tell_which_task_blocks_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.02

    async def answer() -> None:
        asyncio.current_task().set_name("the slow one")  # type: ignore[union-attr]
        # Blocks the loop; whatever the loop makes of this task later is quick.
        time.sleep(0.05)

    with caplog.at_level(logging.WARNING, "asyncio"):
        async with site("eager") as it:
            await it.run(answer)
            await asyncio.sleep(0)
    assert any("Executing" in line and "'the slow one'" in line for line in caplog.messages), caplog.messages


class Starved(asyncio.SelectorEventLoop):
    """A loop without memory for a further call, while it is ``out``."""

    out = False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.out:
            raise MemoryError
        return super().call_soon(callback, *args, context=context)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tasks of CPython's own begin without a call of the loop")
def test_what_cannot_become_a_task_is_closed_and_forgotten() -> None:
    told = []

    async def wait() -> None:
        task = asyncio.current_task()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            told.append(task is not None)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Starved)
        async with site("eager") as it:

            def begin() -> None:
                loop.out = True
                try:
                    with pytest.raises(MemoryError):
                        it.begin(wait)
                finally:
                    loop.out = False

            await outside(begin)
            assert it.gateway.running() == 0

    with asyncio.Runner(loop_factory=Starved) as runner:
        runner.run(main())
    assert told == [True]


@HOWS
@in_each_loop
async def test_it_can_be_a_key_and_is_forgotten_after_its_end(how: str) -> None:
    kept: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    async def note() -> str:
        kept[asyncio.current_task()] = "mine"
        return kept[asyncio.current_task()]

    async with site(how) as it:
        assert await it.run(note) == "mine"
        # A plain task is still held by the loop for the turn in which it ended.
        await asyncio.sleep(0)
        gc.collect()
        assert len(kept) == 0
