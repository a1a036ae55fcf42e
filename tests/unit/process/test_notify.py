"""What systemd hears, over a real datagram socket."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torana.process.notify import Notifier


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = str(tmp_path / "notify")
        listening.bind(path)
        listening.settimeout(5)
        yield listening, path


def _notifier(path: str, **more: str) -> Notifier:
    return Notifier([("NOTIFY_SOCKET", path), *more.items()])


def test_each_message_has_the_fields_of_the_protocol(ear: tuple[socket.socket, str]) -> None:
    listening, path = ear
    notifier = _notifier(path)
    notifier.ready("serving, 4 workers")
    assert listening.recv(1000) == b"READY=1\nSTATUS=serving, 4 workers"
    notifier.status("3 of 4")
    assert listening.recv(1000) == b"STATUS=3 of 4"
    notifier.main_pid(77)
    assert listening.recv(1000) == b"MAINPID=77"
    notifier.stopping()
    assert listening.recv(1000) == b"STOPPING=1"
    notifier.close()


def test_a_reload_tells_the_monotonic_time(ear: tuple[socket.socket, str]) -> None:
    listening, path = ear
    notifier = _notifier(path)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    first, second = listening.recv(1000).decode().split("\n")
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC" and before <= int(value) <= after
    notifier.close()


def test_a_status_cannot_carry_a_message_of_its_own(ear: tuple[socket.socket, str]) -> None:
    listening, path = ear
    notifier = _notifier(path)
    notifier.status("app\nSTOPPING=1\r\nMAINPID=1 \udcff" + "x" * 5000)
    heard = listening.recv(10000)
    assert b"\n" not in heard and heard.startswith(b"STATUS=app STOPPING=1 MAINPID=1 ?xxx") and len(heard) < 1000
    notifier.close()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_an_abstract_name_begins_with_an_at_sign() -> None:
    name = f"torana-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(b"\0" + name.encode())
        listening.settimeout(5)
        notifier = _notifier("@" + name)
        notifier.ready()
        assert listening.recv(100) == b"READY=1"
        notifier.close()


@pytest.mark.parametrize(
    ("usec", "owner", "interval_s"),
    [
        ("30000000", "", 15.0),
        ("30000000", "own", 15.0),
        ("30000000", "1", 0.0),
        ("0", "", 0.0),
        ("-5", "", 0.0),
        ("soon", "", 0.0),
        ("9" * 17, "", 0.0),
        ("9" * 6000, "", 0.0),
        ("", "", 0.0),
    ],
)
def test_the_watchdog_is_told_twice_in_its_time(
    ear: tuple[socket.socket, str], usec: str, owner: str, interval_s: float
) -> None:
    listening, path = ear
    notifier = _notifier(path, WATCHDOG_USEC=usec, WATCHDOG_PID=str(os.getpid()) if owner == "own" else owner)
    assert notifier.watchdog_interval_s == interval_s
    notifier.watchdog()
    notifier.status("after")
    assert listening.recv(100) == (b"WATCHDOG=1" if interval_s else b"STATUS=after")
    notifier.close()


@pytest.mark.parametrize("path", ["", "/", "@", "relative", "vsock:2:1", "/a\0b", "/nobody/there", "/" + "x" * 500])
def test_nobody_to_hear_is_no_error(path: str) -> None:
    notifier = _notifier(path, WATCHDOG_USEC="1000000")
    notifier.ready("x")
    notifier.reloading()
    notifier.watchdog()
    notifier.close()
    notifier.status("after the end")


def test_a_listener_that_does_not_read_stops_nothing(ear: tuple[socket.socket, str]) -> None:
    notifier = _notifier(ear[1])
    for _ in range(2000):
        notifier.status("x" * 400)
    notifier.close()


def test_unset_there_is_no_socket() -> None:
    notifier = Notifier(())
    assert not notifier.is_heard and notifier.fileno() == -1
