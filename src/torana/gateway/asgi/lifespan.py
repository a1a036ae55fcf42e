"""The lifespan protocol: one call of the application that lasts as long as the loop serves (``spec.md`` LIFESPAN).

Acts on the application's messages, not on how its call ends. An application that answers
``lifespan.startup.complete`` with ``"torana.lifecycle": True`` (offered in the scope's extensions) hears of the steps
between as well: ``lifespan.ready``, ``lifespan.drain``, which it answers with ``lifespan.drain.complete`` when it has
said goodbye to whoever would stay, and ``lifespan.drained``. All others hear what the specification says, and no more.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context, copy_context
from typing import Any

from torana.base.errors import LoadError
from torana.gateway.culprit import trimmed
from torana.gateway.options import GatewayOptions

_log = logging.getLogger("torana.lifespan")

#: The extension's name in the scope, and in the message that asks for it.
LIFECYCLE = "torana.lifecycle"
_STARTED = ("lifespan.startup.complete", "lifespan.startup.failed")
_STOPPED = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")
_DRAINED = ("lifespan.drain.complete",)


class Lifespan:
    """Start-up and shutdown of one application. ``state`` is the namespace requests get a copy of, or None."""

    def __init__(self, app: Any, options: GatewayOptions) -> None:
        self._app = app
        self._options = options
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started: asyncio.Future[str | None] | None = None
        self._stopped: asyncio.Future[str | None] | None = None
        #: Of an application that asked for more steps; done when it has said goodbye.
        self._said_goodbye: asyncio.Future[str | None] | None = None
        self._is_told_all = False
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._is_supported = False
        self.state: dict[str, Any] | None = None
        #: The context as it stood when start-up ended; requests start from copies of it.
        self.context: Context = copy_context()

    async def startup(self) -> None:
        """Run start-up. Raises ``LoadError`` when the application refuses, or cannot and ``lifespan`` is "on"."""
        if self._options.lifespan == "off":
            return
        loop = asyncio.get_running_loop()
        self._started, self._stopped = loop.create_future(), loop.create_future()
        self._said_goodbye = loop.create_future()
        self.state = {}
        context = copy_context()
        await self._events.put({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run(self.state), name="torana-lifespan", context=context)
        limit = self._options.lifespan_startup_timeout_s
        try:
            done, _ = await asyncio.wait(
                (self._task, self._started), timeout=limit or None, return_when="FIRST_COMPLETED"
            )
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if not done:
            self._task.cancel()
            raise LoadError(
                f"the application did not complete its start-up within {limit:g} s (setting: timeout_startup)"
            )
        if self._started.done():
            self._is_supported = True
            message = self._started.result()
            if message is not None:
                await self._end_task()
                raise LoadError(f"the application refused to start: {message or 'no reason given'}")
            self.context = context.copy()
            return
        self._unsupported()

    async def ready(self) -> None:
        """Tell an application that asked for it that connections are accepted."""
        if self._hears_all():
            await self._events.put({"type": "lifespan.ready"})

    async def begin_drain(self) -> None:
        """Have an application that asked for it say goodbye to its open connections, within the time of a shutdown."""
        task, goodbye = self._task, self._said_goodbye
        if task is None or goodbye is None or not self._hears_all():
            return
        await self._events.put({"type": "lifespan.drain"})
        limit = self._options.lifespan_shutdown_timeout_s
        done, _ = await asyncio.wait((task, goodbye), timeout=limit or None, return_when="FIRST_COMPLETED")
        if not done:
            _log.error("the application did not complete its drain within %g s (setting: timeout_shutdown)", limit)

    async def drained(self) -> None:
        """Tell an application that asked for it that the last exchange is over."""
        if self._hears_all():
            await self._events.put({"type": "lifespan.drained"})

    def _hears_all(self) -> bool:
        return self._is_told_all and self._task is not None and not self._task.done()

    async def shutdown(self) -> None:
        """Run shutdown if start-up completed and the call still lives; logs what goes wrong, raises nothing."""
        task, stopped = self._task, self._stopped
        if task is None or stopped is None or not self._is_supported or task.done():
            return
        await self._events.put({"type": "lifespan.shutdown"})
        limit = self._options.lifespan_shutdown_timeout_s
        done, _ = await asyncio.wait((task, stopped), timeout=limit or None, return_when="FIRST_COMPLETED")
        if not done:
            _log.error("the application did not complete its shutdown within %g s", limit)
        elif stopped.done() and stopped.result() is not None:
            _log.error("the application failed to shut down: %s", stopped.result() or "no reason given")
        await self._end_task()

    def _unsupported(self) -> None:
        """The call ended without an answer to start-up."""
        error = self._error
        if self._options.lifespan == "on":
            why = f":\n{trimmed(error)}" if error is not None else ": it returned"
            raise LoadError(f"the application does not support lifespan, which is set to on{why}")
        self.state = None
        if error is not None:
            _log.info("lifespan is not supported by the application (%s: %s)", type(error).__name__, error)

    async def _end_task(self) -> None:
        task = self._task
        if task is not None and not task.done():
            # The application may still have a few lines to run after its last message.
            await asyncio.wait((task,), timeout=1.0)
            task.cancel()

    async def _run(self, state: dict[str, Any]) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": state,
            "extensions": {LIFECYCLE: {}},
        }
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = error
            if self._started is not None and self._started.done() and self._started.result() is None:
                _log.error("the application's lifespan ended with an error", exc_info=error)

    async def _receive(self) -> dict[str, Any]:
        return await self._events.get()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        started, future = self._started, self._future_of(kind)
        if future is None or started is None:
            raise RuntimeError(f"unknown lifespan message {kind!r}")
        if future.done() or (future is not started and not started.done()):
            raise RuntimeError(f"{kind} is out of order")
        if future is started:
            self._is_told_all = bool(message.get(LIFECYCLE))
        future.set_result(str(message.get("message", "")) if kind.endswith("failed") else None)

    def _future_of(self, kind: str) -> asyncio.Future[str | None] | None:
        """What a message of this type completes; the steps between are only there for whoever asked for them."""
        if kind in _STARTED:
            return self._started
        if kind in _STOPPED:
            return self._stopped
        return self._said_goodbye if kind in _DRAINED and self._is_told_all else None
