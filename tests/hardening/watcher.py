"""Sees every system call that a profile refuses, and refuses it (seccomp_unotify(2)). Never here: which may be."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import threading
from pathlib import Path
from typing import Self

from tests.hardening.libseccomp import name_of

#: ``struct seccomp_notif``: id, pid, flags, then the call: number, architecture, instruction, six arguments.
_NOTICE = struct.Struct("=QIIiIQ6Q")
#: ``struct seccomp_notif_resp``: id, value, error, flags.
_RESPONSE = struct.Struct("=QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101


class Watcher:
    """While the block runs; ``refused`` are the calls, by name, each with its first argument."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refused: set[tuple[str, int]] = set()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._socket.listen(1)
        self._over, self._over_here = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="refused-calls", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._over_here)
        self._thread.join()
        os.close(self._over)
        self._socket.close()

    def names(self) -> set[str]:
        """What was refused."""
        return {name for name, _ in self.refused}

    def _watch(self) -> None:
        if not self._waited_for(self._socket.fileno()):
            return
        channel, _ = self._socket.accept()
        with channel:
            _, fds, _, _ = socket.recv_fds(channel, 1, 1)
        if not fds:
            return
        try:
            while self._waited_for(fds[0]):
                self._answer(fds[0])
        finally:
            os.close(fds[0])

    def _waited_for(self, fd: int) -> bool:
        """Whether there is something to read before all is over."""
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        poller.register(self._over, select.POLLIN)
        ready = dict(poller.poll())
        return bool(ready.get(fd, 0) & select.POLLIN)

    def _answer(self, listener: int) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, notice)
        except OSError:
            return  # whoever called has died meanwhile
        identity, _, _, number, _, _, first, *_ = _NOTICE.unpack(notice)
        self.refused.add((name_of(number, os.uname().machine), first))
        response = bytearray(_RESPONSE.pack(identity, 0, -errno.EPERM, 0))
        try:
            fcntl.ioctl(listener, _SEND, response)
        except OSError:
            pass
