"""Byte matrices of the catalogue: all 256 values, inserted everywhere it matters (G-008, 013, 015, 022, 025)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.wire.corpus.case import CANARY, chunked
from tests.unit.wire.http1_driver import Outcome, drive, single_bytes
from torana.wire.events import CLOSED

ALL = [bytes([value]) for value in range(256)]
TCHAR = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISIBLE = bytes(range(0x21, 0x7F))
CONTROLS = [bytes([value]) for value in [*range(0x20), 0x7F]]


def run(data: bytes) -> Outcome:
    """Whole and byte by byte, before the canary; both must agree."""
    whole = drive([data + CANARY])
    assert drive(single_bytes(data + CANARY)) == whole
    if whole.error is not None:
        assert whole.mark is CLOSED
        assert not any(seen.head["raw_path"] == b"/canary" for seen in whole.requests)
    return whole


@pytest.mark.parametrize("at", [0, 7, 14], ids=["start", "middle", "end"])
def test_byte_in_content_length_name(at: int) -> None:
    for byte in ALL:
        name = b"Content-Length"[:at] + byte + b"Content-Length"[at:]
        outcome = run(b"POST /a HTTP/1.1\r\nHost: t\r\n" + name + b": 33\r\n\r\n")
        if byte == b":" and at > 0:
            # "Content: -Length: 33" is another field, "Content-Length:: 33" a length that is no number.
            assert (outcome.error is None) == (at == 7)
        elif byte in TCHAR:
            assert outcome.error is None, byte
            assert outcome.requests[0].head["content_length"] == 0
            is_dropped = byte in (b"_", b".")
            assert ((name.lower(), b"33") in outcome.requests[0].head["fields"]) == (not is_dropped)
        else:
            assert outcome.error is not None and outcome.error[0] == 400, byte


def test_byte_in_method() -> None:
    for byte in ALL:
        for method in (byte, b"G" + byte, b"G" + byte + b"T"):
            outcome = run(method + b" / HTTP/1.1\r\nHost: t\r\n\r\n")
            if byte in TCHAR and not byte.islower():
                assert outcome.requests[0].head["method"] == method.decode()
            else:
                assert outcome.error is not None and outcome.error[0] == 400, method


def test_byte_in_target() -> None:
    for byte in ALL:
        for target in (b"/" + byte, b"/a" + byte + b"b", b"/?" + byte, b"/a?b" + byte + b"c"):
            outcome = run(b"GET " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n")
            if byte in VISIBLE and byte != b"#":
                head = outcome.requests[0].head
                assert head["target"] == target
                assert (head["raw_path"], head["query"]) == (target.partition(b"?")[0], target.partition(b"?")[2])
            else:
                assert outcome.error is not None and outcome.error[0] == 400, target


@pytest.mark.parametrize("at", range(9))
def test_byte_in_version(at: int) -> None:
    for byte in ALL:
        version = b"HTTP/1.1"[:at] + byte + b"HTTP/1.1"[at:]
        outcome = run(b"GET / " + version + b"\r\nHost: t\r\n\r\n")
        assert outcome.error is not None, version
        is_version = version.startswith(b"HTTP/") and byte in VISIBLE and byte != b"#"
        assert outcome.error[0] == (505 if is_version else 400), version


@pytest.mark.parametrize("at", range(8))
def test_byte_replaced_in_version(at: int) -> None:
    for byte in ALL:
        version = b"HTTP/1.1"[:at] + byte + b"HTTP/1.1"[at + 1 :]
        outcome = run(b"GET / " + version + b"\r\nHost: t\r\n\r\n")
        if version in (b"HTTP/1.1", b"HTTP/1.0"):
            assert outcome.error is None
        else:
            is_version = version.startswith(b"HTTP/") and byte in VISIBLE and byte != b"#"
            assert outcome.error is not None and outcome.error[0] == (505 if is_version else 400), version


def test_byte_in_field_value() -> None:
    for byte in ALL:
        for value in (byte + b"ab", b"a" + byte + b"b", b"ab" + byte):
            outcome = run(b"GET / HTTP/1.1\r\nHost: t\r\nX: " + value + b"\r\n\r\n")
            if byte in CONTROLS and byte != b"\t":
                assert outcome.error is not None and outcome.error[0] == 400, value
            else:
                assert outcome.requests[0].head["fields"][1] == (b"x", value.strip(b" \t"))


@pytest.mark.parametrize(
    "place",
    [
        lambda byte: b"5;a=" + byte + b"\r\nhello\r\n0\r\n\r\n",
        lambda byte: b"5" + byte + b";a\r\nhello\r\n0\r\n\r\n",
        lambda byte: b"5\r\nhello\r\n0\r\nX: a" + byte + b"b\r\n\r\n",
        lambda byte: b"5\r\nhello\r\n0\r\nX" + byte + b": a\r\n\r\n",
    ],
    ids=["extension", "size", "trailer-value", "trailer-name"],
)
def test_control_in_chunk_lines(place: Callable[[bytes], bytes]) -> None:
    for byte in CONTROLS:
        if byte == b"\t" and (b";a\r" in place(byte) or b"b\r" in place(byte)):
            continue  # HTAB before ";" is BWS, and in a value it is allowed
        outcome = run(chunked(place(byte)))
        assert outcome.error is not None and outcome.error[0] == 400, place(byte)


@pytest.mark.parametrize(
    "template",
    [
        b"5%c%chello\r\n0\r\n\r\n",
        b"5;a%c%chello\r\n0\r\n\r\n",
        b"5\r\nhello%c%c0\r\n\r\n",
        b"5\r\nhello\r\n0%c%c\r\n",
        b"5\r\nhello\r\n0\r\n%c%c",
        b"5\r\nhello\r\n0\r\nX: y%c%c\r\n",
    ],
    ids=["size", "extension", "data", "last", "end", "trailer"],
)
def test_byte_in_either_half_of_a_chunk_line_end(template: bytes) -> None:
    """Each half of the CRLF replaced by each other value: none is a line end."""
    for value in range(256):
        for pair in ((value, 0x0A), (0x0D, value)):
            if pair == (0x0D, 0x0A):
                continue
            # Where the value continues the line instead (a digit, a name), the line that results is wrong as well.
            outcome = run(chunked(template % pair))
            assert outcome.error is not None, template % pair
            assert outcome.error[0] == 400


def test_every_pair_after_chunk_data_but_crlf_is_refused() -> None:
    head = chunked(b"")
    for first in range(256):
        pairs = range(256) if first in (0x0D, 0x0A, 0x30, 0x20, 0x00) else (0x0A, 0x0D, first)
        for second in pairs:
            outcome = drive([head + b"5\r\nhello%c%c0\r\n\r\n" % (first, second)])
            if (first, second) == (0x0D, 0x0A):
                assert outcome.error is None and bytes(outcome.requests[0].body) == b"hello"
            else:
                assert outcome.error == (400, "bad-chunk-end", "")
                assert bytes(outcome.requests[0].body) == b"hello"
                assert not outcome.requests[0].is_whole


@pytest.mark.parametrize("place", range(4))
def test_control_in_any_part_of_a_head_between_valid_requests(place: int) -> None:
    valid = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
    for byte in CONTROLS:
        start, name, value = b"GET / HTTP/1.1", b"X-Name", b"value"
        if place == 0:
            start = b"G" + byte + b"ET / HTTP/1.1"
        elif place == 1:
            start = b"GET /" + byte + b"x HTTP/1.1"
        elif place == 2:
            name = b"X" + byte + b"Name"
        elif byte != b"\t":
            value = b"va" + byte + b"lue"
        else:
            continue
        outcome = run(valid + start + b"\r\nHost: t\r\n" + name + b": " + value + b"\r\n\r\n" + valid)
        assert outcome.error is not None and outcome.error[0] == 400
        assert len(outcome.requests) == 1
