"""How many wait to be accepted, counted by the kernel."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from pathlib import Path

import pytest

from torana.net.queue_length import queue_length

HOSTS = [(socket.AF_INET, "127.0.0.1")] + ([(socket.AF_INET6, "::1")] if socket.has_ipv6 else [])


def length_in_time(listener: socket.socket, wanted: int) -> int:
    """The length once it is as wanted, or at last: a client's side may be done a moment before ours."""
    deadline = time.monotonic() + 5
    while (length := queue_length(listener)) != wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    return length


@pytest.mark.parametrize(("family", "host"), HOSTS)
def test_tcp_connections_are_counted_and_leave_when_accepted(family: socket.AddressFamily, host: str) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((host, 0))
        listener.listen(16)
        assert queue_length(listener) == 0
        for _ in range(3):
            stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
        wanted = 3 if sys.platform == "linux" else 1
        assert length_in_time(listener, wanted) == wanted
        for _ in range(3):
            listener.accept()[0].close()
        assert queue_length(listener) == 0


def test_a_unix_queue_says_whether_anybody_waits(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen(4)
        assert queue_length(listener) == 0
        client.connect(str(tmp_path / "s"))
        assert queue_length(listener) == 1
        listener.accept()[0].close()
        assert queue_length(listener) == 0


def test_a_socket_that_does_not_listen_has_no_queue() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    assert queue_length(listener) == 0
    listener.close()
    assert queue_length(listener) == 0


def test_a_connection_with_unread_bytes_is_no_queue() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        served = listener.accept()[0]
        with served:
            client.sendall(b"x" * 10)
            assert queue_length(listener) == 0
