"""``--user`` and ``--group``: who a process is to be, and becoming it for good.

The supervisor stays who it is, so that it can bind, reload and hand over; workers, services and hooks become the other.
What was opened before (listeners, log files, standard error) stays usable; files that are opened later, certificates
and keys among them, must be readable for the new user. The environment (HOME) is left alone. A worker's wish to be told
of its parent's death (PR_SET_PDEATHSIG) is forgotten by the kernel here: ask for it afterwards.
"""

from __future__ import annotations

import os

from msgspec import Struct

from torana.base.errors import ConfigError

#: Linux capabilities (capability.h) that changing the group and the user takes.
_SETGID, _SETUID = 6, 7
#: The largest id is one less: the kernel reads all ones as "leave it".
_LARGEST_ID = 2**32 - 2


class Identity(Struct, frozen=True):
    """A user, a group, and all groups of the user; numbers."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def lookup(user: str | None, group: str | None) -> Identity | None:
    """Whom the two settings mean, None if neither is set. Raises ``ConfigError`` if there is no such user or group, or
    if this process may not become it.

    A user alone brings its own groups, as at a login. A group alone replaces ours and all supplementary ones.
    """
    if user is None and group is None:
        return None
    gid = None if group is None else _gid(group)
    if user is None:
        assert gid is not None
        identity = Identity(os.geteuid(), gid, (gid,))
    else:
        identity = _identity(user, gid)
    if not _is_already(identity) and not _may_change():
        setting = "user" if user is not None else "group"
        raise ConfigError(
            f"{setting}: this process (user {os.geteuid()}) may not become user {identity.uid}, group {identity.gid}: "
            "start it as root, or leave the setting out"
        )
    return identity


def become(user: str | None, group: str | None) -> None:
    """Become another user and group for good, and make sure of it. Raises ``ConfigError``: then this process must end.

    Does nothing if neither is set, or if we are both already.
    """
    identity = lookup(user, group)
    if identity is not None:
        assume(identity)


def assume(identity: Identity) -> None:
    """As ``become``, for an identity that was looked up before."""
    if _is_already(identity):
        return
    try:
        # In this order: each step takes a right that the next one gives up.
        os.setgroups(list(identity.groups))
        os.setgid(identity.gid)
        os.setuid(identity.uid)
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"user: cannot become user {identity.uid}, group {identity.gid}: {error}") from None
    _verify(identity)


def _verify(identity: Identity) -> None:
    """Believe nothing: ask who we are, and that there is no way back."""
    if not _is_already(identity):
        raise ConfigError(f"user: still not user {identity.uid}, group {identity.gid} after becoming it")
    if identity.uid != 0 and _can_return():
        raise ConfigError(f"user: user {identity.uid} could become root again")


def _can_return() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True


def _is_already(identity: Identity) -> bool:
    """Whether all ids, real, effective and saved where the system tells, and all groups are those."""
    users = os.getresuid() if hasattr(os, "getresuid") else (os.getuid(), os.geteuid())
    groups = os.getresgid() if hasattr(os, "getresgid") else (os.getgid(), os.getegid())
    if set(users) != {identity.uid} or set(groups) != {identity.gid}:
        return False
    # The group itself may or may not be listed among the supplementary ones: both mean the same.
    return {*os.getgroups(), identity.gid} == {*identity.groups, identity.gid}


def _may_change() -> bool:
    """Whether the system lets us change user and group: root, or (Linux) whoever has both capabilities."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            line = next(line for line in file if line.startswith("CapEff:"))
        capabilities = int(line.split()[1], 16)
    except (OSError, StopIteration, ValueError, IndexError):
        return os.geteuid() == 0
    return bool(capabilities >> _SETGID & 1 and capabilities >> _SETUID & 1)


def _identity(user: str, gid: int | None) -> Identity:
    import pwd

    number = _number(user)
    try:
        entry = pwd.getpwnam(user) if number is None else pwd.getpwuid(number)
    except (KeyError, OverflowError, ValueError):
        if number is None:
            raise ConfigError(f"user: there is no user {user!r} on this system") from None
        if gid is None:
            raise ConfigError(f"user: user {number} is unknown to this system, so its group must be set too") from None
        return Identity(number, gid, (gid,))
    own = entry.pw_gid if gid is None else gid
    return Identity(entry.pw_uid, own, tuple(sorted(os.getgrouplist(entry.pw_name, own))))


def _gid(group: str) -> int:
    import grp

    number = _number(group)
    if number is not None:
        return number
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, OverflowError, ValueError):
        raise ConfigError(f"group: there is no group {group!r} on this system") from None


def _number(text: str) -> int | None:
    """An id written as a number, or None for a name."""
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) < 12 else _LARGEST_ID + 1
    if number > _LARGEST_ID:
        raise ConfigError(f"user, group: {text} is larger than any id")
    return number
