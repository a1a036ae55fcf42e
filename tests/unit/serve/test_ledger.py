"""What the ledger writes, bit by bit, into memory it was given."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torana.base import board_row as at
from torana.serve.ledger import Ledger
from torana.wire.events import RequestHead


def head(method: str = "GET", path: bytes = b"/") -> RequestHead:
    made = RequestHead()
    made.method = method
    made.raw_path = path
    return made


def word(row: bytearray, index: int) -> int:
    return struct.unpack_from("=Q", row, 8 * index)[0]


def place(row: bytearray, number: int) -> tuple[int, float, bytes]:
    """State, time and text of a place."""
    first = 8 * (at.FIRST_PLACE + number * at.PLACE_WORDS)
    state, since = struct.unpack_from("=Qd", row, first)
    return state, since, bytes(row[first + 16 : first + 16 + max(0, state - 1)])


def test_the_places_fill_the_row_exactly() -> None:
    assert at.ROW_BYTES == 8 * at.ROW_WORDS == 8 * (at.FIRST_PLACE + at.PLACES * at.PLACE_WORDS)
    assert 8 * (at.PLACE_WORDS - at.TEXT) == at.TEXT_BYTES


@pytest.mark.parametrize("row", [bytearray(at.ROW_BYTES - 1), bytearray(at.ROW_BYTES + 8), bytearray(), bytes(4096)])
def test_other_memory_than_a_row_is_refused(row: bytes) -> None:
    with pytest.raises(ValueError, match="4096 writable bytes"):
        Ledger(memoryview(row))


def test_memory_in_pieces_is_refused() -> None:
    with pytest.raises(ValueError):
        Ledger(memoryview(bytearray(2 * at.ROW_BYTES))[::2])


def test_a_new_ledger_marks_its_row() -> None:
    row = bytearray(at.ROW_BYTES)
    Ledger(memoryview(row))
    assert word(row, at.MARK) == at.MARKED
    assert not any(row[8:])


def test_a_request_is_in_its_place_until_it_ends() -> None:
    row = bytearray(at.ROW_BYTES)
    ledger = Ledger(memoryview(row))
    assert ledger.begin(head("POST", b"/orders/7"), 12.5) == 0
    assert place(row, 0) == (1 + len("POST /orders/7"), 12.5, b"POST /orders/7")
    assert (word(row, at.BEGUN), word(row, at.ENDED), word(row, at.BEAT)) == (1, 0, 1)
    ledger.end(0)
    assert place(row, 0)[0] == 0
    assert (word(row, at.BEGUN), word(row, at.ENDED), word(row, at.BEAT)) == (1, 1, 1)


def test_requests_without_a_place_are_counted() -> None:
    row = bytearray(at.ROW_BYTES)
    ledger = Ledger(memoryview(row))
    places = [ledger.begin(head(path=b"/%d" % n), float(n)) for n in range(at.PLACES + 3)]
    assert sorted(places[: at.PLACES]) == list(range(at.PLACES))
    assert places[at.PLACES :] == [-1, -1, -1]
    assert word(row, at.BEGUN) == at.PLACES + 3
    ledger.end(-1)
    assert word(row, at.ENDED) == 1
    ledger.end(5)
    assert ledger.begin(head(path=b"/late"), 1.0) == 5
    assert place(row, 5)[2] == b"GET /late"


def test_a_shorter_text_hides_the_longer_one_before_it() -> None:
    row = bytearray(at.ROW_BYTES)
    ledger = Ledger(memoryview(row))
    ledger.end(ledger.begin(head(path=b"/" + b"x" * 80), 1.0))
    assert ledger.begin(head(path=b"/y"), 2.0) == 0
    assert place(row, 0) == (7, 2.0, b"GET /y")


@given(
    st.text(st.characters(codec="ascii"), min_size=1, max_size=40),
    st.binary(max_size=300),
    st.floats(allow_nan=False),
)
def test_whatever_is_asked_stays_in_its_place(method: str, path: bytes, now_s: float) -> None:
    row = bytearray(b"\xee") * (3 * at.ROW_BYTES)
    middle = memoryview(row)[at.ROW_BYTES : 2 * at.ROW_BYTES]
    middle[:] = bytes(at.ROW_BYTES)
    ledger = Ledger(middle)
    number = ledger.begin(head(method, path), now_s)
    own = bytearray(middle)
    text = (method.encode()[:16] + b" " + path)[: at.TEXT_BYTES]
    assert place(own, number) == (1 + len(text), now_s, text)
    # Nothing of the neighbours' places or rows was touched.
    assert not any(own[8 * (at.FIRST_PLACE + at.PLACE_WORDS) :])
    assert row[: at.ROW_BYTES] == b"\xee" * at.ROW_BYTES
    assert row[2 * at.ROW_BYTES :] == b"\xee" * at.ROW_BYTES


def test_beats_and_notes_have_words_of_their_own() -> None:
    row = bytearray(at.ROW_BYTES)
    ledger = Ledger(memoryview(row))
    ledger.beat()
    ledger.beat()
    ledger.note(3, 70)
    words = {name: word(row, getattr(at, name)) for name in "BEAT BEGUN ENDED QUEUE CONNECTIONS".split()}
    assert words == {"BEAT": 2, "BEGUN": 0, "ENDED": 0, "QUEUE": 3, "CONNECTIONS": 70}


def test_the_memory_stays_while_the_ledger_lives() -> None:
    row = bytearray(at.ROW_BYTES)
    view = memoryview(row)
    ledger = Ledger(view)
    view.release()
    ledger.beat()
    with pytest.raises(BufferError):
        row.clear()
    assert word(row, at.BEAT) == 1
