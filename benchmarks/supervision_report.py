"""Writes what benchmarks/supervision.py found, as Markdown and JSON. A missed target is printed, never raised."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import balance, disturbance, scaling
from benchmarks.balance import Balance
from benchmarks.disturbance import Disturbed
from benchmarks.load import CONNECTIONS
from benchmarks.outcome import ServerOutcome
from benchmarks.overhead import Overhead
from benchmarks.report import fact, gist, table
from benchmarks.scaling import Scaled
from benchmarks.traffic import Latency

_NONE = "-"
# Below this somebody else is on the cores, or they are two threads of one.
_CEILING_ENOUGH = 1.9


@dataclass
class SupervisionReport:
    """Everything one invocation measured."""

    machine: dict[str, object]
    settings: dict[str, object]
    # What two cores of this machine do over one, once a round.
    ceilings: list[float] = field(default_factory=list)
    scaled: list[Scaled] = field(default_factory=list)
    overheads: list[Overhead] = field(default_factory=list)
    disturbed: list[Disturbed] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)


def write(report: SupervisionReport, folder: Path, host_kind: str, is_partial: bool) -> Path:
    """Write both files and return the Markdown one. A partial run never overwrites a whole one."""
    stem = f"{time.strftime('%Y-%m-%d')}-{host_kind}-supervision{'-partial' if is_partial else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.json").write_text(json.dumps(dataclasses.asdict(report), indent=1) + "\n")
    path = folder / f"{stem}.md"
    path.write_text(markdown(report))
    return path


def markdown(report: SupervisionReport) -> str:
    """The whole page."""
    facts = [(name.replace("_", " "), fact(value)) for name, value in (report.machine | report.settings).items()]
    parts = [f"# Benchmark of the supervisor, {time.strftime('%Y-%m-%d')}\n", table(("machine and run", ""), facts)]
    if report.scaled:
        parts.append(_scaling(report))
    if report.overheads:
        parts += [_overhead(report.overheads), _first_answers(report.overheads)]
    titles = {disturbance.HUP: "Reload of 4 workers (HUP)", disturbance.KILL: "kill -9 of 1 worker of 4"}
    for event, title in titles.items():
        rows = [one for one in report.disturbed if one.event == event]
        if rows:
            parts.append(_disturbance(title, rows))
    if report.balances:
        parts.append(_balance(report.balances))
    return "\n".join(parts)


def _scaling(report: SupervisionReport) -> str:
    ceiling = statistics.median(report.ceilings)
    text = (
        f"## Two workers on two cores over one (target: {scaling.TARGET:g} x)\n\n"
        f"The application computes for so long in each request; {CONNECTIONS} keep-alive connections. The load (wrk)\n"
        "shares the two cores: what it takes is not the servers'. Two processes that do nothing but the same\n"
        f"computation give {ceiling:.2f} x here (median; range {_range(report.ceilings)}): no server can be above it.\n"
        "Factors are medians of the rounds, in each of which one worker and two are measured one after the other.\n"
        "(!) marks a machine that has no two free cores to give: there the factor says little.\n"
    )
    head = (
        "interface",
        "work",
        "server",
        "1 worker",
        "2 workers",
        "factor",
        "range",
        "of the machine's",
        "cores used",
        "load busy",
    )
    return f"{text}\n{table((*head, 'errors', ''), [_scaled(one, ceiling) for one in report.scaled])}"


def _scaled(one: Scaled, ceiling: float) -> tuple[str, ...]:
    start = (one.interface, f"{one.milliseconds} ms", one.server)
    if not one.rounds:
        return (*start, gist(one.problem), *(_NONE,) * 7, "")
    errors = sum(sample.bad_status + sample.socket_errors for pair in one.rounds for sample in (pair.one, pair.two))
    verdict = _NONE
    if one.server == "torana":
        verdict = "reached" if one.factor >= scaling.TARGET else "not reached"
        if ceiling < _CEILING_ENOUGH:
            verdict += " (!)"
    notes = [verdict, gist(one.problem), "" if one.is_shared else "one worker was never seen to answer"]
    return (
        *start,
        f"{statistics.median(pair.one.requests_s for pair in one.rounds):,.0f}",
        f"{statistics.median(pair.two.requests_s for pair in one.rounds):,.0f}",
        f"{one.factor:.2f}",
        _range([pair.factor for pair in one.rounds]),
        f"{one.factor / ceiling:.0%}",
        " / ".join(f"{statistics.median(busy):.2f}" for busy in _cores_used(one)),
        f"{statistics.median(pair.two.load_busy for pair in one.rounds):.1%}",
        str(errors),
        "; ".join(filter(None, notes)),
    )


def _cores_used(one: Scaled) -> tuple[list[float], list[float]]:
    """By one worker and by two: far below 1 and 2 on a busy machine, where the factor says little."""
    return [pair.one.busy for pair in one.rounds], [pair.two.busy for pair in one.rounds]


def ratio_of(one: Overhead) -> str:
    """Supervised over unsupervised, by rate and by processor time."""
    free, held = one.unsupervised, one.supervised
    if not free.samples or not held.samples:
        return gist(one.problem) or _NONE
    by_cpu = f"{free.server_cpu_us / held.server_cpu_us:.3f}" if held.server_cpu_us else _NONE
    return f"{held.requests_s / free.requests_s:.3f} by requests/s, {by_cpu} by processor time"


def _overhead(overheads: list[Overhead]) -> str:
    text = (
        "## One worker, supervised and not (target: as fast)\n\n"
        "Hello world, server on one core, load on another. Both run side by side and are loaded in turns of a second;\n"
        "medians of all turns, spread is (highest - lowest) / median. Processor time is that of all their processes.\n"
    )
    rows = [_overhead_row(one.interface, server) for one in overheads for server in one.both()]
    head = ("interface", "", "turns", "requests/s", "spread", "CPU us/request", "p99 ms", "core busy", "errors")
    ratios = "".join(f"- {one.interface}: {ratio_of(one)}\n" for one in overheads)
    commands = "".join(f"{server.command}\n" for one in overheads for server in one.both())
    return f"{text}\n{table(head, rows)}\nSupervised over unsupervised:\n\n{ratios}\n```sh\n{commands}```\n"


def _overhead_row(interface: str, server: ServerOutcome) -> tuple[str, ...]:
    if not server.samples:
        return (interface, server.name, "0", *(_NONE,) * 6)
    return (
        interface,
        _kind(server.name),
        str(len(server.samples)),
        f"{server.requests_s:,.0f}",
        f"{server.spread:.0%}",
        f"{server.server_cpu_us:.2f}",
        f"{server.median(lambda sample: sample.p99_us) / 1000:.2f}",
        f"{server.busy:.0%}",
        str(server.errors),
    )


def _kind(name: str) -> str:
    return "supervised" if "supervised" in name else "unsupervised"


def _first_answers(overheads: list[Overhead]) -> str:
    rows = [
        (one.interface, _kind(name), f"{statistics.median(seconds):.3f}", _range(seconds, 3))
        for one in overheads
        for name, seconds in one.starts_s.items()
        if seconds
    ]
    return f"### Start to first answer\n\n{table(('interface', '', 'median s', 'range'), rows)}"


def _disturbance(title: str, rows: list[Disturbed]) -> str:
    is_reload = rows[0].event == disturbance.HUP
    aims = f"target: 0 failed, no client waits {disturbance.TARGET_WAIT_S * 1000:.0f} ms longer" if is_reload else ""
    text = (
        f"## {title}{f' ({aims})' if aims else ''}\n\n"
        f"An application that needs {disturbance.BOOT_S:g} s to boot (asleep), {disturbance.WORKERS} workers,\n"
        f"{disturbance.KEPT} clients that keep their connection and {disturbance.FRESH} that open one a request,\n"
        f"together {disturbance.RATE:,.0f} requests/s. The server has every core but the clients'. Before and during:\n"
        "latency in the second before the signal, and from it until it is over, p50 / p99 / max ms. Silence: the\n"
        "longest time in which nobody got an answer. Wait: the longest a client was without the answer it wanted,\n"
        "failed tries included. Own lag: the longest the client process itself was late; (!) marks\n"
        "a run in which that is so much that the wait may be the clients' own.\n"
    )
    done = "over after, s" if is_reload else "4 serve again after, s"
    head = ("interface", "server", "failed", "silence ms", "wait ms", done, "before", "during", "clients busy")
    return f"{text}\n{table((*head, 'own lag ms', ''), [_disturbed(one) for one in rows])}"


def _disturbed(one: Disturbed) -> tuple[str, ...]:
    if not one.before.answers:
        return (one.interface, one.server, gist(one.problem) or "no answer", *(_NONE,) * 8)
    verdict = ""
    if one.server == "torana" and one.event == disturbance.HUP:
        is_reached = not one.failed and one.extra_wait_s <= disturbance.TARGET_WAIT_S and one.done_s is not None
        verdict = "reached" if is_reached else "not reached"
        if one.client_lag_s > disturbance.TARGET_WAIT_S / 2:
            verdict += " (!)"
    return (
        one.interface,
        one.server,
        _counts(one.failed),
        f"{one.silence_s * 1000:.0f}",
        f"{one.wait_s * 1000:.0f}",
        "never" if one.done_s is None else f"{one.done_s:.2f}",
        _latency(one.before),
        _latency(one.during),
        f"{one.client_busy:.0%}",
        f"{one.client_lag_s * 1000:.0f}" if one.client_lag_s else "< 5",
        "; ".join(filter(None, [verdict, _seen(one), gist(one.problem)])),
    )


def _seen(one: Disturbed) -> str:
    """What was amiss before the signal."""
    notes = [f"failed before the signal: {_counts(one.failed_before)}"] if one.failed_before else []
    if one.workers_seen < disturbance.WORKERS:
        notes.append(f"only {one.workers_seen} workers answered before the load")
    return "; ".join(notes)


def _latency(found: Latency) -> str:
    return f"{found.p50_s * 1000:.1f} / {found.p99_s * 1000:.1f} / {found.max_s * 1000:.0f}"


def _counts(failed: Mapping[str, int]) -> str:
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(failed.items()))
    return f"{sum(failed.values())} ({by_kind})" if failed else "0"


def _balance(balances: list[Balance]) -> str:
    rows = [
        (
            one.server + (f" ({gist(one.problem)})" if one.problem else ""),
            " / ".join(f"{share:,}" for share in one.shares) or _NONE,
            f"{one.factor:.2f}" if one.factor is not None else "one had none" if one.shares else _NONE,
            f"{one.connections_s:,.0f}",
            _counts(one.failed),
            f"{one.client_busy:.0%}",
        )
        for one in balances
    ]
    title = f"## Balance: short connections over {balance.WORKERS} workers (target: below {balance.TARGET:g})\n\n"
    text = f"{balance.CLIENTS} clients, one request a connection, as fast as they go.\n\n"
    head = ("server", "connections of each worker", "busiest / idlest", "connections/s", "failed", "clients busy")
    return title + text + table(head, rows)


def _range(values: Iterable[float], digits: int = 2) -> str:
    found = list(values)
    return f"{min(found):.{digits}f}-{max(found):.{digits}f}"
