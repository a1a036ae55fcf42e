"""A call's task, which makes its first step at once: most applications answer within that step.

From CPython 3.12 on that is ``asyncio.Task(..., eager_start=True)``. Up to 3.11 a task costs more than the application
that it runs: a handle, a turn of the loop, an entry in a ``WeakSet`` that is written in Python. So there the first step
is made with a task whose ``__init__`` is yet to come. It becomes an ordinary ``asyncio.Task``, the very object that
``current_task()`` gave, as soon as anybody looks at it (any attribute) or the application waits; if neither happens,
it never was one. Never here: what is run.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context
from typing import Any

from torana.gateway.steps import Steps

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

_Task: Any = asyncio.Task
_HAS_EAGER = sys.version_info >= (3, 12)


class _Early(_Task):  # type: ignore[misc]
    """The layout that both have in common: a task's class changes only among those with the same."""

    __slots__ = ("_early",)


class RequestTask(_Early):
    """An ordinary task, after a first step that was made before it was one."""

    __slots__ = ()


class _Unmade(_Early):
    """A task at its first step, without its ``__init__``; ``_early`` has what that needs."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        make(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        make(self)
        setattr(self, name, value)


# Past ``__getattribute__`` and ``__setattr__``.
_new = _Unmade.__new__
_early: Any = _Early.__dict__["_early"]
_get_early = _early.__get__
_set_early = _early.__set__
_set_class = object.__dict__["__class__"].__set__
_init = _Task.__init__
_enter: Any = asyncio.tasks._enter_task
_leave: Any = asyncio.tasks._leave_task
#: Loops of which a task is at its step, with it.
_entered: dict[Any, Any] = {} if _HAS_EAGER else asyncio.tasks._current_tasks  # type: ignore[attr-defined]


def plain_maker(loop: Any) -> Any:
    """What makes tasks that must not begin early, or None: ``loop.create_task``, called with ``context``.

    A task factory that the application or its tools installed is theirs to keep; and in its debug mode asyncio tells
    which task has blocked the loop, of those that the loop itself steps.
    """
    return loop.create_task if loop.get_task_factory() is not None or loop.get_debug() else None


def make(task: Any) -> None:
    """Make an unmade task what it looks like: its next step is due in the loop's next turn."""
    steps, loop, name, context = _get_early(task)
    _set_class(task, RequestTask)
    _set_early(task, None)
    _init(task, steps, loop=loop, name=name, context=context)


def start_waiting(steps: Steps, loop: Any, name: str, context: Context) -> Any:
    """As ``start``, for what is sure to wait: up to 3.11 it is a task from the beginning.

    One that was made after its first step waits for its future only from the loop's next turn on; a conversation's has
    to go on at the very moment when a message is there (decision 7).
    """
    if _HAS_EAGER:
        return start(steps, loop, name, context)
    return _Task(steps, loop=loop, name=name, context=context)


def start(steps: Steps, loop: Any, name: str, context: Context) -> Any:
    """Give ``steps`` to a task in ``context``, and make the first step; the task, or None when it is done already.

    Up to 3.11, nothing is run before the loop's next turn when another task is at its step.
    """
    if _HAS_EAGER:
        task = _Task(steps, loop=loop, name=name, context=context, eager_start=True)
        return None if task.done() else task
    if loop in _entered:
        return _Task(steps, loop=loop, name=name, context=context)
    early = (steps, loop, name, context)
    if cython.compiled:
        task = unmade(_Unmade, early)
    else:
        task = _new(_Unmade)
        _set_early(task, early)
    _enter(loop, task)
    try:
        is_over = run_in(context, steps) if cython.compiled else context.run(steps.go_ahead)
    finally:
        _leave(loop, task)
    if is_over:
        return None
    if type(task) is _Unmade:
        make(task)
    return task
