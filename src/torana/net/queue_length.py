"""How many connections wait in a listening socket's queue for somebody to accept them.

Never here: accepting.
"""

from __future__ import annotations

import select
import socket
import sys

#: Of ``struct tcp_info`` (Linux): the state, eight bytes of which it is the first, and the fifth 32-bit word after
#: them, which for a listening socket is the length of its queue.
_LISTEN = 10
_QUEUED_AT = 24
_ENOUGH = 28


def queue_length(sock: socket.socket) -> int:
    """Connections waiting in the queue of a listening socket; where the system does not count them, 1 means some."""
    if sys.platform == "linux" and sock.family in (socket.AF_INET, socket.AF_INET6):
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ENOUGH)
        except OSError:
            info = b""
        if len(info) >= _ENOUGH and info[0] == _LISTEN:
            return int.from_bytes(info[_QUEUED_AT:_ENOUGH], sys.byteorder)
    return 1 if _is_readable(sock) else 0


def _is_readable(sock: socket.socket) -> bool:
    try:
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        return any(events & select.POLLIN for _, events in poller.poll(0))
    except (OSError, ValueError):
        # A closed socket has no queue.
        return False
