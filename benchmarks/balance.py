"""How evenly short connections fall to four workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks import traffic
from benchmarks.crew import crew, server_cores
from benchmarks.machine import Cores
from benchmarks.servers import Launch, Server
from benchmarks.spawn import ServerFailedError, free_port
from benchmarks.traffic import Traffic

WORKERS = 4
CLIENTS = 64
TARGET = 1.3
_LIMIT_S = 30.0


@dataclass
class Balance:
    """How many connections each worker had, most first; a worker that had none is a 0."""

    server: str
    interface: str
    shares: list[int] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    connections_s: float = 0.0
    client_busy: float = 0.0
    problem: str = ""

    @property
    def factor(self) -> float | None:
        """Busiest over idlest; None if one had nothing at all."""
        return self.shares[0] / self.shares[-1] if self.shares and self.shares[-1] else None


def measure(server: Server, interface: str, cores: Cores, connections: int) -> Balance:
    """64 clients, each connection for one request, as fast as they go."""
    found = Balance(server.name, interface)
    launch = Launch(f"benchmarks.apps.whoami:{interface}", interface, free_port(), workers=WORKERS)
    try:
        with crew(server, launch, server_cores(cores)) as (_, workers):
            load = Traffic(int(launch.port), fresh=CLIENTS, total=connections, core=cores.load)
            try:
                if not load.wait(_LIMIT_S):
                    found.problem = f"not done after {_LIMIT_S:g} s"
            finally:
                load.stop()
    except ServerFailedError as error:
        found.problem = str(error)
        return found
    counts = Counter(dict.fromkeys(workers, 0))
    counts.update(record.pid for record in load.records if record.is_ok)
    found.shares = sorted(counts.values(), reverse=True)
    found.shares += [0] * (WORKERS - len(found.shares))
    found.failed = traffic.failures(load.records, 0.0, float("inf"))
    if load.records:
        seconds = max(r.ended_s for r in load.records) - min(r.began_s for r in load.records)
        found.connections_s = len(load.records) / max(seconds, 1e-6)
    found.client_busy = load.busy
    return found
