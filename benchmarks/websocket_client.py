"""A blocking WebSocket over HTTP/1.1, as plain as it can be: a handshake, then the socket itself."""

from __future__ import annotations

import base64
import hashlib
import os
import socket

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TIMEOUT_S = 20.0


class RefusedError(OSError):
    """The handshake was answered wrongly."""


def connect(host: str, port: int, path: str, source: str = "", extensions: str = "") -> socket.socket:
    """An open WebSocket, from the address `source` if one is given; what follows the 101 is still to be read."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: Upgrade", "Upgrade: websocket"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    if extensions:
        lines += [f"Sec-WebSocket-Extensions: {extensions}"]
    one = socket.create_connection((host, port), _TIMEOUT_S, source_address=(source, 0) if source else None)
    try:
        one.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            # Byte by byte, so that nothing of what follows is taken.
            part = one.recv(1)
            if not part:
                raise RefusedError(f"closed after {head[:60]!r}")
            head += part
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
        if not head.startswith(b"HTTP/1.1 101 ") or accept not in head:
            raise RefusedError(f"answered {head[:60]!r}")
    except BaseException:
        one.close()
        raise
    return one


def receive(one: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes."""
    data = bytearray()
    while len(data) < size:
        part = one.recv(size - len(data))
        if not part:
            raise ConnectionResetError(f"closed after {bytes(data[:60])!r}")
        data += part
    return bytes(data)
