"""`make bench`: measure Torana and every installed peer side by side and write the report.

Usage: python benchmarks/run.py [--quick] [--only asgi-hello,start,idle] [--servers torana,granian] ...
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: the repository, not this folder, is where `benchmarks` is found.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import answer, idle, idle_websockets, load, machine, report, start_time
from benchmarks.certificate import Authority, can_make_certificate, temporary_authority
from benchmarks.machine import Cores
from benchmarks.outcome import NOT_INSTALLED, ServerOutcome, WorkOutcome
from benchmarks.report import Report
from benchmarks.servers import HTTP_1, SERVERS, Certificate, Launch, Server
from benchmarks.spawn import ServerFailedError, free_port, pin_to, running, shown
from benchmarks.works import HELLO_ASGI, HELLO_WSGI, WORKS, Work

START = "start"
IDLE = "idle"
IDLE_WEBSOCKETS = "idle-websockets"
_WARM_UP_S = 1.0
_SHOWN_CERTIFICATE = Certificate("CERT", "KEY")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, with --quick and the defaults worked in."""
    names = [*(work.name for work in WORKS), START, IDLE, IDLE_WEBSOCKETS]
    parser = argparse.ArgumentParser(description="Measure Torana beside its peers.")
    parser.add_argument("--only", type=Names(names), default=names, help="rows, comma separated: " + ", ".join(names))
    servers = [server.name for server in SERVERS]
    parser.add_argument("--servers", type=Names(servers), default=servers, help="servers, comma separated")
    parser.add_argument("--duration", type=float, help="seconds of load per server and round (default 5)")
    parser.add_argument("--rounds", type=int, help="rounds per row (default 5)")
    parser.add_argument("--starts", type=int, help="measured starts per server (default 9)")
    parser.add_argument("--idle-connections", type=int, help="connections held (default 10000)")
    parser.add_argument("--quick", action="store_true", help="one round of one second: does it run, not how fast")
    parser.add_argument("--output", type=Path, default=report.RESULTS, help="folder of the report")
    options = parser.parse_args(arguments)
    quick, whole = (1.0, 1, 3, 1000), (5.0, 5, 9, 10_000)
    fields = ("duration", "rounds", "starts", "idle_connections")
    for name, value in zip(fields, quick if options.quick else whole, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.is_partial = bool(options.quick or options.only != names or options.servers != servers)
    return options


class Names:
    """A comma separated list of known names; what it reads is in the order of the known ones."""

    def __init__(self, known: list[str]) -> None:
        self.known = known

    def __call__(self, text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in self.known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(self.known)}")
        return [name for name in self.known if name in chosen]


def measure_work(
    work: Work, servers: list[Server], options: argparse.Namespace, cores: Cores, authority: Authority | None
) -> WorkOutcome:
    """All rounds of one row. A server that fails once is left out of the row's later rounds."""
    outcome = WorkOutcome.of(work, [])
    entries = []
    for server in servers:
        certificate = _SHOWN_CERTIFICATE if work.has_tls else None
        shown_launch = Launch(work.app, work.interface, "PORT", certificate, language=work.language)
        entry = ServerOutcome(server.name, shown(server, shown_launch))
        if not server.is_installed():
            entry.problem = NOT_INSTALLED
        elif work.has_tls and authority is None:
            entry.problem = "trustme is not installed"
        elif not load.can_load(work):
            entry.problem = "the program that loads it is not installed"
        outcome.servers.append(entry)
        entries.append((server, entry))
    for round_number in range(1, options.rounds + 1):
        for server, entry in entries:
            if entry.problem:
                continue
            try:
                measure_once(work, server, entry, options.duration, cores, authority)
            except (ServerFailedError, load.LoadFailedError) as error:
                entry.problem = str(error)
            said = entry.problem or f"{entry.samples[-1].requests_s:10,.0f} {work.units}/s"
            print(f"{work.name:17} round {round_number}  {server.name:13} {said}", flush=True)
    return outcome


def measure_once(
    work: Work, server: Server, entry: ServerOutcome, duration_s: float, cores: Cores, authority: Authority | None
) -> None:
    """Start, check, warm up, measure, stop; the sample goes to `entry`."""
    certificate = authority.certificate if authority and work.has_tls else None
    launch = Launch(work.app, work.interface, free_port(), certificate, language=work.language)
    with running(server, launch, cores.server) as started:
        if not answer.check(started, work, authority.client if authority else None):
            entry.note = "closes every connection"
        load.run(started, work, _WARM_UP_S, cores.load)
        entry.samples.append(load.run(started, work, duration_s, cores.load))


def measure_extras(found: Report, servers: list[Server], options: argparse.Namespace, cores: Cores) -> None:
    """Start times and idle connections, for each interface of each server."""
    pairs = [(s, w) for w in (HELLO_ASGI, HELLO_WSGI) for s in servers if s.is_installed() and s in w.servers()]
    if START in options.only:
        for server, work in pairs:
            found.starts.append(start_time.measure(server, work, cores, options.starts))
            print(f"start {server.name:13} {work.interface} {found.starts[-1].seconds or found.starts[-1].problem}")
    if IDLE in options.only:
        connections = idle.raise_descriptor_limit(options.idle_connections)
        for server, work in pairs:
            found.idles.append(idle.measure(server, work, cores, connections))
            print(f"idle  {found.idles[-1]}", flush=True)
    if IDLE_WEBSOCKETS in options.only:
        sockets = idle.raise_descriptor_limit(options.idle_connections)
        for server in [server for server in idle_websockets.servers() if server in servers]:
            found.idles.append(idle_websockets.measure(server, cores, sockets))
            print(f"idle  {found.idles[-1]}", flush=True)


def main() -> int:
    """Run what was asked; 0 whatever the numbers are, 2 if nothing can be measured."""
    options = parse()
    cores = machine.choose_cores()
    works = [work for work in WORKS if work.name in options.only]
    servers = [server for server in SERVERS if server.name in options.servers]
    if any(work.language == HTTP_1 for work in works) and not load.is_available():
        print("wrk is not installed (Debian: apt-get install wrk; macOS: brew install wrk)", file=sys.stderr)
        return 2
    found = Report(
        machine.describe((package for server in SERVERS for package in server.packages), cores),
        {"seconds": options.duration, "rounds": options.rounds, "connections": load.CONNECTIONS},
    )
    pin_to(cores.load)
    try:
        with contextlib.ExitStack() as stack:
            is_tls_wanted = can_make_certificate() and any(work.has_tls for work in works)
            authority = stack.enter_context(temporary_authority()) if is_tls_wanted else None
            for work in works:
                chosen = [server for server in work.servers() if server in servers]
                found.works.append(measure_work(work, chosen, options, cores, authority))
            measure_extras(found, servers, options, cores)
    except KeyboardInterrupt:
        options.is_partial = True
        print("interrupted; what was measured so far is reported", file=sys.stderr)
    path = report.write(found, options.output, machine.host_kind(), options.is_partial)
    print(report.markdown(found))
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
