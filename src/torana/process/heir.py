"""The side of the new program in a replacement (USR2): it takes the sockets of the old one, says when it serves, and is
the server when the old one says so or is gone.

Never here: the other side (``handoff``), which sockets are kept (``estate``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import selectors
import socket
import time
from typing import TYPE_CHECKING, Any

from torana.base.errors import BindError, ConfigError, ToranaError
from torana.net.unix_socket import SocketFile
from torana.process.channel import Channel, ChannelClosed, ChannelFull, Message
from torana.process.estate import Estate, Heirloom
from torana.process.options import HANDOFF_VARIABLE
from torana.process.states import Mode, State

if TYPE_CHECKING:
    from torana.process.supervisor import Supervisor

logger = logging.getLogger("torana")

#: The old program has said all before it waits for us.
_PATIENCE_S = 10.0


class Heir:
    """What a new program got, and how it becomes the server. Raises ``ConfigError`` or ``BindError`` when made.

    ``told`` is what it found in the variable: the number of the descriptor through which the old program speaks.
    """

    def __init__(self, told: str) -> None:
        self._channel: Channel | None = Channel(_socket(told))
        #: The old program, and where it has its control socket.
        self.pid = 0
        self.control: str | None = None
        #: Speaks to the old program that stays as process 1, if there is one.
        self.first: Channel | None = None
        self._is_first_left = False
        try:
            self.estate = Estate(self._receive())
        except BaseException:
            self.forget()
            raise
        self._is_ready = False
        #: Whether we are the server.
        self.is_leading = False
        self._may_lead = False

    def _receive(self) -> list[Heirloom]:
        heirlooms: list[Heirloom] = []
        end = time.monotonic() + _PATIENCE_S
        assert self._channel is not None
        while True:
            readable, _, _ = select.select([self._channel], [], [], max(0.0, end - time.monotonic()))
            try:
                heard = self._channel.receive() if readable else []
            except ChannelClosed:
                raise BindError("the program that hands over its sockets is gone") from None
            for message, fds in heard:
                if message.get("do") == "take":
                    heirlooms += _heirlooms(message, fds)
                elif message.get("do") == "begin":
                    self._begin(message, fds)
                    return heirlooms
            if not readable:
                raise BindError("the program that hands over its sockets does not say which")

    def _begin(self, message: Message, fds: list[int]) -> None:
        self.pid = int(message.get("pid", 0))
        self.control = message.get("control")
        self._is_first_left = bool(message.get("is_first"))
        if fds:
            self.first = Channel(socket.socket(fileno=fds[0]))

    def fileno(self) -> int:
        """The descriptor of the channel to the old program."""
        return -1 if self._channel is None else self._channel.fileno()

    # Life

    def join(self, supervisor: Supervisor) -> None:
        """The supervisor is about to wait: from now on we hear what the old program says."""
        if self._channel is not None:
            supervisor.selector.register(self._channel, selectors.EVENT_READ, lambda: self._hear(supervisor))
            self._say({"say": "begun", "boot_s": supervisor.options.process.boot_s})

    def look(self, supervisor: Supervisor, now: float) -> None:
        """Say that we serve as soon as every slot has a worker that does; lead when it is time to."""
        fleet = supervisor.fleet
        if self.is_leading or fleet.mode not in (Mode.RUNNING, Mode.PAUSED):
            return
        if not self._is_ready:
            ready = {worker.slot for worker in fleet.of(State.READY)}
            if fleet.has_been_ready and ready.issuperset(range(fleet.wanted)):
                self._is_ready = True
                self._say({"say": "ready", "files": self.estate.files, "pid_file": supervisor.pid_file.path})
        if self._may_lead:
            self._lead(supervisor, now)

    def _hear(self, supervisor: Supervisor) -> None:
        if self._channel is None:
            return
        try:
            heard = self._channel.receive()
        except ChannelClosed:
            # The old program has ended, as asked or not: there is nobody to wait for.
            self._end_channel(supervisor)
            self._may_lead = True
            return
        for message, fds in heard:
            for fd in fds:
                os.close(fd)
            if message.get("do") == "lead":
                self._may_lead = True

    def _lead(self, supervisor: Supervisor, now: float) -> None:
        self.is_leading = True
        logger.info("This program (pid %d) has taken over from process %d", supervisor.pid, self.pid)
        if self._is_first_left and self.first is None:
            self.first = self._channel  # it listens for who comes after us
            if self._channel is not None:
                supervisor.selector.unregister(self._channel)
            self._channel = None
        self._end_channel(supervisor)
        self.estate.own_files()
        try:
            supervisor.pid_file.write()
        except ToranaError as error:
            logger.error("%s", error)
        supervisor.lead(now)

    def tell_first(self, pid: int) -> None:
        """Tell process 1 who is the server after us."""
        if self.first is not None:
            with contextlib.suppress(ChannelFull):
                self.first.send({"say": "heir", "pid": pid})

    def fail(self, error: BaseException) -> None:
        """Tell the old program why there will be no new one."""
        self._say({"say": "failed", "text": str(error) or type(error).__name__})

    def forget(self) -> None:
        """In a new worker: close our copies. Also the last thing of a supervisor."""
        for channel in (self._channel, self.first):
            if channel is not None:
                channel.close()
        self._channel = self.first = None

    def _say(self, message: Message) -> None:
        if self._channel is not None:
            with contextlib.suppress(ChannelFull):
                self._channel.send(message)

    def _end_channel(self, supervisor: Supervisor) -> None:
        if self._channel is not None:
            supervisor.selector.unregister(self._channel)
            self._channel.close()
            self._channel = None


def _socket(told: str) -> socket.socket:
    try:
        sock = socket.socket(fileno=int(told) if told.isascii() and told.isdecimal() else -1)
    except (OSError, ValueError, OverflowError):
        raise _misused(told) from None
    if sock.family != getattr(socket, "AF_UNIX", None):
        sock.detach()
        raise _misused(told)
    sock.set_inheritable(False)
    return sock


def _misused(told: str) -> ConfigError:
    return ConfigError(
        f"{HANDOFF_VARIABLE}={told}: a program that is replaced by SIGUSR2 says so; take the variable away"
    )


def _heirlooms(message: dict[str, Any], fds: list[int]) -> list[Heirloom]:
    slot, sockets = int(message["slot"]), message["sockets"]
    return [
        Heirloom(slot, about["bind"], fd, SocketFile.of(about["file"]) if about["file"] else None)
        for about, fd in zip(sockets, fds, strict=True)
    ]
