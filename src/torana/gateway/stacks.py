"""Where running code stands: the frames of a thread, and of a task down through all that it awaits.

Never here: which frames are the user's, how they are written (``culprit``).
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from types import FrameType
from typing import Any

#: A chain of awaits longer than this is cut: the inner end is lost, but nothing recurses for ever.
_MOST = 256


def frame_of_thread(ident: int) -> FrameType | None:
    """The innermost frame of a thread; None when it is gone."""
    return sys._current_frames().get(ident)


def stack_of_frame(frame: FrameType | None) -> traceback.StackSummary:
    """The frames down to ``frame``, outermost first, as they are at this moment."""
    stack = traceback.StackSummary()
    for each, line in traceback.walk_stack(frame) if frame is not None else ():
        stack.append(_summary(each, line))
        if len(stack) == _MOST:
            break
    stack.reverse()
    return stack


def stack_of_task(task: Any, coroutine: Any) -> traceback.StackSummary:
    """The frames of a suspended task, outermost first: its coroutine, what that awaits, and so on into the task that
    it waits for, if it waits for one.
    """
    stack = traceback.StackSummary()
    seen = set()
    while coroutine is not None and len(stack) < _MOST:
        _append_awaited(stack, coroutine)
        seen.add(id(task))
        task = getattr(task, "_fut_waiter", None)
        is_task = isinstance(task, asyncio.Task) and id(task) not in seen
        coroutine = task.get_coro() if is_task else None
    return stack


def _append_awaited(stack: traceback.StackSummary, awaited: Any) -> None:
    while awaited is not None and len(stack) < _MOST:
        for frame_name, next_name in _KINDS:
            frame = getattr(awaited, frame_name, None)
            if frame is not None:
                stack.append(_summary(frame, frame.f_lineno))
                awaited = getattr(awaited, next_name, None)
                break
        else:
            return


#: Where coroutines, generators and asynchronous generators keep their frame, and what they wait for.
_KINDS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


def _summary(frame: FrameType, line: int | None) -> traceback.FrameSummary:
    # The text of the line is read later, and only for frames that are shown.
    return traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name, lookup_line=False)
