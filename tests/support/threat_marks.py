"""A pytest plugin: which test shows which threat answered, written as JSON with ``--threats FILE``.

Tests say what they show with ``@pytest.mark.threat("G-001", sent="...", verdict="...")``, several times if they show
several. ``--threats`` with ``--collect-only`` writes what is claimed, without running it. Lives here: the mark, the
collecting. Never here: what a threat asks for (``tests.threats.catalogue``), the page (``tests.threats.page``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Claim:
    """That a test shows what becomes of an attack."""

    threat: str
    sent: str
    verdict: str
    #: The file, from the top of the repository.
    file: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--threats", metavar="FILE", type=Path, help="write what tests marked threat claim, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "threat(id, sent, verdict): the test shows how an attack or a fault is answered")
    path = config.getoption("--threats")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Claims(path.absolute()), "threat-claims")


def claims_of(item: pytest.Item) -> list[Claim]:
    """What one test claims."""
    found = []
    for mark in item.iter_markers("threat"):
        if len(mark.args) != 1 or mark.kwargs.keys() != {"sent", "verdict"}:
            raise pytest.UsageError(f"{item.nodeid}: threat takes a number, and sent and verdict by name, not {mark}")
        found.append(Claim(mark.args[0], mark.kwargs["sent"], mark.kwargs["verdict"], item.location[0]))
    return found


class _Claims:
    """Writes them when all tests are collected."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """All tests, in the order they stand in."""
        claims = [asdict(claim) for item in items for claim in claims_of(item)]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(claims, indent=1) + "\n")
