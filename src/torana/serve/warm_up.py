"""The warm-up: one request that a server asks itself before it takes those of others, so that the first client does
not pay for what the application does once.

It comes through a socket pair and takes the way of any other request. Never here: what happens when it fails.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from torana.base.endpoints import Endpoints
from torana.base.errors import LoadError
from torana.net.transport import Transport
from torana.serve.connection import Connection
from torana.serve.health import as_target

if TYPE_CHECKING:
    from torana.net.options import TransportOptions
    from torana.net.poller import Poller
    from torana.serve.admission import Crowd
    from torana.serve.site import Site

#: "HTTP/1.1 200 ".
_STATUS = slice(9, 12)
_READ_BYTES = 64 * 1024


async def warm_up(
    path: str, is_tls: bool, limit_s: float, site: Site, poller: Poller, crowd: Crowd, options: TransportOptions
) -> None:
    """Ask for ``path`` and read the whole answer, within ``limit_s`` (0: no bound). Raises ``LoadError``."""
    ours, theirs = socket.socketpair()
    asked = f"the warm-up request GET {path}"
    try:
        for sock in (ours, theirs):
            sock.setblocking(False)
        endpoints = Endpoints(("127.0.0.1", 0), ("localhost", None), "https" if is_tls else "http")
        transport = Transport(theirs, poller, options.read_bytes, options.write_high_bytes, options.write_low_bytes)
        connection = Connection(transport, site, endpoints, crowd)
        crowd.joined(connection)
        transport.open()
        try:
            async with asyncio.timeout(limit_s or None):
                status = await _ask(ours, as_target(path))
        except BaseException:
            # Told, and cancelled.
            connection.stop()
            connection.stop()
            raise
    except TimeoutError:
        raise LoadError(f"{asked} was not answered within {limit_s:g} s (settings: warm_up, timeout_boot)") from None
    finally:
        ours.close()
    if status == 0:
        raise LoadError(f"{asked} got no answer (setting: warm_up)")
    if status >= 500:
        raise LoadError(f"{asked} was answered {status}; less than 500 is needed (setting: warm_up)")


async def _ask(sock: socket.socket, target: bytes) -> int:
    """The status of the answer; 0 when there was none."""
    loop = asyncio.get_running_loop()
    fields = b"Host: localhost\r\nUser-Agent: torana-warm-up\r\nAccept: */*\r\nConnection: close\r\n"
    await loop.sock_sendall(sock, b"GET " + target + b" HTTP/1.1\r\n" + fields + b"\r\n")
    start = b""
    try:
        while data := await loop.sock_recv(sock, _READ_BYTES):
            if len(start) < _STATUS.stop:
                start += data
    except ConnectionError:
        # Cut, so that nobody takes the part for the whole.
        return 0
    digits = start[_STATUS]
    # ASCII digits of our own writing.
    return int(digits) if digits.isdigit() else 0
