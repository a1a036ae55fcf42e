"""WebSocket echo in a closed loop: some sockets, each with one message on its way, one number out. Knows no server.

One process on one epoll, without a library, so that it costs less than what it measures; `python -m
benchmarks.websocket_load HOST PORT PATH` prints one line of JSON that begins with RESULT.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import time
from dataclasses import asdict, dataclass

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_MASK = b"\x5a\x0f\xc3\x96"
_TEXT, _BINARY = 0x81, 0x82
_RECEIVE_BYTES = 256 * 1024
#: Messages before the clock starts, a socket.
_WARM_UP = 50
_PATIENCE_S = 20.0


class EchoFailedError(Exception):
    """The handshake was refused, a socket was closed, or an echo was not what was sent."""


@dataclass(frozen=True)
class Echo:
    """One run; times of one message from its sending to its echo."""

    messages_s: float
    bytes_s: float
    p50_us: float
    p99_us: float
    messages: int
    seconds: float
    load_busy: float


def frame(payload: bytes, is_text: bool) -> bytes:
    """A client's frame."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 0x10000:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    key = int.from_bytes((_MASK * (size // 4 + 1))[:size], "big")
    masked = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
    return bytes([_TEXT if is_text else _BINARY]) + length + _MASK + masked


def reply(payload: bytes, is_text: bool) -> bytes:
    """The server's frame that echoes it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 0x10000:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([_TEXT if is_text else _BINARY]) + length + payload


class Load:
    """The sockets and what each still waits for."""

    def __init__(self, host: str, port: int, path: str, sockets: int, size: int, is_text: bool) -> None:
        payload = bytes(97 + i % 26 for i in range(size))
        self._frame = frame(payload, is_text)
        self._reply = reply(payload, is_text)
        self._epoll = select.epoll()
        self._sockets: list[socket.socket] = []
        #: By descriptor: the socket, bytes of the echo still to come, bytes of the frame still to be sent.
        self._missing: dict[int, int] = {}
        self._unsent: dict[int, memoryview] = {}
        self._by_fd: dict[int, socket.socket] = {}
        self._sent_at: dict[int, float] = {}
        for _ in range(sockets):
            self._open(host, port, path)

    def _open(self, host: str, port: int, path: str) -> None:
        sock = socket.create_connection((host, port), _PATIENCE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(_HANDSHAKE.format(path=path, host=f"{host}:{port}").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = sock.recv(1)
            if not part:
                break
            head += part
        if not head.startswith(b"HTTP/1.1 101"):
            raise EchoFailedError(f"the handshake was answered {head[:60]!r}")
        sock.setblocking(False)
        self._sockets.append(sock)
        self._by_fd[sock.fileno()] = sock
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def run(self, duration_s: float) -> Echo:
        """Echo for ``duration_s`` after a warm-up."""
        for fd in self._by_fd:
            self._missing[fd] = 0
            self._send(fd)
        self._echo(float("inf"), _WARM_UP * len(self._sockets))
        busy = time.process_time()
        began = time.perf_counter()
        messages, times = self._echo(began + duration_s, 1 << 62)
        seconds = time.perf_counter() - began
        busy = time.process_time() - busy
        times.sort()
        return Echo(
            messages_s=messages / seconds,
            bytes_s=messages * len(self._reply) * 2 / seconds,
            p50_us=_quantile(times, 0.5),
            p99_us=_quantile(times, 0.99),
            messages=messages,
            seconds=seconds,
            load_busy=busy / seconds,
        )

    def _send(self, fd: int) -> None:
        """The next message of one socket; what does not fit now goes later."""
        self._missing[fd] += len(self._reply)
        sent = self._by_fd[fd].send(self._frame)
        if sent < len(self._frame):
            self._unsent[fd] = memoryview(self._frame)[sent:]
            self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    def _send_rest(self, fd: int) -> None:
        rest = self._unsent.pop(fd)
        sent = self._by_fd[fd].send(rest)
        if sent < len(rest):
            self._unsent[fd] = rest[sent:]
        else:
            self._epoll.modify(fd, select.EPOLLIN)

    def _echo(self, until: float, most: int) -> tuple[int, list[float]]:
        """Until the time is over or ``most`` messages have come back: how many did, and the times of some of them."""
        poll, missing, sent_at = self._epoll.poll, self._missing, self._sent_at
        read, write = os.read, os.write
        wanted, out = self._reply, self._frame
        size, out_size = len(wanted), len(out)
        # No more than can come: a big buffer for each read would cost more than the rest of the loop.
        room = min(_RECEIVE_BYTES, size + 1)
        clock = time.perf_counter
        count = 0
        times: list[float] = []
        while count < most:
            ready = poll(_PATIENCE_S)
            now = clock()
            if not ready:
                raise EchoFailedError("no echo for too long")
            if now >= until:
                break
            for fd, events in ready:
                if events != select.EPOLLIN and events & select.EPOLLOUT:
                    self._send_rest(fd)
                    if not events & select.EPOLLIN:
                        continue
                data = read(fd, room)
                left = missing[fd] - len(data)
                if left == 0:
                    if data != wanted and data[-1:] != wanted[-1:]:
                        raise EchoFailedError(f"{data[:40]!r} is not what was sent")
                    count += 1
                    if not count & 15:
                        # One message in sixteen is timed: the clock is not free.
                        began = sent_at.pop(fd, 0.0)
                        if began:
                            times.append(clock() - began)
                        sent_at[fd] = clock()
                    elif fd in sent_at:
                        times.append(clock() - sent_at.pop(fd))
                    missing[fd] = size
                    try:
                        done = write(fd, out)
                    except BlockingIOError:
                        done = 0
                    if done < out_size:
                        self._unsent[fd] = memoryview(out)[done:]
                        self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)
                elif not data or left < 0:
                    raise EchoFailedError("closed, or more than one echo")
                else:
                    missing[fd] = left
        return count, times

    def close(self) -> None:
        """Close all sockets, without a closing handshake."""
        for sock in self._sockets:
            sock.close()
        self._epoll.close()


def _quantile(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))] * 1e6 if times else 0.0


def run(
    host: str, port: int, path: str, sockets: int, size: int, duration_s: float, *, is_text: bool = True
) -> Echo:  # fmt: skip
    """Load a server and measure; raises ``EchoFailedError`` or ``OSError``."""
    load = Load(host, port, path, sockets, size, is_text)
    try:
        return load.run(duration_s)
    finally:
        load.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path", nargs="?", default="/")
    parser.add_argument("-c", "--sockets", type=int, default=64)
    parser.add_argument("-s", "--size", type=int, default=32, help="bytes of a message")
    parser.add_argument("-d", "--duration", type=float, default=5.0, help="seconds")
    parser.add_argument("-b", "--binary", action="store_true", help="binary messages instead of text")
    parser.add_argument("--core", type=int, help="run on this core only")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    echo = run(
        given.host, given.port, given.path, given.sockets, given.size, given.duration, is_text=not given.binary
    )  # fmt: skip
    print("RESULT " + json.dumps(asdict(echo)))


if __name__ == "__main__":
    main()
