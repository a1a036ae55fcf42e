"""TLS without a socket: both ways, in any pieces; and records that carry nothing have a budget."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme

from torana.net.seal import Seal, SealedStream, Wasteful

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("one.example")


def contexts(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CERTIFICATE.configure_cert(ours)
    AUTHORITY.configure_trust(theirs)
    theirs.minimum_version = theirs.maximum_version = version
    return ours, theirs


class Pair:
    """A seal and a client before it, the handshake done."""

    def __init__(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        ours, theirs = contexts(version)
        self.seal = Seal(ours)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = theirs.wrap_bio(self.incoming, self.outgoing, server_hostname="one.example")
        is_done = False
        while not is_done:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            is_done = self.seal.shake(self.outgoing.read())
            self.incoming.write(self.seal.word())

    def said(self, *pieces: bytes) -> bytes:
        """Records of the client's."""
        for piece in pieces:
            self.client.write(piece)
        return self.outgoing.read()

    def heard(self, data: bytes) -> bytes:
        """What the client reads of our records."""
        self.incoming.write(data)
        got = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while piece := self.client.read(65536):
                got += piece
        return got


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
@pytest.mark.parametrize("size", [1, 100, 16_384, 16_385, 70_000, 300_000])
def test_both_ways_in_pieces_of_any_size(version: ssl.TLSVersion, size: int) -> None:
    pair = Pair(version)
    content = os.urandom(size)
    for step in (1, 7, 1000, 16_384, 65_536):
        if size // step > 20_000:
            continue
        raw = pair.said(*(content[at : at + 16_384] for at in range(0, size, 16_384)))
        parts = [pair.seal.opened(raw[at : at + step]) for at in range(0, len(raw), step)]
        assert b"".join(part for part in parts if part) == content
    for form in (content, bytearray(content), memoryview(content)):
        assert pair.heard(pair.seal.sealed(form)) == content


@VERSIONS
def test_an_end_behind_data_is_told_after_it(version: ssl.TLSVersion) -> None:
    pair = Pair(version)
    raw = pair.said(b"last")
    with contextlib.suppress(ssl.SSLError):
        pair.client.unwrap()
    assert pair.seal.opened(raw + pair.outgoing.read()) == b"last"
    assert pair.seal.has_more
    assert pair.seal.opened(b"") == b""


@VERSIONS
def test_a_broken_record_behind_data_is_told_after_it(version: ssl.TLSVersion) -> None:
    pair = Pair(version)
    good, bad = pair.said(b"good"), bytearray(pair.said(b"bad"))
    bad[-1] ^= 1
    whole = good + bad
    assert pair.seal.opened(whole) == b"good"
    assert pair.seal.has_more
    with pytest.raises(ssl.SSLError):
        pair.seal.opened(b"")
    assert pair.seal.has_word(), "an alert"


def test_what_came_with_the_handshake_is_not_forgotten() -> None:
    ours, theirs = contexts()
    seal = Seal(ours)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = theirs.wrap_bio(incoming, outgoing, server_hostname="one.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    assert not seal.shake(outgoing.read())
    incoming.write(seal.word())
    client.do_handshake()
    client.write(b"early")
    assert seal.shake(outgoing.read())
    assert seal.has_more
    assert seal.opened(b"") == b"early"


def test_records_of_a_byte_pay_for_themselves() -> None:
    pair = Pair()
    raw = pair.said(*(b"x" for _ in range(10_000)))
    got = b"".join(pair.seal.opened(raw[at : at + 50_000]) or b"" for at in range(0, len(raw), 50_000))
    assert got == b"x" * 10_000


def test_records_without_content_do_not() -> None:
    pair = Pair(ssl.TLSVersion.TLSv1_2)
    # What OpenSSL refuses by itself it refuses; here a record never ends, and another never begins.
    with pytest.raises((Wasteful, ssl.SSLError)):
        for _ in range(100_000):
            assert pair.seal.opened(b"\x17\x03\x03\x40\x00" + b"x" * 1000) is None


def test_close_notify_is_said_once() -> None:
    pair = Pair()
    farewell = pair.seal.farewell()
    assert farewell
    assert pair.heard(farewell) == b""
    with pytest.raises((OSError, ValueError)):
        pair.seal.sealed(b"more")


@pytest.fixture
def streams() -> Iterator[tuple[SealedStream, ssl.SSLSocket]]:
    """Ours, non-blocking; and an ordinary client's, which blocks."""
    ours, theirs = contexts()
    with contextlib.ExitStack() as stack:
        first, second = socket.socketpair()
        stack.enter_context(first)
        second.settimeout(20)
        seal = Seal(ours)
        shaken: list[ssl.SSLSocket] = []
        thread = threading.Thread(
            target=lambda: shaken.append(theirs.wrap_socket(second, server_hostname="one.example"))
        )
        thread.start()
        while not seal.shake(first.recv(65536)):
            first.sendall(seal.word())
        first.sendall(seal.word())
        thread.join()
        first.setblocking(False)
        yield SealedStream(first, seal), stack.enter_context(shaken[0])


def test_a_stream_sends_all_that_it_says_it_has(streams: tuple[SealedStream, ssl.SSLSocket]) -> None:
    stream, client = streams
    content = os.urandom(2_000_000)
    view = memoryview(content)
    at, held_up, got = 0, 0, bytearray()
    while at < len(content):
        try:
            at += stream.send(view[at:])
        except BlockingIOError:
            held_up += 1
            got += client.recv(65536)
    stream.unwrap()
    while piece := client.recv(65536):
        got += piece
    assert got == content
    assert held_up


def test_a_stream_gives_what_it_holds_piece_by_piece(streams: tuple[SealedStream, ssl.SSLSocket]) -> None:
    stream, client = streams
    # The tickets of the handshake go with it: unread they would make a reset of the client's close.
    assert stream.send(memoryview(b"!")) == 1
    assert client.recv(1) == b"!"
    with pytest.raises(BlockingIOError):
        stream.recv(10)
    client.sendall(b"0123456789")
    got = stream.recv(4)
    assert (got, stream.pending()) == (b"0123", 6)
    assert stream.recv(100) == b"456789"
    assert stream.pending() == 0
    client.close()
    assert stream.recv(10) == b""
