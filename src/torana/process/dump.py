"""What a worker is doing, as text: the stacks of its threads and of its tasks, and the requests in flight.

``dump_all`` needs the interpreter, so a signal that asks for it is heard between two steps of Python code;
``report_faults`` does not, and writes the threads' stacks even while native code holds the interpreter's lock.
Never here: when a dump is due, who asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterable
from types import AsyncGeneratorType, CoroutineType, FrameType
from typing import Any, TextIO

from torana.process.board import read_row

#: The signal that asks a worker for a dump. Its default is to be ignored, so it is harmless before it is heard.
DUMP_SIGNAL = getattr(signal, "SIGURG", None)

#: Frames of one stack, different stacks of one kind, and characters in all.
_DEEPEST = 60
_MOST = 100
_LONGEST = 256 * 1024

#: Where coroutines, generators and asynchronous generators keep their frame, and what they wait for.
_SUSPENDED = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))

_WRAPPERS = ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper")
_WRAPPED = (CoroutineType, AsyncGeneratorType)

Stack = list[tuple[FrameType, int]]


def report_faults(fd: int = 2) -> None:
    """From now on a deadly fault (SEGV, BUS, ILL, FPE) and ABRT write the stacks of all threads to ``fd``, from C."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        faulthandler.enable(fd, all_threads=True)


def hear_dump_signal(row: memoryview | None = None, fd: int = 2) -> None:
    """Write a dump to ``fd`` whenever ``DUMP_SIGNAL`` comes; for the main thread, which the loop should run on.

    It is heard while Python code runs, loops or waits for a lock, whether or not the event loop turns.
    """

    def dump(number: int, frame: FrameType | None) -> None:
        _write(fd, dump_text(row))

    if DUMP_SIGNAL is not None:
        # It must interrupt system calls, as it does by default: a thread that waits for a lock would not notice it.
        signal.signal(DUMP_SIGNAL, dump)


def dump_all(file: TextIO, row: memoryview | None = None, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Write the dump to ``file``. ``row``: ours on the board; ``loop``: the running one when not given."""
    file.write(dump_text(row, loop))
    file.flush()


def dump_text(row: memoryview | None = None, loop: asyncio.AbstractEventLoop | None = None) -> str:
    """Threads, tasks and requests of this process; never raises, and is bounded."""
    parts = [f"-- Dump of process {os.getpid()}"]
    parts += _guarded("threads", _threads)
    parts += _guarded("tasks", lambda: _tasks(loop))
    if row is not None:
        parts += _guarded("requests", lambda: _requests(row))
    text = "\n".join(parts)
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "\n(cut)"
    return f"{text}\n-- End of the dump of process {os.getpid()}\n"


def _guarded(name: str, section: Callable[[], list[str]]) -> list[str]:
    # Whoever dumps is in trouble already.
    try:
        return section()
    except Exception as error:
        return [f"{name}: cannot be shown: {type(error).__name__}: {error}"]


def _threads() -> list[str]:
    named = {thread.ident: thread.name for thread in threading.enumerate()}
    current = threading.get_ident()
    found = []
    for ident, frame in sys._current_frames().items():
        title = named.get(ident, f"thread {ident}") + (" (current)" if ident == current else "")
        # A walk meets the innermost frame first; our own are of no interest.
        stack = [step for step in traceback.walk_stack(frame) if step[0].f_code.co_filename != __file__]
        found.append((title, _formatted(reversed(stack[:_DEEPEST]))))
    return [f"Threads: {len(found)} (most recent call last)", *_grouped(found)]


def _tasks(loop: asyncio.AbstractEventLoop | None) -> list[str]:
    if loop is None:
        loop = asyncio._get_running_loop()
    if loop is None:
        return ["No event loop runs in this thread."]
    running = asyncio.current_task(loop)
    found = []
    for task in asyncio.all_tasks(loop):
        frames, awaited = _chain(task.get_coro())
        stack = _formatted(frames)
        if task is running:
            stack += "  It runs now: see the threads\n"
        elif awaited:
            stack += f"  It waits for {_awaited_by(task) or awaited}\n"
        found.append((task.get_name(), stack))
    return [f"Tasks: {len(found)}", *_grouped(found)]


def _awaited_by(task: asyncio.Task[Any]) -> str:
    """What wakes a task, if asyncio says so: a coroutine's own chain ends at a future's nameless iterator."""
    future = getattr(task, "_fut_waiter", None)
    if future is None:
        return ""
    return f"the task {future.get_name()}" if isinstance(future, asyncio.Task) else _type_of(future)


def _type_of(value: object) -> str:
    # The type only: the text of a value may be long, or the application's own code.
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _chain(awaitable: Any) -> tuple[Stack, str]:
    """The frames of a suspended coroutine and of all it awaits, and the name of the type that it waits for at last."""
    frames: Stack = []
    for _ in range(_DEEPEST):
        if awaitable is None:
            break
        kind = next((kind for kind in _SUSPENDED if hasattr(awaitable, kind[1])), None)
        if kind is None:
            return frames, _type_of(awaitable)
        frame = getattr(awaitable, kind[0], None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        inner = getattr(awaitable, kind[1], None)
        awaitable = _unwrapped(inner)
    return frames, ""


def _unwrapped(awaited: Any) -> Any:
    """What an anonymous object of the interpreter, say a step of ``async for``, was made from."""
    if type(awaited).__name__ in _WRAPPERS:
        return next((held for held in gc.get_referents(awaited) if isinstance(held, _WRAPPED)), awaited)
    return awaited


def _formatted(frames: Iterable[tuple[FrameType, int]]) -> str:
    return "".join(traceback.StackSummary.extract(iter(frames)).format())


def _grouped(found: list[tuple[str, str]]) -> list[str]:
    """Stacks with their titles; those that are the same once, with all their titles."""
    groups: dict[str, list[str]] = {}
    for title, stack in found:
        groups.setdefault(stack, []).append(title)
    lines = []
    for stack, titles in list(groups.items())[:_MOST]:
        shown = ", ".join(titles[:8]) + (f" and {len(titles) - 8} more" if len(titles) > 8 else "")
        lines.append(f"  {shown}:\n{textwrap.indent(stack, '  ').rstrip()}")
    if len(groups) > _MOST:
        lines.append(f"  ({len(groups) - _MOST} more stacks)")
    return lines


def _requests(row: memoryview) -> list[str]:
    reading = read_row(row)
    lines = [f"Requests in flight: {reading.in_flight}"]
    lines += [f"  {request}" for request in reading.requests]
    unseen = reading.in_flight - len(reading.requests)
    return lines + ([f"  and {unseen} more"] if unseen > 0 else [])


def _write(fd: int, text: str) -> None:
    """Straight to the descriptor: the code that was interrupted may be in the middle of a write to the file."""
    data = text.encode(errors="backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(fd, data) :]
