"""The account of exchanges, which threads close while the loop opens others."""

from __future__ import annotations

import struct
import sys
import threading
from typing import Any, cast

import pytest

from torana.base import board_row as at
from torana.base.build import has_lock
from torana.serve.account import new_account
from torana.serve.ledger import Ledger
from torana.serve.options import ServeOptions
from torana.serve.site import Site
from torana.wire.events import RequestHead

NOBODY = cast("Any", None)
THREADS, ROUNDS = 4, 2000


@pytest.fixture
def quick_switches() -> Any:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_all_that_begins_and_ends_on_threads_is_counted(quick_switches: None) -> None:
    row = bytearray(at.ROW_BYTES)
    site = Site(NOBODY, ServeOptions(), 100, None)
    site.ledger = Ledger(memoryview(row))
    head = RequestHead()
    head.method, head.raw_path = "GET", b"/"

    def work() -> None:
        account = new_account(site)
        for _ in range(ROUNDS):
            account.begin(head, 1.0)
            account.end(200, NOBODY, NOBODY, 0)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    words = struct.unpack(f"={at.ROW_BYTES // 8}Q", row)
    assert (site.running, site.served) == (0, THREADS * ROUNDS)
    assert words[at.BEGUN] == words[at.ENDED] == THREADS * ROUNDS
    # Every place is free again, so none was given to two.
    assert not any(words[at.FIRST_PLACE + place * at.PLACE_WORDS + at.STATE] for place in range(at.PLACES))


def test_an_account_that_is_closed_twice_counts_once() -> None:
    site = Site(NOBODY, ServeOptions(), 100, None)
    account = new_account(site)
    head = RequestHead()
    head.method, head.raw_path = "GET", b"/"
    account.begin(head, 1.0)
    account.end(200, NOBODY, NOBODY, 0)
    account.end(200, NOBODY, NOBODY, 0)
    assert (site.running, site.served) == (0, 1)


def test_nothing_is_locked_where_the_interpreter_sees_to_it() -> None:
    assert (Site(NOBODY, ServeOptions(), 100, None).lock is None) == has_lock()
