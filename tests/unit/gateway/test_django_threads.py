"""Threads between two requests: borrowed, given back or not, and ended when nobody wants them."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from concurrent.futures import Future
from typing import Any

import pytest

from torana.gateway.asgi import django_threads
from torana.gateway.asgi.django_threads import OneThread, Threads, keep_threads

WAIT_S = 20.0


def test_the_last_that_came_back_is_the_first_to_go() -> None:
    async def main() -> None:
        threads = Threads()
        first, second = threads.borrow(), threads.borrow()
        assert first is not second
        threads.give_back(first)
        threads.give_back(second)
        assert [threads.borrow(), threads.borrow()] == [second, first]

    asyncio.run(main())


def test_no_more_wait_than_may() -> None:
    async def main() -> None:
        threads = Threads(most_idle=2)
        borrowed = [threads.borrow() for _ in range(3)]
        for each in borrowed:
            each.submit(int).result(WAIT_S)
            threads.give_back(each)
        assert len(threads) == 2
        with pytest.raises(RuntimeError, match="shutdown"):
            borrowed[2].submit(int)

    asyncio.run(main())


def test_one_that_still_works_is_not_kept_also_when_what_waited_behind_was_cancelled() -> None:
    async def main() -> None:
        threads, gate = Threads(), threading.Event()
        busy = threads.borrow()
        runs: Future[Any] = busy.submit(gate.wait, WAIT_S)
        waits = busy.submit(int)
        while not runs.running():
            await asyncio.sleep(0)
        assert waits.cancel() and waits.done()
        threads.give_back(busy)
        assert len(threads) == 0
        gate.set()
        assert runs.result(WAIT_S) is True, "it ends what it has begun"

    asyncio.run(main())


def test_those_that_wait_for_long_end_and_not_the_others() -> None:
    async def main() -> None:
        threads = Threads(idle_s=0.05)
        threads.give_back(threads.borrow())
        while len(threads):
            await asyncio.sleep(0.01)
        late: OneThread = threads.borrow()
        threads.give_back(late)
        # Looked after again, though nobody was there meanwhile.
        while len(threads):
            await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="shutdown"):
            late.submit(int)

    asyncio.run(main())


def test_another_loop_ends_those_that_the_last_one_left() -> None:
    threads = Threads(idle_s=0.05)

    async def leaves_two() -> None:
        borrowed = [threads.borrow(), threads.borrow()]
        for each in borrowed:
            threads.give_back(each)

    async def waits() -> None:
        threads.give_back(threads.borrow())
        while len(threads):
            await asyncio.sleep(0.01)

    asyncio.run(leaves_two())
    assert len(threads) == 2
    asyncio.run(asyncio.wait_for(waits(), WAIT_S))


def test_a_handler_that_is_not_loaded_or_not_as_we_know_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, django_threads._HANDLER, raising=False)
    assert keep_threads() is None
    strange = types.SimpleNamespace(ThreadSensitiveContext=object)
    monkeypatch.setitem(sys.modules, django_threads._HANDLER, strange)  # type: ignore[arg-type]
    pytest.importorskip("asgiref")
    assert keep_threads() is None
    assert strange.ThreadSensitiveContext is object


def test_it_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sync = pytest.importorskip("asgiref.sync")
    handler = types.SimpleNamespace(ThreadSensitiveContext=sync.ThreadSensitiveContext)
    monkeypatch.setitem(sys.modules, django_threads._HANDLER, handler)  # type: ignore[arg-type]
    threads = keep_threads()
    context = handler.ThreadSensitiveContext
    assert threads is not None and issubclass(context, sync.ThreadSensitiveContext)
    assert keep_threads() is threads and handler.ThreadSensitiveContext is context

    async def main() -> None:
        async with context():
            outer = await sync.sync_to_async(threading.get_ident)()
            async with context():
                assert await sync.sync_to_async(threading.get_ident)() == outer
            assert len(threads) == 0
        assert len(threads) == 1
        async with context():
            assert await sync.sync_to_async(threading.get_ident)() == outer

    asyncio.run(main())
    assert not hasattr(sync.ThreadSensitiveContext, "torana_threads")
