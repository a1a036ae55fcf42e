"""The gateway of a WSGI application: gives each request a call, and the calls to a pool of threads.

Here: when more threads are needed, and when a request has waited for one too long. Never here: the call itself.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from torana.base.build import has_lock
from torana.exchange.roles import Gateway
from torana.gateway.failure import logger
from torana.gateway.jobs import let_leave
from torana.gateway.lead import Lead
from torana.gateway.threads import ThreadPool, default_threads
from torana.gateway.wsgi.call import Site, new_call
from torana.gateway.wsgi.constants import Constants, native
from torana.gateway.wsgi.describe import Describer
from torana.gateway.wsgi.errors import ErrorStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torana.base.burst import Burst
    from torana.gateway.failure import ErrorPage
    from torana.gateway.options import GatewayOptions

#: A call that has waited this long asks for another thread.
_GROW_AFTER_S = 0.005
#: How long threads that are still busy are awaited at the end, and how often that is looked at.
_JOIN_S = 3.0
_JOIN_STEP_S = 0.01


class WsgiGateway(Gateway):
    """Answers exchanges for one WSGI application (PEP 3333).

    ``error_page`` makes the answer to a failed call (development only); ``environ`` is put into each environ;
    ``request_s``, ``on_worn`` and ``hang_s``: see ``build``.
    Used on the loop's thread only.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        options: GatewayOptions,
        error_page: ErrorPage | None = None,
        environ: Mapping[str, str] | None = None,
        request_s: float = 0.0,
        on_worn: Callable[[str], None] | None = None,
        hang_s: float = 0.0,
    ) -> None:
        most = options.threads or default_threads()
        errors = ErrorStream(logger)
        script_name = native(options.root_path + options.mount)
        constants = Constants(errors, most > 1, options.is_multiprocess, script_name, environ)
        self.pool = ThreadPool(most)
        describer = Describer(constants.of, options.root_path, options.mount)
        self._site = Site(app, describer, errors, self.pool.queue, options.spool_bytes, error_page)
        #: Threads held by applications that have taken their connection.
        self.sockets = self._site.sockets
        self._begun = 0
        self._timeout_s = options.thread_queue_timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadlines: Any = None
        if request_s:
            from torana.gateway.wsgi.watch import Watch

            self._deadlines = Watch(request_s, self.pool, on_worn)
        self._starved: Any = None
        if hang_s:
            from torana.gateway.wsgi.starved import Starved

            self._starved = Starved(hang_s, self.pool, on_worn, self.sockets)
        self._has_said_full = False

    def answer(self, request: Any, response: Any) -> None:
        if self._deadlines is None:
            call = new_call(self._site, request, response)
        else:
            call = self._deadlines.new_call(self._site, request, response)
        self._begun += 1
        call.begin()

    def running(self) -> int:
        return self._begun - self._site.dropped - self.pool.done()

    def waiting(self) -> int:
        return self.pool.waiting()

    def share_turns(self, turn: Callable[[], None]) -> Callable[[], None] | None:
        loop = self._loop
        # In its debug mode asyncio judges who calls it; and without the interpreter's lock all threads compute at once.
        if loop is None or loop.get_debug() or not has_lock():
            return None
        return Lead(self.pool, turn, loop).offer

    def tick(self, now_s: float) -> None:
        """Answer 503 to what has waited too long, and see to it that there are enough threads."""
        if self._deadlines is not None:
            self._deadlines.look(now_s)
        if self._starved is not None:
            self._starved.look(now_s)
        site = self._site
        if self.sockets.held >= self.pool.most and self.pool.waiting() and not self._has_said_full:
            self._has_said_full = True
            logger.warning(
                "All %d threads are held by open WebSockets while requests wait; each socket needs a thread of its own "
                "(setting: threads)",
                self.pool.most,
            )
        overdue = self.pool.overdue(now_s, site.queued, self._timeout_s)
        for call in overdue:
            # A place in the queue belongs to whoever took it, here as on a thread.
            site.dropped += 1
            call.give_up()
        if overdue:
            logger.error(
                "%d requests waited more than %g s for a thread and were answered 503 "
                "(all %d threads are busy; settings: threads, thread_queue_timeout)",
                len(overdue), self._timeout_s, self.pool.most,
            )  # fmt: skip
        if self._loop is None:
            self.pool.grow_if_waiting()

    async def startup(self) -> None:
        self.start()
        self._loop = asyncio.get_running_loop()
        self.pool.share(self._see_to)
        if self.pool.most > 1:
            self._site.watch = self._watch

    def start(self) -> None:
        """Start the first threads; without a loop, ``tick`` alone adds more."""
        self.pool.start()

    async def shutdown(self) -> None:
        self._loop = None
        self._site.watch = None
        self.pool.share(None)
        self.pool.stop()
        give_up_at = time.monotonic() + _JOIN_S
        while self.pool.alive() and time.monotonic() < give_up_at:
            await asyncio.sleep(_JOIN_STEP_S)
        stuck = self.pool.alive()
        if stuck:
            logger.warning("Threads that are still busy are left behind: %s", ", ".join(stuck))

    def _see_to(self, burst: Burst) -> None:
        """A thread keeps answers back: if the application holds it up, they leave from the loop."""
        loop = self._loop
        try:
            if loop is not None:
                loop.call_soon_threadsafe(let_leave, burst)
                return
        except RuntimeError:
            # The loop is closed.
            pass
        let_leave(burst)

    def _watch(self) -> None:
        """A call was queued and nobody looks how long it waits: do so, once for all that follow."""
        if self._loop is not None:
            self._site.watch = None
            self._loop.call_later(_GROW_AFTER_S, self._look, self._site.queued)

    def _look(self, mark: int) -> None:
        """Add threads if calls before ``mark`` are still in the queue; go on watching while any call is."""
        site = self._site
        waiting = self.pool.waiting()
        if site.queued - waiting < mark:
            self.pool.grow_if_waiting()
        if self._loop is None:
            return
        if waiting and not self.pool.is_full():
            self._loop.call_later(_GROW_AFTER_S, self._look, site.queued)
        else:
            site.watch = self._watch
