"""The soak's servers: one that stays as it is, one with TLS that does too, one whose workers are always replaced.

Lives here: how they are started, what they are told meanwhile, their end. Never here: what is asked of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.soak.client import Place
from tests.soak.content import PATTERN
from tests.support.server import REPOSITORY, Server, child_environment, command_for
from tests.support.supervised import children_of

STEADY, SECURE, RENEWED = "steady", "secure", "renewed"
WORKERS = 2
THREADS = 6
#: A renewed worker answers so many requests; shorter runs have it answer fewer.
MOST_REQUESTS = 3000
REQUESTS_A_SECOND_OF_RUN = 12
#: From one reload to the next; shorter runs have at least two.
RELOAD_S = 150.0

#: By default each thread gets a heap of its own, and each heap keeps the pages of its busiest moment, for hours on end
#: a little more. Two heaps are soon as large as they get, and what grows then is a leak.
ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}


@dataclass
class Running:
    """A server, where it is, and which workers it began with."""

    server: Server
    place: Place
    workers: tuple[int, ...]

    @property
    def name(self) -> str:
        """As in the results."""
        return self.place.name


@contextlib.contextmanager
def serving(folder: Path, run_s: float) -> Iterator[list[Running]]:
    """Start all, and stop them gracefully; an exit code other than 0 is in the log of who asks."""
    file = folder / "download.bin"
    file.write_bytes(PATTERN)
    flags = [
        "--mount", "/wsgi=tests.soak.wsgi_site:application", "--workers", str(WORKERS), "--threads", str(THREADS),
        "--access-log-file", os.devnull, "--control-socket", "off",
    ]  # fmt: skip
    certificate, context, context_http2 = _certificate(folder)
    requests = int(min(MOST_REQUESTS, max(100.0, REQUESTS_A_SECOND_OF_RUN * run_s)))
    each = {
        STEADY: flags,
        SECURE: [*flags, "--certfile", str(certificate)],
        RENEWED: [*flags, "--max-requests", str(requests), "--max-requests-jitter", str(requests // 3)],
    }
    environment = child_environment({"SOAK_FILE": str(file), **ALLOCATOR})
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(_process(command_for("tests.soak.site:app", *words), environment))
            for name, words in each.items()
        }
        found = []
        for name, server in servers.items():
            server.wait_until_ready()
            server.wait_for_log("All workers")
            tls = (context, context_http2) if name == SECURE else (None, None)
            place = Place(name, *server.address, *tls, is_renewed=name == RENEWED)
            found.append(Running(server, place, tuple(sorted(children_of(server.pid)))))
        yield found


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    server = Server(command, REPOSITORY, environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext, ssl.SSLContext]:
    """A chain with its key, and contexts that trust it: for HTTP/1.1, and for HTTP/2."""
    authority = trustme.CA()
    path = folder / "localhost.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
    contexts = []
    for protocol in ("http/1.1", "h2"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        context.set_alpn_protocols([protocol])
        contexts.append(context)
    return path, contexts[0], contexts[1]


def reload(running: Running) -> None:
    """All workers anew, softly."""
    os.kill(running.server.pid, signal.SIGHUP)


def missing_workers(running: Running) -> list[str]:
    """Workers of a server that is left alone and that are no longer there."""
    if running.place.is_renewed:
        return []
    now = children_of(running.server.pid)
    return [f"{running.name}: worker {pid} is gone" for pid in running.workers if pid not in now]
