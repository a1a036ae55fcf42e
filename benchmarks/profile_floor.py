"""Where a request's microseconds go: runs one row under a profiler and adds the samples up by symbol and by floor.

Usage: python benchmarks/profile_floor.py [--work asgi-hello] [--server torana] [--tool perf|callgrind]
                                          [--call-graph fp|dwarf] [--seconds 5] [--top 40]

perf samples the running server (in a virtual machine by its clock). Where perf is missing or refused, callgrind counts
instructions instead: exact, some fifty times slower, and blind to the kernel.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import answer, load, machine, stacks
from benchmarks.certificate import Authority, temporary_authority
from benchmarks.machine import Cores
from benchmarks.servers import SERVERS, Launch, Server
from benchmarks.spawn import Running, free_port, pin_to, running, start
from benchmarks.works import WORKS, Work

_FREQUENCY_HZ = 1999
_VALGRIND_START_S = 120.0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Profile one server under one kind of load.")
    parser.add_argument("--work", choices=[work.name for work in WORKS], default="asgi-hello")
    parser.add_argument("--server", choices=[server.name for server in SERVERS], default="torana")
    parser.add_argument("--tool", choices=["auto", "perf", "callgrind"], default="auto")
    parser.add_argument("--call-graph", choices=["fp", "dwarf"], default="dwarf")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--top", type=int, default=40)
    return parser.parse_args()


def is_perf_usable() -> bool:
    """Whether perf is there and the kernel lets it sample."""
    if shutil.which("perf") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        probe = ["perf", "record", "-o", str(Path(folder, "probe")), "--", "true"]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def profile_with_perf(
    server: Server, work: Work, launch: Launch, cores: Cores, authority: Authority | None, options: argparse.Namespace
) -> None:
    """Sample every process of the server while wrk loads it, then print three tables."""
    with running(server, launch, cores.server) as started, tempfile.TemporaryDirectory() as folder:
        answer.check(started, work, authority.client if authority else None)
        load.run(started, work, 1.0, cores.load)
        data = Path(folder, "perf.data")
        recorder = _record(started, data, options)
        sample = load.run(started, work, options.seconds, cores.load)
        recorder.wait(options.seconds + 30)
        command = ["perf", "script", "-i", str(data), "-F", "comm,ip,sym,dso", "--no-inline"]
        script = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    counts = stacks.count(stacks.parse(script.stdout))
    print(f"{server.name}, {work.title}: {sample.requests_s:,.0f} requests/s under perf, ", end="")
    print(f"{sample.server_cpu_us:.1f} us of server CPU per request, {counts.total} samples\n")
    print(stacks.tables(counts, sample.server_cpu_us, options.top))


def _record(started: Running, data: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    graph = "dwarf,16384" if options.call_graph == "dwarf" else "fp"
    pids = ",".join(str(pid) for pid in started.pids())
    command = ["perf", "record", "-q", "-F", str(_FREQUENCY_HZ), "--call-graph", graph, "-p", pids, "-o", str(data)]
    return subprocess.Popen(
        [*command, "--", "sleep", str(options.seconds)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def profile_with_callgrind(
    server: Server, work: Work, launch: Launch, cores: Cores, options: argparse.Namespace
) -> None:
    """Count the instructions of the loaded seconds alone and print callgrind's own list."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind.out")
        prefix = (
            "valgrind",
            "--tool=callgrind",
            "--trace-children=yes",
            "--instr-atstart=no",
            f"--callgrind-out-file={out}.%p",
        )
        started = start(server, launch, cores.server, prefix)
        try:
            started.wait_listening(_VALGRIND_START_S)
            load.run(started, work, 2.0, cores.load, connections=8)
            _control(started, "--instr=on")
            sample = load.run(started, work, options.seconds, cores.load, connections=8)
            _control(started, "--dump")
            time.sleep(1.0)
        finally:
            started.stop()
        requests = sample.requests_s * options.seconds
        print(f"{server.name}, {work.title}: {requests:,.0f} requests under callgrind\n")
        for dump in sorted(Path(folder).glob("callgrind.out*.1")):
            listing = subprocess.run(
                ["callgrind_annotate", "--auto=no", str(dump)], capture_output=True, text=True, check=False
            )
            print("\n".join(listing.stdout.splitlines()[: options.top + 25]))


def _control(started: Running, action: str) -> None:
    for pid in started.pids():
        subprocess.run(["callgrind_control", action, str(pid)], capture_output=True, check=False)


def main() -> int:
    """Profile what was asked; 2 if no profiler can be used."""
    options = parse()
    work = next(work for work in WORKS if work.name == options.work)
    server = next(server for server in SERVERS if server.name == options.server)
    cores = machine.choose_cores()
    pin_to(cores.load)
    if options.tool == "auto":
        options.tool = "perf" if is_perf_usable() else "callgrind"
    if shutil.which("perf" if options.tool == "perf" else "valgrind") is None or not load.is_available():
        print("wrk and either perf (linux-perf) or valgrind are needed", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        authority = stack.enter_context(temporary_authority()) if work.has_tls else None
        certificate = authority.certificate if authority else None
        launch = Launch(work.app, work.interface, free_port(), certificate, language=work.language)
        if options.tool == "perf":
            profile_with_perf(server, work, launch, cores, authority, options)
        else:
            profile_with_callgrind(server, work, launch, cores, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
