"""The judgement of a soak: pure functions from what was recorded to verdicts, each with its bound and its reason.

Lives here: bounds. Never here: clocks, processes, files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

MIB = 1 << 20

#: A span of seconds.
Span = tuple[float, float]

#: Each WSGI thread has one of these.
CLASSES_OF_THREADS = ("torana.gateway.threads._Worker", "torana.gateway.jobs.Place", "torana.base.burst.Burst")
#: Headers that come again have one of these, for all; a few hundred at most.
CLASSES_OF_MEMORIES = ("torana.exchange.response.KnownHead", "torana.wire.http1.writer.FieldLines")
#: Modules whose classes stand for connections, requests and what waits for them.
MODULES_OF_REQUESTS = ("torana.", "asyncio", "_asyncio.", "uvloop.", "socket.", "ssl.", "_ssl.", "tempfile.")

#: Runs shorter than this are not asked to have seen every kind of client succeed, nor every kind of replacement.
FULL_RUN_S = 150.0


@dataclass(frozen=True)
class Rule:
    """What must hold, and why the bound is what it is."""

    name: str
    bound: str
    reason: str


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "resident memory under load",
            "median of the last third of the load at most 3 % or 2 MiB (the larger) above that of the first third",
            "Allocators keep the pages of the busiest moment so far, which may come late. What is really held is told "
            "by the next two rules.",
        ),
        Rule(
            "memory in use at rest",
            "after the load at most 256 KiB more than at the rest after the warm-up (mallinfo2: uordblks and hblkhd)",
            "Threads and caches may come; 2 bytes a request lost are more in 30 minutes, 10 bytes in six.",
        ),
        Rule(
            "blocks in use at rest",
            "after the load at most 2,000 more than at the rest after the warm-up (sys.getallocatedblocks)",
            "The same for Python's own allocator, objects or not; a leak of one in 40 requests is more in 30 minutes.",
        ),
        Rule(
            "descriptors under load",
            "median of the last third at most 10 % or 5 above that of the first third",
            "As many clients at any time, who come by chance.",
        ),
        Rule(
            "descriptors at rest",
            "after the load not one more than at the rest after the warm-up",
            "When all clients have left, each descriptor has an owner that was there before.",
        ),
        Rule(
            "threads",
            "at no time more than before the first request and the pool of the WSGI application",
            "The pool grows and shrinks; nothing else makes threads.",
        ),
        Rule(
            "tasks at rest",
            "after the load not one more than at the rest after the warm-up",
            "Each request's task ends with it, however its client left.",
        ),
        Rule(
            "objects at rest",
            "after the load at most 300 more than at the rest after the warm-up",
            "Each WSGI thread more is some dozens; a leak of one object in 100 requests is more within ten minutes.",
        ),
        Rule(
            "objects that belong to a request",
            "after the load not one more of any class of Torana, asyncio, socket, ssl or tempfile (but WSGI threads)",
            "Without clients nothing may be left of any, whatever became of it.",
        ),
        Rule(
            "objects under load",
            "median of the last third at most 20 % or 500 (the larger) above that of the first third",
            "Each request under way holds some dozens, and their number varies by chance.",
        ),
        Rule("load", "at least 60 % of the rate that was asked for", "On a machine too busy the clients show little."),
        Rule("unexplained errors", "none", "Every request of good will is answered, and each refusal has its reason."),
        Rule("every client succeeded", "each kind at least once", "A soak of clients that do nothing shows nothing."),
        Rule(
            "workers were replaced",
            "at least one for its requests, and at least one reload",
            "What is not exercised is not shown.",
        ),
        Rule("workers at the end", "as many as were asked for", "Retired workers end, and none is lost."),
    )
}


@dataclass(frozen=True)
class Verdict:
    """One rule about one subject."""

    rule: str
    subject: str
    before: float
    after: float
    most: float
    unit: str = ""

    @property
    def is_held(self) -> bool:
        """Whether it is within its bound."""
        return self.after <= self.most


def between(times: list[float], values: list[float], span: Span) -> list[float]:
    """Values whose time is in a span."""
    return [value for time, value in zip(times, values, strict=True) if span[0] <= time <= span[1]]


def thirds(times: list[float], values: list[float], span: Span) -> tuple[float, float] | None:
    """Medians of the first and the last third of a span; None where one has no value."""
    length = (span[1] - span[0]) / 3
    first = between(times, values, (span[0], span[0] + length))
    last = between(times, values, (span[1] - length, span[1]))
    return (median(first), median(last)) if first and last else None


def slope(times: list[float], values: list[float], span: Span, most_points: int = 300) -> float:
    """Theil-Sen: the median of the slopes between all pairs of points, per hour; outliers do not move it."""
    points = [(time, value) for time, value in zip(times, values, strict=True) if span[0] <= time <= span[1]]
    points = points[:: max(1, len(points) // most_points)]
    found = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :] if b[0] > a[0]]
    return median(found) * 3600 if found else 0.0


def _grown(rule: str, subject: str, pair: tuple[float, float], share: float, least: float, unit: str = "") -> Verdict:
    before, after = pair
    return Verdict(rule, subject, before, after, before + max(before * share, least), unit)


def judge(record: dict[str, Any]) -> list[Verdict]:
    """All verdicts about a record (made by ``run``)."""
    spans: dict[str, Span] = {name: (start, end) for name, start, end in record["spans"]}
    return [
        *_processes(record["processes"], spans, record["threads"]),
        *_objects(record["objects"], spans),
        *_classes(record["classes"]),
        *_deeds(record, spans),
    ]


def _processes(processes: dict[str, dict[str, list[float]]], spans: dict[str, Span], threads: int) -> Iterable[Verdict]:
    for subject, series in processes.items():
        if "count" in series:
            continue  # workers that are replaced: a new one begins small
        times = series["t"]
        if pair := thirds(times, series["rss"], spans["load"]):
            yield _grown("resident memory under load", subject, pair, 0.03, 2 * MIB, "bytes")
        if pair := thirds(times, series["descriptors"], spans["load"]):
            yield _grown("descriptors under load", subject, pair, 0.1, 5)
        if pair := _rests(times, series["descriptors"], spans):
            yield _grown("descriptors at rest", subject, pair, 0, 0)
        if before := between(times, series["threads"], spans["before"]):
            pool = 0 if "supervisor" in subject else threads
            yield _grown("threads", subject, (max(before), max(series["threads"])), 0, pool)


def _objects(objects: dict[str, dict[str, list[float]]], spans: dict[str, Span]) -> Iterable[Verdict]:
    for subject, series in objects.items():
        if pair := thirds(series["t"], series["objects"], spans["load"]):
            yield _grown("objects under load", subject, pair, 0.2, 500)
        if pair := _rests(series["t"], series["objects"], spans):
            yield _grown("objects at rest", subject, pair, 0, 300)
        if pair := _rests(series["t"], series["heap"], spans):
            yield _grown("memory in use at rest", subject, pair, 0, 256 << 10, "bytes")
        if pair := _rests(series["t"], series["blocks"], spans):
            yield _grown("blocks in use at rest", subject, pair, 0, 2000)
        if pair := _rests(series["t"], series["tasks"], spans):
            yield _grown("tasks at rest", subject, pair, 0, 0)


def _classes(classes: dict[str, list[dict[str, int]]]) -> Iterable[Verdict]:
    """One verdict a worker; those that grew are named."""
    for subject, taken in classes.items():
        if len(taken) != 2:
            continue
        before, after = ({name: count for name, count in one.items() if _is_of_requests(name)} for one in taken)
        grown = {name: count for name, count in after.items() if count > before.get(name, 0)}
        # Fewer of one class do not make up for more of another.
        total = sum(before.values())
        more = sum(count - before.get(name, 0) for name, count in grown.items())
        named = "".join(f", {name}" for name in sorted(grown))
        yield Verdict("objects that belong to a request", subject + named, total, total + more, total)


def _is_of_requests(name: str) -> bool:
    return name.startswith(MODULES_OF_REQUESTS) and name not in CLASSES_OF_THREADS + CLASSES_OF_MEMORIES


def _rests(times: list[float], values: list[float], spans: dict[str, Span]) -> tuple[float, float] | None:
    """The last value of the rest after the warm-up, and of that at the end."""
    found = [between(times, values, spans[name]) for name in ("rest", "end")]
    return (found[0][-1], found[1][-1]) if all(found) else None


def _deeds(record: dict[str, Any], spans: dict[str, Span]) -> Iterable[Verdict]:
    yield Verdict("unexplained errors", "all", 0, record["ledger"]["unexplained_count"], 0)
    for subject, counts in record["workers"].items():
        yield Verdict("workers at the end", subject, counts["wanted"], abs(counts["found"] - counts["wanted"]), 0)
    if spans["load"][1] - spans["load"][0] < FULL_RUN_S:
        return
    asked, found = record["plan"]["rate"], record["plan"]["rate_found"]
    yield Verdict("load", "missing of it", 0, max(0.0, asked - found), asked * 0.4)
    seen = {name for name, count in record["ledger"]["done"].items() if count}
    seen |= {name.partition(":")[0] for name in record["ledger"]["explained"]}
    idle = sorted(set(record["kinds"]) - seen)
    yield Verdict("every client succeeded", ", ".join(idle) or "all", 0, len(idle), 0)
    missing = [name for name in ("replaced", "reloads") if not record["renewed"][name]]
    yield Verdict("workers were replaced", ", ".join(missing) or "all", 0, len(missing), 0)
