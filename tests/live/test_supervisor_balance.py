"""The kernel spreads connections evenly over the workers: busiest to idlest below 1.3."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.load import loading
from tests.support.supervised import supervised, write_site

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections over sockets")


def test_short_connections_are_spread_evenly(tmp_path: Path) -> None:
    write_site(tmp_path)
    with supervised(tmp_path, workers=4) as server:
        with loading(server.address, kept=0, fresh=32) as load:
            load.wait_for_answers(10_000, timeout_s=120)
    tally = load.tally
    assert not tally.failures, tally.describe()
    counts: Counter[int] = tally.by_worker
    assert len(counts) == 4
    assert max(counts.values()) / min(counts.values()) < 1.3, counts
