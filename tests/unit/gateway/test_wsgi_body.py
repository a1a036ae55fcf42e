"""``wsgi.input`` and the way a body takes before there is one."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile

import pytest

from tests.unit.gateway.wsgi_stage import Stage, run, seen_environ
from torana.exchange.response import ClientDisconnected
from torana.exchange.roles import Channel
from torana.gateway.options import GatewayOptions
from torana.gateway.wsgi import body as body_module
from torana.gateway.wsgi.body import Spool
from torana.wire.events import WireError

LINES = b"ab\ncdef\ngh"


def spooled(data: bytes, memory_bytes: int, step: int) -> Spool:
    spool = Spool(memory_bytes)
    for start in range(0, len(data), step):
        spool.write(data[start : start + step])
    return spool


@pytest.mark.parametrize("memory_bytes", [0, 4, 1000])
@pytest.mark.parametrize("step", [1, 3, 100])
def test_every_way_to_read(memory_bytes, step):
    streams = []

    def opened():
        spool = spooled(LINES, memory_bytes, step)
        assert spool.size == len(LINES)
        streams.append(spool.open())
        return streams[-1]

    assert opened().read() == LINES
    assert opened().read(-1) == LINES
    assert opened().read(None) == LINES
    assert opened().read(4) == LINES[:4]
    assert opened().readline() == b"ab\n"
    stream = opened()
    assert [stream.readline(2), stream.readline(2), stream.readline(100)] == [b"ab", b"\n", b"cdef\n"]
    assert opened().readlines() == [b"ab\n", b"cdef\n", b"gh"]
    assert opened().readlines(1)[0] == b"ab\n"
    assert list(opened()) == [b"ab\n", b"cdef\n", b"gh"]
    into = bytearray(4)
    assert opened().readinto(into) == 4
    with io.BufferedReader(opened()) as wrapped:
        assert wrapped.read() == LINES
    with io.TextIOWrapper(opened()) as wrapped:
        assert wrapped.read() == LINES.decode()
    stream = opened()
    stream.read()
    assert stream.read() == stream.read(1) == stream.readline() == b""
    for stream in streams:
        stream.close()


def test_what_an_application_does_to_no_body_is_not_seen_by_the_next():
    seen = []

    def app(environ, start_response):
        stream = environ["wsgi.input"]
        start_response("200 OK", [])
        seen.append((stream.tell(), stream.closed, stream.read(), stream.readline(), list(stream), stream.seek(0, 2)))
        stream.seek(7)
        stream.truncate(9)
        with pytest.raises(io.UnsupportedOperation):
            stream.write(b"left behind")
        with pytest.raises(io.UnsupportedOperation):
            stream.writelines([b"left", b"behind"])
        with pytest.raises(AttributeError):
            stream.mark = 1
        # Its end closes what it reads.
        with io.TextIOWrapper(stream) as text:
            assert text.read() == ""
        with stream:
            pass
        stream.close()
        return [b"done"]

    with Stage(app) as stage:
        assert stage.run().body == stage.run().body == b"done"
    assert seen == [(0, False, b"", b"", [], 0)] * 2


@pytest.mark.parametrize("memory_bytes", [0, 10, 1 << 20])
def test_body_in_pieces_reaches_the_application_whole(memory_bytes):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    with Stage(app, GatewayOptions(threads=1, spool_bytes=memory_bytes)) as stage:
        request, _, channel = stage.begin(method="POST", length=30)
        assert channel.wanted == 1
        assert channel.lent == 0
        for _ in range(3):
            request.push(b"0123456789")
            assert stage.gateway.pool.waiting() == 0
        assert channel.lent == 0
        request.end([])
        assert channel.lent == 1
        assert stage.gateway.pool.waiting() == 1
        assert stage.finish().body == b"0123456789" * 3


def test_no_body_goes_to_a_thread_at_once():
    with Stage(lambda *_: []) as stage:
        _, _, channel = stage.begin()
        assert (channel.lent, channel.wanted, stage.gateway.pool.waiting()) == (1, 0, 1)


def test_big_body_leaves_memory_and_then_the_disk(monkeypatch):
    made = []
    original = body_module.tempfile.TemporaryFile

    def counting(*args, **more):
        made.append(original(*args, **more))
        return made[-1]

    monkeypatch.setattr(body_module.tempfile, "TemporaryFile", counting)
    options = GatewayOptions(threads=1, spool_bytes=1000)
    assert seen_environ(options, body=b"x" * 1000)["body"] == b"x" * 1000
    assert made == []
    assert seen_environ(options, body=b"x" * 300_000)["body"] == b"x" * 300_000
    assert len(made) == 1
    assert made[0].closed


def test_many_small_pieces_cost_no_object_each():
    before = sys.getallocatedblocks()
    spool = spooled(LINES * 1000, 1 << 20, 2)
    assert sys.getallocatedblocks() - before < 100
    with spool.open() as stream:
        assert stream.read() == LINES * 1000


@pytest.mark.skipif(sys.platform != "linux", reason="counts by /proc")
def test_many_small_pieces_after_the_first_on_disk_cost_no_system_call_each():
    spool = Spool(4)
    spool.write(b"above")
    before = writes_so_far()
    for number in range(20_000):
        spool.write(b"%09d\n" % number)
    spool.complete()
    assert writes_so_far() - before < 200
    with spool.open() as stream:
        assert stream.read() == b"above" + b"".join(b"%09d\n" % number for number in range(20_000))


def writes_so_far() -> int:
    """System calls of this process that wrote, by the kernel's count."""
    with open("/proc/self/io", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("syscw"))


def test_small_and_large_pieces_keep_their_order():
    pieces = [bytes([number]) * size for number, size in enumerate([10, 5000, 3, 3, 70_000, 4096, 4095, 1, 20_000, 2])]
    for memory_bytes in (1 << 20, 80_000, 5000, 0):
        spool = Spool(memory_bytes)
        for piece in pieces:
            spool.write(piece)
        with spool.open() as stream:
            assert stream.read() == b"".join(pieces)


def test_a_body_in_one_piece_is_not_copied():
    body = bytes(100_000)
    spool = Spool(1 << 20)
    spool.write(body)
    assert spool.open().read() is body


@pytest.mark.parametrize("memory_bytes", [4, 1000])
def test_client_lost_before_the_end_means_no_call(memory_bytes):
    called = []
    with Stage(lambda *_: called.append(1), GatewayOptions(threads=1, spool_bytes=memory_bytes)) as stage:
        request, response, channel = stage.begin(method="POST", length=100)
        request.push(b"abcdefgh")
        assert stage.gateway.running() == 1
        response.lose()
        request.lose()
        assert stage.gateway.running() == 0
        assert stage.gateway.pool.waiting() == 0
        request.push(b"late")
        request.end([])
        assert (channel.lent, channel.returned, called) == (0, 0, [])


def test_body_above_its_limit_is_the_exchanges_affair():
    with Stage(lambda *_: []) as stage:
        request, _, channel = stage.begin(method="POST", length=-1, body_limit=10)
        request.push(b"0123456789")
        with pytest.raises(WireError) as caught:
            request.push(b"x")
        assert caught.value.status == 413
        request.lose()
        assert (stage.gateway.running(), channel.lent) == (0, 0)


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EACCES, 503)])
def test_a_disk_that_takes_nothing_is_answered(monkeypatch, caplog, number, status):
    def refuse(*_, **__):
        raise OSError(number, "as the system says it")

    monkeypatch.setattr(body_module.tempfile, "TemporaryFile", refuse)
    refused = []
    with Stage(lambda *_: [], GatewayOptions(threads=1, spool_bytes=4)) as stage:
        request, _, channel = stage.begin(method="POST", length=10)
        channel.refuse = refused.append
        request.push(b"0123456789")
        request.end([])
        assert channel.lent == 0 and stage.gateway.running() == 0
        if status == 507:
            assert [(error.status, errno.errorcode[number] in error.reason) for error in refused] == [(507, True)]
        else:
            assert (channel.status, channel.is_ended, refused) == (503, True, [])
            assert "as the system says it" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_disk_that_is_full_only_at_the_last_bytes_is_answered(monkeypatch):
    disk = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by the body
    monkeypatch.setattr(body_module.tempfile, "TemporaryFile", lambda **_: disk)
    refused = []
    with Stage(lambda *_: [], GatewayOptions(threads=1, spool_bytes=4)) as stage:
        request, _, channel = stage.begin(method="POST", length=-1)
        channel.refuse = refused.append
        request.push(b"0123456789")
        # The device that takes no byte, in the place of a disk that takes no more.
        with open("/dev/full", "wb", buffering=0) as full:
            os.dup2(full.fileno(), disk.fileno())
        request.push(b"the end")
        assert refused == []
        request.end([])
        assert [(error.status, "ENOSPC" in error.reason) for error in refused] == [(507, True)]
        assert channel.lent == 0 and stage.gateway.running() == 0


def test_what_is_kept_and_put_aside_is_told():
    kept, on_disk = [], [0]

    class Way(Channel):
        def keep(self, size):
            kept.append(size)
            return size <= 40_000

        def spool(self, more):
            if on_disk[0] + more > 100_000:
                return False
            on_disk[0] += more
            return True

    spool = Spool(1 << 20, Way())
    for _ in range(5):
        spool.write(bytes(10_000))
    assert kept == [20_000, 40_000] and on_disk == [0]
    spool.write(bytes(10_000))
    assert kept == [20_000, 40_000, 60_000, 0] and on_disk == [60_000]
    spool.write(bytes(40_000))
    with pytest.raises(body_module.SpoolFull):
        spool.write(b"x")
    assert spool.open().read() == bytes(100_000)
    spool.discard()
    assert on_disk == [0]


def test_read_ahead_is_taken_so_that_reading_goes_on():
    with Stage(lambda *_: []) as stage:
        request, _, channel = stage.begin(method="POST", length=1 << 20)
        request.push(b"x" * 70_000)
        assert request.buffered == 0
        assert channel.wanted == 2


def test_order_survives_a_channel_that_brings_more_at_once():
    """Making room may hand on further data before the taker has what it took."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    with Stage(app, GatewayOptions(threads=1)) as stage:
        request, _, channel = stage.begin(method="POST", length=70_004)
        more = [b"tail"]

        def want_body():
            if more:
                request.push(more.pop())
                request.end([])

        channel.want_body = want_body
        request.push(b"x" * 70_000)
        assert stage.finish().body == b"x" * 70_000 + b"tail"


def test_stop_while_the_body_is_awaited():
    with Stage(lambda *_: []) as stage:
        request, _, channel = stage.begin(method="POST", length=10)
        request.answerer.stop()
        assert channel.status == 503
        assert channel.lent == 0
        assert stage.gateway.running() == 0


def test_input_may_be_read_while_answering():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield from environ["wsgi.input"]

    assert run(app, GatewayOptions(threads=1, spool_bytes=4), body=LINES).blocks == [b"ab\n", b"cdef\n", b"gh"]


def test_client_disconnected_is_an_oserror():
    assert issubclass(ClientDisconnected, OSError)
