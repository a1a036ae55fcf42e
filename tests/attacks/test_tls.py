"""Handshakes that stall, handshakes in a storm, keys that change without end (threat G-068)."""

from __future__ import annotations

import time

import pytest

from tests.apps.conftest import Loopback
from tests.attacks.conftest import SPARE_MIB, Book
from tests.attacks.crowd import Plan
from tests.attacks.key_updates import Updater
from tests.attacks.moves import client_hello
from tests.attacks.siege import Vitals, attacked, besiege, serving, split

_CLIENTS = 5000
#: A connection within its handshake: OpenSSL's own memory.
_SHAKING_KIB = 64.0
_UPDATES = 200_000


@pytest.mark.threat(
    "G-068",
    sent=f"{_CLIENTS} connections to a TLS port, a third each: silence, a ClientHello a byte a second, plain HTTP",
    verdict="a silent close at the deadline, one 400 for plain HTTP; the healthy client's p99 below 100 ms",
)
def test_handshakes_that_stall(attack_s: float, book: Book, loopback: Loopback) -> None:
    hello = client_hello().decode("latin-1")
    moves = [
        ("drip", {}),
        ("drip", {"piece": hello, "step": 1, "every_s": 1.0}),
        ("ask", {"opening": "GET / HTTP/1.1\r\nHost: t\r\n\r\n"}),
    ]
    plans = [Plan(move, _CLIENTS // 3, words, pace=300) for move, words in moves]
    with serving("asgi_site", *loopback.flags()) as server:
        outcome = besiege(server, "TLS: handshakes that stall", plans, seconds=attack_s, tls=loopback.context())
    book.judge(outcome, growth_mib=_CLIENTS * _SHAKING_KIB / 1024 + SPARE_MIB, cpu_percent=60)
    assert outcome.crowd["status 400"] > 0


@pytest.mark.threat(
    "G-068",
    sent="full handshakes, each with another server name, as many as one processor can make",
    verdict="established connections keep their share: the healthy client's p99 below 100 ms",
)
def test_handshakes_in_a_storm(attack_s: float, book: Book, loopback: Loopback) -> None:
    crowds = split(Plan("shake", 100, {}, again_s=0.0))
    with serving("asgi_site", *loopback.flags()) as server:
        # On a connection of long standing: its own handshakes would wait for their turn among all others.
        outcome = besiege(
            server, "TLS: handshakes in a storm", *crowds, seconds=attack_s / 2, tls=loopback.context(), renewed=1000
        )
    book.judge(outcome, growth_mib=100 * _SHAKING_KIB / 1024 + SPARE_MIB)
    assert outcome.crowd["handshakes"] > 10 * outcome.seconds, outcome.describe()


@pytest.mark.threat(
    "G-068",
    sent=f"{_UPDATES:,} KeyUpdate records on one TLS 1.3 connection, as fast as they can be sent",
    verdict="the connection is cut before it costs anybody anything: the healthy client's p99 below 100 ms",
)
def test_keys_that_change_without_end(attack_s: float, book: Book, loopback: Loopback) -> None:
    pytest.importorskip("cryptography")
    with serving("asgi_site", *loopback.flags()) as server:
        client = Updater(server.address)
        records = client.updates(_UPDATES)
        with attacked(server, "TLS: KeyUpdate without end", 1, loopback.context()) as outcome:
            began, before = time.monotonic(), Vitals.of(server.pid)
            try:
                client.send(records)
                assert client.received() == b""
            except OSError:
                pass
            time.sleep(max(0.0, attack_s / 5 - (time.monotonic() - began)))
            outcome.seconds = time.monotonic() - began
            outcome.cpu_percent = 100 * (Vitals.of(server.pid).processor_s - before.processor_s) / outcome.seconds
            client.close()
    book.judge(outcome, growth_mib=SPARE_MIB, cpu_percent=25)
