"""``--timeout-request`` through the real command, with frameworks that people use: one request ends, nobody else."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, running

FLASK = """
import os, sys, threading, time
from flask import Flask, Response, stream_with_context

app = Flask(__name__)

@app.get("/quick")
def quick():
    return "ok"

@app.get("/stuck")
def stuck_view():
    try:
        while True:
            time.sleep(0.01)
    except Exception:
        return "swallowed"
    finally:
        print("note: cleaned up", file=sys.stderr, flush=True)

@app.get("/stream")
def stream():
    def rows():
        for number in range(12):
            time.sleep(0.2)
            yield f"{number} "
    return Response(stream_with_context(rows()))

@app.teardown_request
def teardown(error):
    if error is not None:
        print("note: teardown knows", type(error).__name__, file=sys.stderr, flush=True)
"""
STARLETTE = """
import asyncio, sys, time
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

async def quick(request):
    return PlainTextResponse("ok")

async def stuck_endpoint(request):
    try:
        await asyncio.sleep(60)
    finally:
        print("note: cleaned up", file=sys.stderr, flush=True)

def in_a_thread(request):
    time.sleep(3)
    return PlainTextResponse("late")

async def stream(request):
    async def rows():
        for number in range(12):
            await asyncio.sleep(0.2)
            yield f"{number} "
    return StreamingResponse(rows())

async def upload(request):
    return PlainTextResponse(str(len(await request.body())))

class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)

routes = [
    Route("/quick", quick), Route("/stuck", stuck_endpoint), Route("/thread", in_a_thread), Route("/stream", stream),
    Route("/upload", upload, methods=["POST"]),
]
plain = Starlette(routes=routes)
wrapped = Starlette(routes=routes, middleware=[Middleware(Passing), Middleware(Passing)])
"""
IN_C = """
import os, time
def app(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        time.sleep(600)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "flask_app.py").write_text(FLASK)
    (tmp_path / "starlette_app.py").write_text(STARLETTE)
    (tmp_path / "in_c.py").write_text(IN_C)
    return tmp_path


def stuck_and_others(server: Server, path: str, stuck: int) -> list[int]:
    """Statuses of ``stuck`` requests that end by timeout; meanwhile all others are answered."""
    with httpx.Client(base_url=server.origin, timeout=30, trust_env=False) as client:
        with concurrent.futures.ThreadPoolExecutor(stuck + 4) as pool:
            waiting = [pool.submit(client.get, path) for _ in range(stuck)]
            quick = 0
            while quick < 20 or not all(future.done() for future in waiting):
                assert client.get("/quick").text == "ok"
                quick += 1
            return [future.result().status_code for future in waiting]


def test_flask_three_of_eight_threads(place: Path) -> None:
    pytest.importorskip("flask")
    with running("flask_app:app", "--timeout-request", "1", "--threads", "8", cwd=place) as server:
        assert stuck_and_others(server, "/stuck", 3) == [504] * 3
        assert httpx.get(server.origin + "/stream", trust_env=False).text.split() == [str(n) for n in range(12)]
        server.wait_for_log("note: teardown knows RequestTimeout")
        log = server.log
    assert log.count("Timeout at ") == log.count("note: cleaned up") == 3
    assert "GET /stuck took the application longer than 1 s" in log and "in stuck_view" in log
    assert "is stuck" not in log


@pytest.mark.parametrize("name", ["plain", "wrapped"])
def test_starlette_tasks(place: Path, name: str) -> None:
    pytest.importorskip("starlette")
    with running(f"starlette_app:{name}", "--timeout-request", "1", cwd=place) as server:
        assert stuck_and_others(server, "/stuck", 3) == [504] * 3
        server.wait_for_log("note: cleaned up")
        assert httpx.get(server.origin + "/thread", trust_env=False).status_code == 504
        assert httpx.get(server.origin + "/stream", trust_env=False).text.split() == [str(n) for n in range(12)]
        assert httpx.post(server.origin + "/upload", content=bytes(300_000), trust_env=False).text == "300000"
        log = server.log
    assert log.count("Timeout at ") == 4
    if name == "plain":
        assert "in stuck_endpoint" in log
    assert "The application failed" not in log and "without" not in log


@pytest.mark.threat("G-092", sent="a thread stuck in C beyond timeout_request", verdict="the worker is replaced")
def test_worker_with_a_thread_stuck_in_c_is_replaced(place: Path) -> None:
    flags = ("--workers", "1", "--timeout-request", "0.5", "--threads", "2")
    with running("in_c:app", *flags, cwd=place) as server, httpx.Client(trust_env=False, timeout=30) as client:
        first = client.get(server.origin).text
        assert client.get(server.origin + "/stuck").status_code == 504
        server.wait_for_log("is stuck at in_c.py, line 5")
        assert "GET /stuck" in server.log
        while (pid := httpx.get(server.origin, trust_env=False).text) == first:
            pass
        assert pid != first
