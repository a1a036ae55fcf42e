"""The list of system calls is enough: everything Torana does, done under it, and not one call refused that counts.

The profile is that of ``deploy/seccomp.json``, to the letter; but what it refuses is seen, so that nothing is missed
because somebody did without.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import signal
import ssl
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.hardening.room import NOBODY, RUNTIME, Confined, Room, room
from tests.support.raw import Connection
from tests.support.server import REPOSITORY
from tests.support.supervised import ready_workers, wait_for_replacement
from tests.support.websocket_raw import TEXT, RawSocket, close_frame, frame

trustme = pytest.importorskip("trustme")

LARGE = bytes(range(256)) * 4096  # 1 MiB
UPLOAD = b"upload" * 400_000  # 2.4 MB: spooled
#: What may be refused: libraries do without.
TRIED = {entry["call"] for entry in tomllib.loads((REPOSITORY / "deploy" / "syscalls.toml").read_text())["tried"]}


@dataclass(frozen=True)
class Papers:
    """Files that are shown in the room."""

    folder: Path

    @property
    def tls(self) -> tuple[str, ...]:
        """Flags for a server."""
        return ("--certfile", str(self.folder / "server.pem"))

    def context(self) -> ssl.SSLContext:
        """A client's."""
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    (folder / "large.bin").write_bytes(LARGE)
    return Papers(folder)


@pytest.fixture
def watched(papers: Papers) -> Iterator[Room]:
    with room(papers.folder) as made:
        yield made
        assert made.watcher is not None
        assert made.watcher.names() <= TRIED, made.watcher.refused


def visit(server: Confined, papers: Papers, *, is_asgi: bool = True) -> None:
    """Everything a client can have."""
    trust = papers.context() if server.scheme == "https" else False
    with httpx.Client(base_url=server.origin, verify=trust, timeout=30) as client:
        assert client.get("/").text.isdigit()
        assert client.post("/upload", content=UPLOAD).text == hashlib.sha256(UPLOAD).hexdigest()
        assert client.post("/upload", content=iter([UPLOAD[:70_000], b"x"])).status_code == 200
        assert client.get("/file").content == LARGE
        assert client.get("/programs").text == "42 shell 0"
        assert client.get("/files").text == "3 10"
        assert client.get("/names").text == "hello"
        assert client.get("/threads").text == "4"
    if trust:
        with httpx.Client(base_url=server.origin, verify=papers.context(), timeout=30, http2=True) as client:
            answer = client.get("/")
            assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
            assert client.post("/upload", content=UPLOAD).text == hashlib.sha256(UPLOAD).hexdigest()
            assert client.get("/file").content == LARGE
    if is_asgi:
        with RawSocket(server.address, tls=papers.context() if trust else None) as talk:
            assert talk.open("/ws").status == 101
            talk.send(frame(TEXT, b"hello"))
            assert talk.read_frame().payload == b"hello"
            talk.send(close_frame())


def status_of(server: Confined) -> dict[str, str]:
    """The worker's /proc/self/status."""
    with Connection(server.address) as connection:
        text = connection.ask("GET", "/status", "Connection: close").body.decode()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_workers_that_come_and_go(watched: Room, papers: Papers, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    flags = ("--workers", "2", "--loop", loop, "--access-log-file", f"{RUNTIME}/access", "--log-level", "debug")
    flags = (*flags, "--pid", f"{RUNTIME}/pid", "--health-path", "/healthz")
    with watched.running("asgi_deeds:app", *papers.tls, *flags) as server:
        server.wait_for_log("All workers")
        visit(server, papers)

        mark = server.mark()
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        os.kill(server.pid, signal.SIGUSR1)

        victim = ready_workers(server, mark)[-1]
        mark = server.mark()
        os.kill(victim, signal.SIGKILL)
        wait_for_replacement(server, mark)

        told = json.loads(httpx.get(f"{server.origin}/commands", verify=papers.context()).text)
        assert told["ok"], told
        assert (told["pid"], told["wanted"]) == (server.pid, 2)
        visit(server, papers)


@pytest.mark.parametrize(
    "flags", [("--workers", "2"), ("--workers", "2", "--preload"), ()], ids=["fork", "zygote", "one"]
)
def test_threads(watched: Room, papers: Papers, flags: tuple[str, ...]) -> None:
    with watched.running("wsgi_deeds:app", "--threads", "4", *flags) as server:
        visit(server, papers, is_asgi=False)


def test_one_process(watched: Room, papers: Papers) -> None:
    with watched.running("asgi_deeds:app", *papers.tls, "--max-rss", "2GiB") as server:
        visit(server, papers)


def test_sessions_pass_between_workers(watched: Room) -> None:
    """Connections by descriptor, requests by relay."""
    with watched.running("asgi_deeds:app", "--workers", "3", "--affinity", "query:of") as server:
        server.wait_for_log("All workers")
        for number in range(20):
            answers = {httpx.get(f"{server.origin}/?of={number}").text for _ in range(3)}
            assert len(answers) == 1


def test_a_new_program_takes_over(watched: Room, papers: Papers) -> None:
    with watched.running("wsgi_deeds:app", "--threads", "2", "--workers", "1") as server:
        os.kill(server.pid, signal.SIGUSR2)
        line = server.wait_for_log("has taken over from process", 60.0)
        new = int(re.findall(r"\(pid (\d+)\)", line)[0])
        server.process.wait(60)
        try:
            visit(server, papers, is_asgi=False)
            fd = os.pidfd_open(new)
            os.kill(new, signal.SIGTERM)
            assert select.select([fd], [], [], 30.0)[0]
            os.close(fd)
        finally:
            server.kill()


def test_hooks_and_services(watched: Room) -> None:
    settings = watched.folder / "torana.toml"
    settings.write_text(
        '[hooks]\npost_fork = "deeds:threads_of"\nwhen_ready = "deeds:threads_of"\n'
        '[[service]]\nname = "beside"\ncommand = "echo the service; exec sleep 1000"\n'
    )
    settings.chmod(0o644)
    with watched.running("asgi_deeds:app", "--workers", "1", "--config", str(settings)) as server:
        server.wait_for_log("the service")
        server.wait_for_log("hook when_ready of")
        assert httpx.get(server.origin).status_code == 200


def test_nobody_can_do_anything(watched: Room, papers: Papers) -> None:
    """What runs in the room is nobody, has no capabilities, cannot get any, and is under the filter."""
    with watched.running("asgi_deeds:app", "--workers", "1") as server:
        status = status_of(server)
    assert status["Uid"].split() == status["Gid"].split() == [str(NOBODY)] * 4
    assert [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0] * 4
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
