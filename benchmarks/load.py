"""wrk: one thread, some keep-alive connections, one number out. Knows no server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.spawn import Running, pin_to
from benchmarks.works import Work

CONNECTIONS = 64
_SCRIPT = str(Path(__file__).with_name("lua") / "load.lua")


class LoadFailedError(Exception):
    """wrk is missing or ended badly."""


@dataclass(frozen=True)
class Sample:
    """One run. `server_cpu_us` is what one request cost the server's processes; `busy` their share of one core."""

    requests_s: float
    p50_us: float
    p99_us: float
    bytes_s: float
    server_cpu_us: float
    busy: float
    load_busy: float
    bad_status: int
    socket_errors: int


def is_available() -> bool:
    """Whether wrk is on the path."""
    return shutil.which("wrk") is not None


def run(server: Running, work: Work, duration_s: float, core: int | None, connections: int = CONNECTIONS) -> Sample:
    """Load `server` with `work` and measure both sides."""
    cpu_before, load_before = server.cpu_s(), _children_cpu_s()
    raw = _wrk(work, int(server.launch.port), duration_s, core, connections)
    cpu_s, load_s = server.cpu_s() - cpu_before, _children_cpu_s() - load_before
    seconds, requests = raw["duration_us"] / 1e6, raw["requests"]
    return Sample(
        requests_s=requests / seconds,
        p50_us=raw["p50_us"],
        p99_us=raw["p99_us"],
        bytes_s=raw["bytes"] / seconds,
        server_cpu_us=cpu_s / requests * 1e6 if requests else 0.0,
        busy=cpu_s / seconds,
        load_busy=load_s / seconds,
        bad_status=int(raw["status"]),
        socket_errors=int(raw["connect"] + raw["read"] + raw["write"] + raw["timeout"]),
    )


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _wrk(work: Work, port: int, duration_s: float, core: int | None, connections: int) -> dict[str, float]:
    scheme = "https" if work.has_tls else "http"
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(duration_s))}s", "-s", _SCRIPT]
    command += [f"{scheme}://127.0.0.1:{port}{work.path}", "--"]
    if work.body:
        command += ["POST", str(len(work.body))]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=duration_s + 30, preexec_fn=partial(pin_to, core), check=False
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return dict(json.loads(line.removeprefix("RESULT ")))
    raise LoadFailedError(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
