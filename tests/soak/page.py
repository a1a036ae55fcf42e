"""Makes ``docs/reliability.md`` from the results of a run: ``python -m tests.soak.page RESULTS > docs/reliability.md``.

Lives here: the page's words and order. Never here: any number that is not in the results.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.soak.judge import MIB, RULES

HEAD = """\
<!-- Made by `make soak` from what was measured. To change it, change tests/soak. -->
# Reliability

`make soak MINUTES=n` keeps three Torana servers under mixed load for so long, watches them from outside, and ends with
an error unless everything below is held. Nothing in this page was written by hand but its words.

Torana {torana}, the {build} build, on Python {python}, {system}, {cpus} CPUs, shared by servers and clients.
{minutes:g} minutes at {rate_found:g} answers and messages a second: {done:,} in all, {explained:,} faults that clients
brought on themselves, **{unexplained_count} errors without explanation**. {verdict}

![Memory, descriptors, objects and waits over time](reliability.svg)

Grey: no load. Each server has a supervisor, two workers and six threads a worker, an ASGI application and a WSGI one:

- **steady** is left alone, so that whatever is not given back shows.
- **secure** too, with TLS.
- **renewed** has its workers replaced all the time: by `--max-requests` ({replaced} times in this run) and by HUP
  ({reloads} reloads). No request may be lost by that.

They run with `MALLOC_ARENA_MAX=2`. With more, glibc gives each thread a heap of its own, each of which keeps the pages
of its busiest moment, and resident memory climbs by steps though no more is in use.

"""

LOAD = """\
## The load

Clients of each kind do one visit after another, with pauses by chance; every byte of every answer is compared.

| clients | done | explained |
|---|---:|---:|
"""

EXPLAINED = """
Explained are: what a client did itself (it left, stalled, sent what must be refused: each with the answer it had
coming), and what HTTP allows a worker that retires (it closes a connection that waits for its next request, refuses new
HTTP/2 streams with GOAWAY, closes a WebSocket with 1012).

| fault of a client | times |
|---|---:|
"""

UNEXPLAINED = """
Everything else is an error without explanation, and one is enough to fail the run: a wrong, missing, late or misplaced
answer, an unexpected close, a 5xx or 503 nobody asked for, any warning (but refusals), error or traceback in a log, a
worker that is gone, an exit code other than 0.
"""

BOUNDS = """
## The bounds

After a warm-up, which is faster than the load, all clients leave, and what the processes then hold is compared with
what they hold when all have left again at the end. In between, the first third of the load is compared with the last.

| what | bound | reason |
|---|---|---|
"""

FOUND = """
## What was found

{load_s:.0f} s of load after {warm_up_s:.0f} s of warm-up. All workers of a server and its supervisor were looked at
every second, their objects every 15 seconds.

| what | where | before | after | at most | |
|---|---|---:|---:|---:|---|
"""

SLOPES = """
The slope of the resident memory under load (Theil-Sen, MiB an hour), which in a short run is mostly chance:
{slopes}.

A healthy client, in a process of its own, asks twenty times a second; it shares the CPUs with all the others:

| server | median wait | 99th percentile | longest |
|---|---:|---:|---:|
"""


def page(results: dict[str, Any]) -> str:
    """The text of the page."""
    plan, ledger = results["plan"], results["ledger"]
    done, explained = ledger["done"], ledger["explained"]
    held = "Every bound was held." if results["is_held"] else "**Not every bound was held.**"
    numbers = plan | results["renewed"] | {"done": sum(done.values()), "explained": sum(explained.values())}
    parts = [HEAD.format(**numbers, unexplained_count=ledger["unexplained_count"], verdict=held), LOAD]
    by_kind: dict[str, int] = {}
    for name, count in explained.items():
        kind = name.partition(": ")[0]
        by_kind[kind] = by_kind.get(kind, 0) + count
    for kind in sorted({*done, *by_kind}):
        parts.append(f"| {kind} | {done.get(kind, 0):,} | {by_kind.get(kind, 0):,} |\n")
    parts.append(EXPLAINED)
    parts += [f"| {name} | {count:,} |\n" for name, count in sorted(explained.items())]
    parts += [UNEXPLAINED, BOUNDS]
    parts += [f"| {rule.name} | {rule.bound} | {rule.reason} |\n" for rule in RULES.values()]
    parts.append(FOUND.format(load_s=results["spans"]["load"], warm_up_s=results["spans"]["warm-up"]))
    parts += [_row(verdict) for verdict in results["verdicts"]]
    slopes = ", ".join(f"{subject} {value:+.2f}" for subject, value in results["memory_mib_per_hour"].items())
    parts.append(SLOPES.format(slopes=slopes))
    for server, waits in results["latency_ms"].items():
        parts.append(f"| {server} | {waits['p50']:g} ms | {waits['p99']:g} ms | {waits['worst']:g} ms |\n")
    return "".join(parts)


def _row(verdict: dict[str, Any]) -> str:
    cells = [_number(verdict[name], verdict["unit"]) for name in ("before", "after", "most")]
    mark = "✓" if verdict["is_held"] else "**not held**"
    return f"| {verdict['rule']} | {verdict['subject']} | {' | '.join(cells)} | {mark} |\n"


def _number(value: float, unit: str) -> str:
    return f"{value / MIB:.1f} MiB" if unit == "bytes" else f"{value:,.0f}"


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(Path(sys.argv[1]).read_text())))
