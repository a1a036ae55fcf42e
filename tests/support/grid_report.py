"""A pytest plugin: which application passed which check, written as JSON with ``--grid-report FILE``.

Tests say what they show with ``@pytest.mark.grid(app="Flask", check="form")``. The words of all such marks on a test
add up, so a module or a parameter may name the application and each test its check; ``package`` names the distribution
whose version is told, where it is not the application's name. Lives here: the mark, the collecting. Never here: what
the table looks like (``tests.apps.grid.page``).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

WORDS = {"app", "check", "package"}
#: The worst of several counts: of the phases of one test, and in the table of the tests of one check.
OUTCOMES = ("skipped", "passed", "failed")


@dataclass
class Row:
    """What one test said of one application."""

    app: str
    version: str
    check: str
    test: str
    outcome: str = "skipped"
    #: Of a skip.
    reason: str = ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--grid-report", metavar="FILE", type=Path, help="write what tests marked grid said, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "grid(app, check, package): the test shows that this application passes a check")
    path = config.getoption("--grid-report")
    # Under xdist only whoever collects the workers' reports writes.
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(GridReport(path.absolute()), "grid-report-file")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the report of each marked test name its application and check."""
    said: dict[str, str] = {}
    for mark in item.iter_markers("grid"):
        if mark.args or not mark.kwargs.keys() <= WORDS:
            raise pytest.UsageError(f"{item.nodeid}: grid takes {', '.join(sorted(WORDS))} by name, not {mark}")
        said = mark.kwargs | said  # the closest mark comes first
    if not said:
        return
    if not said.keys() >= {"app", "check"}:
        raise pytest.UsageError(f"{item.nodeid}: grid needs an app and a check, and has {said}")
    item.user_properties.append(("grid", said))


def installed_version(app: str, package: str | None) -> str:
    """The version of the distribution an application comes in, or nothing."""
    try:
        return version(package or app.lower().replace(" ", "-"))
    except PackageNotFoundError:
        return ""


class GridReport:
    """Gathers rows and writes them when the session ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Row] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Every phase of every test, also of tests that ran in another process."""
        said: dict[str, Any] | None = dict(report.user_properties).get("grid")  # type: ignore[assignment]
        if said is None:
            return
        row = self._rows.get(report.nodeid)
        if row is None:
            known = installed_version(said["app"], said.get("package"))
            row = self._rows[report.nodeid] = Row(said["app"], known, said["check"], report.nodeid)
        if report.skipped and isinstance(report.longrepr, tuple):
            row.reason = report.longrepr[2].removeprefix("Skipped: ")
        elif report.failed or report.when == "call":
            row.outcome = worst([row.outcome, report.outcome])

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        import torana
        from torana.base.build import describe

        self._path.parent.mkdir(parents=True, exist_ok=True)
        found = {
            "torana": torana.__version__,
            "build": describe(),
            "python": platform.python_version(),
            "rows": [
                asdict(row) for row in sorted(self._rows.values(), key=lambda row: (row.app, row.check, row.test))
            ],
        }
        self._path.write_text(json.dumps(found, indent=1) + "\n")


def worst(outcomes: Iterable[str]) -> str:
    """What several outcomes come to."""
    return max(outcomes, key=OUTCOMES.index)
