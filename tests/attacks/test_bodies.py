"""5,000 bodies that stall, 1,000 uploads without a length (threats G-065, G-069)."""

from __future__ import annotations

import pytest

from tests.attacks.conftest import SPARE_MIB, Book
from tests.attacks.crowd import Plan
from tests.attacks.siege import besiege, serving

_CLIENTS = 5000
_MEMORY_MIB = 128
_CALL_KIB = 24
_SIZE = 200_000
_LENGTH = f"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {_SIZE}\r\n\r\n"
_CHUNKED = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
_STALLED = {
    "a byte every 10 s": {"opening": _LENGTH, "piece": "x", "every_s": 10},
    "a chunk of a byte every 10 s": {"opening": _CHUNKED, "piece": "1\r\nx\r\n", "every_s": 10},
    "all but 1 %": {"opening": _LENGTH, "filling": _SIZE - _SIZE // 100},
}


@pytest.mark.threat(
    "G-065",
    sent=f"{_CLIENTS} bodies to 4 WSGI threads, a third each: {', '.join(_STALLED)}",
    verdict="no thread waits for them; memory stays within limit_memory, the healthy client's p99 below 100 ms",
)
def test_bodies_that_stall(attack_s: float, book: Book) -> None:
    plans = [Plan("drip", _CLIENTS // 3, words, pace=1000) for words in _STALLED.values()]
    with serving("wsgi_site", "--threads", "4", "--limit-memory", f"{_MEMORY_MIB}MiB") as server:
        outcome = besiege(server, "stalled bodies, WSGI with 4 threads", plans, seconds=attack_s)
    growth_mib = 1.5 * _MEMORY_MIB + _CLIENTS * _CALL_KIB / 1024 + SPARE_MIB
    book.judge(outcome, growth_mib=growth_mib, cpu_percent=60, log_bytes=2 * _CLIENTS * 300)


_UPLOADS = {
    "ASGI": ("asgi_site", "/", ()),
    "ASGI, never read": ("asgi_site", "/unread", ()),
    "WSGI with 4 threads": ("wsgi_site", "/", ("--threads", "4", "--limit-spool-disk", "256MiB")),
}


@pytest.mark.threat(
    "G-069",
    sent="1,000 uploads of 15 MiB at once, chunked, without a length",
    verdict="memory stays within limit_memory, disk within limit_spool_disk; the healthy client is served",
)
@pytest.mark.parametrize(("site", "path", "flags"), _UPLOADS.values(), ids=_UPLOADS)
def test_uploads_without_length(
    site: str, path: str, flags: tuple[str, ...], attack_s: float, book: Book, request: pytest.FixtureRequest
) -> None:
    # Each client sends 640 KiB/s: together more than a worker is ever sent, and less than a processor can copy.
    plan = Plan("upload", 1000, {"path": path, "size": 15 * 1024 * 1024, "pause_s": 0.5}, pace=1000)
    with serving(site, "--limit-memory", f"{_MEMORY_MIB}MiB", *flags) as server:
        outcome = besiege(server, f"uploads: {request.node.callspec.id}", [plan], seconds=attack_s / 2)
    growth_mib = 1.5 * _MEMORY_MIB + 1000 * _CALL_KIB / 1024 + SPARE_MIB
    book.judge(outcome, growth_mib=growth_mib, log_bytes=100_000 * 300)
