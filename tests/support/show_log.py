"""A pytest hook that adds the log of each server a failed test used to its report; imported by conftest files."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.server import LOG_CHARACTERS, Server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add a section with the server's log to the report of a failure."""
    report = yield
    if report.failed:
        used = {id(value): (name, value) for name, value in getattr(item, "funcargs", {}).items()}
        for name, value in used.values():
            if isinstance(value, Server):
                report.sections.append((f"log of {name}", value.log[-LOG_CHARACTERS:]))
    return report
