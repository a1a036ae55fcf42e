"""The listening sockets, held by the supervisor from first to last: one of each TCP address for each worker slot.

Sockets of one address share their port (SO_REUSEPORT), so that the kernel spreads connections evenly. A slot's socket
outlives its workers: what waits in its queue waits for the next one. Unix sockets and inherited descriptors cannot be
multiplied; all slots share them, as they share everything where the kernel does not spread (elsewhere than on Linux).
Never here: accepting.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torana.net.address import Kind
from torana.net.listener import Listener, open_listeners
from torana.net.options import ListenOptions

if TYPE_CHECKING:
    from torana.process.estate import Estate

_log = logging.getLogger("torana")


class Slots:
    """The sockets of every slot, slots counted from 0. Raises ``BindError`` or ``ConfigError`` when made."""

    def __init__(
        self, options: ListenOptions, environ_fds: Mapping[str, str] | None = None, *,
        is_spread: bool = sys.platform == "linux", estate: Estate | None = None,
    ) -> None:  # fmt: skip
        self._options = options
        self._estate = estate
        # Opened as if we were alone: an address that another program uses is refused here, whatever flags it has.
        first = open_listeners(options, environ_fds) if estate is None else estate.open(options, environ_fds)
        self.warnings = [listener.warning for listener in first if listener.warning]
        for listener in first:
            listener.warning = None
        is_own = [is_spread and _can_spread(listener) for listener in first]
        self._slots = [[listener for listener, own in zip(first, is_own, strict=True) if own]]
        self._shared = [listener for listener, own in zip(first, is_own, strict=True) if not own]
        self._order = first
        if estate is not None:
            # Every slot that was left to us has a queue in which somebody may wait.
            self.grow(estate.slots)
            estate.close()

    def __len__(self) -> int:
        return len(self._slots)

    def grow(self, count: int) -> None:
        """Have at least ``count`` slots. A socket that cannot be opened is one that the slot shares with the first."""
        while len(self._slots) < count:
            self._slots.append(self._siblings(len(self._slots)))

    def listeners(self, slot: int) -> list[Listener]:
        """All that a worker of this slot listens on."""
        return [*(self._slots[slot] or self._slots[0]), *self._shared]

    def own(self, slot: int) -> list[Listener]:
        """What nobody listens on while this slot is vacant; none where slots share."""
        return list(self._slots[slot])

    @property
    def addresses(self) -> list[str]:
        """Where the server listens, as URLs, each once and in the order they were asked for."""
        return [listener.describe() for listener in self._order]

    def filenos(self) -> set[int]:
        """Every descriptor held here."""
        return {listener.fileno() for listener in self._all()}

    def close(self) -> None:
        """Close our copies; a unix socket's file goes too, if we made it."""
        for listener in self._all():
            listener.close()

    def leave_to(self, slot: int | None) -> None:
        """In a new process: close the sockets of all other slots; None has none."""
        kept = [] if slot is None else self.listeners(slot)
        for listener in self._all():
            if listener not in kept:
                listener.let_go()

    def rows(self) -> Iterator[tuple[int, list[Listener]]]:
        """Each slot's own sockets by the slot's number, and under -1 what all slots share."""
        yield from enumerate(self._slots)
        yield -1, self._shared

    def leave_files(self, paths: Iterable[str] | None = None) -> None:
        """Another program has these unix sockets too (None: all): their files stay when we close ours."""
        for listener in self._all():
            if listener.file is not None and (paths is None or listener.file.path in paths):
                listener.disown()

    def _all(self) -> list[Listener]:
        return [*(listener for slot in self._slots for listener in slot), *self._shared]

    def _siblings(self, slot: int) -> list[Listener]:
        opened: list[Listener] = []
        try:
            for first in self._slots[0]:
                left = None if self._estate is None else self._estate.take(slot, first, self._options)
                opened.append(left or _sibling(first, self._options.backlog))
        except OSError as error:
            for listener in opened:
                listener.close()
            _log.warning("No listening socket for another worker: %s; it shares that of the first", error.strerror)
            return []
        return opened


def _can_spread(listener: Listener) -> bool:
    """Open a TCP socket of ours to siblings; False for any other, and where the kernel knows no such thing."""
    if listener.address.kind is not Kind.TCP or listener.address.fd >= 0 or not hasattr(socket, "SO_REUSEPORT"):
        return False
    try:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Bound and not listening: nobody can end up in its queue.
        _bound_sibling(listener).close()
    except OSError:
        return False
    return True


def _sibling(first: Listener, backlog: int) -> Listener:
    """Another socket of the same address, with a queue of its own."""
    sock = _bound_sibling(first)
    try:
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    sibling = Listener(sock, first.address, tls=first.tls)
    sibling.bind = first.bind
    return sibling


def _bound_sibling(first: Listener) -> socket.socket:
    return bound_beside(first.sock.family, first.sock.getsockname())


def bound_beside(family: int, name: Any) -> socket.socket:
    """A socket bound beside others of ours on the same port; it does not listen yet. Raises ``OSError``."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        sock.bind(name)
    except BaseException:
        sock.close()
        raise
    return sock
