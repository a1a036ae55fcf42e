"""The child of a development server: warmed up, then told its options, then a worker until it is told to stop.

``main`` is the child's side, ``Child`` the parent's. They speak over one socket: the parent sends one order, the child
answers with one line a happening. When the socket closes, the other side is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys

from msgspec import Struct
from msgspec.structs import replace

from torana.base.errors import LoadError, ToranaError
from torana.process.exit_codes import exit_code_of
from torana.process.options import RunOptions

#: What a child says; READY is followed by what the next child may import ahead.
READY, BROKEN = "ready", "broken"

_LENGTH = struct.Struct("!I")


class Order(Struct, frozen=True):
    """What a child shall serve: options, or instead of its application the reason why there is none."""

    options: RunOptions
    failure: str | None = None


class Child:
    """One child process, seen from its parent."""

    def __init__(self, listening_fds: tuple[int, ...], ahead: tuple[str, ...] = ()) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # No argument of ours reaches sys.argv, and no variable the environment: both belong to the application.
            code = f"import sys; from torana.process.child import main; sys.exit(main({theirs.fileno()}, {ahead!r}))"
            self._process = subprocess.Popen(
                [sys.executable, *_interpreter_flags(), "-c", code],
                pass_fds=(theirs.fileno(), *listening_fds),
            )
        self._socket = ours
        self._socket.setblocking(False)
        self._said = b""
        self.is_ordered = False

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Readable when the child said something or is gone."""
        return self._socket.fileno()

    def order(self, order: Order) -> None:
        """Tell the child what to serve; a child that is gone shows as such on its socket."""
        self.is_ordered = True
        body = pickle.dumps(order)
        with contextlib.suppress(OSError):
            self._socket.setblocking(True)
            self._socket.sendall(_LENGTH.pack(len(body)) + body)
            self._socket.setblocking(False)

    def heard(self) -> list[list[str]] | None:
        """What the child said since the last call, as lines of words; None once it is gone."""
        try:
            said = self._socket.recv(65536)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not said:
            return None
        *lines, self._said = (self._said + said).split(b"\n")
        return [line.decode("ascii", "replace").split() for line in lines]

    def stop(self) -> None:
        """Ask the child to stop gracefully; one that is not yet a worker simply ends."""
        if not self.is_ordered:
            self._process.kill()
        elif self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the child without asking."""
        if self._process.poll() is None:
            self._process.kill()

    def wait(self, timeout_s: float) -> int | None:
        """The exit code once the child has ended, None if it has not within a time; signals are negative."""
        if self._process.returncode is not None:
            self._socket.close()
            return self._process.returncode
        try:
            # The socket closes with the process: no need to look again and again.
            self._socket.settimeout(timeout_s)
            with contextlib.suppress(OSError):
                while self._socket.recv(64):
                    pass
            code = self._process.wait(0.5 if timeout_s else 0.0)
        except subprocess.TimeoutExpired:
            return None
        self._socket.close()
        return code


def _interpreter_flags() -> list[str]:
    """Flags of the running interpreter that a child must share."""
    flags = ["-O"] * sys.flags.optimize
    flags += ["-X", "dev"] if sys.flags.dev_mode else []
    flags += [part for warning in sys.warnoptions for part in ("-W", warning)]
    return flags


def main(fd: int, ahead: tuple[str, ...] = ()) -> int:
    """The child's whole life; returns its exit code."""
    # Ctrl-C reaches every process of a terminal; until there is a worker, the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A file changed twice within a second can keep its size: Python would take the older byte code for current.
    sys.dont_write_bytecode = True
    channel = socket.socket(fileno=fd)
    channel.set_inheritable(False)
    _warm_up(ahead)
    with channel:
        order = _receive_order(channel)
        return 0 if order is None else _work(order, channel)


def _warm_up(ahead: tuple[str, ...]) -> None:
    """Import what every worker needs, and frameworks that this one will need, before anybody waits for them."""
    from torana.process.worker import warm_up

    warm_up(ahead)
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401


def _receive_order(channel: socket.socket) -> Order | None:
    """The parent's order, or None if the parent is gone."""
    try:
        header = _receive_exactly(channel, _LENGTH.size)
        body = _receive_exactly(channel, _LENGTH.unpack(header)[0])
    except (OSError, EOFError):
        return None
    order: Order = pickle.loads(body)
    return order


def _receive_exactly(channel: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = channel.recv(size - len(received))
        if not part:
            raise EOFError
        received += part
    return bytes(received)


def _work(order: Order, channel: socket.socket) -> int:
    """Serve the application, or the page that says why there is none; returns the exit code."""
    from torana.process.worker import logger

    try:
        failure = order.failure or _serve(order.options, channel, None)
        if failure is not None:
            _serve(order.options, channel, failure)
    except ToranaError as error:
        logger.error("%s", error)
        return exit_code_of(error)
    return 0


def _serve(options: RunOptions, channel: socket.socket, failure: str | None) -> str | None:
    """Serve until told to stop; returns why the application could not be loaded, or None."""
    from torana.process.worker import Serving, failed_application, imported, logger, run_single

    def when_ready(serving: Serving) -> None:
        words = [READY, *imported()] if failure is None else [BROKEN]
        channel.sendall(" ".join(words).encode("ascii") + b"\n")
        # The parent says no more: the channel becomes readable when the parent is gone.
        asyncio.get_running_loop().add_reader(channel.fileno(), serving.request_stop)

    # Copies, so that the page can still be served after a failed attempt has closed its sockets.
    binds = tuple(f"fd:{os.dup(int(bind.removeprefix('fd:')))}" for bind in options.net.listen.binds)
    options = replace(options, net=replace(options.net, listen=replace(options.net.listen, binds=binds)))
    if failure is not None:
        options = replace(options, gateway=replace(options.gateway, lifespan="off"))
    application = None if failure is None else failed_application(failure)
    try:
        run_single(options, application=application, is_announced=False, when_ready=when_ready)
    except LoadError as error:
        logger.error("%s", error)
        return str(error)
    return None
