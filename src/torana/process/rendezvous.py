"""Where a server and the commands that speak to it meet: the path of the control socket, chosen alike by both.

A socket lies only in a run-time directory that belongs to us and where nobody else can put one in its place, unless
``control_socket`` names a path. Its name is that of the first address, so two servers never have the same.
Never here: the socket itself, the environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence

from msgspec import Struct

from torana.net.address import UNIX_PATH_BYTES, Kind, parse_address
from torana.process.options import RunOptions

#: Where services of the system have their sockets; systemd makes it for RuntimeDirectory=torana.
SYSTEM_DIR = "/run/torana"
_BEGINNING, _ENDING = "torana-", ".ctl"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_LONGEST_NAME = 60


class Meeting(Struct, frozen=True):
    """A path, or None and the reason why there is none; ``is_wish`` if a deployer named it."""

    path: str | None
    why: str = ""
    is_wish: bool = False


def meeting_for(options: RunOptions, bound: Sequence[str] = (), system_dir: str = "") -> Meeting:
    """Where the server with these options has its control socket. ``bound``: the URLs it really listens on.

    ``system_dir`` is another one than ``SYSTEM_DIR``, here as below.
    """
    said = options.process.control_socket
    if said == "off":
        return Meeting(None, "it is off")
    if said != "auto":
        path = os.path.abspath(said)
        return Meeting(path, is_wish=True) if _fits(path) else Meeting(None, _too_long(path), is_wish=True)
    reasons = []
    for directory in _directories(options, system_dir):
        why = _refusal_of(directory)
        path = os.path.join(directory, file_name(options, bound))
        if not why and _fits(path):
            return Meeting(path)
        reasons.append(why or _too_long(path))
    return Meeting(None, "; ".join(reasons))


def prepare(system_dir: str = "") -> None:
    """Make the system's directory if we are root and it is missing; for all others somebody has to."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.mkdir(system_dir or SYSTEM_DIR, 0o700)


def paths_for(options: RunOptions, system_dir: str = "") -> list[str]:
    """Where a server with these options can be found, the likeliest first."""
    said = options.process.control_socket
    if said == "off":
        return []
    if said != "auto":
        return [os.path.abspath(said)]
    return [os.path.join(directory, file_name(options)) for directory in _directories(options, system_dir)]


def sockets_found(options: RunOptions, system_dir: str = "") -> list[str]:
    """All control sockets of the run-time directories; some may belong to servers that are gone."""
    return [path for directory in _directories(options, system_dir) for path in _sockets_in(directory)]


def _sockets_in(directory: str) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for name in sorted(entry.name for entry in entries):
            if name.startswith(_BEGINNING) and name.endswith(_ENDING):
                yield os.path.join(directory, name)


def file_name(options: RunOptions, bound: Sequence[str] = ()) -> str:
    """The name of the socket: of the first address, of the pid file where that has no fixed place, of what was bound.

    The last depends on what the kernel chose, so nobody can guess it; such a server is found by looking around.
    """
    return f"{_BEGINNING}{_name(options, bound)}{_ENDING}"


def _name(options: RunOptions, bound: Sequence[str]) -> str:
    address = parse_address(options.net.listen.binds[0]) if options.net.listen.binds else None
    if address is not None and address.kind is Kind.UNIX:
        path = address.path if address.path.startswith("\0") else os.path.abspath(address.path)
        return _short(os.path.basename(path), unlike=path)
    if address is not None and address.kind is Kind.TCP and address.port:
        return _short(f"{address.host or '0.0.0.0'}:{address.port}")
    if options.process.pid_file is not None:
        path = os.path.abspath(options.process.pid_file)
        return _short(os.path.basename(path), unlike=path)
    return _short(bound[0].partition("//")[2] or bound[0]) if bound else str(os.getpid())


def _short(text: str, unlike: str = "") -> str:
    """A text as part of a file name; with a digest where cutting or ``unlike`` could make two names the same."""
    host, colon, port = text.rpartition(":")
    name = _UNFIT.sub("-", f"{host.strip('[]').replace(':', '_')}-{port}" if colon else text).strip("-.")
    if not unlike and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256((unlike or text).encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{name[: _LONGEST_NAME - 11]}-{digest}"


def _directories(options: RunOptions, system_dir: str) -> list[str]:
    own = options.process.runtime_dir
    of_all = system_dir or SYSTEM_DIR
    return [own, of_all] if os.path.isabs(own) else [of_all]


def _refusal_of(directory: str) -> str:
    """Why a directory is no place for the socket, or "": another user who may write there could replace it."""
    try:
        about = os.stat(directory)
    except OSError as error:
        return f"{directory}: {error.strerror}"
    if not stat.S_ISDIR(about.st_mode):
        return f"{directory} is no directory"
    if about.st_uid != os.geteuid():
        return f"{directory} belongs to another user"
    if about.st_mode & 0o022:
        return f"others may write to {directory}"
    return "" if os.access(directory, os.W_OK | os.X_OK) else f"{directory} cannot be written to"


def _fits(path: str) -> bool:
    return len(os.fsencode(path)) <= UNIX_PATH_BYTES


def _too_long(path: str) -> str:
    return f"{path} is longer than the {UNIX_PATH_BYTES} bytes a unix socket may have"
