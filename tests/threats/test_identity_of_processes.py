"""What a process is born with: its own randomness, its own descriptors, no privileges; and who may command the server.

Beside these: ``tests/live/test_preload.py`` (random numbers), ``tests/unit/process/test_privileges.py`` (order and
verification), ``tests/unit/process/test_control.py`` (each message).
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.descriptors import descriptors, inherited
from tests.support.raw import Connection
from tests.support.server import Server
from tests.support.supervised import (
    answering,
    children_of,
    ready_workers,
    send,
    supervised,
    until,
    wait_for_replacement,
    write_site,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

NOBODY = 65534
#: Where the application is told a path that it shall not be able to use.
TRY = """
    if path.startswith("/try/"):
        import socket
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(path[4:])
            except OSError as error:
                return error.strerror
            return "connected"
    if path == "/die":"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_site(tmp_path, ('\n    if path == "/die":', TRY))
    return tmp_path


def field_of(pid: int, name: str) -> str:
    """A line of /proc/PID/status."""
    found = re.search(rf"^{name}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def kinds(pid: int) -> collections.Counter[str]:
    """How many of each kind."""
    return collections.Counter(target.partition(":[")[0] for target in descriptors(pid).values())


def kill_one(server: Server) -> None:
    """A worker dies, another takes its place."""
    mark = server.mark()
    os.kill(ready_workers(server)[0], signal.SIGKILL)
    wait_for_replacement(server, mark)


# G-108: descriptors


@pytest.mark.threat(
    "G-108", sent="descriptors of siblings and of a respawned worker", verdict="a golden list, no two share"
)
def test_descriptors_of_workers_are_a_golden_list(place: Path) -> None:
    golden = collections.Counter({"socket": 4, "anon_inode": 2})
    with supervised(place, "--loop", "asyncio", "--control-socket", str(place / "c.ctl"), workers=3) as server:
        until(lambda: (place / "c.ctl").exists(), "commands are heard")
        for is_last in (False, True):
            until(lambda: all(kinds(pid) == golden for pid in children_of(server.pid)), "settled")
            own = set(descriptors(server.pid).values())
            seen: collections.Counter[str] = collections.Counter()
            for pid in children_of(server.pid):
                seen.update(target for target in descriptors(pid).values() if target.startswith("socket"))
            shared = {target for target, count in seen.items() if count > 1}
            # What workers share with anybody is listening: their own ends of channels and wake-ups are nobody else's.
            listening = own & set(seen)
            assert shared <= listening and len(listening) <= 3
            if not is_last:
                kill_one(server)


@pytest.mark.threat("G-108", sent="a program that the application executes", verdict="inherits none of our descriptors")
@pytest.mark.parametrize("flags", [(), ("--preload",)], ids=["fork", "zygote"])
def test_all_descriptors_close_on_execution(place: Path, flags: tuple[str, ...]) -> None:
    with supervised(place, *flags, "--control-socket", str(place / "c.ctl")) as server:
        until(lambda: (place / "c.ctl").exists(), "commands are heard")
        for pid in (server.pid, *children_of(server.pid)):
            assert descriptors(pid) and inherited(pid) == {}


# G-108: what must be unique


@pytest.mark.threat("G-108", sent="request ids across workers, reloads and deaths", verdict="all different")
@pytest.mark.parametrize("flags", [(), ("--preload",)], ids=["fork", "zygote"])
def test_request_ids_are_unique(place: Path, flags: tuple[str, ...]) -> None:
    log = place / "access.log"
    asked = 0
    with supervised(place, *flags, "--access-log", "--access-log-file", str(log), workers=4) as server:
        for change in (None, signal.SIGHUP, signal.SIGKILL):
            if change is signal.SIGHUP:
                server.wait_for_log("Reloaded", since=send(server, change))
            elif change is not None:
                mark = server.mark()
                os.kill(ready_workers(server)[-1], change)
                wait_for_replacement(server, mark)
            answering(server)
            asked += 40
            # A worker that is killed takes with it what it has not written yet.
            until(lambda: log.read_text().count("\n") >= asked, "all is written")  # noqa: B023
    ids = [json.loads(line)["request_id"] for line in log.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == asked
    assert len({name.partition("-")[0] for name in ids}) >= 3  # each process has a beginning of its own


@pytest.mark.threat(
    "G-108", sent="TLS tickets of workers, reloads and deaths", verdict="all different; foreign ones shake hands anew"
)
def test_tickets_are_unique_and_never_a_way_into_another_worker(place: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(place / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(place / "server.pem")
    context = ssl.create_default_context(cafile=str(place / "ca.pem"))

    def tickets(server: Server, count: int = 20) -> list[ssl.SSLSession]:
        found = []
        for _ in range(count):
            with Connection(server.address, tls=context) as connection:
                assert connection.ask("GET", "/1", "Connection: close").status == 200
                assert isinstance(connection.socket, ssl.SSLSocket) and connection.socket.session is not None
                found.append(connection.socket.session)
        return found

    with supervised(place, "--certfile", str(place / "server.pem"), workers=3) as server:
        first = tickets(server)
        server.wait_for_log("Reloaded", since=send(server, signal.SIGHUP))
        second = tickets(server)
        assert len({session.id for session in first + second}) == 40
        for session in first[:10]:
            with Connection(server.address, tls=context, session=session) as connection:
                assert connection.ask("GET", "/1", "Connection: close").status == 200
                assert isinstance(connection.socket, ssl.SSLSocket) and not connection.socket.session_reused


# G-108: privileges


@pytest.mark.threat("G-108", sent="what is left of root in a worker with --user", verdict="no id, group or capability")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("flags", [(), ("--preload",)], ids=["fork", "zygote"])
def test_workers_are_another_user_for_good(public: Path, flags: tuple[str, ...]) -> None:
    with as_nobody(public, *flags) as server:
        assert field_of(server.pid, "Uid").split() == ["0"] * 4
        kill_one(server)
        for pid in children_of(server.pid):
            assert field_of(pid, "Uid").split() == field_of(pid, "Gid").split() == [str(NOBODY)] * 4
            assert set(field_of(pid, "Groups").split()) <= {str(NOBODY)}
            assert [int(field_of(pid, name), 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0] * 4


@pytest.mark.threat("G-108", sent="--umask", verdict="of every process, and no wider for sockets of ours")
def test_the_umask_is_everybodys(place: Path) -> None:
    with supervised(place, "--umask", "0o027", "--control-socket", str(place / "c.ctl")) as server:
        assert {field_of(pid, "Umask") for pid in (server.pid, *children_of(server.pid))} == {"0027"}


# G-088: who may command the server


@pytest.mark.threat("G-088", sent="mode and owner of the control socket, umask 0", verdict="0600, its owner's")
def test_the_control_socket_is_its_owners_alone(place: Path) -> None:
    path = place / "c.ctl"
    with supervised(place, "--umask", "0", "--control-socket", str(path)):
        until(path.exists, "commands are heard")
        about = path.stat()
        assert stat.S_ISSOCK(about.st_mode) and stat.S_IMODE(about.st_mode) == 0o600
        assert about.st_uid == os.geteuid()


@pytest.mark.threat("G-088", sent="a worker of another user that connects to the control socket", verdict="refused")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_worker_cannot_command_its_supervisor(public: Path) -> None:
    path = public / "c.ctl"
    with as_nobody(public, "--control-socket", str(path)) as server:
        until(path.exists, "commands are heard")
        assert httpx.get(f"{server.origin}/try{path}").text == "Permission denied"


HOSTILE = [
    (b"x" * 5000, "too long", "a request has at most"),
    (b"x" * 1_000_000, "far too long", "a request has at most"),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", "a browser's", "not understood"),
    (b"[" * 4000 + b"\n", "deeply nested", "not understood"),
    (b'{"do":"stop","now":true,"and":1}\n', "an unknown field", "not understood"),
    (b'{"do":"../../etc/passwd"}\n', "a path", "not understood"),
    (b"\x00\xff\xfe\n", "no text", "not understood"),
]


@pytest.mark.threat(
    "G-088", sent="messages too long, of browsers, nested, partial, slow; 300 clients", verdict="refused; it hears on"
)
def test_hostile_messages_neither_command_nor_silence_the_server(place: Path) -> None:
    path = str(place / "c.ctl")
    with supervised(place, "--control-socket", path) as server:
        until(Path(path).exists, "commands are heard")
        before = kinds(server.pid)
        for message, name, sentence in HOSTILE:
            answer = said(path, message)
            assert not answer["ok"] and sentence in answer["why"], name
        for _ in range(300):  # come and go, some in the middle of a word
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
                sock.setblocking(False)
                sock.connect(path)
                sock.send(b'{"do":"st')
        with slowly(path, b'{"do":"stop"}'):  # no end of line
            assert httpx.get(f"{server.origin}/1").status_code == 200
            until(lambda: said(path, b'{"do":"status"}\n').get("ok"), "it still hears")
        until(lambda: kinds(server.pid) == before, "nothing is kept")
        assert said(path, b'{"do":"status"}\n')["wanted"] == 2


def said(path: str, message: bytes) -> dict[str, Any]:
    """What is answered to a message; {} if the door was shut before."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        received = b""
        # BlockingIOError: the queue of those who wait to be accepted is full.
        with contextlib.suppress(ConnectionError, BlockingIOError):
            sock.connect(path)
            with contextlib.suppress(ConnectionError):
                sock.sendall(message)
            while not received.endswith(b"\n") and (part := sock.recv(65536)):
                received += part
    answer: dict[str, Any] = json.loads(received) if received else {}
    return answer


@contextlib.contextmanager
def slowly(path: str, message: bytes) -> Iterator[None]:
    """A client that says a message byte by byte and stays."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        for number in range(len(message)):
            sock.send(message[number : number + 1])
        yield


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may read."""
    with tempfile.TemporaryDirectory(prefix="public") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_site(folder, ('\n    if path == "/die":', TRY))
        yield folder


@contextlib.contextmanager
def as_nobody(place: Path, *flags: str) -> Iterator[Server]:
    """Two workers that become nobody."""
    who = ("--user", str(NOBODY), "--group", str(NOBODY))
    with supervised(place, *who, *flags) as server:
        yield server
