"""Dumps of a process that is in trouble: in the loop, in Python, in native code that holds the lock, at its death."""

from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.inprocess import in_loop
from torana.base import board_row
from torana.base.build import has_lock
from torana.process import dump
from torana.process.dump import DUMP_SIGNAL, dump_all, dump_text
from torana.serve.ledger import Ledger
from torana.wire.events import RequestHead

BEGIN = """
import ctypes, resource, sys, threading, time
sys.path[:0] = {path!r}
from torana.process.dump import hear_dump_signal, report_faults
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
report_faults()
def ready():
    print("ready", flush=True)
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python that has run ``code`` up to its ``ready()``."""
    program = BEGIN.format(path=sys.path) + code
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def asked(process: subprocess.Popen[str]) -> str:
    """The dump it writes when it is asked to.

    Asked again and again: a signal that comes just before a system call begins is noticed only when that ends.
    """
    assert process.stderr is not None
    found = ""
    while "-- End of the dump" not in found:
        process.send_signal(DUMP_SIGNAL)
        if select.select([process.stderr], [], [], 0.2)[0]:
            found += os.read(process.stderr.fileno(), 65536).decode()
    return found


# Within the process


@in_loop
async def test_tasks_are_shown_with_all_that_they_await() -> None:
    async def innermost() -> None:
        await asyncio.get_running_loop().create_future()

    async def middle() -> None:
        await innermost()

    async def outermost() -> None:
        async with asyncio.timeout(60):
            await middle()

    task = asyncio.create_task(outermost(), name="stuck-task")
    await asyncio.sleep(0)
    text = dump_text()
    task.cancel()
    shown = text[text.index("stuck-task:") :]
    assert shown.index("in outermost") < shown.index("in middle") < shown.index("in innermost")
    assert "It waits for _asyncio.Future" in shown
    assert "It runs now: see the threads" in text


@in_loop
async def test_a_task_in_a_generator_and_one_that_was_never_started() -> None:
    async def numbers():  # type: ignore[no-untyped-def]
        await asyncio.Event().wait()
        yield 1

    async def reader() -> None:
        async for _ in numbers():
            pass

    waiting = asyncio.create_task(reader(), name="reads-numbers")
    await asyncio.sleep(0)
    fresh = asyncio.create_task(reader(), name="not-begun")
    text = dump_text()
    shown = text[text.index("reads-numbers:") :]
    assert "in reader" in shown and "in numbers" in shown and "in wait" in shown
    assert "not-begun" in text
    for task in (waiting, fresh):
        task.cancel()
    await asyncio.gather(waiting, fresh, return_exceptions=True)


@in_loop
async def test_a_task_that_waits_for_another_names_it() -> None:
    inner = asyncio.create_task(asyncio.Event().wait(), name="the-slow-one")

    async def outer() -> None:
        await inner

    waiting = asyncio.create_task(outer(), name="the-patient-one")
    await asyncio.sleep(0)
    text = dump_text()
    inner.cancel()
    await asyncio.gather(waiting, inner, return_exceptions=True)
    assert "It waits for the task the-slow-one" in text


def test_the_dump_leaves_its_own_frames_out() -> None:
    assert dump.__file__ not in dump_text()


@in_loop
async def test_tasks_that_wait_alike_are_shown_once() -> None:
    event = asyncio.Event()

    async def waits_alike() -> None:
        await event.wait()

    tasks = [asyncio.create_task(waits_alike(), name=f"alike-{n}") for n in range(50)]
    await asyncio.sleep(0)
    text = dump_text()
    event.set()
    await asyncio.gather(*tasks)
    assert "and 42 more:" in text
    assert text.count("in waits_alike\n") == 1


def test_threads_are_shown_by_name() -> None:
    begun, over = threading.Event(), threading.Event()

    def stay_here() -> None:
        begun.set()
        over.wait()

    thread = threading.Thread(target=stay_here, name="a-thread-that-stays")
    thread.start()
    begun.wait()
    text = dump_text()
    over.set()
    thread.join()
    assert "a-thread-that-stays:" in text
    assert "in stay_here" in text
    assert "MainThread (current):" in text
    assert "No event loop runs in this thread." in text


def test_requests_in_flight_are_shown() -> None:
    row = memoryview(bytearray(board_row.ROW_BYTES))
    ledger = Ledger(row)
    for number in range(30):
        head = RequestHead()
        head.raw_path = b"/slow/%d\n\x1b" % number
        ledger.begin(head, 0.0)
    file = io.StringIO()
    dump_all(file, row)
    text = file.getvalue()
    assert "Requests in flight: 30\n" in text and "  GET /slow/0?? (" in text and "  and 6 more\n" in text


def test_a_dump_survives_what_fails_in_it_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise RuntimeError("no threads today")

    monkeypatch.setattr(dump, "_threads", broken)
    assert "threads: cannot be shown: RuntimeError: no threads today" in dump_text()
    monkeypatch.setattr(dump, "_threads", lambda: ["x" * 10**6])
    text = dump_text()
    assert len(text) < 300_000
    assert "(cut)\n-- End of the dump" in text


# Asked by a signal, from outside


@pytest.mark.skipif(DUMP_SIGNAL is None, reason="this system has no such signal")
@pytest.mark.parametrize(
    "how",
    ["while True: pass", "lock = threading.Lock(); lock.acquire(); lock.acquire()", "time.sleep(600)"],
    ids=["an endless loop", "a deadlock", "a sleep"],
)  # fmt: skip
def test_a_loop_that_hangs_in_python_shows_where(how: str) -> None:
    code = f"""
import asyncio
async def other():
    await asyncio.Event().wait()
async def stuck_in_python():
    other_task = asyncio.create_task(other(), name="the-other")
    await asyncio.sleep(0)
    ready()
    {how}
hear_dump_signal()
asyncio.run(stuck_in_python())
"""
    with running(code) as process:
        text = asked(process)
        # And it goes on: a dump is no death.
        asked(process)
        assert process.poll() is None
    assert "in stuck_in_python" in text
    assert "the-other:" in text and "in other" in text


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_idle_loop_hears_the_signal(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    code = f"""
import asyncio, {loop}
async def main():
    hear_dump_signal()
    asyncio.get_running_loop().add_signal_handler({int(signal.SIGUSR1)}, print)
    asyncio.get_running_loop().call_soon(ready)
    await asyncio.Event().wait()
with asyncio.Runner(loop_factory={loop}.new_event_loop) as runner:
    runner.run(main())
"""
    with running(code) as process:
        text = asked(process)
    assert "in main" in text and "in wait" in text


def test_before_it_is_heard_the_signal_harms_nobody() -> None:
    with running("ready()\nsys.stdin.read()\nready()\nthreading.Event().wait()") as process:
        process.send_signal(DUMP_SIGNAL)
        process.terminate()
        assert process.wait() == -signal.SIGTERM


# Written from C

HOLDS_THE_LOCK = """
def waits_in_a_thread():
    begun.set()
    event.wait()
begun, event = threading.Event(), threading.Event()
threading.Thread(target=waits_in_a_thread, daemon=True).start()
begun.wait()
def stuck_in_c():
    ready()
    ctypes.PyDLL(None).sleep(600)
hear_dump_signal()
stuck_in_c()
"""


def test_native_code_that_holds_the_lock_shows_its_stacks_when_it_is_aborted() -> None:
    with running(HOLDS_THE_LOCK) as process:
        process.send_signal(signal.SIGABRT)
        _, text = process.communicate()
        assert process.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in text
    assert "in stuck_in_c" in text
    # Without the interpreter's lock Python has no way to stop the others, and shows one thread.
    assert ("in waits_in_a_thread" in text) == has_lock()


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE"])
def test_each_deadly_fault_shows_the_stacks(name: str) -> None:
    number = getattr(signal, name)
    with running(
        f"import os\ndef fails_here():\n    ready()\n    os.kill(os.getpid(), {int(number)})\nfails_here()"
    ) as it:
        _, text = it.communicate()
        assert it.returncode == -number
    assert "Fatal Python error" in text and "in fails_here" in text


def test_a_real_memory_fault_shows_the_stacks() -> None:
    with running("def reads_nowhere():\n    ready()\n    ctypes.string_at(0)\nreads_nowhere()") as process:
        _, text = process.communicate()
        assert process.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in text and "in reads_nowhere" in text
