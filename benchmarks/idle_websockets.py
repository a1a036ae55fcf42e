"""Memory of idle WebSockets: each has had one echo, then is left open; the server's PSS is read before and after.

Usage: python benchmarks/idle_websockets.py ws://127.0.0.1:8000/ --pid PID [--sockets 10000] [--deflate]
       python benchmarks/idle_websockets.py [--servers torana,uvicorn] [--sockets 10000] [--deflate]

The first weighs a server that runs (PID and all processes of its session), at a path that echoes; the second starts
each server itself. PSS (Linux) shares out pages that several processes have. The kernel's own buffers are not counted.
The clients' addresses are several of the loopback's, so that ports do not run out; pings are answered meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import select
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: the repository, not this folder, is where `benchmarks` is found.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import machine, websocket_client, websocket_load
from benchmarks.idle import IdleOutcome, raise_descriptor_limit
from benchmarks.machine import Cores
from benchmarks.servers import ASGI, SERVERS, WEBSOCKET, Launch, Server
from benchmarks.spawn import ServerFailedError, free_port, pin_to, running

TARGET_BYTES = 12 * 1024
INTERFACE = "websocket"
_APP = "benchmarks.apps.websocket_echo:asgi"
_WARM_UP = 256
_SETTLE_S = 1.0
_SOURCES = 8
_PAYLOAD = b"are you there?"
_DEFLATE = "permessage-deflate; client_max_window_bits"
_PING = 0x89
#: After so many new ones the older ones are looked at for pings.
_LOOK_EVERY = 1000


class Crowd:
    """Open WebSockets; pings are answered when one looks."""

    def __init__(self, host: str, port: int, path: str, extensions: str) -> None:
        self._place = (host, port, path)
        self._extensions = extensions
        self._by_fd: dict[int, socket.socket] = {}
        self._poller = select.epoll()

    def add(self) -> None:
        """One more, which has had its echo."""
        host, port, path = self._place
        source = f"127.0.0.{2 + len(self._by_fd) % _SOURCES}" if host.startswith("127.") else ""
        one = websocket_client.connect(host, port, path, source, self._extensions)
        self._by_fd[one.fileno()] = one
        self._poller.register(one.fileno(), select.EPOLLIN)
        # Uncompressed even where compression was agreed: that is for the sender to choose.
        one.sendall(websocket_load.frame(_PAYLOAD, True))
        head = websocket_client.receive(one, 2)
        echo = head + websocket_client.receive(one, head[1])
        is_compressed = bool(head[0] & 0x40)
        if echo != websocket_load.reply(_PAYLOAD, True) and not (is_compressed and self._extensions):
            raise websocket_client.RefusedError(f"echoed {echo!r}")

    def look(self) -> None:
        """Answer pings and let go those that the server has closed."""
        for fd, _ in self._poller.poll(0, len(self._by_fd) + 1):
            one = self._by_fd[fd]
            try:
                data = one.recv(4096, socket.MSG_DONTWAIT)
            except OSError:
                data = b""
            if data[:1] == bytes([_PING]):
                pong = bytearray(websocket_load.frame(data[2 : 2 + data[1]], True))
                pong[0] = 0x8A
                one.sendall(pong)
            else:
                self._poller.unregister(fd)
                del self._by_fd[fd]
                one.close()

    def __len__(self) -> int:
        return len(self._by_fd)

    def close(self) -> None:
        """Leave without a word."""
        for one in self._by_fd.values():
            one.close()
        self._poller.close()


def pss_bytes(pids: list[int]) -> int:
    """Proportional share of memory of all those processes; resident memory where that is not told."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) * 1024 if found else 0
    return total


def session_of(pid: int) -> list[int]:
    """Every process of the session that `pid` leads, or itself alone."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == pid:
                found.append(int(entry.name))
    return found or [pid]


def weigh(url: str, pids: Callable[[], list[int]], sockets: int, has_deflate: bool, outcome: IdleOutcome) -> None:
    """Open `sockets`, as many as the server lets us; what they cost goes to `outcome`."""
    place = urllib.parse.urlsplit(url)
    host, port, path = place.hostname or "127.0.0.1", place.port or 80, place.path or "/"
    extensions = _DEFLATE if has_deflate else ""
    warm = Crowd(host, port, path, extensions)
    with contextlib.closing(warm):
        for _ in range(min(_WARM_UP, sockets)):
            warm.add()
    time.sleep(_SETTLE_S)
    outcome.base_bytes = pss_bytes(pids())
    crowd = Crowd(host, port, path, extensions)
    with contextlib.closing(crowd):
        try:
            for number in range(1, sockets + 1):
                crowd.add()
                outcome.opened = number
                if number % _LOOK_EVERY == 0:
                    crowd.look()
        except OSError as error:
            outcome.problem = f"stopped at {outcome.opened}: {error}"
        time.sleep(_SETTLE_S)
        crowd.look()
        outcome.held = len(crowd)
        outcome.bytes_each = (pss_bytes(pids()) - outcome.base_bytes) / max(1, outcome.held)
        began = time.perf_counter()
        with contextlib.suppress(OSError):
            crowd.add()
            outcome.new_answer_s = time.perf_counter() - began


def measure(server: Server, cores: Cores, sockets: int, has_deflate: bool = False) -> IdleOutcome:
    """Start `server`, weigh it, stop it."""
    outcome = IdleOutcome(server.name, INTERFACE, sockets)
    launch = Launch(_APP, ASGI, free_port(), is_idle=True, language=WEBSOCKET)
    try:
        with running(server, launch, cores.server) as started:
            weigh(f"ws://127.0.0.1:{launch.port}/", started.pids, sockets, has_deflate, outcome)
    except (ServerFailedError, OSError) as error:
        outcome.problem = f"{type(error).__name__}: {error}"
    return outcome


def servers() -> list[Server]:
    """Those that speak WebSocket and are installed."""
    return [server for server in SERVERS if WEBSOCKET in server.languages and server.is_installed()]


def shown(outcome: IdleOutcome) -> str:
    """One line."""
    counts = f"{outcome.server:13} opened {outcome.opened:,}, held {outcome.held:,}"
    memory = f"{outcome.bytes_each / 1024:.2f} KiB each, before them {outcome.base_bytes / 2**20:.1f} MiB"
    return f"{counts}, {memory} {outcome.problem}".rstrip()


def main() -> int:
    """The command: 0 if all sockets were held and, where a server was named by its pid, 1 if not."""
    parser = argparse.ArgumentParser(description="Weigh idle WebSockets.")
    parser.add_argument("url", nargs="?", help="ws:// and a path that echoes, of a server that runs")
    parser.add_argument("--pid", type=int, help="of that server: the leader of its session")
    parser.add_argument("--servers", help="start these, comma separated (default: all that are installed)")
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--deflate", action="store_true", help="offer permessage-deflate")
    given = parser.parse_args()
    if (given.url is None) is not (given.pid is None):
        parser.error("an URL needs --pid, and --pid an URL")
    sockets = raise_descriptor_limit(given.sockets)
    if given.url is not None:
        outcome = IdleOutcome(str(given.pid), INTERFACE, sockets)
        weigh(given.url, lambda: session_of(given.pid), sockets, given.deflate, outcome)
        print(shown(outcome))
        return 0 if outcome.held == sockets else 1
    cores = machine.choose_cores()
    pin_to(cores.load)
    wanted = given.servers.split(",") if given.servers else [server.name for server in servers()]
    for server in servers():
        if server.name in wanted:
            print(shown(measure(server, cores, sockets, given.deflate)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
