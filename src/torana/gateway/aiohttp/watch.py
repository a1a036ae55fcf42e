"""Looks after the time of aiohttp's handlers: answers 504 for those that are due, and cancels them.

What is the application's time is decided as for ASGI: not while the client has yet to send of the body, nor while it
has yet to take what was sent; each piece that is sent begins it anew. All on the loop's thread, about once a second.
Never here: how an exchange ends (``connection``).
"""

from __future__ import annotations

from collections.abc import Callable

from torana.exchange.states import CUT
from torana.gateway.aiohttp.connection import Call
from torana.gateway.culprit import stack_place, stack_text
from torana.gateway.failure import log_timeout
from torana.gateway.overdue import NEVER, Overdue
from torana.gateway.stacks import stack_of_task


class Watch(Overdue[Call]):
    """For one gateway; ``calls`` asks it for those that run."""

    def __init__(self, limit_s: float, calls: Callable[[], list[Call]]) -> None:
        super().__init__(limit_s)
        self._calls = calls

    def calls(self) -> list[Call]:
        return self._calls()

    def due(self, call: Call, now: float, late: float) -> float:
        # Zero: it is not to be looked at any more, such as a WebSocket.
        return _due(call, now, late) if call.deadline else NEVER

    def end(self, call: Call, is_told: bool) -> None:
        _end(call, is_told)


def _due(call: Call, now: float, late: float) -> float:
    """When a call's time is over."""
    response = call.response
    if response is None or call.carrier is not None:
        call.deadline = 0.0
        return now + call.limit_s
    passed = now - call.looked
    call.looked = now
    call.deadline += late
    progress = response.sent + 1 if response.is_begun() and response.state != CUT else 0
    if progress and (progress != call.seen or response.channel.is_full()):
        call.seen = progress
        call.deadline = now + call.limit_s
    elif not call.is_sent and not call.pipe.is_full():
        # Whatever has come of the body was passed on: the client's turn.
        call.deadline += passed
    return call.deadline


def _end(call: Call, is_told: bool) -> None:
    """End a call in the place of its handler."""
    call.deadline = 0.0
    request, response = call.request, call.response
    if request is None or response is None:
        return
    head, has_begun = request.head, response.is_begun()
    task = call.connection.task
    stack = stack_of_task(task, task.get_coro()) if is_told and task is not None else None
    call.end_with(504)
    if stack is not None:
        log_timeout(head, call.limit_s, has_begun, "its handler", stack_place(stack), stack_text(stack))
