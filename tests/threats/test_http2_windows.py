"""Windows of HTTP/2 that stay closed, open by crumbs, or leak (G-049, G-050).

What becomes of such clients in time (resets after ``timeout_http2_stalled``): ``tests/flow/test_http2_time``.
"""

from __future__ import annotations

import pytest

from tests.support.http2 import DATA, POST, WINDOW_UPDATE, Fields, data, headers, rst, settings, update
from tests.threats.http2_wire import BEGIN, Neighbour, Streams, connected, settled
from tests.threats.stage import Stage
from tests.unit.wire.corpus.http2_case import CANARY, FLOW, HELD_POST, NO_ERROR, to

MIB = 1024 * 1024
INITIAL_WINDOW = 4


@pytest.fixture(scope="module", autouse=True)
def neighbour(streams_stage: Stage) -> object:
    """A client of HTTP/2 that is served through all of it."""
    with Neighbour(streams_stage) as neighbour:
        yield neighbour


UPLOADS = [(b"/unread/1", 30_000, None), (b"/unread/1", 10_000, 200), (b"/body", 20_000, 255), (b"/cut", 40_000, None)]


class Uploader:
    """Sends bodies as an honest client does: within the windows, which it waits for."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.window = 65_535
        self.windows: dict[int, int] = {}
        self._seen = 0
        self._look()

    def open(self, number: int, fields: Fields) -> None:
        self.windows[number] = 256 * 1024
        self.streams.send(headers(number, fields, is_end=False))

    def send(self, number: int, size: int, padding: int | None = None) -> None:
        """So many bytes of a body."""
        over = 0 if padding is None else padding + 1
        while size:
            self._look()
            most = min(16_384 - over, self.window - over, self.windows[number] - over, size)
            if most <= 0:
                assert self.streams.read(), f"closed: {self.streams.peer.goaways}"
                continue
            self.streams.send(data(number, bytes(most), padding=padding))
            self.window -= most + over
            self.windows[number] -= most + over
            size -= most

    def finish(self, number: int) -> None:
        """The end of a body."""
        self.streams.send(data(number, b"", is_end=True))

    def _look(self) -> None:
        for item in self.streams.frames[self._seen :]:
            if item.kind == WINDOW_UPDATE and item.stream == 0:
                self.window += item.number
            elif item.kind == WINDOW_UPDATE and item.stream in self.windows:
                self.windows[item.stream] += item.number
        self._seen = len(self.streams.frames)


@pytest.mark.threat(
    "G-049",
    sent="100 requests for 10 MiB each, every window closed",
    verdict="the applications wait, nobody else does; 16 MiB at most",
)
@pytest.mark.parametrize("site", ["streams", "wsgi"])
def test_closed_windows(site: str, streams_stage: Stage, wsgi_stage: Stage) -> None:
    stage = streams_stage if site == "streams" else wsgi_stage
    with stage.attacked(growth_bytes=16 * MIB):
        before = stage.vitals()
        with settled(stage, (INITIAL_WINDOW, 0)) as streams:
            numbers = range(1, 201, 2) if site == "streams" else range(1, 7, 2)
            streams.send(b"".join(headers(number, to(b"/big/10485760")) for number in numbers))
            streams.until(lambda: set(numbers) <= streams.peer.heads.keys())
            stage.fence()
            now = stage.vitals()
            assert now.resident_bytes - before.resident_bytes < 16 * MIB
            assert not streams.peer.bodies
            # One byte each, and no more.
            streams.send(b"".join(update(number, 1) for number in numbers))
            streams.until(lambda: sum(map(len, streams.peer.bodies.values())) >= len(numbers))
            assert {len(body) for body in streams.peer.bodies.values()} == {1}


@pytest.mark.threat(
    "G-049",
    sent="a window opened byte by byte, 900 times",
    verdict="few frames of one byte: the rest waits to be joined",
)
def test_crumbs(streams_stage: Stage) -> None:
    with streams_stage.attacked(), settled(streams_stage, (INITIAL_WINDOW, 0)) as streams:
        streams.send(headers(1, to(b"/big/900")))
        for _ in range(900):
            streams.send(update(1, 1))
        streams.answered(1)
        frames = [item for item in streams.frames if item.kind == DATA]
        assert sum(len(item.payload) for item in frames) == 900
        assert len(frames) < 300


@pytest.mark.threat(
    "G-049",
    sent="two values of SETTINGS_INITIAL_WINDOW_SIZE in a frame, then a smaller one",
    verdict="the last holds; what was sent more makes the window negative",
)
def test_a_window_may_become_negative(streams_stage: Stage) -> None:
    with streams_stage.attacked(), settled(streams_stage, (INITIAL_WINDOW, 100), (INITIAL_WINDOW, 3)) as streams:
        streams.send(headers(1, to(b"/body")))
        streams.until(lambda: len(streams.peer.bodies.get(1, b"")) == 3)
        streams.send(settings((INITIAL_WINDOW, 1)), update(1, 2), CANARY)
        streams.until(lambda: streams.peer.bodies.get(101) == b"G")
        assert streams.peer.bodies[1] == b"GET"
        streams.send(update(1, 100), update(101, 100))
        streams.answered(1, 101)
        assert streams.peer.bodies[1] == b"GET /body 0"


@pytest.mark.threat(
    "G-049",
    sent="10 MiB asked for 100 times on one connection, and nothing read",
    verdict="the applications wait; 16 MiB at most",
)
def test_a_closed_window_of_tcp(streams_stage: Stage) -> None:
    stage = streams_stage
    with stage.attacked(growth_bytes=16 * MIB):
        before = stage.vitals()
        with stage.connect(receive_buffer_bytes=4096) as raw:
            raw.send(BEGIN + settings((INITIAL_WINDOW, 2**31 - 1)) + update(0, 2**31 - 1 - 65_535))
            raw.send(b"".join(headers(number, to(b"/big/10485760")) for number in range(1, 201, 2)))
            stage.fence()
            assert stage.vitals().resident_bytes - before.resident_bytes < 16 * MIB


@pytest.mark.threat(
    "G-050",
    sent="uploads that are refused, half sent, padded, unread, or late; then 4 MiB",
    verdict="the whole window was given back: the last upload succeeds",
)
def test_windows_do_not_leak(streams_stage: Stage) -> None:
    stage = streams_stage
    with stage.attacked(), settled(stage) as streams:
        uploads = Uploader(streams)
        number = 1
        for _ in range(40):
            for path, size, padding in UPLOADS:
                uploads.open(number, to(path, POST))
                uploads.send(number, size, padding)
                if path == b"/cut":
                    # Reset in the middle, and data that crosses it.
                    streams.send(rst(number))
                else:
                    uploads.finish(number)
                    streams.answered(number)
                number += 2
        uploads.open(number, to(b"/body", POST))
        uploads.send(number, 4 * MIB)
        uploads.finish(number)
        streams.answered(number)
        assert streams.peer.bodies[number] == b"POST /body %d" % (4 * MIB)
        assert not streams.codes()


@pytest.mark.threat(
    "G-050",
    sent="answers that come before the body has, 50 times",
    verdict="RST_STREAM(NO_ERROR) for what is still to come; nothing leaks",
)
def test_early_answers(streams_stage: Stage) -> None:
    with streams_stage.attacked(), settled(streams_stage) as streams:
        uploads = Uploader(streams)
        for number in range(1, 101, 2):
            uploads.open(number, [*to(b"/unread/1", POST), (b"content-length", b"1000000")])
            uploads.send(number, 50_000)
            streams.until(lambda number=number: number in streams.peer.resets)
            assert streams.peer.resets[number] == NO_ERROR
            assert (streams.status(number), streams.peer.bodies[number]) == (403, b"no")
        uploads.open(201, to(b"/body", POST))
        uploads.send(201, MIB)
        uploads.finish(201)
        streams.answered(201)
        assert streams.peer.bodies[201] == b"POST /body %d" % MIB


@pytest.mark.threat(
    "G-050",
    sent="16 uploads that nobody reads, four times the connection's window",
    verdict="a later upload on the same connection succeeds at once",
)
def test_unread_uploads_hold_up_nobody(streams_stage: Stage) -> None:
    stage = streams_stage
    with stage.attacked(growth_bytes=16 * MIB), settled(stage) as streams:
        uploads = Uploader(streams)
        held = range(1, 33, 2)
        for number in held:
            uploads.open(number, HELD_POST)
            uploads.send(number, 256 * 1024)
            uploads.finish(number)
        uploads.open(101, to(b"/body", POST))
        uploads.send(101, MIB)
        uploads.finish(101)
        streams.answered(101)
        assert streams.peer.bodies[101] == b"POST /body %d" % MIB
        stage.ask("/release")
        streams.answered(*held)
        assert {streams.peer.bodies[number] for number in held} == {b"POST /hold %d" % (256 * 1024)}


@pytest.mark.threat(
    "G-050",
    sent="more than the windows of stream and connection allow, unread",
    verdict="RST_STREAM(FLOW_CONTROL_ERROR), at last GOAWAY(FLOW_CONTROL_ERROR)",
)
def test_a_client_that_ignores_windows(streams_stage: Stage) -> None:
    stage = streams_stage
    with stage.attacked(growth_bytes=16 * MIB), connected(stage) as streams:
        piece = bytes(16_384)
        for number in range(1, 101, 2):
            streams.send(headers(number, HELD_POST, is_end=False), *[data(number, piece)] * 16)
        streams.to_the_end()
        assert streams.codes() == [FLOW]
        stage.ask("/release")
