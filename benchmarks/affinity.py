"""What it costs to keep sessions with their workers: ``python benchmarks/affinity.py``.

Three servers of four workers take turns: without affinity, with a cookie, with a part of the query. For each, requests
on a kept connection that are all of one session, so that from the second on none has to be moved; then requests that
are of two sessions by turns, so that every one has to be passed to another worker (and over TLS: relayed). What a move
adds is the difference of the two on the same server. The median time of a request is told, and the processor time that
all workers together took for one, which is the steadier number on a machine that others use too. Never here: a claim.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = """
import os
BODY = b"Hello, world!"
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    fields = [(b"content-length", b"13"), (b"x-worker", str(os.getpid()).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": BODY})
"""
#: Requests that are not counted, at the beginning of each turn.
_WARM_UP = 300


@dataclass
class Found:
    """Of one way of asking: the median time of a request in each turn, and processor time for one."""

    medians_us: list[float] = field(default_factory=list)
    cpus_us: list[float] = field(default_factory=list)

    def median_us(self) -> float:
        return statistics.median(self.medians_us)

    def cpu_us(self) -> float:
        return statistics.median(self.cpus_us)


class Server:
    """Four workers with one kind of affinity."""

    def __init__(self, affinity: str, place: str) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.address = sock.getsockname()
        command = [
            sys.executable, "-m", "torana", "run", "site_affinity:app", "--workers", "4", "--affinity", affinity,
            "--bind", f"127.0.0.1:{self.address[1]}", "--no-access-log", "--lifespan", "off",
            "--limit-keep-alive-requests", "10000000",
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        # Open as long as the process writes to it.
        self._log = open(Path(place, f"{affinity.partition(':')[0]}.log"), "w+")  # noqa: SIM115
        self.process = subprocess.Popen(command, cwd=place, env=environment, stderr=self._log)
        end = time.monotonic() + 60
        while "All workers" not in self.log():
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(self.log())
            time.sleep(0.05)

    def log(self) -> str:
        return Path(self._log.name).read_text()

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def cpu_s(self) -> float:
        """Processor time that the workers have taken; nanoseconds where the kernel tells."""
        total = 0.0
        for pid in self.workers():
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
        return total

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._log.close()


class Asking:
    """A kept connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        self.sock.sendall(request)
        data = self.sock.recv(4096)
        while not data.endswith(b"Hello, world!"):
            data += self.sock.recv(4096)
        return data


def request(target: str, *fields: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: bench.example", "Accept: */*", "User-Agent: bench", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def part(answer: bytes, name: bytes) -> bytes:
    return answer.partition(b"\r\n" + name + b": ")[2].partition(b"\r\n")[0].partition(b";")[0]


def sessions(server: Server, affinity: str) -> list[bytes]:
    """Requests of two sessions that belong to different workers."""
    found: dict[bytes, bytes] = {}
    for i in range(200):
        client = Asking(server.address)
        with client.sock:
            if affinity == "cookie":
                answer = client.ask(request("/"))
                found[part(answer, b"x-worker")] = request("/?s=1", "Cookie: " + part(answer, b"set-cookie").decode())
            else:
                asked = request(f"/?s={i}", "Cookie: a=b")
                found[part(client.ask(asked), b"x-worker")] = asked
        if len(found) > 1:
            return list(found.values())[:2]
    raise SystemExit("one worker answers all")


def measure(server: Server, asked: list[bytes], count: int, found: Found) -> None:
    """One turn: the requests one after another on a kept connection, by turns."""
    client = Asking(server.address)
    times = []
    with client.sock:
        for i in range(_WARM_UP):
            client.ask(asked[i % len(asked)])
        before = server.cpu_s()
        for i in range(count):
            one = asked[i % len(asked)]
            start = time.perf_counter()
            client.ask(one)
            times.append(time.perf_counter() - start)
        cpu_s = server.cpu_s() - before
    found.medians_us.append(statistics.median(times) * 1e6)
    found.cpus_us.append(cpu_s / count * 1e6)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--requests", type=int, default=4000)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        Path(place, "site_affinity.py").write_text(SITE)
        servers = {affinity: Server(affinity, place) for affinity in ("off", "cookie", "query:s")}
        try:
            asked = {name: sessions(server, name) for name, server in servers.items() if name != "off"}
            asked["off"] = [request("/?s=1", "Cookie: torana_worker=0.AAAAAAAAAAAAAAAAAAAAAA")]
            right = {name: Found() for name in servers}
            moved = {name: Found() for name in servers if name != "off"}
            for turn in range(said.turns):
                names = list(servers) if turn % 2 else list(servers)[::-1]
                for name in names:
                    measure(servers[name], asked[name][:1], said.requests, right[name])
                    if name in moved:
                        measure(servers[name], asked[name], said.requests, moved[name])
        finally:
            for server in servers.values():
                server.stop()
    off = right["off"]
    print("| affinity | request | median us | workers' cpu us | added us | cpu over off |")
    print("|---|---|---|---|---|---|")
    for name, found in right.items():
        share = f"{(found.cpu_us() / off.cpu_us() - 1) * 100:+.1f} %" if name != "off" else ""
        added = f"{found.median_us() - off.median_us():+.1f}" if name != "off" else ""
        print(f"| {name} | lands right | {found.median_us():.1f} | {found.cpu_us():.1f} | {added} | {share} |")
        if name in moved:
            other = moved[name]
            added = f"{other.median_us() - found.median_us():+.1f}"
            print(f"| {name} | passed on | {other.median_us():.1f} | {other.cpu_us():.1f} | {added} | |")


if __name__ == "__main__":
    main()
