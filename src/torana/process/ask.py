"""The control socket, the side of a command: find the server that is meant, ask, and wait for its answer.

Never here: printing, what an answer means.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from torana.base.errors import ToranaError
from torana.process.commands import ANSWER_BYTES
from torana.process.control import is_alive, uid_of
from torana.process.options import RunOptions
from torana.process.rendezvous import paths_for, sockets_found

#: How long a server may take to hear us; the answer to a reload may take much longer.
_HEARING_S = 10.0
_HOW = "one has a control socket if it was started with --workers and there is a run-time directory (XDG_RUNTIME_DIR)"


class NoServer(ToranaError):
    """There is nobody to speak to, or it is not clear to whom (exit code 2)."""

    exit_code = 2


def find_server(options: RunOptions, *, is_named: bool, system_dir: str = "") -> str:
    """The control socket of the server that is meant; raises ``NoServer``.

    ``is_named``: the configuration says where the server listens, so that no other will do. If it does not, the only
    one that runs is meant.
    """
    said = options.process.control_socket
    if said == "off":
        raise NoServer("the control socket is off (control_socket); a server is stopped by the signal TERM")
    paths = paths_for(options, system_dir)
    if said != "auto":
        return paths[0]  # what is wrong with it shows when it is asked
    alive = [path for path in paths if is_alive(path)]
    if alive:
        return alive[0]
    others = [path for path in sockets_found(options, system_dir) if is_alive(path)]
    if len(others) == 1 and not is_named:
        return others[0]
    listed = "".join(f"\n  torana ... --control-socket {path}" for path in others)
    if is_named:
        where = options.net.listen.binds[0]
        raise NoServer(f"no server runs at {where}; {'others do:' + listed if others else _HOW}")
    if others:
        raise NoServer(f"several servers run; say which:{listed}")
    raise NoServer(f"no server was found; {_HOW}")


def ask(path: str, request: dict[str, Any], *, then: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Ask a server and wait for its answer, however long that takes.

    With ``then``, a good answer is passed to it, and the server's end is waited for as well. Raises ``NoServer``, or
    ``ToranaError`` if the server ended before it answered.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        _connect(sock, path)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # A server that has no room for us has said so already, and closed.
                sock.sendall(msgspec.json.encode(request) + b"\n")
            sock.settimeout(None)
            answer = _answer(sock)
            if then is not None and answer.get("ok"):
                then(answer)
                while sock.recv(4096):
                    pass
        except OSError as error:
            raise ToranaError(f"the server at {path} went away: {error.strerror or error}") from None
    return answer


def _connect(sock: socket.socket, path: str) -> None:
    sock.settimeout(_HEARING_S)
    try:
        sock.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoServer(f"no server listens at {path}") from None
    except PermissionError:
        raise NoServer(f"{path} belongs to another user; run this as that user or as root") from None
    except TimeoutError:
        raise ToranaError(f"the server at {path} does not take our connection") from None
    except OSError as error:
        raise NoServer(f"no server can be reached at {path}: {error.strerror or error}") from None
    uid = uid_of(sock)
    if uid is not None and os.geteuid() not in (0, uid) and uid != 0:
        raise NoServer(f"{path} is held by user {uid}, who is neither us nor root; nothing was asked")


def _answer(sock: socket.socket) -> dict[str, Any]:
    received = bytearray()
    while not received.endswith(b"\n"):
        part = sock.recv(65536)
        if not part:
            raise ToranaError("the server ended before it answered")
        received += part
        if len(received) > ANSWER_BYTES:
            raise ToranaError("the server's answer is too long")
    try:
        answer: dict[str, Any] = msgspec.json.decode(bytes(received), type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ToranaError(f"the server's answer is not understood: {error}") from None
    return answer
