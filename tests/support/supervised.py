"""A server with a supervisor, for tests: an application to serve, and its workers by process id.

Lives here: the application, who the workers are and how many. Never here: what is done to them.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.support.server import Server, child_environment, command_for, running

#: Answers "NUMBER PID TEXT" for /NUMBER, which is what ``tests.support.load`` expects; and knows a few other paths.
SITE = """
import asyncio, json, os, sys, time
TEXT = "one"
BOOT_S = float(os.environ.get("BOOT_S", "0"))
DELAY_S = float(os.environ.get("DELAY_S", "0"))
time.sleep(BOOT_S)
file = os.open(os.environ["EXECUTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT) if "EXECUTED" in os.environ else None

def answer(path):
    if path == "/pid":
        return str(os.getpid())
    if path == "/files":
        return json.dumps({fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                           if os.path.exists(f"/proc/self/fd/{fd}") or os.path.islink(f"/proc/self/fd/{fd}")})
    if path == "/die":
        os._exit(7)
    if path == "/exit":
        os._exit(0)
    return f"{path[1:]} {os.getpid()} {TEXT}"

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            if event == "lifespan.startup":
                startup()
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    if file is not None:
        os.write(file, f"{scope['method']} {scope['path'][1:]} {os.getpid()}\\n".encode())
    if scope["path"].startswith("/slow"):
        await asyncio.sleep(float(scope["path"][5:] or 1))
    elif DELAY_S:
        await asyncio.sleep(DELAY_S)
    body = answer(scope["path"]).encode()
    fields = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})

def startup():
    pass
"""


def write_site(place: Path, *changes: tuple[str, str]) -> Path:
    """Write the application as ``site_one.py``, with some of its text replaced."""
    text = SITE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = place / "site_one.py"
    path.write_text(text)
    return path


@contextlib.contextmanager
def supervised(
    place: Path,
    *flags: str,
    workers: int = 2,
    environment: Mapping[str, str] | None = None,
    expect_exit: int | None = 0,
    is_complete: bool = True,
) -> Iterator[Server]:
    """Serve ``site_one`` with workers while the block runs; with ``is_complete`` from the moment all are ready."""
    flags = ("--workers", str(workers), "--no-access-log", "--log-level", "debug", *flags)
    with running("site_one:app", *flags, cwd=place, environment=environment, expect_exit=expect_exit) as server:
        if is_complete:
            server.wait_for_log("All workers")
        try:
            yield server
        except AssertionError as error:
            error.add_note(f"The log ends:\n{server.log[-6000:]}")
            raise


@contextlib.contextmanager
def beginning(place: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server that is not waited for, and that is not expected to end well."""
    server = Server(command_for("site_one:app", *flags), place, child_environment(environment))
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def ended(server: Server, timeout_s: float = 40.0) -> int:
    """The exit code of a server that ends by itself."""
    code = server.process.wait(timeout_s)
    server.wait_for_end()
    return code


def children_of(pid: int) -> set[int]:
    """Process ids of the children of a process, zombies included."""
    try:
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()


def ready_workers(server: Server, since: int = 0) -> list[int]:
    """Workers that were ready, by process id, in that order."""
    return [int(pid) for pid in re.findall(r"Worker \d+ \(pid (\d+)\) is ready", server.log_since(since))]


def wait_for_replacement(server: Server, since: int) -> None:
    """Wait until the supervisor calls a worker ready; `since` is a mark made when all were.

    Not any line that says "is ready": a worker's own may come late, after the supervisor's.
    """
    until(lambda: ready_workers(server, since), "a worker is ready")


def answering(server: Server, *, tries: int = 40) -> set[int]:
    """The workers that answer, each on a connection of its own."""
    return {_pid_that_answers(server.origin.partition("://")[2]) for _ in range(tries)}


def _pid_that_answers(address: str) -> int:
    # Not httpx: it takes longer to make a client than all else here.
    with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request("GET", "/pid", headers={"Connection": "close"})
        return int(connection.getresponse().read())


def is_there(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Wait for something that nothing tells of."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)


def send(server: Server, number: int) -> int:
    """Send the supervisor a signal; returns the place in the log before it."""
    mark = server.mark()
    os.kill(server.pid, number)
    return mark
