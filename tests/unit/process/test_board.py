"""The board: what a worker's row says, to whom, and that nothing in it can harm a reader."""

from __future__ import annotations

import os
import signal
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torana.base import board_row as at
from torana.process.board import Board, InFlight, Reading, printable, read_row
from torana.serve.ledger import Ledger
from torana.wire.events import RequestHead


def head(path: bytes, method: str = "GET") -> RequestHead:
    made = RequestHead()
    made.method = method
    made.raw_path = path
    return made


def test_a_row_that_nobody_wrote_is_not_open() -> None:
    board = Board(2)
    assert board.read(0) == board.read(1) == Reading()
    assert not board.read(0).is_open
    board.close()


def test_a_reading_tells_what_the_ledger_wrote() -> None:
    board = Board(1)
    ledger = Ledger(board.row(0))
    ledger.begin(head(b"/young"), 9.0)
    ledger.begin(head(b"/old", "POST"), 2.0)
    ledger.end(ledger.begin(head(b"/over"), 8.0))
    ledger.beat()
    ledger.note(5, 60)
    assert board.read(0, now_s=10.0) == Reading(
        is_open=True, beat=4, served=3, ended=1, queue=5, connections=60,
        requests=(InFlight("POST /old", 8.0), InFlight("GET /young", 1.0)),
    )  # fmt: skip
    assert board.read(0, now_s=10.0).describe() == "2 in flight: POST /old (8.0 s), GET /young (1.0 s)"


def test_requests_without_a_place_are_in_the_description() -> None:
    board = Board(1)
    ledger = Ledger(board.row(0))
    for _ in range(at.PLACES + 2):
        ledger.begin(head(b"/"), 1.0)
    reading = board.read(0, now_s=1.0)
    assert reading.in_flight == at.PLACES + 2
    assert len(reading.requests) == at.PLACES
    assert reading.describe().endswith(", and 2 more")


def test_rows_are_apart_and_can_be_made_anew() -> None:
    board = Board(3)
    Ledger(board.row(1)).beat()
    assert [board.read(index).is_open for index in range(3)] == [False, True, False]
    board.clear(1)
    assert board.read(1) == Reading()


def test_rows_that_are_not_there_are_refused() -> None:
    board = Board(2)
    assert len(board) == 2
    for index in (-1, 2):
        with pytest.raises(IndexError):
            board.row(index)


def test_a_board_with_a_row_in_use_is_closed_later() -> None:
    board = Board(1)
    row = board.row(0)
    board.close()
    row[0] = 1


def test_a_killed_child_leaves_its_requests_on_the_board() -> None:
    board = Board(2)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ledger = Ledger(board.row(1))
            ledger.begin(head(b"/killed"), 0.0)
            os.write(write_end, b"x")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(write_end)
    assert os.read(read_end, 1) == b"x"
    os.close(read_end)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    reading = board.read(1, now_s=3.0)
    assert reading.requests == (InFlight("GET /killed", 3.0),)
    assert not board.read(0).is_open


def test_readings_while_a_child_writes_are_never_absurd() -> None:
    board = Board(1)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(write_end)
            ledger = Ledger(board.row(0))
            os.set_blocking(read_end, False)
            while True:
                try:
                    if os.read(read_end, 1) == b"":
                        os._exit(0)
                except BlockingIOError:
                    pass
                ledger.end(ledger.begin(head(b"/" + b"abc" * 30), 1.0))
        finally:
            os._exit(1)
    os.close(read_end)
    beat = 0
    while beat < 5000:
        reading = board.read(0, now_s=2.0)
        assert reading.beat >= beat
        assert reading.in_flight < 1 << 40
        assert all(request.text.isascii() and request.text.isprintable() for request in reading.requests)
        beat = reading.beat
    os.close(write_end)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@given(st.binary(min_size=3900, max_size=at.ROW_BYTES))
def test_any_memory_can_be_read(noise: bytes) -> None:
    row = bytearray(noise.ljust(at.ROW_BYTES, b"\x01"))
    struct.pack_into("=Q", row, 0, at.MARKED)
    reading = read_row(memoryview(row), 10.0)
    assert reading.is_open
    assert 0 <= reading.in_flight < 1 << 63
    for request in reading.requests:
        assert len(request.text) <= at.TEXT_BYTES
        assert request.text.isascii() and (request.text.isprintable() or not request.text)
        assert 0 <= request.age_s < 1e9
    assert "\n" not in reading.describe()


def test_client_text_cannot_forge_a_line_of_the_log() -> None:
    assert printable(b"GET /\r\n[1] INFO all is well\x1b[2J\xff\x00") == "GET /??[1] INFO all is well?[2J??"


def test_an_end_seen_before_its_begin_is_no_multitude() -> None:
    assert Reading(is_open=True, served=4, ended=5).in_flight == 0
    assert Reading(is_open=True, served=1, ended=(1 << 64) - 1).in_flight == 2
