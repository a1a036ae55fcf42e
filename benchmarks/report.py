"""Writes what a run found as Markdown and JSON. Judges nothing: a target that is missed is printed, never raised."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import idle, idle_websockets, start_time
from benchmarks.idle import IdleOutcome
from benchmarks.outcome import NOT_INSTALLED, ServerOutcome, WorkOutcome
from benchmarks.servers import TORANA
from benchmarks.start_time import StartOutcome

RESULTS = Path(__file__).with_name("results")
_BUSY_ENOUGH = 0.9


@dataclass
class Report:
    """Everything one invocation measured. `settings` are the numbers it was run with."""

    machine: dict[str, object]
    settings: dict[str, object]
    works: list[WorkOutcome] = field(default_factory=list)
    starts: list[StartOutcome] = field(default_factory=list)
    idles: list[IdleOutcome] = field(default_factory=list)


def write(report: Report, folder: Path, host_kind: str, is_partial: bool) -> Path:
    """Write both files and return the Markdown one. A partial run never overwrites a whole one."""
    stem = f"{time.strftime('%Y-%m-%d')}-{host_kind}{'-partial' if is_partial else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.json").write_text(json.dumps(dataclasses.asdict(report), indent=1) + "\n")
    path = folder / f"{stem}.md"
    path.write_text(markdown(report))
    return path


def markdown(report: Report) -> str:
    """The whole page."""
    parts = [f"# Benchmark, {time.strftime('%Y-%m-%d')}\n", _machine(report)]
    if report.works:
        parts.append(_summary(report.works))
    parts += [_work(work) for work in report.works]
    if report.starts:
        parts.append(_starts(report.starts))
    if report.idles:
        parts.append(_idles(report.idles))
    if report.works:
        parts.append(_commands(report.works))
    return "\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _machine(report: Report) -> str:
    facts = [(name.replace("_", " "), fact(value)) for name, value in (report.machine | report.settings).items()]
    note = (
        "Server on one core, load (wrk, h2load or websocket_load, one thread) on another, loopback. The servers of a\n"
        "row take turns, round by round, each time freshly started, checked for the right answer, warmed up and\n"
        "stopped. Medians of all rounds; spread is (highest - lowest) / median. (!) marks a server that did not fill\n"
        "its core: the load, or somebody else on that core, was the limit. h2load tells no percentiles: p50 is its\n"
        "mean.\n"
    )
    return f"{note}\n{table(('machine and run', ''), facts)}"


def fact(value: object) -> str:
    """One value of the table of the machine."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return "none" if value is None else str(value)


def _summary(works: list[WorkOutcome]) -> str:
    head = ("work", "target", "torana, a second", "fastest of those named", "ratio", "ratio by CPU time", "")
    return "## Summary\n\n" + table(head, [_summary_row(work) for work in works])


def _summary_row(work: WorkOutcome) -> tuple[str, ...]:
    named = " or ".join(work.target.peers) or "every peer"
    rival, ours = work.rival(), work.torana
    ratio = work.ratio(rival) if rival else None
    by_cpu = rival.server_cpu_us / ours.server_cpu_us if rival and ours and ours.server_cpu_us else None
    verdict = "-"
    if ratio is not None:
        verdict = "reached" if ratio >= work.target.factor else "not reached"
    if rival and ours and min(rival.busy, ours.busy) < _BUSY_ENOUGH:
        verdict += " (!)"
    return (
        work.title,
        f"{work.target.factor:g} x {named}",
        f"{ours.requests_s:,.0f}" if ours else "-",
        f"{rival.name} {rival.requests_s:,.0f}" if rival else "-",
        f"{ratio:.2f}" if ratio is not None else "-",
        f"{by_cpu:.2f}" if by_cpu is not None else "-",
        verdict,
    )


def _work(work: WorkOutcome) -> str:
    head = (
        "server",
        f"{work.units}/s",
        "spread",
        "torana / it",
        f"CPU us/{work.unit}",
        "p50 ms",
        "p99 ms",
        "core busy",
        "errors",
    )
    rows = [_server(work, server) for server in work.servers]
    return f"## {work.title}\n\n" + table(head, rows)


def _server(work: WorkOutcome, server: ServerOutcome) -> tuple[str, ...]:
    if not server.samples:
        return (server.name, gist(server.problem), *("-",) * 7)
    ratio = work.ratio(server)
    return (
        server.name + "".join(f" ({gist(said)})" for said in (server.problem, server.note) if said),
        f"{server.requests_s:,.0f}",
        f"{server.spread:.0%}",
        f"{ratio:.2f}" if ratio is not None and server.name != TORANA.name else "-",
        f"{server.server_cpu_us:,.1f}",
        _milliseconds(server.median(lambda sample: sample.p50_us)),
        _milliseconds(server.median(lambda sample: sample.p99_us)),
        # Below this the load, or another process on the core, was the limit, not the server.
        f"{server.busy:.0%}" + ("" if server.busy >= _BUSY_ENOUGH else " (!)"),
        str(server.errors),
    )


def _milliseconds(microseconds: float) -> str:
    """A time, or that it is not known."""
    return f"{microseconds / 1000:.2f}" if microseconds else "-"


def gist(text: str) -> str:
    """How it ended: the first words, and the last line, where a traceback names the error."""
    lines = [line for line in text.strip().splitlines() if line.strip()] or [""]
    return lines[0][:60] + (f" ... {lines[-1].strip()[:120]}" if len(lines) > 1 else "")


def _starts(starts: list[StartOutcome]) -> str:
    rows = [
        (
            s.server,
            s.interface,
            f"{s.median_s:.3f}" if s.seconds else gist(s.problem),
            f"{min(s.seconds):.3f}-{max(s.seconds):.3f}" if s.seconds else "-",
        )
        for s in starts
    ]
    title = f"## Start to first answer, hello (target: under {start_time.TARGET_S} s)\n\n"
    return title + table(("server", "interface", "median s", "range"), rows)


def _idles(idles: list[IdleOutcome]) -> str:
    rows = [
        (
            i.server + (f" ({gist(i.problem)})" if i.problem else ""),
            i.interface,
            f"{i.opened:,}",
            f"{i.held:,}",
            f"{i.bytes_each / 1024:.1f}" if i.held else "-",
            f"{i.base_bytes / 2**20:.0f}",
            f"{i.new_answer_s * 1000:.1f}",
        )
        for i in idles
    ]
    http, sockets = idle.TARGET_BYTES // 1024, idle_websockets.TARGET_BYTES // 1024
    title = f"## Idle connections (target: under {http} KiB each, WebSockets {sockets} KiB)\n\n"
    head = ("server", "interface", "opened", "held", "KiB each", "before, MiB", "a new one answered in, ms")
    return title + table(head, rows)


def _commands(works: list[WorkOutcome]) -> str:
    lines = []
    for work in works:
        lines.append(f"# {work.title}")
        lines += [server.command for server in work.servers if server.samples or server.problem != NOT_INSTALLED]
    return "## Command lines\n\n```sh\n" + "\n".join(lines) + "\n```\n"
