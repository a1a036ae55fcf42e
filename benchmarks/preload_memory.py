"""What ``--preload`` saves: the memory of a server with workers, with and without it.

    python benchmarks/preload_memory.py [--workers 4] [--requests 200] [--ballast 100]

Memory is the proportional set size (PSS) of all processes of the server, from /proc/PID/smaps_rollup: a page that three
processes share counts a third in each, so that the sum is what the server takes. Linux only.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.spawn import free_port  # noqa: E402

APP = "benchmarks.apps.django_site:wsgi"
#: How long a server may take to start, and to answer all.
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Memory:
    """Of one process, in KiB: what it takes, and what of that is its own."""

    pss: int
    private: int
    rss: int


def memory_of(pid: int) -> Memory:
    """As the kernel says now."""
    fields: Counter[str] = Counter()
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        fields[name] += int(rest.split()[0])
    return Memory(fields["Pss"], fields["Private_Clean"] + fields["Private_Dirty"], fields["Rss"])


def ask(port: int, path: str) -> str:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}: {body[:200]}")
        return body
    finally:
        connection.close()


def wait_until_ready(port: int) -> None:
    """Until somebody answers."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            ask(port, "/who")
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def load(port: int, workers: int, requests: int) -> set[int]:
    """Until each worker has answered so many requests; returns who they are."""
    answered: Counter[int] = Counter()
    end = time.monotonic() + _PATIENCE_S
    while len(answered) < workers or min(answered.values()) < requests:
        answered[int(ask(port, "/who").split()[0])] += 1
        ask(port, "/admin/login/")
        if time.monotonic() > end:
            raise SystemExit(f"not all workers answer: {dict(answered)}")
    return set(answered)


def children_of(pid: int) -> list[int]:
    """Process ids."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def measure(workers: int, requests: int, ballast: int, *flags: str) -> dict[str, list[Memory]]:
    """The memory of the supervisor, of its workers and of the zygote, by these names."""
    port = free_port()
    paths = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "torana", "run", APP, "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    server = subprocess.Popen(
        [*command, "--no-access-log", "--log-level", "warning", *flags], cwd=ROOT, start_new_session=True,
        env=os.environ | {"PYTHONPATH": paths, "BALLAST_MIB": str(ballast)},
    )  # fmt: skip
    try:
        wait_until_ready(port)
        who = load(port, workers, requests)
        others = [pid for pid in children_of(server.pid) if pid not in who]
        return {
            "supervisor": [memory_of(server.pid)],
            "zygote": [memory_of(pid) for pid in others],
            "worker": [memory_of(pid) for pid in sorted(who)],
        }
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def total(found: dict[str, list[Memory]]) -> int:
    """PSS of all, in KiB."""
    return sum(memory.pss for group in found.values() for memory in group)


def mib(kib: Iterable[int]) -> str:
    """The mean, for a column."""
    values = list(kib)
    return f"{statistics.mean(values) / 1024:8.1f}" if values else f"{'':8}"


def main() -> None:
    """Measure both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--requests", type=int, default=200, help="answered by each worker before it is measured")
    parser.add_argument("--ballast", type=int, default=0, help="MiB of Python objects that the application keeps")
    said = parser.parse_args()
    totals = []
    print(f"{said.workers} workers, {said.requests} requests each, {said.ballast} MiB of ballast; MiB, means")
    print(f"{'':26}{'PSS':>8}{'own':>8}{'RSS':>8}")
    for name, flags in (("each imports", ()), ("--preload", ("--preload",))):
        found = measure(said.workers, said.requests, said.ballast, *flags)
        for kind, group in found.items():
            if group:
                columns = (mib(getattr(memory, part) for memory in group) for part in ("pss", "private", "rss"))
                print(f"{name:14}{kind:12}{''.join(columns)}")
        totals.append(total(found))
        print(f"{name:14}{'all':12}{totals[-1] / 1024:8.1f}")
    print(f"saved: {(totals[0] - totals[1]) / 1024:.1f} MiB, {(1 - totals[1] / totals[0]) * 100:.0f} %")


if __name__ == "__main__":
    main()
