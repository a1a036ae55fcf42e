"""How long each attack lasts (ATTACK_S), what is asked of all of them, where the numbers go (ATTACKS_FILE)."""

from __future__ import annotations

import json
import os
import platform
import resource
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.apps.conftest import Loopback, loopback
from tests.attacks.siege import KEPT_MIB, Outcome

__all__ = ["loopback"]

#: A connection that waits may cost so much, and a worker's pages so much besides.
WAITING_KIB = 8.0
SPARE_MIB = 16.0
#: The issue's own criterion.
P99_MS = 100.0
#: One line of the access log, at the most.
LINE_BYTES = 400
#: What the largest attack needs, on either side.
_DESCRIPTORS = 12_000


class Book:
    """The outcomes of this run, and what is asked of each."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def write(self) -> None:
        """To where ATTACKS_FILE says."""
        import torana
        from torana.base.build import describe

        path = os.environ.get("ATTACKS_FILE")
        if path:
            found = {
                "torana": torana.__version__,
                "build": describe(),
                "python": platform.python_version(),
                "processors": len(os.sched_getaffinity(0)),
                "rows": [asdict(outcome) for outcome in self.outcomes],
            }
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(json.dumps(found, indent=1) + "\n")

    def judge(
        self, outcome: Outcome, *, growth_mib: float, cpu_percent: float = 105.0, log_bytes: int = 0,
    ) -> None:  # fmt: skip
        """The healthy client was served in time, and the worker stayed within its bounds and gave all back.

        ``cpu_percent``: some more than there is, as two clocks are compared. ``log_bytes``: 0 for a line of each
        connection, and some.
        """
        log_bytes = log_bytes or 64 * 1024 + LINE_BYTES * outcome.crowd.get("begun", 0)
        self.outcomes.append(outcome)
        self.write()
        said = outcome.describe()
        assert not outcome.failures and outcome.answered == outcome.asked, said
        assert outcome.p99_ms < P99_MS, said
        assert outcome.growth_mib <= growth_mib, f"more than {growth_mib} MiB: {said}"
        assert outcome.cpu_percent <= cpu_percent, f"more than {cpu_percent} %: {said}"
        assert outcome.log_bytes <= log_bytes, f"more than {log_bytes} bytes of log: {said}"
        assert outcome.descriptors[2] <= outcome.descriptors[0], said
        assert outcome.after_mib <= outcome.before_mib + KEPT_MIB, f"memory is not given back: {said}"


@pytest.fixture(scope="session")
def book() -> Book:
    """Written after each attack."""
    return Book()


@pytest.fixture(scope="session")
def attack_s() -> float:
    """How long an attack lasts; without ATTACK_S there is none."""
    said = os.environ.get("ATTACK_S")
    if not said:
        pytest.skip("thousands of clients: run by `make attacks`")
    if not os.path.exists("/proc/self/stat"):
        pytest.skip("needs /proc to read a process's memory")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
        pytest.skip(f"needs {_DESCRIPTORS} descriptors a process; the hard limit is {hard} (ulimit -Hn)")
    if hard == resource.RLIM_INFINITY:
        hard = 2 * _DESCRIPTORS
    # Inherited by the server and the crowds.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return float(said)


@pytest.fixture
def tls_flags(loopback: Loopback) -> list[str]:
    """For a server that speaks TLS."""
    return loopback.flags()
