"""The soak itself, for some seconds: all clients work, nothing is unexplained, and nothing is left behind."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.soak.judge import judge
from tests.soak.run import Plan, Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

#: What does not depend on how long it ran, nor on how busy the machine is.
ALWAYS = (
    "unexplained errors", "descriptors at rest", "tasks at rest", "threads", "objects that belong to a request",
    "workers at the end",
)  # fmt: skip


def test_a_short_soak_leaves_nothing_behind(tmp_path: Path) -> None:
    record = asyncio.run(Run(Plan(0.2, tmp_path, rate=120.0), print).make())
    assert record["ledger"]["unexplained"] == []
    verdicts = [verdict for verdict in judge(record) if verdict.rule in ALWAYS]
    assert {verdict.rule for verdict in verdicts} == set(ALWAYS)
    assert [verdict for verdict in verdicts if not verdict.is_held] == []
    done = record["ledger"]["done"]
    assert {"HTTP/1.1, kept connection", "HTTP/2", "WebSocket", "upload", "download", "healthy probe"} <= done.keys()
