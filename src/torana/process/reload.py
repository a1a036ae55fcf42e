"""The development server's parent: holds the listening sockets, watches files, and has a child serve.

The sockets stay open from first to last, so no connection is refused while the application is replaced: it waits in
the queue until the new child takes it. A spare child, warm but innocent of the user's code, is always kept ready, so
that a reload costs the import of the application and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from types import FrameType

from msgspec.structs import replace

from torana.net.listener import Listener, open_listeners
from torana.process.child import BROKEN, READY, Child, Order
from torana.process.log import set_up_log
from torana.process.options import RunOptions
from torana.process.pid_file import pid_file
from torana.process.watch import Watcher

logger = logging.getLogger("torana")

#: How long an old child may take to finish before its place is taken, and before it is killed.
_YIELD_S = 1.0
_KILL_S = 3.0
_STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP")


def run_reloading(options: RunOptions) -> None:
    """Serve and reload until a signal stops it. Raises ``BindError`` or ``ConfigError``."""
    set_up_log(options.log)
    if options.process.umask is not None:
        os.umask(options.process.umask)
    with pid_file(options.process.pid_file), _listening(options) as listeners:
        for notice in options.notices:
            logger.warning("%s", notice)
        Reloader(options, listeners).run()


@contextlib.contextmanager
def _listening(options: RunOptions) -> Iterator[list[Listener]]:
    listeners = open_listeners(options.net.listen, dict(options.process.systemd))
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


class Reloader:
    """Keeps one child serving the newest code that there is."""

    def __init__(self, options: RunOptions, listeners: list[Listener]) -> None:
        self._listeners = listeners
        self._fds = tuple(listener.fileno() for listener in listeners)
        binds = tuple(f"fd:{fd}" for fd in self._fds)
        # What the parent sees to is taken from the child's options; and a reload waits for no next request.
        self._options = replace(
            options,
            serve=replace(
                options.serve, timeouts=replace(options.serve.timeouts, idle_linger_s=0.0, drain_delay_s=0.0)
            ),
            net=replace(options.net, listen=replace(options.net.listen, binds=binds)),
            process=replace(options.process, pid_file=None, systemd=()),
            notices=(),
        )
        self._watcher = Watcher(options.reload)
        self._selector = selectors.DefaultSelector()
        self._signals, self._signalled = socket.socketpair()
        #: What the application imported of the known frameworks, for the spare to import ahead.
        self._ahead: tuple[str, ...] = ()
        self._current = self._spawn()
        self._spare: Child | None = None
        self._retired: list[tuple[Child, float]] = []
        self._began = time.monotonic()
        self._is_announced = False
        self._is_ready = False
        self._interrupts = 0

    def run(self) -> None:
        """Serve until stopped."""
        with self._hearing_signals():
            self._selector.register(self._signals, selectors.EVENT_READ)
            self._selector.register(self._watcher, selectors.EVENT_READ)
            self._watcher.start()
            self._serve(None)
            try:
                while not self._interrupts:
                    self._turn()
            finally:
                self._end()

    def _turn(self) -> None:
        """Wait for something to happen and see to it."""
        # Retired children are looked after now and then, all else wakes us.
        for key, _ in self._selector.select(0.2 if self._retired else None):
            if self._interrupts:
                return
            if key.fileobj is self._signals:
                self._hear_signals()
            elif key.fileobj is self._watcher:
                self._reload(self._watcher.take())
            elif key.fileobj is self._current:
                self._listen_to_current()
        self._bury()

    def _spawn(self) -> Child:
        return Child(self._fds, self._ahead)

    def _serve(self, failure: str | None) -> None:
        """Have the current child serve the application, or the page that tells of a failure."""
        self._is_ready = False
        self._began = time.monotonic()
        self._current.order(Order(self._options, failure))
        self._selector.register(self._current, selectors.EVENT_READ)

    def _replace_current(self, failure: str | None = None) -> None:
        self._current, self._spare = self._spare or self._spawn(), None
        self._serve(failure)

    def _reload(self, changed: list[str]) -> None:
        if not changed:
            return
        names = ", ".join(os.path.relpath(path) for path in changed[:3]) + (" ..." if len(changed) > 3 else "")
        logger.info("%s changed, reloading", names)
        began = time.monotonic()
        self._selector.unregister(self._current)
        # The old code goes before the new comes, so that both never hold the same file, port or lock; but an answer
        # that does not end cannot keep the new code waiting.
        self._current.stop()
        if self._current.wait(_YIELD_S) is None:
            self._retired.append((self._current, time.monotonic() + _KILL_S))
        self._replace_current()
        self._began = began

    def _listen_to_current(self) -> None:
        said = self._current.heard()
        if said is None:
            self._mourn()
            return
        for state, *ahead in filter(None, said):
            self._tell(state)
            self._is_ready = state == READY
            if self._is_ready:
                self._ahead = tuple(ahead)
            if self._spare is None:
                self._spare = self._spawn()

    def _tell(self, state: str) -> None:
        """Say what state the server is in."""
        if not self._is_announced:
            self._is_announced = True
            for listener in self._listeners:
                logger.info("Listening on %s", listener.describe())
            logger.info("Watching files (%s), pid %d", self._watcher.how, os.getpid())
        took_ms = (time.monotonic() - self._began) * 1000
        if state == READY:
            logger.info("Ready after %.0f ms", took_ms)
        elif state == BROKEN:
            logger.warning("Serving the error as a page until a file changes")

    def _mourn(self) -> None:
        """The current child ended by itself: show that as a page, until the code changes."""
        self._selector.unregister(self._current)
        if self._current.is_ordered and (code := self._current.wait(_YIELD_S)) is not None:
            if self._is_interrupted():
                return
            if code == 0 and self._is_ready:
                # It served and stopped as it should (max_requests): the next one takes its place.
                self._replace_current()
                return
            how = f"the signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        else:
            self._current.kill()
            how = "a closed connection to its parent"
        logger.error("The application's process ended with %s", how)
        self._replace_current(f"The application's process ended with {how}")

    def _is_interrupted(self) -> bool:
        """Whether a signal came meanwhile: Ctrl-C reaches the child too, and may end it first."""
        self._signals.settimeout(0.05)
        self._hear_signals()
        self._signals.settimeout(0)
        return bool(self._interrupts)

    def _hear_signals(self) -> None:
        """Count those that have come; somebody may have done so already."""
        with contextlib.suppress(BlockingIOError, TimeoutError):
            self._interrupts += len(self._signals.recv(64))

    def _bury(self) -> None:
        """See to retired children: gone, or out of time."""
        for child, deadline in list(self._retired):
            if child.wait(0) is not None:
                self._retired.remove((child, deadline))
            elif time.monotonic() > deadline:
                child.kill()

    def _end(self) -> None:
        """Stop all children: gracefully, and at once if a second signal comes."""
        logger.info("Stopping")
        self._watcher.close()
        if self._spare is not None:
            self._spare.kill()
            self._spare.wait(_KILL_S)
        timeouts = self._options.serve.timeouts
        deadline = time.monotonic() + timeouts.graceful_s + timeouts.cancel_s + _KILL_S
        children = [self._current, *(child for child, _ in self._retired)]
        for child in children:
            child.stop()
        for child in children:
            while child.wait(0.1) is None:
                if time.monotonic() > deadline or (self._interrupts > 1 or self._is_second_signal()):
                    child.kill()
        self._selector.close()
        logger.info("Stopped")

    def _is_second_signal(self) -> bool:
        self._hear_signals()
        return self._interrupts > 1

    @contextlib.contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """Signals become bytes on a socket while the block runs."""
        for end in (self._signals, self._signalled):
            end.setblocking(False)

        def ignore(number: int, frame: FrameType | None) -> None:
            """The wakeup descriptor has told already."""

        before = signal.set_wakeup_fd(self._signalled.fileno())
        numbers = [getattr(signal, name) for name in _STOP_SIGNALS if hasattr(signal, name)]
        handlers = {number: signal.signal(number, ignore) for number in numbers}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            self._signals.close()
            self._signalled.close()
