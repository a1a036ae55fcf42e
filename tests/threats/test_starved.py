"""G-091: memory runs out at any point of a request; that request fails at the most, visibly."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.raw import Connection
from tests.support.server import REPOSITORY, running

SITE = "tests.threats.sites.starved_site:app"
#: One request allocates fewer times.
_LAST = 200


@pytest.mark.threat(
    "G-091",
    sent="the 1st, 2nd, ... 200th allocation within a request fails",
    verdict="that request gets 500 or the end of its connection, the next one is answered",
)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_allocation_may_fail(loop: str) -> None:
    pytest.importorskip("_testcapi", reason="this Python comes without _testcapi")
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    seen: Counter[int] = Counter()
    with running(SITE, "--loop", loop, "--lifespan", "off", "--no-access-log", app_dir=REPOSITORY) as server:
        for number in range(1, _LAST):
            with Connection(server.address) as connection:
                connection.request("GET", f"/{number}")
                try:
                    answer = connection.read()
                except EOFError as cut:
                    assert cut.args[0] == b""
                    seen[0] += 1
                else:
                    assert (answer.status, answer.body) == (200, b"well") or answer.status == 500
                    seen[answer.status] += 1
            with Connection(server.address) as connection:
                assert connection.ask("GET", "/0").body == b"well"
    assert seen[500] and seen[200], seen


@pytest.mark.threat("G-091", sent="an application raises MemoryError", verdict="500, and the connection goes on")
def test_an_application_out_of_memory() -> None:
    pytest.importorskip("_testcapi", reason="this Python comes without _testcapi")
    with running(SITE, "--lifespan", "off", app_dir=REPOSITORY) as server:
        with Connection(server.address) as connection:
            assert connection.ask("GET", "/-1").status == 500
            assert connection.ask("GET", "/0").body == b"well"
