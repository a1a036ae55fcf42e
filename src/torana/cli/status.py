"""``torana status``: the workers of a running server, as a table or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from torana.cli.reach import RemoteCommand, complain, print_json, put
from torana.process.exit_codes import FAILED, STOPPED

_HEADER = ("slot", "pid", "state", "age", "memory", "held", "connections", "served", "running", "waiting", "generation")


@click.command("status", cls=RemoteCommand, options_metavar="[SETTINGS]")
@click.option("--json", "as_json", is_flag=True, help="Everything, for programs.")
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **_: object) -> int:
    """Show the workers of a running server.

    The server is found by what this directory's configuration says of its address, or it is the only one that runs;
    --bind or --control-socket name another.
    """
    answer = put(ctx, {"do": "status"})
    if as_json:
        print_json(answer)
    elif answer.get("ok"):
        print("\n".join(_page(answer)))
    else:
        complain(answer)
    return STOPPED if answer.get("ok") else FAILED


def _page(status: Mapping[str, Any]) -> Iterator[str]:
    """The lines for a person."""
    yield _summary(status)
    for address in status.get("listening") or ():
        yield f"Listening on {address}"
    abandoned = status.get("abandoned")
    if abandoned:
        age = f" {_time(abandoned['age_s'])} ago" if "age_s" in abandoned else ""
        yield f"The last reload was abandoned{age}: {abandoned.get('why')}"
    yield ""
    yield from _table(_HEADER, map(_worker, status.get("workers") or ()))
    notes = [
        f"worker {worker.get('pid')}: {worker['worn']}" for worker in status.get("workers") or () if worker.get("worn")
    ]
    yield from (["", *notes] if notes else [])
    services = status.get("services")
    if services:
        yield ""
        yield from _table(("service", "pid", "state", "age", "restarts"), map(_service, services))


def _summary(status: Mapping[str, Any]) -> str:
    wanted, there = status.get("wanted"), len(status.get("workers") or ())
    return (
        f"{status.get('application') or 'A server'}: {status.get('mode')} for {_time(status.get('age_s'))}, "
        f"pid {status.get('pid')}, {there} of {wanted} workers, generation {status.get('generation')}"
        + (f" (torana {status['version']})" if status.get("version") else "")
    )


def _worker(worker: Mapping[str, Any]) -> tuple[str, ...]:
    counts = [_text(worker.get(name)) for name in ("connections", "served", "running", "waiting", "generation")]
    start = (_text(worker.get("slot")), _text(worker.get("pid")), _text(worker.get("state")))
    sizes = (_size(worker.get("rss_bytes")), _size(worker.get("held_bytes"), is_zero="0"))
    return (*start, _time(worker.get("age_s")), *sizes, *counts)


def _service(service: Mapping[str, Any]) -> tuple[str, ...]:
    pid, restarts = _text(service.get("pid")), _text(service.get("restarts"))
    return _text(service.get("name")), pid, _text(service.get("state")), _time(service.get("age_s")), restarts


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns, numbers to the right; a terminal gets a header that stands out."""
    lines = [[word.upper() for word in header], *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = [all(not line[column][:1].isdigit() for line in lines) for column in range(len(header))]
    for number, line in enumerate(lines):
        cells = zip(line, widths, left, strict=True)
        text = "  ".join(cell.ljust(width) if is_left else cell.rjust(width) for cell, width, is_left in cells)
        yield click.style(text.rstrip(), bold=True) if number == 0 and sys.stdout.isatty() else text.rstrip()


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _time(seconds: float | None) -> str:
    """An age as a person says it: 59s, 12m, 3h 5m, 4d 2h."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m" if minutes else f"{rest}s"


def _size(number: int | None, is_zero: str = "-") -> str:
    if number is None:
        return "-"
    return f"{number / (1 << 20):.1f}MiB" if number else is_zero
