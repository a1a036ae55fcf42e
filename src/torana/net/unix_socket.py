"""The file of a listening unix socket: who may open it, what may be replaced, what may be removed.

Never here: accepting connections (``listener.py``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from torana.base.errors import BindError, ConfigError


class SocketFile(Struct, frozen=True):
    """A socket file that we made, known again by what cannot be forged by making another at the same path."""

    path: str
    device: int
    inode: int
    made_ns: int
    #: Only the process that made it removes it; a forked worker that closes its copy leaves it alone.
    maker_pid: int

    def remove(self) -> None:
        """Remove the file if it is still the one we made."""
        if os.getpid() == self.maker_pid and self.is_there:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    @property
    def marks(self) -> tuple[str, int, int, int]:
        """What it is known by, for another process: path, device, inode and time."""
        return self.path, self.device, self.inode, self.made_ns

    @classmethod
    def of(cls, marks: Sequence[Any]) -> SocketFile:
        """The file that another process made; nobody removes it until somebody is its maker again."""
        path, device, inode, made_ns = marks
        return cls(path, device, inode, made_ns, maker_pid=0)

    @property
    def is_there(self) -> bool:
        """Whether the file is still the one we made."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino, found.st_mtime_ns) == (self.device, self.inode, self.made_ns)


def bind_unix(sock: socket.socket, path: str, mode: int | None, owner: str | None) -> SocketFile | None:
    """Bind ``sock`` to ``path``; None for an abstract name, which has no file.

    Nobody but us can connect before owner and mode are as wanted. Raises ``BindError``, ``ConfigError`` or ``OSError``.
    """
    if path.startswith("\0"):
        sock.bind(path)
        return None
    ids = _owner_ids(owner)
    _clear_stale(path)
    old_mask = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(old_mask)
    made = os.lstat(path)
    file = SocketFile(path, made.st_dev, made.st_ino, made.st_mtime_ns, os.getpid())
    try:
        if ids is not None:
            os.chown(path, *ids, follow_symlinks=False)
        os.chmod(path, 0o666 & ~old_mask if mode is None else mode)
    except OSError as error:
        file.remove()
        raise BindError(f"cannot set owner or mode of unix:{path}: {os.strerror(error.errno or 0)}") from None
    return file


def _clear_stale(path: str) -> None:
    """Remove a socket file that nobody answers; refuse whatever else stands there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise BindError(f"cannot listen on unix:{path}: a file that is not a socket stands there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(path)
    if answer == errno.ECONNREFUSED:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    elif answer in (errno.EACCES, errno.EPERM):
        raise BindError(f"cannot listen on unix:{path}: a socket of another user stands there")
    elif answer != errno.ENOENT:
        # Answered, or too busy to answer (EAGAIN), or not ours to judge: somebody lives there.
        raise BindError(f"cannot listen on unix:{path}: another program is listening there")


def _owner_ids(owner: str | None) -> tuple[int, int] | None:
    """("user", "user:group" or ":group", names or numbers) -> ids, -1 for "leave as it is"."""
    if owner is None:
        return None
    user, _, group = owner.partition(":")
    if not user and not group:
        raise ConfigError(f"socket_owner {owner!r}: expected USER, USER:GROUP or :GROUP")
    import grp
    import pwd

    try:
        uid = -1 if not user else int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
        gid = -1 if not group else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(f"socket_owner {owner!r}: this machine knows no such user or group") from None
    return uid, gid
