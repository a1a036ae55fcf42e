"""Django by ASGI borrows the threads of earlier requests: each still has one of its own, which nobody else is in."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running
from tests.support.supervised import until

httpx = pytest.importorskip("httpx")
pytest.importorskip("django", minversion="5.0")

HERE = Path(__file__).parent


@pytest.fixture
def server() -> Iterator[Server]:
    with running("django_threads_site:application", "--no-access-log", app_dir=HERE) as server:
        yield server


def get(server: Server, path: str) -> Any:
    answer = httpx.get(f"{server.origin}/{path}", timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


#: An answer leaves before its thread is free, so the next request may come too early for it, and gets another one: of
#: so many requests, one after the other, not all have threads of their own.
MANY, FEW = 20, 10


def test_a_request_is_given_the_thread_of_an_earlier_one_and_nothing_that_it_left(server: Server) -> None:
    answers = [get(server, "where") for _ in range(MANY)]
    assert len({answer["thread"] for answer in answers}) < FEW
    assert {answer["before"] for answer in answers} == {""}


def test_all_that_a_request_calls_is_in_its_one_thread(server: Server) -> None:
    for _ in range(5):
        assert len(set(get(server, "several")["threads"])) == 1


def test_a_view_that_fails_gives_its_thread_back(server: Server) -> None:
    with httpx.Client(base_url=server.origin) as client:
        assert {client.get("/fails").status_code for _ in range(MANY)} == {500}
    found = re.compile(r"^LookupError: (\d+)", re.MULTILINE)
    until(lambda: len(found.findall(server.log)) == MANY, "all are told")
    assert len(set(found.findall(server.log))) < FEW


def test_requests_at_once_have_threads_of_their_own(server: Server) -> None:
    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(get, server, "slow") for _ in range(4)]
        until(lambda: server.log.count("slow") == 4, "all are under way at once")
        fifth = get(server, "where")["thread"]
        get(server, "let-go")
        threads = {answer.result()["thread"] for answer in answers}
        assert len(threads) == 4 and fifth not in threads
        seen = set()
        for _ in range(MANY):
            met = {answer["thread"] for answer in clients.map(get, [server] * 4, ["meet"] * 4)}
            assert len(met) == 4
            seen |= met
    assert len(seen) < 4 * FEW


def test_nobody_waits_behind_a_view_whose_client_has_gone(server: Server) -> None:
    try:
        for count in (1, 2, 3):
            with contextlib.closing(socket.create_connection(server.address, timeout=30)) as client:
                client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
                until(lambda count=count: server.log.count("slow") == count, "it is under way")
            # Its request is over, its view is not.
            assert get(server, "where")["before"] == ""
            assert len(get(server, "several")["threads"]) == 4
    finally:
        get(server, "let-go")


def test_a_task_that_outlives_its_request_has_a_thread_of_its_own(server: Server) -> None:
    thread = get(server, "where")["thread"]
    get(server, "leaves-a-task")
    line = server.wait_for_log("behind ")
    found = re.search(r"behind (\d+)", line)
    # asgiref makes it: who may be in one of those that are kept is not known to it.
    assert found is not None and int(found[1]) != thread
    seen = set()
    for _ in range(MANY):
        get(server, "leaves-a-task")
        seen.add(get(server, "where")["thread"])
    assert len(seen) < FEW


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_threads_that_wait_for_long_end(server: Server) -> None:
    assert get(server, "where")["thread"] > 0
    assert any(name.startswith("torana-django") for name in get(server, "threads")["names"])
    # The last request borrowed one itself, and gave it back after it had looked.
    tasks = Path(f"/proc/{server.pid}/task")
    before = len(list(tasks.iterdir()))
    until(lambda: len(list(tasks.iterdir())) < before, "it has ended", 30)
    assert get(server, "where")["before"] == ""
