"""Django with Channels by WSGI and ASGI in one process: HTTP on threads whose database connections live on, WebSockets
and chosen paths on the loop.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, child_environment, running

pytest.importorskip("django", minversion="5.0")
pytest.importorskip("channels")

HERE = Path(__file__).parent / "django_halves"
SSE = ("--asgi-for", "websocket,/sse/*")
ASYNC = {"SITE_URLS": "halves.async_urls"}


def environment(files: Path, **more: str) -> dict[str, str]:
    return {"SITE_FILES": str(files), **more}


def checked(files: Path, *flags: str, **more: str) -> str:
    """What ``torana check`` prints."""
    command = [sys.executable, "-m", "torana", "check", *flags]
    done = subprocess.run(
        command, cwd=HERE, capture_output=True, text=True, timeout=60, env=child_environment(environment(files, **more))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r" {2,}", " ", done.stdout)


def ask(server: Server, target: str = "/database") -> Any:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", target)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def project(files: Path, *flags: str, **more: str) -> Any:
    """The project, found where it is."""
    return running("manage.py", *flags, cwd=HERE, environment=environment(files, **more))


def test_check_says_how_requests_are_divided(tmp_path: Path) -> None:
    told = checked(tmp_path)
    assert "application halves.wsgi:application + halves.asgi:application (" in told
    assert "interface wsgi+asgi3: HTTP by WSGI on threads and WebSocket by ASGI" in told
    assert told.count("note:") == 0


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (ASYNC, "some of its views are async"),
        ({"SITE_LAYER": "memory"}, "its channel layer in memory cannot be reached from threads"),
        ({"SITE_URLS": "halves.nowhere"}, "its URLs cannot be looked through (ModuleNotFoundError)"),
    ],
)
def test_in_doubt_nothing_is_divided(tmp_path: Path, more: dict[str, str], why: str) -> None:
    told = checked(tmp_path, **more)
    assert "application halves.asgi:application (" in told
    assert f"HTTP too: {why} (asgi_for would divide them)" in told


def test_who_names_one_application_gets_that(tmp_path: Path) -> None:
    assert "interface asgi3: " in checked(tmp_path, "halves.asgi:application")
    assert "interface wsgi: " in checked(tmp_path, "halves.wsgi:application")
    assert "asgi_for gives websocket, /sse/* to ASGI" in checked(tmp_path, "halves.wsgi", *SSE, **ASYNC)
    assert "asgi_for gives websocket to ASGI" in checked(tmp_path, "--asgi-for", "websocket", **ASYNC)


def test_threads_keep_their_connections(tmp_path: Path) -> None:
    with project(tmp_path, "--threads", "4") as server:
        with ThreadPoolExecutor(16) as many:
            told = list(many.map(lambda _: ask(server), range(200)))
        told.append(ask(server, "/more/database"))
    assert {each["interface"] for each in told} == {"wsgi"}
    assert max(each["opened"] for each in told) <= 4, "one connection a thread"
    pairs = {(each["thread"], each["mine"]) for each in told}
    assert len(pairs) == len({thread for thread, _ in pairs}) == len({mine for _, mine in pairs})
    assert server.log.count("note: the project is set up") == 1, "both halves share it"
    assert server.log.index("note: lifespan startup") < server.log.index("Listening on")
    assert server.log.count("note: lifespan shutdown") == 1


def test_without_the_division_they_live_on_too(tmp_path: Path) -> None:
    """A request may come before the thread of the last one is free, and get another; not each does."""
    with running("halves.asgi:application", app_dir=HERE, environment=environment(tmp_path)) as server:
        told = [ask(server) for _ in range(20)]
    assert {each["interface"] for each in told} == {"asgi"}
    assert told[-1]["opened"] < len(told) / 2


def test_websockets_and_chosen_paths_are_on_the_loop(tmp_path: Path) -> None:
    client = pytest.importorskip("websockets.sync.client")
    with project(tmp_path, *SSE, SITE_LAYER="memory", **ASYNC) as server:
        where = f"ws://127.0.0.1:{server.port}/ws/"
        with client.connect(where + "ann", proxy=None) as ann, client.connect(where + "bob", proxy=None) as bob:
            ann.send(json.dumps({"text": "hello"}))
            heard = [json.loads(each.recv(20)) for each in (ann, bob)]
            assert heard == [{"type": "said", "text": "ann: hello", "on_loop": True, "answer": 42}] * 2
            assert ask(server)["interface"] == "wsgi"
        with Connection(server.address) as connection:
            connection.send(b"GET /sse/ticks HTTP/1.1\r\nHost: t\r\n\r\n")
            assert b"data: 3 asgi True" in connection.read_until(b"data: 3 asgi True")
        assert ask(server)["interface"] == "wsgi"


def test_as_one_of_several_applications(tmp_path: Path) -> None:
    client = pytest.importorskip("websockets.sync.client")
    mounts = ("--mount", "/shop=halves.wsgi:application", "--mount", "/live=halves.asgi:application")
    where = environment(tmp_path)
    with running("halves.asgi:http", *mounts, app_dir=HERE, environment=where) as server:
        assert ask(server)["interface"] == "asgi"
        assert ask(server, "/shop/database")["interface"] == "wsgi"
        assert ask(server, "/live/database")["interface"] == "asgi"
        with client.connect(f"ws://127.0.0.1:{server.port}/live/ws/ann", proxy=None) as ann:
            ann.send(json.dumps({"text": "x"}))
            assert json.loads(ann.recv(20))["text"] == "ann: x"
