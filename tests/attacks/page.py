"""Makes ``docs/security/attacks.md`` from what was measured: ``python -m tests.attacks.page build/attacks.json``.

Lives here: the page's words and order. Never here: a number that is not in the report.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.attacks.conftest import P99_MS

_HEAD = """\
<!-- Made by `make attacks` from what was measured. To change it, change the tests and run them. -->
# Under attack

What one worker does while it is attacked, measured by `make attacks`: the real command serves, thousands of clients in
processes of their own attack it, and a healthy client asks 50 times a second, on kept and on new connections. The
attack fails if one of its requests is not answered, if its 99th percentile reaches {p99:g} ms, if the worker ends, or
if its memory, its share of a processor, its log or its descriptors leave the bounds stated in `tests/attacks`.

Torana {torana}, the {build} build, on Python {python}; {processors} processors for worker and attackers together.

"""
_COLUMNS = (
    "attack", "clients", "seconds", "answered", "p50", "p99", "slowest", "memory before, highest, after", "CPU",
    "descriptors", "log",
)  # fmt: skip
_LEGEND = """
- **clients**: connections that attack at the same time; whoever is closed comes again.
- **answered**: requests of the healthy client that were answered, of those it sent; **p50**, **p99**, **slowest**:
  how long they took, from when they were due, connecting included; milliseconds.
- **memory**: resident, of the worker; MiB. **CPU**: of one processor, while the attack was at its height.
- **descriptors**: the most that the worker had open. **log**: bytes written because of the attack.
- Handshakes, statuses and closed connections are counted in the report (`build/attacks.json`).
"""


def page(report: dict[str, Any]) -> str:
    """The whole page."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}", *map(_line, report["rows"])]
    return _HEAD.format(p99=P99_MS, **report) + "\n".join(lines) + "\n" + _LEGEND


def _line(row: dict[str, Any]) -> str:
    return f"| {' | '.join(_cells(row))} |"


def _cells(row: dict[str, Any]) -> Iterator[str]:
    yield row["attack"]
    yield f"{row['clients']:,}"
    yield f"{row['seconds']:.0f}"
    yield f"{row['answered']} of {row['asked']}"
    for name in ("p50_ms", "p99_ms", "slowest_ms"):
        yield f"{row[name]:.1f}"
    yield ", ".join(f"{row[name]:.0f}" for name in ("before_mib", "peak_mib", "after_mib"))
    yield f"{row['cpu_percent']:.0f} %"
    yield f"{row['descriptors'][1]:,}"
    yield f"{row['log_bytes']:,}"


def main() -> None:
    """Print it."""
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")


if __name__ == "__main__":
    main()
