"""Listening sockets that another program leaves to this one: which of them fit what this one is to listen on.

A socket is kept if its bind is the same text, or means the same address; what nobody asks for is closed here and stays
with the other program until that ends. Never here: how they got here (``heir``), what becomes of them (``slots``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from torana.base.errors import BindError
from torana.net.address import Address, Kind, parse_address
from torana.net.listener import Listener, backlog_warning, open_listeners, resolved
from torana.net.options import ListenOptions
from torana.net.unix_socket import SocketFile

#: The slot of sockets that all slots share.
SHARED = -1


class Heirloom(Struct):
    """One socket, with the bind that it was opened for and, if the other program made its file, that file."""

    slot: int
    bind: str
    fd: int
    file: SocketFile | None = None

    @property
    def key(self) -> tuple[str, int]:
        """The address: (host, port), or (path, 0)."""
        with _borrowed(self.fd) as sock:
            name = sock.getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else (os.fsdecode(name), 0)

    @property
    def is_reachable(self) -> bool:
        """False for a unix socket whose file was removed or replaced: nobody can connect to it any more."""
        return self.file is None or self.file.is_there


class Estate:
    """All that was left, as descriptors that are ours to close."""

    def __init__(self, heirlooms: list[Heirloom]) -> None:
        self._left = heirlooms
        self._files: list[tuple[Listener, SocketFile]] = []
        #: How many slots the other program had.
        self.slots = max((one.slot for one in heirlooms), default=SHARED) + 1

    def open(self, options: ListenOptions, environ_fds: Mapping[str, str] | None = None) -> list[Listener]:
        """The sockets of the first slot and the shared ones, for every bind of ``options``: kept or opened anew.

        Raises as ``open_listeners`` does, and closes all it opened then.
        """
        opened: list[Listener] = []
        try:
            for bind in options.binds:
                found = [self._keep(one, bind, options) for one in self._first(bind)]
                opened += found or self._open_address(bind, options, environ_fds)
        except BaseException:
            for listener in opened:
                listener.close()
            raise
        if opened:
            opened[0].warning = backlog_warning(options.backlog)
        return opened

    def take(self, slot: int, first: Listener, options: ListenOptions) -> Listener | None:
        """The socket of another slot for the same address as the first slot's; None if there was none."""
        key = _key_of(first)
        one = next((one for one in self._left if one.slot == slot and one.key == key), None)
        return None if one is None else self._keep(one, first.bind, options)

    def own_files(self) -> None:
        """From now on it is us who remove the files of unix sockets."""
        for listener, file in self._files:
            listener.own(replace(file, maker_pid=os.getpid()))
        self._files.clear()

    @property
    def files(self) -> list[str]:
        """Paths of the unix sockets that were kept and whose files we shall remove."""
        return [file.path for _, file in self._files]

    def close(self) -> None:
        """Close what was not asked for."""
        for one in self._left:
            with contextlib.suppress(OSError):
                os.close(one.fd)
        self._left = []

    def _first(self, bind: str) -> list[Heirloom]:
        return [one for one in self._left if one.slot in (0, SHARED) and one.bind == bind and one.is_reachable]

    def _keep(self, one: Heirloom, bind: str, options: ListenOptions) -> Listener:
        self._left.remove(one)
        (listener,) = open_listeners(replace(options, binds=(f"fd:{one.fd}",)))
        listener.warning = None
        listener.bind = bind
        if one.slot != SHARED:
            # Opened by us and not by whoever started us: it may have siblings.
            listener.address = replace(listener.address, fd=-1)
        if one.slot != SHARED or one.file is not None:
            with contextlib.suppress(OSError):
                listener.sock.listen(options.backlog)  # it may have changed
        if one.file is not None:
            self._files.append((listener, one.file))
        return listener

    def _open_address(self, bind: str, options: ListenOptions, environ_fds: Mapping[str, str] | None) -> list[Listener]:
        """What no bind of the other program was called; it may still be the same address."""
        address = parse_address(bind)
        alone = replace(options, binds=(bind,))
        if address.kind is Kind.UNIX:
            same = [one for one in self._left if one.key == (address.path, 0) and one.is_reachable]
            return [self._keep(one, bind, options) for one in same[:1]] or open_listeners(alone)
        ports = {one.key[1] for one in self._left if one.slot == 0}
        if address.kind is not Kind.TCP or address.port not in ports:
            return open_listeners(alone, environ_fds)
        opened: list[Listener] = []
        missing: OSError | None = None
        try:
            for each in resolved(address):
                one = next((one for one in self._left if one.slot == 0 and one.key == (each.host, each.port)), None)
                try:
                    opened.append(_beside(each, bind, options) if one is None else self._keep(one, bind, options))
                except OSError as error:
                    missing = error
                    if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                        raise
            if not opened and missing is not None:
                raise missing
        except OSError as error:
            for listener in opened:
                listener.close()
            raise BindError(f"cannot listen on {address.describe()}: {error.strerror}") from None
        return opened


def _beside(address: Address, bind: str, options: ListenOptions) -> Listener:
    """Listen on another address of a port that the other program still has: 0.0.0.0 instead of 127.0.0.1."""
    from torana.process.slots import bound_beside

    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    found = socket.getaddrinfo(address.host, address.port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    sock = bound_beside(family, found[0][4])
    try:
        sock.listen(options.backlog)
    except BaseException:
        sock.close()
        raise
    listener = Listener(sock, address, tls=options.tls is not None)
    listener.bind = bind
    return listener


def _key_of(listener: Listener) -> tuple[str, int]:
    name = listener.sock.getsockname()
    return (name[0], name[1]) if isinstance(name, tuple) else (os.fsdecode(name), 0)


@contextlib.contextmanager
def _borrowed(fd: int):  # type: ignore[no-untyped-def]
    """A socket object for a descriptor that somebody else will close."""
    sock = socket.socket(fileno=fd)
    try:
        yield sock
    finally:
        sock.detach()
