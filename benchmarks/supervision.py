"""`make bench-supervision`: what several workers give and what watching, reloading and replacing them costs a client.

Usage: python benchmarks/supervision.py [--quick] [--only scaling,overhead,reload,kill,balance] [--servers torana,...]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: the repository, not this folder, is where `benchmarks` is found.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import balance, disturbance, load, machine, overhead, report, scaling, supervision_report
from benchmarks.crew import on
from benchmarks.machine import Cores
from benchmarks.run import Names
from benchmarks.servers import ASGI, SERVERS, WSGI, Server
from benchmarks.supervision_report import SupervisionReport
from benchmarks.works import HELLO_ASGI, HELLO_WSGI

SECTIONS = ("scaling", "overhead", "reload", "kill", "balance")
# Those that have a master and workers; the others of the field are one process.
CREWS = ("torana", "gunicorn", "uvicorn", "granian", "hypercorn")
_SCALING_CREWS = ("torana", "gunicorn", "uvicorn", "granian")
# Disturbed with both interfaces; of the others the one is seen, their masters being the same.
_WSGI_TOO = ("torana", "gunicorn")
_NEEDS_WRK = {"scaling", "overhead"}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, with --quick and the defaults worked in."""
    parser = argparse.ArgumentParser(description="Measure Torana's supervisor, beside those of its peers.")
    parser.add_argument("--only", type=Names(list(SECTIONS)), default=list(SECTIONS), help="sections, comma separated")
    parser.add_argument("--servers", type=Names(list(CREWS)), default=list(CREWS), help="servers, comma separated")
    parser.add_argument("--duration", type=float, help="scaling: seconds of load per run (default 1)")
    parser.add_argument("--rounds", type=int, help="scaling: rounds of torana; its peers get one (default 3)")
    parser.add_argument("--starts", type=int, help="overhead: pairs of processes per interface (default 3)")
    parser.add_argument("--turns", type=int, help="overhead: turns of one second per pair (default 4)")
    parser.add_argument("--first-answers", type=int, help="overhead: measured starts of each (default 5)")
    parser.add_argument("--connections", type=int, help="balance: connections in all (default 10000)")
    parser.add_argument("--quick", action="store_true", help="one short round of all: does it run, not how fast")
    parser.add_argument("--output", type=Path, default=report.RESULTS, help="folder of the report")
    options = parser.parse_args(arguments)
    quick, whole = (1.0, 1, 1, 1, 2, 2000), (1.0, 3, 3, 4, 5, 10_000)
    fields = ("duration", "rounds", "starts", "turns", "first_answers", "connections")
    for name, value in zip(fields, quick if options.quick else whole, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.is_partial = bool(options.quick or options.only != list(SECTIONS) or options.servers != list(CREWS))
    return options


def pairs_of(servers: Sequence[Server], wanted: Sequence[str]) -> list[tuple[Server, str]]:
    """Each server with each interface that it speaks, those not installed left out."""
    chosen = [server for server in servers if server.name in wanted and server.is_installed()]
    return [(server, interface) for interface in (ASGI, WSGI) for server in chosen if interface in server.interfaces]


def measure_scaling(
    found: SupervisionReport, servers: Sequence[Server], options: argparse.Namespace, cores: Cores
) -> None:
    """Servers take turns within a round; peers are in the first round only."""
    pair = {core for core in (cores.server, cores.load) if core is not None}
    rounds_a_ms = scaling.spin_rounds_a_ms()
    rows = [
        (server, scaling.Scaled(server.name, interface, milliseconds))
        for milliseconds in scaling.MILLISECONDS
        for server, interface in pairs_of(servers, _SCALING_CREWS)
    ]
    found.scaled += [scaled for _, scaled in rows]
    for round_number in range(options.rounds):
        with on(pair):
            found.ceilings.append(scaling.ceiling())
        print(f"scaling the machine itself {found.ceilings[-1]:.2f}", flush=True)
        for server, scaled in rows:
            if scaled.problem or (round_number and server.name != "torana"):
                continue
            scaling.measure_round(server, scaled, rounds_a_ms, options.duration, pair)
            said = scaled.problem or f"{scaled.rounds[-1].factor:.2f}"
            print(f"scaling {scaled.interface} {scaled.milliseconds} ms {server.name:10} {said}", flush=True)


def measure_overhead(found: SupervisionReport, options: argparse.Namespace, cores: Cores) -> None:
    """Torana beside itself."""
    for work in (HELLO_ASGI, HELLO_WSGI):
        found.overheads.append(overhead.measure(work, cores, options.starts, options.turns, options.first_answers))
        print(f"overhead {work.interface} {supervision_report.ratio_of(found.overheads[-1])}", flush=True)


def measure_disturbances(
    found: SupervisionReport, servers: Sequence[Server], options: argparse.Namespace, cores: Cores
) -> None:
    """Reload all, then kill one, for every crew."""
    for section, event in (("reload", disturbance.HUP), ("kill", disturbance.KILL)):
        if section not in options.only:
            continue
        for server, interface in pairs_of(servers, CREWS):
            if interface == WSGI and (server.name not in _WSGI_TOO or event == disturbance.KILL):
                continue
            one = disturbance.measure(server, interface, event, cores)
            found.disturbed.append(one)
            said = one.problem or f"failed {sum(one.failed.values())}, wait {one.wait_s * 1000:.0f} ms, {one.done_s} s"
            print(f"{event} {interface} {server.name:10} {said}", flush=True)


def measure_balance(
    found: SupervisionReport, servers: Sequence[Server], options: argparse.Namespace, cores: Cores
) -> None:
    """Once each, ASGI: who gets a connection is not up to the interface."""
    for server, interface in pairs_of(servers, CREWS):
        if interface == WSGI:
            continue
        found.balances.append(balance.measure(server, interface, cores, options.connections))
        print(f"balance {server.name:10} {found.balances[-1].problem or found.balances[-1].shares}", flush=True)


def measure(found: SupervisionReport, options: argparse.Namespace, cores: Cores) -> None:
    """All that was asked, in the order of the report."""
    servers = [server for server in SERVERS if server.name in options.servers]
    if "scaling" in options.only:
        measure_scaling(found, servers, options, cores)
    if "overhead" in options.only and "torana" in options.servers:
        measure_overhead(found, options, cores)
    measure_disturbances(found, servers, options, cores)
    if "balance" in options.only:
        measure_balance(found, servers, options, cores)


def main() -> int:
    """Run what was asked; 0 whatever the numbers are, 2 if nothing can be measured."""
    options = parse()
    if _NEEDS_WRK & set(options.only) and not load.is_available():
        print("wrk is not installed (Debian: apt-get install wrk; macOS: brew install wrk)", file=sys.stderr)
        return 2
    cores = machine.choose_cores()
    packages = {package for server in SERVERS if server.name in CREWS for package in server.packages}
    settings = {name: getattr(options, name) for name in ("duration", "rounds", "starts", "turns", "connections")}
    found = SupervisionReport(machine.describe(packages, cores), settings)
    began_s = time.monotonic()
    try:
        measure(found, options, cores)
    except KeyboardInterrupt:
        options.is_partial = True
        print("interrupted; what was measured so far is reported", file=sys.stderr)
    found.settings["took_s"] = round(time.monotonic() - began_s)
    path = supervision_report.write(found, options.output, machine.host_kind(), options.is_partial)
    print(supervision_report.markdown(found))
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
