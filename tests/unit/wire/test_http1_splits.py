"""Properties: cuts change nothing, no bytes raise anything but WireError, and h11 agrees on valid requests."""

from __future__ import annotations

from itertools import pairwise

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wire.corpus.case import CANARY
from tests.unit.wire.http1_driver import Seen, drive, single_bytes
from tests.unit.wire.test_http1_corpus import CASES

QUICK = settings(max_examples=150, deadline=None)
TOKEN = st.text("!#$%&'*+-^`|~0123456789ABCXYZabcxyz", min_size=1, max_size=12)
SAFE_NAMES = TOKEN.map(lambda name: "x-" + name)
VALUES = st.text("".join(map(chr, range(0x21, 0x7F))) + " \t", max_size=30).map(str.strip)
TARGETS = st.text("abc019/?&=%:;@!$'()*+,~._-", max_size=40).map(lambda text: "/" + text)
BODIES = st.binary(max_size=300)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One valid request as h11 writes it."""
    peer = h11.Connection(h11.CLIENT)
    fields = [
        ("Host", draw(st.sampled_from(["t", "t:80", "127.0.0.1:8000", "[::1]"]))),
        *draw(st.lists(st.tuples(SAFE_NAMES, VALUES), max_size=8)),
    ]
    body = draw(BODIES)
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    if framing == "length":
        fields.append(("Content-Length", str(len(body))))
    elif framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "X-ODD"]))
    data = peer.send(h11.Request(method=method, target=draw(TARGETS), headers=fields)) or b""
    if framing != "none":
        at = 0
        while at < len(body):
            size = draw(st.integers(1, len(body) - at))
            data += peer.send(h11.Data(data=body[at : at + size])) or b""
            at += size
    trailers = draw(st.lists(st.tuples(SAFE_NAMES, VALUES), max_size=3)) if framing == "chunked" else []
    return data + (peer.send(h11.EndOfMessage(headers=trailers)) or b"")


def pieces_of(data: bytes, offsets: list[int]) -> list[bytes]:
    edges = [0, *sorted({offset % len(data) for offset in offsets} - {0}), len(data)] if data else []
    return [data[start:stop] for start, stop in pairwise(edges)]


def read_by_h11(data: bytes) -> list[Seen]:
    """What h11 reads, in the driver's words."""
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(data)
    seen: list[Seen] = []
    while (event := peer.next_event()) is not h11.NEED_DATA:
        if isinstance(event, h11.Request):
            fields = [(bytes(name), bytes(value)) for name, value in event.headers]
            seen.append(Seen({"method": event.method.decode(), "target": bytes(event.target), "fields": fields}))
        elif isinstance(event, h11.Data):
            seen[-1].body += event.data
        elif isinstance(event, h11.EndOfMessage):
            seen[-1].trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
        else:
            assert event is h11.PAUSED
            peer.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            peer.send(h11.EndOfMessage())
            peer.start_next_cycle()
    return seen


@QUICK
@given(st.lists(requests(), min_size=1, max_size=3))
def test_h11_reads_the_same(parts: list[bytes]) -> None:
    data = b"".join(parts)
    ours = drive([data])
    assert ours.error is None
    theirs = read_by_h11(data)
    assert len(ours.requests) == len(theirs) == len(parts)
    for our, their in zip(ours.requests, theirs, strict=True):
        assert (our.head["method"], our.head["target"]) == (their.head["method"], their.head["target"])
        assert our.head["fields"] == their.head["fields"]
        assert our.body == their.body
        assert (our.trailers or []) == (their.trailers or [])
        assert our.is_whole


@QUICK
@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 5000), max_size=12))
def test_cuts_change_nothing(parts: list[bytes], offsets: list[int]) -> None:
    data = b"".join(parts)
    whole = drive([data])
    assert drive(pieces_of(data, offsets)) == whole
    assert drive(single_bytes(data)) == whole


SEEDS = [case.data for case in CASES if len(case.data) < 400]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutants_get_one_verdict_however_cut(data: st.DataObject) -> None:
    """The corpus mutated: any outcome is fine, but only one, and never another exception than WireError."""
    seed = bytearray(data.draw(st.sampled_from(SEEDS)) + CANARY)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(seed) - 1))
        what = data.draw(st.integers(0, 3))
        if what == 0:
            seed[at] = data.draw(st.integers(0, 255))
        elif what == 1:
            seed[at:at] = data.draw(
                st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"\t", b"\x00", b":", b";", b",", b"0"])
            )
        elif what == 2:
            del seed[at : at + data.draw(st.integers(1, 8))]
        else:
            seed[at:at] = seed[at : at + data.draw(st.integers(1, 30))]
        if not seed:
            return
    mutant = bytes(seed)
    whole = drive([mutant], eof=True)
    assert drive(single_bytes(mutant), eof=True) == whole
    assert drive(pieces_of(mutant, data.draw(st.lists(st.integers(0, 600), max_size=6))), eof=True) == whole


@QUICK
@given(st.binary(max_size=200))
def test_noise_gets_one_verdict(noise: bytes) -> None:
    pieces = [noise] if noise else []
    assert drive(single_bytes(noise), eof=True) == drive(pieces, eof=True)
