"""Looks after ASGI calls whose time is limited: answers for those that are due, and cancels their tasks.

What is the application's time: not while it waits for the body that the client has yet to send (``body`` keeps the
account), nor while the client has yet to take what was sent; and each piece that is sent begins it anew. All on the
loop's thread, about once a second. Never here: tasks of other calls, the steps of a call.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from torana.exchange.response import ClientDisconnected
from torana.exchange.states import CUT, DONE
from torana.gateway.culprit import stack_place, stack_text
from torana.gateway.failure import log_timeout, log_warning, plain
from torana.gateway.overdue import NEVER, Overdue
from torana.gateway.stacks import stack_of_task

if TYPE_CHECKING:
    from torana.gateway.asgi.call import HttpCall

#: A task that has not ended this long after it was cancelled is worth a line in the log; seconds.
_STUCK_S = 5.0


class Watch(Overdue["HttpCall"]):
    """For one gateway, whose ``calls`` it is given."""

    def __init__(self, limit_s: float, calls: set[HttpCall]) -> None:
        super().__init__(limit_s)
        self._calls = calls
        self._now = 0.0
        # Cancelled calls: (when, call), the oldest first.
        self._cancelled: deque[tuple[float, HttpCall]] = deque()

    def calls(self) -> set[HttpCall]:
        return self._calls

    def look(self, now: float) -> None:
        """See to all that is due, and to those that were cancelled and are still there."""
        self._now = now
        super().look(now)
        while self._cancelled and self._cancelled[0][0] <= now - _STUCK_S:
            call = self._cancelled.popleft()[1]
            if call in self._calls:
                log_warning(f"The application still runs {_STUCK_S:g} s after it was cancelled", call.request.head)

    def due(self, call: HttpCall, now: float, late: float) -> float:
        # Zero: it is not to be looked at any more.
        return _due(call, now, late) if call.deadline else NEVER

    def end(self, call: HttpCall, is_told: bool) -> None:
        _end(call, is_told)
        self._cancelled.append((self._now, call))


def _due(call: HttpCall, now: float, late: float) -> float:
    """When a call's time is over."""
    response = call.response
    state = response.state
    if state == DONE:
        # Answered; what it does in the background is not limited.
        call.deadline = 0.0
        return now + call.limit_s
    call.deadline += late
    progress = response.sent + 1 if response.is_begun() and state != CUT else 0
    if progress and (progress != call.seen or response.channel.is_full()):
        call.seen = progress
        call.deadline = now + call.limit_s
        if call.body is not None:
            call.deadline -= call.body.waited_s(now)
    return call.deadline + (call.body.waited_s(now) if call.body is not None else 0.0)


def _end(call: HttpCall, is_told: bool) -> None:
    """Cancel a call, and answer 504 in its place, or cut what has begun."""
    call.deadline = 0.0
    response = call.response
    has_begun = response.is_begun()
    task: Any = call.task
    stack = stack_of_task(task, call) if is_told else None
    try:
        if task is not None:
            task.cancel(f"the application took longer than {call.limit_s:g} s for this request (timeout_request)")
        fields, body = plain(504)
        if not response.replace(504, fields, body):
            response.abort()
    except ClientDisconnected:
        response.abort()
    if stack is not None:
        log_timeout(call.request.head, call.limit_s, has_begun, "its task", stack_place(stack), stack_text(stack))
