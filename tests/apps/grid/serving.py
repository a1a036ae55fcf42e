"""A running application of the grid, and the pipe by which a client lets it go on.

Lives here: the server, its place, a Redis beside it. Never here: what is checked.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.apps.grid.declared import Site
from tests.support.server import Server, running

SITES_FOLDER = Path(__file__).parent / "sites"


@dataclass(frozen=True)
class Served:
    """An application that runs."""

    site: Site
    server: Server
    place: Path

    def pipe(self, token: str) -> contextlib.AbstractContextManager[Path]:
        """What the site waits for under this token; whoever waits in vain is let go at the end."""
        return pipe_at(self.place, token)


@contextlib.contextmanager
def pipe_at(place: Path, token: str) -> Iterator[Path]:
    """The same, in a place that is named."""
    path = place / token
    os.mkfifo(path)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def let_go_on(pipe: Path) -> None:
    """The go-ahead of a client that has seen what was sent so far."""
    with open(pipe, "wb") as file:
        file.write(b"go")


def skip_unless_there(*modules: str) -> None:
    """Skip, by the name of what is missing."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


@contextlib.contextmanager
def serving(site: Site, place: Path, redis: str = "") -> Iterator[Served]:
    """The site in two workers while the block runs."""
    environment = {"GRID_PLACE": str(place)} | ({"GRID_REDIS": redis} if redis else {})
    flags = ("--workers", "2", "--log-level", "debug", *site.flags)
    with running(site.target, *flags, app_dir=SITES_FOLDER, environment=environment) as server:
        server.wait_for_log("All workers")
        yield Served(site, server, place)


@contextlib.contextmanager
def running_redis(place: Path) -> Iterator[str]:
    """The URL of a Redis of our own, at a unix socket."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    path = place / "redis.socket"
    command = [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(place)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    with process, process.stdout as said:
        try:
            for line in said:
                if "eady to accept connections" in line:
                    break
            yield f"unix://{path}"
        finally:
            process.terminate()
            process.stdout.read()
