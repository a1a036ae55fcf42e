"""Looks after calls whose time is limited, and finds the tasks that handlers run in.

What is the handler's time: not while the client has yet to send its body or to take what was sent; and each piece that
is sent begins it anew. All on the loop's thread, about once a second. Never here: tasks of other calls.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from torana.exchange.states import CUT
from torana.gateway.culprit import stack_place, stack_text
from torana.gateway.failure import log_timeout
from torana.gateway.overdue import Overdue
from torana.gateway.stacks import stack_of_task

if TYPE_CHECKING:
    from torana.gateway.tornado.call import Call

#: A list of tasks is good for so long; seconds. Where many are looked for at once, one look must do.
_FRESH_S = 0.05


class Tasks:
    """Tornado keeps no word of the tasks that run a handler's methods, so they are looked for when they are wanted: by
    their outermost frame, which knows whose method it is.
    """

    def __init__(self) -> None:
        self._known: dict[int, list[Any]] | None = None

    def of(self, handler: Any) -> list[Any]:
        """The tasks that run methods of a handler, the one that answers first."""
        if handler is None:
            return []
        if self._known is None:
            self._known = self._look()
            asyncio.get_running_loop().call_later(_FRESH_S, self._forget)
        return [task for task in self._known.get(id(handler), ()) if not task.done()]

    def cancel(self, handler: Any) -> None:
        """Cancel all of them."""
        for task in self.of(handler):
            task.cancel()

    def _look(self) -> dict[int, list[Any]]:
        known: dict[int, list[Any]] = {}
        for task in asyncio.all_tasks():
            frame: Any = getattr(task.get_coro(), "cr_frame", None)
            owner = frame.f_locals.get("self") if frame is not None else None
            if owner is not None:
                tasks = known.setdefault(id(owner), [])
                tasks.insert(0 if frame.f_code.co_name == "_execute" else len(tasks), task)
        return known

    def _forget(self) -> None:
        self._known = None


class Watch(Overdue["Call"]):
    """For one gateway, whose ``calls`` it is given."""

    def __init__(self, limit_s: float, calls: set[Call], tasks: Tasks) -> None:
        super().__init__(limit_s)
        self._calls = calls
        self._tasks = tasks

    def calls(self) -> set[Call]:
        return self._calls

    def due(self, call: Call, now: float, late: float) -> float:
        response = call.response
        call.deadline += late
        progress = response.sent + 1 if response.is_begun() and response.state != CUT else 0
        is_others_turn = call.is_client_awaited() or (progress and response.channel.is_full())
        if is_others_turn or (progress and progress != call.seen):
            call.seen = progress
            call.deadline = now + self.limit_s
        return call.deadline

    def end(self, call: Call, is_told: bool) -> None:
        head = call.request.head
        has_begun = call.response.is_begun()
        tasks = self._tasks.of(call.handler()) if is_told else []
        stack = stack_of_task(tasks[0], tasks[0].get_coro()) if tasks else None
        call.give_up(504)
        place, text = (stack_place(stack), stack_text(stack)) if stack is not None else (None, "(not known)")
        log_timeout(head, self.limit_s, has_begun, "its handler", place, text)
