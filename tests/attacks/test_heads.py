"""5,000 clients whose request heads never end (threat G-064)."""

from __future__ import annotations

import pytest

from tests.attacks.conftest import SPARE_MIB, WAITING_KIB, Book
from tests.attacks.crowd import Plan
from tests.attacks.siege import besiege, serving

_CLIENTS = 5000
_HEAD = "GET / HTTP/1.1\r\nHost: t\r\n"
_SLOW = {
    "a line every 5 s": {"opening": _HEAD, "piece": "X-a: b\r\n", "every_s": 5},
    "a byte every 900 ms": {"opening": _HEAD, "piece": "X-a: b\r\n", "step": 1, "every_s": 0.9},
    "empty lines": {"piece": "\r\n", "step": 1, "every_s": 0.9},
    "silence": {},
    "silence after a good request": {"opening": "GET / HTTP/1.1\r\nHost: t\r\n\r\n"},
}
#: Their connections linger for a second after 408, while they come again.
_GROWTH_MIB = 2 * _CLIENTS * WAITING_KIB / 1024 + SPARE_MIB


@pytest.mark.threat(
    "G-064",
    sent=f"{_CLIENTS} connections, a fifth of them each: {', '.join(_SLOW)}; for longer than the deadline",
    verdict="408 or a silent close at the deadline; the healthy client's p99 below 100 ms, 8 KiB a connection",
)
def test_heads_that_never_end(attack_s: float, book: Book) -> None:
    share = _CLIENTS // len(_SLOW)
    with serving("asgi_site", "--timeout-keep-alive", "10") as server:
        outcome = besiege(
            server, "slow heads, five kinds", [Plan("drip", share, words) for words in _SLOW.values()], seconds=attack_s
        )
    # 5,000 good requests are in the access log.
    book.judge(outcome, growth_mib=_GROWTH_MIB, cpu_percent=25, log_bytes=3 * share * 300)
    if attack_s > 16:
        assert outcome.crowd["status 408"] >= 2 * share, outcome.describe()


@pytest.mark.threat(
    "G-064",
    sent=f"{_CLIENTS} heads, a byte every 900 ms each",
    verdict="408 or a silent close at the deadline; the healthy client's p99 below 100 ms, 8 KiB a connection",
)
def test_heads_byte_by_byte(attack_s: float, book: Book) -> None:
    words = _SLOW["a byte every 900 ms"]
    with serving("asgi_site") as server:
        outcome = besiege(
            server, "slow heads, a byte every 900 ms", [Plan("drip", _CLIENTS, words)], seconds=attack_s / 2
        )
    book.judge(outcome, growth_mib=_CLIENTS * WAITING_KIB / 1024 + SPARE_MIB, cpu_percent=25)
