"""What systemd is told (sd_notify(3)): datagrams of ``NAME=value`` lines to the socket it named, written by hand.

Where it named none, nothing is sent. Never raises: whether systemd hears is no reason to serve or not to serve.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterable

logger = logging.getLogger("torana")

#: A status is one line for a human.
_LONGEST_STATUS = 500
#: Some 30 years: a longer time is as good as no watchdog.
_LONGEST_WATCHDOG_USEC = 10**15


class Notifier:
    """Tells systemd, from the main process of a service.

    ``systemd`` are the variables that configuration found, as (name, value): NOTIFY_SOCKET, WATCHDOG_USEC and
    WATCHDOG_PID. ``pid`` is this process, for tests.
    """

    def __init__(self, systemd: Iterable[tuple[str, str]], pid: int | None = None) -> None:
        values = dict(systemd)
        self._address = _address(values.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        #: How often to call ``watchdog``, in seconds: half of what systemd waits; 0 is never.
        self.watchdog_interval_s = 0.0
        if self._address is not None:
            self.watchdog_interval_s = _interval_s(values, os.getpid() if pid is None else pid)
            # Made now and kept: when the file table is full, the watchdog must still hear from us.
            self._open()

    @property
    def is_heard(self) -> bool:
        """Whether there is anybody to tell."""
        return self._address is not None

    def ready(self, status: str = "") -> None:
        """The server answers requests; also the end of a reload."""
        self._send("READY=1", _status(status))

    def reloading(self, status: str = "") -> None:
        """A reload begins; ``ready`` must follow, whether it succeeded or not."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", _status(status))

    def stopping(self, status: str = "") -> None:
        """The server was told to stop."""
        self._send("STOPPING=1", _status(status))

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(_status(text))

    def main_pid(self, pid: int) -> None:
        """Another process is the server from now on; what that one says is heard only after this."""
        self._send(f"MAINPID={pid}")

    def watchdog(self) -> None:
        """The supervisor is alive; call it every ``watchdog_interval_s``."""
        if self.watchdog_interval_s:
            self._send("WATCHDOG=1")

    def fileno(self) -> int:
        """The descriptor that is kept, -1 for none."""
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        """Tell no more; a forked child does this first."""
        self._address = None
        self.watchdog_interval_s = 0.0
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line for line in lines if line).encode("utf-8", "replace")
        try:
            if self._socket is None:
                self._open()
            if self._socket is not None:
                self._socket.sendto(message, self._address)
        except OSError as error:
            logger.debug("systemd was not told %s: %s", lines[0], error)

    def _open(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        except (OSError, AttributeError) as error:
            logger.warning("systemd cannot be told anything: %s", error)


def _address(text: str) -> str | bytes | None:
    """The socket's address: a path, or (with an @) an abstract name, which begins with a zero byte."""
    if len(text) < 2 or "\0" in text:
        return None
    if text[0] == "@":
        return b"\0" + os.fsencode(text[1:])
    return text if text[0] == "/" else None


def _interval_s(values: dict[str, str], pid: int) -> float:
    """Half of the watchdog's time, 0.0 if there is none or if it is meant for another process."""
    owner, usec = values.get("WATCHDOG_PID", ""), values.get("WATCHDOG_USEC", "")
    if owner and owner != str(pid):
        return 0.0
    if not (usec.isascii() and usec.isdigit()) or len(usec) > 18:
        return 0.0
    return int(usec) / 2e6 if 0 < int(usec) <= _LONGEST_WATCHDOG_USEC else 0.0


def _status(text: str) -> str:
    """A line of status, or nothing; line ends would begin a message of their own."""
    line = " ".join(text.split())[:_LONGEST_STATUS]
    return f"STATUS={line}" if line else ""
