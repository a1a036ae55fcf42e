"""WebSockets that cost more than they bring, by clients that come again whenever they are sent away (G-060 to G-063).

Each twice: by one client at 1 Mbit/s, who may not cost more than a quarter of a processor, and by many. The verdict on
a single connection: ``tests/threats/test_websocket_floods``.
"""

from __future__ import annotations

import zlib

import pytest

from tests.attacks.conftest import SPARE_MIB, Book
from tests.attacks.crowd import Plan
from tests.attacks.siege import besiege, serving
from tests.support.talking import handshake
from tests.unit.wire.websocket_driver import BINARY, COMPRESSED, CONTINUATION, KEY, PING, TEXT, frame, length

_MIB = 1024 * 1024
#: The largest message there may be.
_MESSAGE_MIB = 16.0
_STEP, _EVERY_S = 12_500, 0.1
_OPENING = handshake(b"Sec-WebSocket-Extensions: permessage-deflate")


def _bomb(size: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(_MIB)
    return b"".join(stream.compress(piece) for _ in range(size // _MIB)) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4]


#: Threat, what is said first, and what is said again and again.
PIECES = {
    "empty fragments": ("G-061", frame(TEXT, fin=False), frame(CONTINUATION, fin=False) * 20_000),
    "fragments of one byte": ("G-061", frame(BINARY, b"x", fin=False), frame(CONTINUATION, b"x", fin=False) * 20_000),
    "pings": ("G-063", b"", frame(PING, b"x" * 125) * 2000),
    "messages of one byte": ("G-059", b"", frame(TEXT, b"x") * 20_000),
    "1 GiB of zeros in 1 MiB": ("G-062", b"", frame(BINARY, _bomb(1024 * _MIB), bits=COMPRESSED)),
    "15 MiB of zeros in 15 KiB": ("G-062", b"", frame(BINARY, _bomb(15 * _MIB), bits=COMPRESSED)),
    "16 MiB announced": ("G-060", b"\x82" + length(16 * _MIB) + KEY, bytes(256 * 1024)),
    "bad UTF-8 behind much that is good": ("G-059", b"", frame(TEXT, b"\xc3\xa9" * 100_000 + b"\xff")),
}


def _marked(verdict: str) -> list[object]:
    return [
        pytest.param(name, marks=pytest.mark.threat(threat, sent=name, verdict=verdict))
        for name, (threat, _, _) in PIECES.items()
    ]


@pytest.mark.parametrize("name", _marked("one client at 1 Mbit/s costs less than 25 % of a processor"))
def test_one_client(name: str, attack_s: float, book: Book) -> None:
    _, first, piece = PIECES[name]
    words = {
        "opening": (_OPENING + first).decode("latin-1"),
        "piece": piece.decode("latin-1"), "step": _STEP, "every_s": _EVERY_S,
    }  # fmt: skip
    with serving("sockets_site") as server:
        outcome = besiege(server, f"WebSocket, one client: {name}", [Plan("drip", 1, words)], seconds=attack_s / 4)
    book.judge(outcome, growth_mib=3 * _MESSAGE_MIB + SPARE_MIB, cpu_percent=25)


@pytest.mark.parametrize("name", _marked("twenty clients without pause: every request of the healthy client in 100 ms"))
def test_twenty_clients(name: str, attack_s: float, book: Book) -> None:
    _, first, piece = PIECES[name]
    words = {"opening": (_OPENING + first + piece).decode("latin-1")}
    with serving("sockets_site") as server:
        outcome = besiege(
            server, f"WebSocket, twenty clients: {name}", [Plan("ask", 20, words, pace=100, again_s=0.1)],
            seconds=attack_s / 4,
        )  # fmt: skip
    # Messages that unfold are all as large as one may be.
    book.judge(outcome, growth_mib=3 * 20 * _MESSAGE_MIB + SPARE_MIB)


@pytest.mark.threat(
    "G-060", sent="300 clients that each hold 90 % of the largest message",
    verdict="no more than the worker's share of memory; those that grow are not read; the healthy client is served",
)  # fmt: skip
def test_unfinished_messages(attack_s: float, book: Book) -> None:
    opening = handshake() + b"\x82" + length(16 * _MIB) + KEY
    plan = Plan("drip", 300, {"opening": opening.decode("latin-1"), "filling": int(14.4 * _MIB)}, pace=100)
    with serving("sockets_site", "--limit-memory", "512MiB") as server:
        outcome = besiege(server, "WebSocket, unfinished messages", [plan], seconds=attack_s)
    book.judge(outcome, growth_mib=640)


@pytest.mark.threat(
    "G-063", sent="1,000 clients that read nothing of what an application sends without end",
    verdict="each application waits; the healthy client is served",
)  # fmt: skip
def test_readers_that_do_not_read(attack_s: float, book: Book) -> None:
    words = {"opening": handshake(path=b"/shout").decode("latin-1")}
    plan = Plan("take", 1000, words, pace=200, receive_buffer_bytes=4096)
    with serving("sockets_site") as server:
        outcome = besiege(server, "WebSocket, nobody reads", [plan], seconds=attack_s)
    book.judge(outcome, growth_mib=1000 * 0.25 + SPARE_MIB, log_bytes=1000 * 400)
