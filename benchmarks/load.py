"""Loads a server by the program that suits the work, one thread of it, and takes one number. Knows no server.

HTTP/1.1 by wrk, HTTP/2 by h2load, WebSocket by ``websocket_load``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import h2load
from benchmarks.servers import HTTP_2, WEBSOCKET
from benchmarks.spawn import ROOT, Running, pin_to
from benchmarks.works import Work

CONNECTIONS = 64
_SCRIPT = str(Path(__file__).with_name("lua") / "load.lua")
_MARK = "RESULT "


class LoadFailedError(Exception):
    """The program is missing or ended badly."""


@dataclass(frozen=True)
class Sample:
    """One run. `server_cpu_us` is what one request cost the server's processes; `busy` their share of one core.

    "Request" is what the work counts: an answer, a message, a MiB. A percentile that is not known is 0.
    """

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


def can_load(work: Work) -> bool:
    """Whether the program that this work needs is here."""
    if work.language == HTTP_2:
        return h2load.is_available() and shutil.which("curl") is not None
    return work.language == WEBSOCKET or is_available()


def run(server: Running, work: Work, duration_s: float, core: int | None, connections: int = CONNECTIONS) -> Sample:
    """Load `server` with `work` and measure both sides."""
    cpu_before, load_before = server.cpu_s(), _children_cpu_s()
    raw = _raw(work, int(server.launch.port), duration_s, core, connections)
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


def _raw(work: Work, port: int, duration_s: float, core: int | None, connections: int) -> dict[str, float]:
    if work.language == HTTP_2:
        return _h2load(work, port, duration_s, core)
    if work.language == WEBSOCKET:
        return _websocket(work, port, duration_s, core)
    return _wrk(work, port, duration_s, core, connections)


def _wrk(work: Work, port: int, duration_s: float, core: int | None, connections: int) -> dict[str, float]:
    scheme = "https" if work.has_tls else "http"
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(duration_s))}s", "-s", _SCRIPT]
    command += [f"{scheme}://127.0.0.1:{port}{work.path}", "--"]
    if work.body:
        command += ["POST", str(len(work.body))]
    return _result(_said(command, duration_s + 30, core))


def _h2load(work: Work, port: int, duration_s: float, core: int | None) -> dict[str, float]:
    command = h2load.command(work, port, duration_s)
    if not work.body:
        said = _said(command, duration_s + h2load.LIMIT_S, core)
    else:
        with h2load.body_file(work.body) as file:
            said = _said([*command, "-d", file.name], duration_s + h2load.LIMIT_S, core)
    try:
        return h2load.read(work, said)
    except ValueError as error:
        raise LoadFailedError(f"h2load said: {error}") from error


def _websocket(work: Work, port: int, duration_s: float, core: int | None) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.websocket_load", "127.0.0.1", str(port), work.path]
    command += ["-c", str(work.sockets), "-s", str(work.message_bytes), "-d", str(duration_s)]
    if not work.is_text:
        command += ["--binary"]
    echo = _result(_said(command, duration_s + 60, core))
    seconds = echo["seconds"]
    none = dict.fromkeys(("status", "connect", "read", "write", "timeout"), 0.0)
    found = {"duration_us": seconds * 1e6, "requests": echo["messages"], "bytes": echo["bytes_s"] * seconds}
    return {**none, **found, "p50_us": echo["p50_us"], "p99_us": echo["p99_us"]}


def _said(command: list[str], limit_s: float, core: int | None) -> str:
    """What the program printed; LoadFailedError when it did not end as it should."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=limit_s,
            preexec_fn=partial(pin_to, core),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailedError(f"{command[0]} did not end in {limit_s:g} s") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or [""]
        raise LoadFailedError(f"{Path(command[0]).name} ended with {done.returncode}: {last[0]}")
    return done.stdout


def _result(said: str) -> dict[str, float]:
    for line in said.splitlines():
        if line.startswith(_MARK):
            return dict(json.loads(line.removeprefix(_MARK)))
    raise LoadFailedError(f"no result in: {said.strip()[-500:]}")
