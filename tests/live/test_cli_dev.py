"""``torana dev``: reload on change, errors on the page, and never a dead port."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, child_environment, command_for
from tests.support.supervised import is_there, until

APP = """
import os
WORD = "{word}"
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http only")
    if scope["path"] == "/fail":
        raise ValueError("<b>failed</b>")
    if scope["path"] == "/end":
        os._exit(7)
    if scope["path"] == "/stream":
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        while True:
            await send({{"type": "http.response.body", "body": b"x", "more_body": True}})
            await __import__("asyncio").sleep(0.05)
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}})
    await send({{"type": "http.response.body", "body": WORD.encode()}})
"""


def write(place: Path, word: str) -> None:
    # At once: a file that is written in place is empty for a moment, and may be served so.
    (place / "site_dev.new").write_text(APP.format(word=word))
    os.replace(place / "site_dev.new", place / "site_dev.py")


@pytest.fixture(params=["watchfiles", "polling"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A development server of ``site_dev.py``, with either way to watch."""
    environment = child_environment()
    if request.param == "watchfiles":
        pytest.importorskip("watchfiles")
    else:
        # A directory of that name hides the package, and holds no module.
        hidden = tmp_path / "hidden" / "watchfiles"
        hidden.mkdir(parents=True)
        (tmp_path / "hidden" / "sitecustomize.py").write_text(
            "import importlib.util as u\nreal = u.find_spec\n"
            "u.find_spec = lambda name, package=None: None if name == 'watchfiles' else real(name, package)\n"
        )
        environment["PYTHONPATH"] = f"{tmp_path / 'hidden'}{os.pathsep}{environment['PYTHONPATH']}"
    place = tmp_path / "site"
    place.mkdir()
    write(place, "one")
    command = [*command_for("x")[:-4], "dev", "site_dev:app", "--port", "0"]
    started = Server(command, place, environment)
    try:
        started.wait_until_ready()
        assert httpx.get(started.origin, timeout=20).text == "one"
        started.place = place  # type: ignore[attr-defined]
        yield started
        assert started.stop() == 0
    finally:
        started.kill()


def place_of(server: Server) -> Path:
    found: Path = server.place  # type: ignore[attr-defined]
    return found


def wait_for(server: Server, expected: str, path: str = "/") -> httpx.Response:
    """Ask until the answer holds a text; a refused connection fails at once."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = httpx.get(server.origin + path, timeout=20, headers={"Accept": "text/html"})
        if expected in answer.text:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{expected!r} never came:\n{server.log}")


def test_a_change_is_served(server: Server) -> None:
    for word in ("two", "six", "ten"):
        write(place_of(server), word)
        wait_for(server, word)
    assert "site_dev.py changed, reloading" in server.log


def test_no_connection_is_refused_and_no_request_lost_while_reloading(server: Server) -> None:
    failures: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                answer = httpx.get(server.origin, timeout=20)
            except httpx.HTTPError as error:
                failures.append(repr(error))
            else:
                if answer.status_code != 200:
                    failures.append(answer.text)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for word in ("two", "six", "ten"):
            write(place_of(server), word)
            wait_for(server, word)
    finally:
        ended.set()
        asking.join()
    assert failures == []


def test_a_syntax_error_is_shown_until_it_is_mended(server: Server) -> None:
    (place_of(server) / "site_dev.py").write_text("x = '<script>'\ndef broken(:\n")
    answer = wait_for(server, "syntax error (site_dev.py, line 2)")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in answer.text
    (place_of(server) / "site_dev.py").write_text("import not_there_at_all\n")
    assert "site_dev.py, line 1" in wait_for(server, "not_there_at_all").text
    write(place_of(server), "mended")
    assert wait_for(server, "mended").status_code == 200
    assert server.process.poll() is None


def test_a_failed_start_is_shown_until_it_is_mended(server: Server) -> None:
    (place_of(server) / "site_dev.py").write_text(
        "async def app(scope, receive, send):\n    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    assert wait_for(server, "no database").status_code == 500
    write(place_of(server), "mended")
    wait_for(server, "mended")


def test_a_process_that_ends_is_shown_until_the_code_changes(server: Server) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(server.origin + "/end", timeout=20)
    wait_for(server, "exit code 7")
    write(place_of(server), "mended")
    wait_for(server, "mended")


def test_a_failed_request_shows_its_traceback_escaped(server: Server) -> None:
    answer = httpx.get(server.origin + "/fail", timeout=20)
    assert answer.status_code == 500
    assert "site_dev.py" in answer.text and "&lt;b&gt;failed" in answer.text
    assert "<b>failed" not in answer.text


def test_a_stream_without_end_does_not_hold_up_the_new_code(server: Server) -> None:
    with httpx.stream("GET", server.origin + "/stream", timeout=20) as stream:
        next(stream.iter_raw())
        write(place_of(server), "new")
        wait_for(server, "new")


def test_no_process_outlives_the_server(server: Server) -> None:
    write(place_of(server), "two")
    wait_for(server, "two")
    group = server.pid
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("a child is left")


def test_children_end_with_a_killed_parent(server: Server) -> None:
    server.process.kill()
    server.process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(server.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    else:
        raise AssertionError("a child is left")
    server.stop = lambda: 0  # type: ignore[method-assign]


def test_a_child_that_stopped_as_it_should_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, "one")
    command = [*command_for("x")[:-4], "dev", "site_dev:app", "--port", "0"]
    server = Server([*command, "--max-requests", "2", "--max-requests-jitter", "0"], tmp_path, child_environment())
    try:
        server.wait_until_ready()
        assert [httpx.get(server.origin, timeout=20).text for _ in range(5)] == ["one"] * 5
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_comes_together_with_the_childs_end_is_a_stop(tmp_path: Path, number: int) -> None:
    write(tmp_path, "one")
    (tmp_path / "site_dev.py").write_text(
        (tmp_path / "site_dev.py").read_text() + "open('pid', 'w').write(str(os.getpid()))\n"
    )
    server = Server([*command_for("x")[:-4], "dev", "site_dev:app", "--port", "0"], tmp_path, child_environment())
    try:
        server.wait_until_ready()
        assert httpx.get(server.origin, timeout=20).text == "one"
        child = int((tmp_path / "pid").read_text())
        # Both are there when the parent looks again.
        os.kill(server.pid, signal.SIGSTOP)
        os.kill(child, signal.SIGTERM)
        until(lambda: not is_there(child), "the child's end")
        os.kill(server.pid, number)
        os.kill(server.pid, signal.SIGCONT)
        server.wait_for_end()
        assert server.process.wait(20) == 0
        assert "Stopped" in server.log and "Traceback" not in server.log
    finally:
        server.kill()
