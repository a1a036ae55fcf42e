"""Listening sockets: opened, inherited, and emptied of the connections that wait in them.

Here: everything between a bind string and an accepted, non-blocking socket.
Never here: waiting for readiness (``poller``), TLS (``secure``), the environment (its LISTEN_* values are passed in).
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import stat
import sys
from collections.abc import Mapping
from enum import Enum

from msgspec.structs import replace

from torana.base.errors import BindError
from torana.net.address import Address, Kind, parse_address
from torana.net.options import ListenOptions
from torana.net.queue_length import queue_length
from torana.net.unix_socket import SocketFile, bind_unix

#: First descriptor that systemd hands over (sd_listen_fds(3)).
FIRST_SYSTEMD_FD = 3

#: Most and least that the kernel shall hold of an answer that is not on its way yet; and of how many clients that do
#: not read it shall have room for that much.
_UNSENT_BYTES = 128 * 1024
_LEAST_UNSENT_BYTES = 16 * 1024
_READERLESS = 32 * 1024

#: A connection that died in the queue, or an error of the network that accept(2) passes on: try the next one.
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH",
        "EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT", "ECONNRESET",
    )
    if hasattr(errno, name)
)  # fmt: skip

Client = tuple[str, int] | None


class Queue(Enum):
    """What ``accept_batch`` left behind."""

    #: Nobody waits.
    EMPTY = "empty"
    #: The limit was reached; more may wait.
    MORE = "more"
    #: The machine has no descriptor or memory left: do not accept again before a moment has passed (G-067, G-096).
    STARVED = "starved"


class Listener:
    """One listening socket. ``address`` is where it really listens: the kernel's port if 0 was asked for."""

    def __init__(
        self, sock: socket.socket, address: Address, *, tls: bool = False, file: SocketFile | None = None,
        warning: str | None = None,
    ) -> None:  # fmt: skip
        self.sock = sock
        self.address = address
        self.tls = tls
        self.is_unix = sock.family == socket.AF_UNIX
        #: Something the user should hear once, or None.
        self.warning = warning
        #: Why the last batch ended in STARVED.
        self.last_error: OSError | None = None
        #: The bind string it was opened for.
        self.bind = ""
        self._file = file

    def describe(self) -> str:
        """Where it listens, as a URL."""
        return self.address.describe(is_tls=self.tls)

    def fileno(self) -> int:
        return self.sock.fileno()

    @property
    def server(self) -> tuple[str, int | None]:
        """This end as ASGI tells it: (host, port), or (path, None) for a unix socket."""
        if self.is_unix:
            return self.address.path, None
        return self.address.host, self.address.port

    def accept_batch(self, limit: int) -> tuple[list[tuple[socket.socket, Client]], Queue]:
        """Take up to ``limit`` waiting connections, non-blocking; never raises for what the network does."""
        taken: list[tuple[socket.socket, Client]] = []
        for _ in range(limit):
            try:
                sock, name = self.sock.accept()
            except BlockingIOError:
                return taken, Queue.EMPTY
            except OSError as error:
                if error.errno in _PASSING:
                    continue
                self.last_error = error
                return taken, Queue.STARVED
            sock.setblocking(False)
            taken.append((sock, None if self.is_unix else client_of(name)))
        return taken, Queue.MORE

    def close(self) -> None:
        """Close our copy of the socket; its file goes too if we made it and it is still ours."""
        # The file first: nobody may find it without anyone answering.
        if self._file is not None:
            self._file.remove()
            self._file = None
        self.sock.close()

    @property
    def file(self) -> SocketFile | None:
        """The file of a unix socket, if it is ours to remove."""
        return self._file

    def own(self, file: SocketFile) -> None:
        """The file is ours to remove from now on."""
        self._file = file

    def disown(self) -> None:
        """The file is not ours to remove any more."""
        self._file = None

    def let_go(self) -> None:
        """Close our copy of the socket and nothing else: another process holds it too and goes on."""
        self._file = None
        self.sock.close()

    def waiting(self) -> int:
        """How many connections wait in the queue; 0 where the system does not count them."""
        if self.is_unix or sys.platform != "linux":
            return 0
        return queue_length(self.sock)


def client_of(name: tuple[str, int] | tuple[str, int, int, int]) -> tuple[str, int]:
    """(host, port) of a peer's name; an IPv4 address that came through an IPv6 socket is written as IPv4."""
    host = name[0]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return host, name[1]


def open_listeners(options: ListenOptions, environ_fds: Mapping[str, str] | None = None) -> list[Listener]:
    """Open every address of ``options``, or none: a failure closes what was opened and raises.

    ``environ_fds`` holds LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES if systemd set them.
    Raises ``BindError`` (exit code 4) or ``ConfigError`` (exit code 2).
    """
    addresses = [(text, parse_address(text)) for text in options.binds]
    opened: list[Listener] = []
    try:
        for text, address in addresses:
            for listener in _open(address, options, environ_fds or {}):
                listener.bind = text
                opened.append(listener)
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    if opened:
        opened[0].warning = backlog_warning(options.backlog)
    return opened


def backlog_warning(backlog: int, somaxconn: int | None = None) -> str | None:
    """A sentence if the kernel will clip ``backlog``, else None; ``somaxconn`` is read from the kernel unless given."""
    if somaxconn is None:
        try:
            with open("/proc/sys/net/core/somaxconn", "rb") as file:
                somaxconn = int(file.read(32))
        except (OSError, ValueError):
            return None
    if backlog <= somaxconn:
        return None
    return (
        f"backlog {backlog} is clipped to {somaxconn} by the kernel: bursts of connections may be dropped "
        f"(raise it with: sysctl net.core.somaxconn={backlog})"
    )


def _open(address: Address, options: ListenOptions, environ_fds: Mapping[str, str]) -> list[Listener]:
    if address.kind is Kind.TCP:
        return _open_tcp(address, options)
    if address.kind is Kind.UNIX:
        return [_open_unix(address, options)]
    if address.kind is Kind.FD:
        return [_inherit(address.fd, options)]
    return [_inherit(fd, options) for fd in systemd_fds(address.name, environ_fds)]


def _open_unix(address: Address, options: ListenOptions) -> Listener:
    if not hasattr(socket, "AF_UNIX"):
        raise BindError(f"cannot listen on {address.describe()}: this system has no unix sockets")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    file = None
    try:
        file = bind_unix(sock, address.path, options.socket_mode, options.socket_owner)
        sock.listen(options.backlog)
        sock.setblocking(False)
    except BaseException as error:
        if file is not None:
            file.remove()
        sock.close()
        if isinstance(error, OSError):
            raise BindError(_sentence(address, error)) from None
        raise
    return Listener(sock, address, tls=options.tls is not None, file=file)


def _open_tcp(address: Address, options: ListenOptions) -> list[Listener]:
    """One listener for each address that the host name means; with port 0 all get the same port."""
    names = _resolve(address)
    for attempt in range(10):
        try:
            return _open_names(address, names, options)
        except OSError as error:
            # The port that the kernel chose for the first address may be taken on the second: choose again.
            if address.port == 0 and len(names) > 1 and error.errno == errno.EADDRINUSE and attempt < 9:
                continue
            raise BindError(_sentence(address, error)) from None
    raise AssertionError("unreachable")


def _open_names(address: Address, names: list[tuple[int, str]], options: ListenOptions) -> list[Listener]:
    opened: list[Listener] = []
    skipped: OSError | None = None
    port = address.port
    try:
        for family, host in names:
            try:
                sock = _listen(family, host, port, options.backlog)
            except OSError as error:
                # "localhost" may name ::1 on a machine without IPv6: one of several may be missing.
                if len(names) > 1 and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    skipped = error
                    continue
                raise
            port = sock.getsockname()[1]
            opened.append(Listener(sock, Address(Kind.TCP, host=host, port=port), tls=options.tls is not None))
        if not opened and skipped is not None:
            raise skipped
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def resolved(address: Address) -> list[Address]:
    """The numeric addresses that a TCP address means; raises ``BindError``."""
    return [replace(address, host=host) for _, host in _resolve(address)]


def _resolve(address: Address) -> list[tuple[int, str]]:
    """(family, numeric host) pairs in the resolver's order, each once; every interface for host ""."""
    if not address.host:
        return [(socket.AF_INET, "0.0.0.0"), *([(socket.AF_INET6, "::")] if socket.has_ipv6 else [])]
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a legal name"
        raise BindError(f"cannot listen on {address.describe()}: host {address.host!r}: {reason}") from None
    names = []
    for family, _, _, _, name in found:
        host = str(name[0])
        if family == socket.AF_INET6 and name[3] and "%" not in host:  # type: ignore[misc]
            host = f"{host}%{name[3]}"  # type: ignore[misc]
        names.append((int(family), host))
    return list(dict.fromkeys(names))


def _listen(family: int, host: str, port: int, backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _tune(sock)
        sock.bind(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4])
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket) -> None:
    """What accepted sockets inherit from the listening one, so that a connection costs no system call for it.

    No delay of small pieces; and how much the kernel takes for a client that does not read: left to itself, some
    thousand of these fill all memory it has for TCP, and every connection of the machine stands still (threat G-066).
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes())


def unsent_bytes(pressure_pages: int | None = None) -> int:
    """How much of an answer the kernel shall hold that is not on its way yet: less where it has less memory for TCP.

    ``pressure_pages``: from where on the kernel is short of that memory; read from it unless given.
    """
    if pressure_pages is None:
        try:
            with open("/proc/sys/net/ipv4/tcp_mem", "rb") as file:
                pressure_pages = int(file.read(64).split()[1])
        except (OSError, ValueError, IndexError):
            return _UNSENT_BYTES
    share = pressure_pages * resource.getpagesize() // _READERLESS
    return max(_LEAST_UNSENT_BYTES, min(_UNSENT_BYTES, share))


def _inherit(fd: int, options: ListenOptions) -> Listener:
    """Take over a descriptor that somebody else opened; it is ours to close, its file is not ours to remove."""
    try:
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        raise BindError(f"cannot listen on fd:{fd}: no such descriptor is open") from None
    if not is_socket:
        raise BindError(f"cannot listen on fd:{fd}: it is not a socket")
    sock = socket.socket(fileno=fd)
    try:
        families = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", None))
        if sock.family not in families or sock.type != socket.SOCK_STREAM:
            raise BindError(f"cannot listen on fd:{fd}: it is not a stream socket of TCP or unix kind")
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.listen(options.backlog)
        _tune(sock)
        sock.setblocking(False)
        sock.set_inheritable(False)
        return Listener(sock, _address_of(sock, fd), tls=options.tls is not None)
    except OSError as error:
        sock.detach()
        raise BindError(f"cannot listen on fd:{fd}: {os.strerror(error.errno or 0)}") from None
    except BindError:
        sock.detach()
        raise


def _address_of(sock: socket.socket, fd: int) -> Address:
    name = sock.getsockname()
    if sock.family != getattr(socket, "AF_UNIX", None):
        return Address(Kind.TCP, host=name[0], port=name[1], fd=fd)
    path = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    return Address(Kind.UNIX, path=path, fd=fd)


def systemd_fds(name: str, environ_fds: Mapping[str, str]) -> list[int]:
    """Descriptors that systemd passed to this very process, all or those called ``name`` (sd_listen_fds(3))."""
    where = f"systemd:{name}" if name else "systemd"
    count, pid = environ_fds.get("LISTEN_FDS", ""), environ_fds.get("LISTEN_PID", "")
    if not (count.isdecimal() and pid.isdecimal() and 0 < int(count) <= 1024):
        raise BindError(f"cannot listen on {where}: systemd passed no sockets (LISTEN_FDS is not set)")
    if int(pid) != os.getpid():
        raise BindError(f"cannot listen on {where}: the sockets were passed to process {int(pid)}, not to this one")
    fds = range(FIRST_SYSTEMD_FD, FIRST_SYSTEMD_FD + int(count))
    if not name:
        return list(fds)
    names = environ_fds.get("LISTEN_FDNAMES", "").split(":")
    found = [fd for fd, its_name in zip(fds, names, strict=False) if its_name == name]
    if not found:
        known = ", ".join(filter(None, names)) or "none"
        raise BindError(f"cannot listen on {where}: no passed socket has that name (names: {known})")
    return found


def _sentence(address: Address, error: OSError) -> str:
    start = f"cannot listen on {address.describe()}: "
    if error.errno == errno.EADDRINUSE:
        return start + "the address is in use by another program; stop that one or choose another with --bind"
    if error.errno in (errno.EACCES, errno.EPERM):
        if address.kind is Kind.UNIX:
            return start + "no permission to create a socket in that directory"
        return start + "no permission (ports below 1024 need root, CAP_NET_BIND_SERVICE or socket activation)"
    if error.errno == errno.EADDRNOTAVAIL:
        return start + "this machine has no such address"
    if error.errno == errno.ENOENT:
        return start + "the directory does not exist"
    return start + (error.strerror or str(error))
