"""The control socket, the server's side: one line of JSON in, one line of JSON out, for ``torana status`` and its like.

A supervisor holds it among its other descriptors; nothing here waits. Who may speak is our own user and root, and what
they say is bounded in size, number and time. What can be said stands in ``commands``; what it means is the
supervisor's to say.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import selectors
import socket
import stat
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from torana.process.commands import ANSWER_BYTES, REQUEST_BYTES, Request, StopRequest
from torana.process.options import RunOptions
from torana.process.rendezvous import meeting_for, prepare

logger = logging.getLogger("torana")

#: Clients at once, and how long one may take to ask and to read its answer.
MOST_CLIENTS = 8
PATIENCE_S = 5.0
#: Until the next attempt where accepting failed (no descriptors).
_DEAF_S = 1.0
#: ``struct ucred`` of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("3i")


#: Takes a request {"do": ..., "token": N, ...}, returns its answer, or None and calls ``Control.reply(N, ...)`` later.
Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


class _Client(Struct):
    sock: socket.socket
    token: int
    since_s: float
    received: bytearray = field(default_factory=bytearray)
    is_asked: bool = False
    #: What is still to be sent, None while there is no answer.
    sending: memoryview | None = None
    #: Whether the connection stays open after the answer, so that its end tells of ours.
    stays: bool = False


def open_control(
    options: RunOptions,
    bound: Sequence[str],
    answer: Answer,
    *,
    heir_of: str | None = None,
    system_dir: str = "",
) -> Control | None:
    """The control socket of a server that listens on ``bound`` (URLs); None, and a line in the log, if it cannot be.

    ``heir_of``: the path of a program that still runs and that we take over from (USR2).
    """
    if options.process.control_socket == "auto":
        prepare(system_dir)
    meeting = meeting_for(options, bound, system_dir)
    if meeting.path is not None:
        try:
            control = Control(meeting.path, answer, is_heir=meeting.path == heir_of)
        except OSError as error:
            why = f"{meeting.path}: {error.strerror or error}"
        else:
            logger.debug("Commands are heard at %s", meeting.path)
            return control
    else:
        why = meeting.why
    level = logging.WARNING if meeting.is_wish else logging.DEBUG
    logger.log(level, "No control socket (%s): torana status and reload cannot reach this server", why)
    return None


class Control:
    """The socket and its clients. Raises ``OSError`` if it cannot be made, also if a living server has the path.

    Register ``fileno()`` for reading and call ``ready()`` when it is, and ``look()`` now and then.
    """

    def __init__(
        self, path: str, answer: Answer, *, is_heir: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = path
        self._answer = answer
        self._clock = clock
        self._clients: dict[int, _Client] = {}
        self._tokens = itertools.count(1)
        self._deaf_until_s: float | None = None
        self._selector = selectors.DefaultSelector()
        try:
            self._listening = _bind(path, is_heir)
        except OSError:
            self._selector.close()
            raise
        about = os.lstat(path)
        self._identity = (about.st_dev, about.st_ino)
        self._selector.register(self._listening, selectors.EVENT_READ)

    def fileno(self) -> int:
        """Readable when something is to be done."""
        number: int = self._selector.fileno()  # epoll and kqueue have one
        return number

    def ready(self) -> None:
        """See to whatever came, without waiting."""
        for key, mask in self._selector.select(0):
            if key.data is None:
                self._accept()
            elif mask & selectors.EVENT_WRITE:
                self._send(key.data)
            else:
                self._receive(key.data)
        self.look()

    def look(self, now_s: float | None = None) -> float | None:
        """Turn out who took too long; returns when to look again, None if nobody is being waited for."""
        now_s = self._clock() if now_s is None else now_s
        if self._deaf_until_s is not None and now_s >= self._deaf_until_s:
            self._deaf_until_s = None
            self._selector.register(self._listening, selectors.EVENT_READ)
        ends = [] if self._deaf_until_s is None else [self._deaf_until_s]
        for client in list(self._clients.values()):
            if client.is_asked and client.sending is None:
                continue  # it waits for us
            if now_s >= client.since_s + PATIENCE_S:
                self._drop(client)
            else:
                ends.append(client.since_s + PATIENCE_S)
        return min(ends, default=None)

    def reply(self, token: int, answer: dict[str, Any]) -> bool:
        """Answer a request that was left open; False if nobody waits for it any more."""
        client = self._clients.get(token)
        if client is None or client.sending is not None or not client.is_asked:
            return False
        line = msgspec.json.encode(answer) + b"\n"
        if len(line) > ANSWER_BYTES:
            line = msgspec.json.encode({"ok": False, "why": "the answer is too long"}) + b"\n"
        client.stays = client.stays and bool(answer.get("ok"))
        client.sending = memoryview(line)
        client.since_s = self._clock()
        self._send(client)
        return True

    def close(self) -> None:
        """Close everything, and remove the socket's file if it is still ours."""
        self._listening.close()
        with contextlib.suppress(OSError):
            about = os.lstat(self.path)
            if (about.st_dev, about.st_ino) == self._identity:
                os.unlink(self.path)
        # Last: who waits for our end may start another server the moment it hears of it.
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()

    def forget(self) -> None:
        """In a forked child: close our copies, and leave the file and the clients to the parent."""
        # Nothing is unregistered: parent and child share one epoll object.
        for client in self._clients.values():
            client.sock.close()
        self._clients.clear()
        self._listening.close()
        self._selector.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR, errno.ECONNABORTED):
                # No descriptors: the connection stays in the queue and would wake us again and again.
                self._selector.unregister(self._listening)
                self._deaf_until_s = self._clock() + _DEAF_S
            return
        sock.setblocking(False)
        if len(self._clients) >= MOST_CLIENTS:
            with contextlib.suppress(OSError):
                sock.send(b'{"ok":false,"why":"too many commands at once; try again"}\n')
            sock.close()
        elif not _may_speak(sock):
            sock.close()
        else:
            client = _Client(sock, next(self._tokens), self._clock())
            self._clients[client.token] = client
            self._selector.register(sock, selectors.EVENT_READ, client)

    def _receive(self, client: _Client) -> None:
        try:
            part = client.sock.recv(REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._drop(client)
            return
        if client.is_asked:
            return  # one request a connection; what follows is not kept
        client.received += part
        line, end, _ = client.received.partition(b"\n")
        if end and len(line) <= REQUEST_BYTES:
            client.is_asked = True
            self._ask(client, bytes(line))
        elif len(client.received) > REQUEST_BYTES:
            client.is_asked = True
            self.reply(client.token, {"ok": False, "why": f"a request has at most {REQUEST_BYTES} bytes"})

    def _ask(self, client: _Client, line: bytes) -> None:
        """Have a request answered, at once or later."""
        answer: dict[str, Any] | None
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            answer = {"ok": False, "why": f"the request is not understood: {error}"}
        else:
            client.stays = isinstance(request, StopRequest)
            try:
                answer = self._answer({**msgspec.to_builtins(request), "token": client.token})
            except Exception as error:  # a command must never end a server
                logger.exception("A command could not be answered")
                answer = {"ok": False, "why": f"the server failed to answer: {error!r}"}
        if answer is not None:
            self.reply(client.token, answer)

    def _send(self, client: _Client) -> None:
        assert client.sending is not None
        try:
            client.sending = client.sending[client.sock.send(client.sending) :]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        if client.sending:
            self._selector.modify(client.sock, selectors.EVENT_WRITE, client)
        elif client.stays:
            client.sending = None
            self._selector.modify(client.sock, selectors.EVENT_READ, client)
        else:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.token, None) is not None:
            self._selector.unregister(client.sock)
            client.sock.close()


def _bind(path: str, is_heir: bool) -> socket.socket:
    """A listening socket that only we can reach; raises ``OSError``, also if somebody listens there already."""
    if os.path.lexists(path):
        _clear(path, is_heir)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # The mode it is born with: between bind and chmod somebody could connect. There are no threads to be surprised.
        before = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(MOST_CLIENTS)
    except OSError:
        sock.close()
        raise
    return sock


def _clear(path: str, is_heir: bool) -> None:
    """Remove what a dead server left; raises ``OSError`` if it lives or the file is something else."""
    about = os.lstat(path)
    if not stat.S_ISSOCK(about.st_mode) or about.st_uid not in (os.geteuid(), 0):
        raise FileExistsError(errno.EEXIST, "something else has this name")
    if not is_heir and is_alive(path):
        raise FileExistsError(errno.EADDRINUSE, "another server has it")
    os.unlink(path)


def is_alive(path: str) -> bool:
    """Whether somebody listens at a unix socket; one that may not be asked counts as alive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _may_speak(sock: socket.socket) -> bool:
    """Whether a client is our user or root. Where the kernel cannot tell, the mode of the file has to do."""
    uid = uid_of(sock)
    if uid is None or uid in (0, os.geteuid()):
        return True
    logger.warning("A command of user %d is not heard", uid)
    return False


def uid_of(sock: socket.socket) -> int | None:
    """The user at the other end of a unix socket, None where the kernel does not tell (it is Linux that does)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)
