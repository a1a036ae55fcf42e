"""5,000 clients that ask for much and read nothing (threat G-066)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.conftest import SPARE_MIB, Book
from tests.attacks.crowd import Plan
from tests.attacks.siege import besiege, file_of, serving

_CLIENTS = 5000
_MEMORY_MIB = 128
_LARGE = 32 * 1024 * 1024
#: An application, its request and its answer, that waits to go on.
_CALL_KIB = 24
_GROWTH_MIB = 1.5 * _MEMORY_MIB + _CLIENTS * _CALL_KIB / 1024 + SPARE_MIB
#: Their requests are in the access log once they are over.
_LOG_BYTES = 4 * _CLIENTS * 300

_KINDS = {
    "streamed, ASGI": ("asgi_site", "/big/{size}", ()),
    "a file, ASGI": ("asgi_site", "/file{path}", ()),
    "a file, WSGI with 4 threads": ("wsgi_site", "/file{path}", ("--threads", "4")),
    "a whole body of 1 MiB, WSGI with 4 threads": ("wsgi_site", "/whole/1048576", ("--threads", "4")),
}


@pytest.mark.threat(
    "G-066",
    sent=f"{_CLIENTS} clients with small buffers ask for 32 MiB, streamed or a file, and read nothing",
    verdict="the application pauses, memory stays within limit_memory, the healthy client's p99 below 100 ms",
)
@pytest.mark.parametrize(("site", "path", "flags"), _KINDS.values(), ids=_KINDS)
def test_answers_that_nobody_reads(
    site: str, path: str, flags: tuple[str, ...], attack_s: float, book: Book, tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    path = path.format(size=_LARGE, path=file_of(tmp_path, _LARGE))
    opening = f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"
    plan = Plan("take", _CLIENTS, {"opening": opening}, pace=1000, receive_buffer_bytes=2048)
    with serving(site, "--limit-memory", f"{_MEMORY_MIB}MiB", *flags) as server:
        outcome = besiege(server, f"slow readers: {request.node.callspec.id}", [plan], seconds=attack_s / 2)
    book.judge(outcome, growth_mib=_GROWTH_MIB, cpu_percent=60, log_bytes=_LOG_BYTES)


@pytest.mark.threat(
    "G-066",
    sent=f"{_CLIENTS} HTTP/2 clients ask for 32 MiB and keep their windows closed, or open them and do not read",
    verdict="the application pauses, memory stays within limit_memory, the healthy client's p99 below 100 ms",
)
def test_windows_that_stay_closed(attack_s: float, book: Book) -> None:
    plans = [
        Plan(
            "take over HTTP/2",
            _CLIENTS // 2,
            {"path": f"/big/{_LARGE}", "streams": 1, "window": window},
            pace=500,
            receive_buffer_bytes=2048,
        )
        for window in (0, 1 << 20)
    ]
    with serving("asgi_site", "--limit-memory", f"{_MEMORY_MIB}MiB") as server:
        outcome = besiege(server, "slow readers: windows closed, HTTP/2", plans, seconds=attack_s / 2)
    book.judge(outcome, growth_mib=_GROWTH_MIB, cpu_percent=60, log_bytes=_LOG_BYTES)
