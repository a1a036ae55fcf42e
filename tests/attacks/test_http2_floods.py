"""Floods of HTTP/2 by clients that come again whenever they are sent away (G-039 to G-044, G-046 to G-049).

Each twice: by one client at 1 Mbit/s, who may not cost more than a quarter of a processor, and by twenty as fast as
they can be. The verdict on a single connection: ``tests/threats/test_http2_floods``.
"""

from __future__ import annotations

import pytest

from tests.attacks.conftest import LINE_BYTES, SPARE_MIB, Book
from tests.attacks.crowd import Plan
from tests.attacks.siege import besiege, serving
from tests.support.http2 import PREFACE, frame, headers, settings, update
from tests.unit.wire.corpus.http2_blocks import BOMBS, in_frames
from tests.unit.wire.corpus.http2_case import to
from tests.unit.wire.corpus.http2_floods import FLOODS, SPOILERS, spoilt

_BEGIN = PREFACE + settings()
#: What a connection may hold: its windows' worth of bodies, heads and answers.
_CONNECTION_MIB = 8.0
#: Bytes of each 0.1 s that are 1 Mbit/s.
_STEP, _EVERY_S = 12_500, 0.1
_PIECE_BYTES = 256 * 1024
_REQUESTS = 4000


def _again(data: bytes) -> bytes:
    return data * max(1, _PIECE_BYTES // len(data))


def _pieces() -> dict[str, tuple[str, bytes, bytes]]:
    """Threat, what is said first, and what is said again and again."""
    found = {flood.name: (flood.threat, flood.first, _again(flood.again)) for flood in FLOODS}
    for kind, (threat, _) in SPOILERS.items():
        found[f"requests with {kind} behind them"] = (
            threat, b"", b"".join(spoilt(kind, number) for number in range(1, 4001, 2)),
        )  # fmt: skip
    for name, (threat, raw, _) in BOMBS.items():
        found[name] = (threat, b"", b"".join(in_frames(raw, number) for number in range(1, 41, 2)))
    found["HPACK integers without end"] = ("G-044", b"", _again(frame(1, 5, 1, b"\xff" * 16_384)))
    found["small requests that are answered, and none of the answers read"] = (
        "G-047", update(0, 2**30),
        b"".join(headers(2 * number + 1, to(b"/big/30000")) for number in range(_REQUESTS)),
    )  # fmt: skip
    return found


PIECES = _pieces()


#: Nothing is wrong with these but that they are many: what twenty clients ask for together is load, and no attack.
_WORK = frozenset({"small requests that are answered, and none of the answers read"})


def _marked(verdict: str, without: frozenset[str] = frozenset()) -> list[object]:
    return [
        pytest.param(name, marks=pytest.mark.threat(threat, sent=name, verdict=verdict))
        for name, (threat, _, _) in PIECES.items()
        if name not in without
    ]


@pytest.mark.parametrize("name", _marked("one client at 1 Mbit/s costs less than 25 % of a processor and 8 MiB"))
def test_one_client(name: str, attack_s: float, book: Book) -> None:
    _, first, piece = PIECES[name]
    words = {
        "opening": (_BEGIN + first).decode("latin-1"),
        "piece": piece.decode("latin-1"), "step": _STEP, "every_s": _EVERY_S,
    }  # fmt: skip
    with serving("asgi_site") as server:
        outcome = besiege(
            server, f"HTTP/2, one client: {name}", [Plan("drip", 1, words, again_s=0.0)], seconds=attack_s / 4
        )
    # Each that is answered has its line.
    requests = outcome.crowd["bytes sent"] * _REQUESTS // len(piece)
    log_bytes = requests * LINE_BYTES if name in _WORK else 0
    book.judge(outcome, growth_mib=_CONNECTION_MIB + SPARE_MIB, cpu_percent=25, log_bytes=log_bytes)


@pytest.mark.parametrize(
    "name", _marked("twenty clients without pause: every request of the healthy client in 100 ms", _WORK)
)
def test_twenty_clients(name: str, attack_s: float, book: Book) -> None:
    _, first, piece = PIECES[name]
    words = {"opening": (_BEGIN + first + piece).decode("latin-1")}
    plan = Plan("ask", 20, words, pace=100, again_s=0.1)
    with serving("asgi_site") as server:
        outcome = besiege(server, f"HTTP/2, twenty clients: {name}", [plan], seconds=attack_s / 4)
    book.judge(outcome, growth_mib=20 * _CONNECTION_MIB + SPARE_MIB)


@pytest.mark.threat(
    "G-049", sent="50 clients with 100 streams each, for 10 MiB on every one, all windows closed",
    verdict="the applications wait; memory stays bounded, the healthy client is served",
)  # fmt: skip
@pytest.mark.parametrize("window", [0, 1])
def test_closed_windows(window: int, attack_s: float, book: Book) -> None:
    plan = Plan("take over HTTP/2", 50, {"path": "/big/10485760", "streams": 100, "window": window}, pace=50)
    with serving("asgi_site") as server:
        outcome = besiege(server, f"HTTP/2 windows of {window}", [plan], seconds=attack_s)
    # Each stream has its line in the access log.
    book.judge(outcome, growth_mib=50 * _CONNECTION_MIB + SPARE_MIB, log_bytes=50 * 128 * 400)
