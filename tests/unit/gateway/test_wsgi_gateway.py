"""Threads under the gateway: overlap, growth, waiting too long, counting, and the end."""

from __future__ import annotations

import asyncio
import threading
import time

from tests.unit.gateway.wsgi_stage import WAIT_S, Stage
from torana.gateway.options import GatewayOptions


class Gate:
    """An application whose calls wait until they are let go, and that knows how many overlap."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.names = set()

    def __call__(self, environ, start_response):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.names.add(threading.current_thread().name)
        self.entered.release()
        assert self.open.wait(WAIT_S)
        with self.lock:
            self.inside -= 1
        start_response("200 OK", [])
        return [b"x"]

    def await_entered(self, count):
        for _ in range(count):
            assert self.entered.acquire(timeout=WAIT_S)


def test_one_thread_never_overlaps():
    gate = Gate()
    gate.open.set()
    with Stage(gate, GatewayOptions(threads=1)) as stage:
        channels = [stage.begin()[2] for _ in range(50)]
        for now in range(3):
            stage.gateway.tick(float(now))
        for channel in channels:
            assert stage.finish(channel).status == 200
        assert stage.gateway.pool.size() == 1
    assert gate.most == 1
    assert gate.names == {"torana-wsgi-1"}


def test_waiting_calls_get_threads_up_to_the_bound():
    async def main():
        gate = Gate()
        stage = Stage(gate, GatewayOptions(threads=3))
        await stage.gateway.startup()
        channels = [stage.begin()[2] for _ in range(5)]
        while gate.inside < 3:
            await asyncio.sleep(0)
        assert stage.gateway.pool.size() == 3
        assert stage.gateway.running() == 5
        gate.open.set()
        for channel in channels:
            assert await asyncio.to_thread(channel.back.wait, WAIT_S)
        assert gate.most == 3
        await stage.gateway.shutdown()
        assert stage.gateway.pool.alive() == []
        assert stage.gateway.running() == 0

    asyncio.run(asyncio.wait_for(main(), WAIT_S))


def test_idle_gateway_keeps_few_threads_and_watches_again():
    async def main():
        gate = Gate()
        gate.open.set()
        stage = Stage(gate, GatewayOptions(threads=8))
        await stage.gateway.startup()
        assert stage.gateway.pool.size() == 1
        for _ in range(3):
            channel = stage.begin()[2]
            assert await asyncio.to_thread(channel.back.wait, WAIT_S)
        gate.open.clear()
        for _ in range(4):
            stage.begin()
        while gate.inside < 4:
            await asyncio.sleep(0)
        gate.open.set()
        await stage.gateway.shutdown()
        assert stage.gateway.pool.alive() == []

    asyncio.run(asyncio.wait_for(main(), WAIT_S))


def test_without_a_loop_the_tick_adds_threads():
    gate = Gate()
    with Stage(gate, GatewayOptions(threads=4)) as stage:
        stage.start()
        channels = [stage.begin()[2] for _ in range(4)]
        gate.await_entered(1)
        stage.gateway.tick(1.0)
        stage.gateway.tick(2.0)
        gate.await_entered(3)
        gate.open.set()
        for channel in channels:
            stage.finish(channel)


def test_a_call_that_waits_too_long_is_answered_503(caplog):
    gate = Gate()
    with Stage(gate, GatewayOptions(threads=1, thread_queue_timeout_s=10.0)) as stage:
        stage.start()
        running = stage.begin()[2]
        gate.await_entered(1)
        early = [stage.begin()[2] for _ in range(2)]
        stage.gateway.tick(100.0)
        late = stage.begin()[2]
        stage.gateway.tick(101.0)
        stage.gateway.tick(109.0)
        assert [channel.returned for channel in early] == [0, 0]
        stage.gateway.tick(110.0)
        for channel in early:
            assert (channel.status, channel.lent, channel.returned) == (503, 1, 1)
            assert channel.header(b"retry-after") == b"5"
            assert channel.is_ended
        assert late.returned == running.returned == 0
        assert stage.gateway.running() == 2
        stage.gateway.tick(111.5)
        assert late.status == 503
        gate.open.set()
        assert stage.finish(running).status == 200
    assert sum("thread_queue_timeout" in message for message in caplog.messages) == 2


def test_what_was_taken_in_time_is_left_alone():
    gate = Gate()
    gate.open.set()
    with Stage(gate, GatewayOptions(threads=1, thread_queue_timeout_s=1.0)) as stage:
        for now in range(20):
            assert stage.run().status == 200
            stage.gateway.tick(float(now))


def test_no_time_limit():
    gate = Gate()
    with Stage(gate, GatewayOptions(threads=1, thread_queue_timeout_s=0.0)) as stage:
        stage.start()
        channels = [stage.begin()[2] for _ in range(2)]
        for now in range(0, 100_000, 10_000):
            stage.gateway.tick(float(now))
        gate.open.set()
        for channel in channels:
            assert stage.finish(channel).status == 200


def test_running_counts_what_waits_and_what_runs():
    gate = Gate()
    with Stage(gate, GatewayOptions(threads=1)) as stage:
        assert stage.gateway.running() == 0
        stage.start()
        channels = [stage.begin()[2], stage.begin()[2]]
        waiting, _, awaiting = stage.begin(method="POST", length=4)
        assert stage.gateway.running() == 3
        gate.open.set()
        waiting.push(b"body")
        waiting.end([])
        for channel in [*channels, awaiting]:
            stage.finish(channel)
        stage.run()
        # The connection goes back a moment before the thread counts.
        deadline = time.monotonic() + WAIT_S
        while stage.gateway.running() and time.monotonic() < deadline:
            threading.Event().wait(0.001)
        assert stage.gateway.running() == 0


def test_shutdown_leaves_a_stuck_thread_behind(monkeypatch, caplog):
    from torana.gateway.wsgi import gateway as module

    monkeypatch.setattr(module, "_JOIN_S", 0.05)

    async def main():
        gate = Gate()
        stage = Stage(gate, GatewayOptions(threads=2))
        await stage.gateway.startup()
        channel = stage.begin()[2]
        assert await asyncio.to_thread(gate.entered.acquire, timeout=WAIT_S)
        await stage.gateway.shutdown()
        gate.open.set()
        assert await asyncio.to_thread(channel.back.wait, WAIT_S)

    asyncio.run(asyncio.wait_for(main(), WAIT_S))
    assert any("torana-wsgi-1" in message for message in caplog.messages)


def test_many_requests_from_many_threads_stay_apart():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode() + environ["wsgi.input"].read()]

    async def main():
        stage = Stage(app, GatewayOptions(threads=4, spool_bytes=8))
        await stage.gateway.startup()
        channels = []
        for number in range(300):
            body = b"b" * (number % 20)
            request, _, channel = stage.begin(method="POST", target=b"/%d" % number, length=len(body))
            if body:
                request.push(body)
                request.end([])
            channels.append((b"/%d" % number + body, channel))
        for expected, channel in channels:
            assert await asyncio.to_thread(channel.back.wait, WAIT_S)
            assert channel.body == expected
        await stage.gateway.shutdown()

    asyncio.run(asyncio.wait_for(main(), WAIT_S))
