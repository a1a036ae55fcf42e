"""Makes ``docs/apps.md`` from what tests marked grid said: ``python -m tests.apps.grid.page REPORT > docs/apps.md``.

Lives here: the page's words and order. Never here: any claim that is not in the report.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.grid_report import worst

#: Columns of the table, in this order; what else was checked is listed below it.
CHECKS = ("plain request", "form", "upload", "streaming", "WebSocket", "error page", "restart under load", "browser")
MARKS = {"passed": "✓", "failed": "**fails**", "skipped": "skipped"}
NOTHING = "–"

Report = dict[str, Any]
#: (app, check) -> outcome.
Grid = dict[tuple[str, str], str]

HEAD = """\
<!-- Made by `make apps` from what the tests said. To change it, change the tests. -->
# Applications that run

Each application below is started by the real command (`torana run ...`) and driven from outside, by clients of its own
kind. The table is made from the results of `tests/apps`; nothing in it was written by hand.

Torana {torana}, the {build} build, on Python {python}. {passed} of {count} checks passed.

"""

LEGEND = """
✓ the tests passed; – there is no test, mostly because the application has no such thing.

- **plain request**: pages, their parameters and their headers arrive.
- **form**: fields, also beyond ASCII.
- **upload**: several megabytes, byte for byte.
- **streaming**: the client has the first piece before the application makes the next one.
- **WebSocket**: text, binary and the close code (Sanic's ASGI mode has only 1000), or what the application speaks.
- **error page**: 500, nothing about the program in it, the traceback in the log; or what the application shows instead.
- **restart under load**: every worker replaced (SIGHUP) while clients go on asking; no request lost, and what an old
  worker had begun to stream it ends. A session that lives in a worker's memory ends with it.
- **browser**: headless Chromium clicks through it.
"""


def gather(rows: Iterable[dict[str, str]]) -> Grid:
    """One outcome for each application and check."""
    grid: Grid = {}
    for row in rows:
        place = (row["app"], row["check"])
        grid[place] = worst([grid.get(place, "skipped"), row["outcome"]])
    return grid


def table(grid: Grid, versions: dict[str, str]) -> list[str]:
    """The lines of the table."""
    lines = [f"| application | version | {' | '.join(CHECKS)} |", f"|---|---|{'---|' * len(CHECKS)}"]
    for app, known in versions.items():
        cells = [MARKS[grid[app, check]] if (app, check) in grid else NOTHING for check in CHECKS]
        lines.append(f"| {app} | {known} | {' | '.join(cells)} |")
    return lines


def list_further(grid: Grid, versions: dict[str, str]) -> list[str]:
    """What was checked beyond the columns, an application a line."""
    lines = []
    for app in versions:
        further = sorted(check for name, check in grid if name == app and check not in CHECKS)
        if further:
            lines.append(f"- {app}: " + ", ".join(f"{check} {MARKS[grid[app, check]]}" for check in further))
    return ["", "## Checked besides", "", *lines] if lines else []


def list_skipped(rows: Iterable[dict[str, str]]) -> list[str]:
    """Why something was not tested."""
    lines = sorted({f"- {row['app']}, {row['check']}: {row['reason']}" for row in rows if row["outcome"] == "skipped"})
    return ["", "## Skipped", "", *lines] if lines else []


def render(report: Report) -> str:
    """The page."""
    rows = report["rows"]
    grid = gather(rows)
    versions = {row["app"]: row["version"] for row in sorted(rows, key=lambda row: row["app"].lower())}
    passed = sum(outcome == "passed" for outcome in grid.values())
    head = HEAD.format(**{key: report[key] for key in ("torana", "build", "python")}, passed=passed, count=len(grid))
    lines = [*table(grid, versions), *LEGEND.splitlines(), *list_further(grid, versions), *list_skipped(rows)]
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(render(json.loads(Path(sys.argv[1]).read_text())))
