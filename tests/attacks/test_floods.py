"""More connections than there are descriptors, connections that only come and go, and floods of the log."""

from __future__ import annotations

import pytest

from tests.attacks.conftest import SPARE_MIB, WAITING_KIB, Book
from tests.attacks.crowd import Plan
from tests.attacks.siege import besiege, serving, split


@pytest.mark.threat(
    "G-067",
    sent="2,000 silent clients that come again whenever they are closed, and 256 or 1024 descriptors (ulimit -n)",
    verdict="the longest waiting give way, every request of the healthy client is answered; accepting never spins",
)
@pytest.mark.parametrize(("descriptors", "pace"), [(256, 100), (1024, 500)])
def test_more_connections_than_descriptors(descriptors: int, pace: int, attack_s: float, book: Book) -> None:
    plan = Plan("drip", 2000, {}, pace=pace)
    with serving("asgi_site", descriptors=descriptors) as server:
        outcome = besiege(server, f"connection flood, {descriptors} descriptors", [plan], seconds=attack_s / 2)
    book.judge(outcome, growth_mib=descriptors * WAITING_KIB / 1024 + SPARE_MIB, cpu_percent=25)
    assert outcome.descriptors[1] <= descriptors


@pytest.mark.threat(
    "G-067",
    sent="12,000 silent clients against a worker of 10,000 connections",
    verdict="the longest waiting give way, every request of the healthy client is answered",
)
def test_more_connections_than_the_worker_takes(attack_s: float, book: Book) -> None:
    crowds = split(Plan("drip", 11_000, {}, pace=2000))
    with serving("asgi_site") as server:
        outcome = besiege(server, "connection flood, 10,000 connections", *crowds, seconds=attack_s / 2)
    book.judge(outcome, growth_mib=11_000 * WAITING_KIB / 1024 + SPARE_MIB, cpu_percent=60)


@pytest.mark.threat(
    "G-067",
    sent="connections that leave at once, half of them with a reset, as many as one processor can make",
    verdict="every request of the healthy client is answered",
)
def test_connections_that_come_and_go(attack_s: float, book: Book) -> None:
    plans = [Plan("pass", 500, {"resets": resets}, pace=5000, again_s=0.0) for resets in (False, True)]
    with serving("asgi_site") as server:
        outcome = besiege(server, "connect and leave", plans, seconds=attack_s / 2)
    book.judge(outcome, growth_mib=1000 * WAITING_KIB / 1024 + SPARE_MIB)


_NONSENSE = {
    "no request": "\x1b]0;x\x07 \xff\xfe\r\n\r\n",
    "no header": "GET /%1b%5b31m HTTP/1.1\r\nHost: t\r\nno colon\r\n\r\n",
    "too long": f"GET /{'a' * 9000} HTTP/1.1\r\nHost: t\r\n\r\n",
    "two lengths": "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
}


@pytest.mark.threat(
    "G-072",
    sent="thousands of bad requests a second, of four kinds",
    verdict="one line a kind and second; the healthy client is served",
)
def test_bad_requests_do_not_fill_the_log(attack_s: float, book: Book) -> None:
    plans = [Plan("ask", 100, {"opening": opening}, pace=1500, again_s=0.0) for opening in _NONSENSE.values()]
    with serving("asgi_site") as server:
        outcome = besiege(server, "bad requests", plans, seconds=attack_s / 2)
    lines = len(_NONSENSE) * (outcome.seconds + 10)
    book.judge(outcome, growth_mib=10_000 * WAITING_KIB / 1024 + SPARE_MIB, log_bytes=int(lines * 200))
    assert outcome.crowd["begun"] > 1000 * outcome.seconds
