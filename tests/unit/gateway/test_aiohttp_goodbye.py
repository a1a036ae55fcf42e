"""The account of a client's frames, however their bytes come, and the frame that is made up."""

from __future__ import annotations

import pytest

from torana.gateway.aiohttp.goodbye import Frames, goodbye


def frame(size: int, *, masked: bool = True) -> bytes:
    mark = 0x80 if masked else 0
    if size < 126:
        head = bytes((0x82, mark | size))
    elif size < 65536:
        head = bytes((0x82, mark | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x82, mark | 127)) + size.to_bytes(8, "big")
    return head + (b"mask" if masked else b"") + b"x" * size


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 70_000])
def test_frames_end_where_they_end(size: int, masked: bool) -> None:
    data = frame(size, masked=masked)
    ends = {len(data), len(data) + len(frame(2)), len(data) + 2 * len(frame(2))}
    stream = data + frame(2) + frame(2)
    step = 1 if size < 1000 else 997
    for at in {*range(1, len(stream), step), *ends}:
        frames = Frames()
        frames.count(stream[:at])
        assert frames.is_between() == (at in ends), at
        frames.count(stream[at:])
        assert frames.is_between()
    frames = Frames()
    for start in range(0, len(stream), 3):
        frames.count(stream[start : start + 3])
    assert frames.is_between()


def test_goodbye_is_a_masked_close_frame() -> None:
    assert goodbye(1001) == b"\x88\x82\0\0\0\0\x03\xe9"
