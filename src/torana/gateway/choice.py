"""Several applications behind one gateway: which of them answers a request, by host, path and kind; and their lives.

``Several`` chooses among applications that know nothing of each other, ``Halves`` between the WSGI and the ASGI
application of one site. Both can stand within each other. Never here: what an application is told of its place
(``describe`` of each gateway), how it is called.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any

from torana.base.errors import LoadError
from torana.exchange.roles import Gateway
from torana.gateway.failure import plain
from torana.gateway.handshake import is_handshake
from torana.gateway.readings import host_name, host_of, is_below, is_plain, readings, without
from torana.wire.events import RequestHead

_log = logging.getLogger("torana")

#: Hosts whose applications are remembered as they were asked for, and how long such a name may be.
_MOST_KNOWN = 1024
_LONGEST_KNOWN = 255


class Refusal(Gateway):
    """Answers for nobody: every request gets the same status."""

    def __init__(self, status: int) -> None:
        self.status = status

    def takes_tunnels(self) -> bool:
        """Handshakes get the status too, whatever the version of HTTP."""
        return True

    def answer(self, request: Any, response: Any) -> None:
        fields, body = plain(self.status)
        response.replace(self.status, [*fields, (b"content-length", b"%d" % len(body))], body)
        request.channel.ended()


class Entry:
    """One application and the path that it begins at."""

    def __init__(self, prefix: bytes, gateway: Gateway) -> None:
        self.prefix = prefix
        self.gateway = gateway


class Choice(Gateway):
    """A gateway that leads to one of others. Who is chosen says ``gateway_of``; the rest is the same for all."""

    def __init__(self, named: list[tuple[str, Gateway]]) -> None:
        """``named``: each gateway with what its application is called where it fails."""
        self._named = named
        self._started: list[Gateway] = []

    def takes_conversations(self) -> bool:
        return True in [gateway.takes_conversations() for _, gateway in self._named]

    def takes_tunnels(self) -> bool:
        return True in [gateway.takes_tunnels() for _, gateway in self._named]

    def converse(self, duplex: Any) -> None:
        self.gateway_of(duplex.request).converse(duplex)

    def answer(self, request: Any, response: Any) -> None:
        self.gateway_of(request).answer(request, response)

    def tick(self, now_s: float) -> None:
        for _, gateway in self._named:
            gateway.tick(now_s)

    def running(self) -> int:
        return sum(gateway.running() for _, gateway in self._named)

    def waiting(self) -> int:
        return sum(gateway.waiting() for _, gateway in self._named)

    # Their lives

    async def startup(self) -> None:
        """One after the other, as they were named; when one refuses, those that have started are shut down."""
        for name, gateway in self._named:
            try:
                await gateway.startup()
            except LoadError as error:
                await self.shutdown()
                raise LoadError(f"{name}: {error}") from error
            except BaseException:
                await self.shutdown()
                raise
            self._started.append(gateway)

    async def ready(self) -> None:
        await _all("ready", [gateway.ready() for gateway in self._started])

    async def begin_drain(self) -> None:
        await _all("begin_drain", [gateway.begin_drain() for gateway in self._started])

    async def drained(self) -> None:
        await _all("drained", [gateway.drained() for gateway in self._started])

    async def shutdown(self) -> None:
        """All at once: together they may take no longer than one alone."""
        started, self._started = self._started, []
        await _all("shutdown", [gateway.shutdown() for gateway in reversed(started)])


async def _all(step: str, steps: list[Coroutine[Any, Any, None]]) -> None:
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log.error("A step in an application's life failed: %s", step, exc_info=outcome)


class Several(Choice):
    """Chooses by host first, then by path: the most exact name that a request's host matches, and of the applications
    there the longest path. Where none of that host's paths matches, those of less exact names and at last of
    applications without a host are tried.

    Nobody's path is 404. A host that no application has is 421 (Misdirected Request, RFC 9110 section 15.5.20), so that
    a client with a connection for many names tries another one. A path that different readers would take for different
    applications is 400.
    """

    def __init__(self, parts: list[tuple[str, tuple[str, ...], str, Gateway]], root_path: str = "") -> None:
        """``parts``: (name, hosts, path, gateway); a host is a name or ``*.`` and a name, none means every host.

        ``root_path``: what may stand before each path, or not, if a proxy has taken it away.
        """
        super().__init__([(name, gateway) for name, _, _, gateway in parts])
        self._root = root_path.encode("utf-8")
        self._everywhere: list[Entry] = []
        self._exact: dict[bytes, list[Entry]] = {}
        wild: dict[bytes, list[Entry]] = {}
        for _, hosts, path, gateway in parts:
            entry = Entry(path.encode("utf-8"), gateway)
            if not hosts:
                self._everywhere.append(entry)
            for host in hosts:
                name = host.encode("ascii")
                if name.startswith(b"*"):
                    wild.setdefault(name[1:], []).append(entry)
                else:
                    self._exact.setdefault(name, []).append(entry)
        for entries in (self._everywhere, *self._exact.values(), *wild.values()):
            entries.sort(key=_longest_first)
        self._wild = sorted(wild.items(), key=_most_exact_first)
        self._has_hosts = bool(self._exact or self._wild)
        self._known: dict[bytes, list[Entry]] = {}
        self._no_path = Refusal(404)
        self._no_host = Refusal(421)
        self._unclear = Refusal(400)

    def gateway_of(self, request: Any) -> Gateway:
        head: RequestHead = request.head
        entries = self._entries_of(host_of(head)) if self._has_hosts else self._everywhere
        if not entries:
            return self._no_host
        path = head.raw_path
        if is_plain(path):
            found = self._find(entries, path)
        else:
            found = self._find_by_all(entries, path)
        return found.gateway_of(request)

    def _find(self, entries: list[Entry], path: bytes) -> Gateway:
        """The first whose path is the beginning of this one. ``*`` (OPTIONS) is below nothing but the whole host."""
        path = without(path, self._root)
        for entry in entries:
            if is_below(path, entry.prefix):
                return entry.gateway
        return self._no_path

    def _find_by_all(self, entries: list[Entry], raw_path: bytes) -> Gateway:
        found: Gateway | None = None
        for path in readings(raw_path):
            gateway = self._find(entries, path)
            if found is None:
                found = gateway
            elif found is not gateway:
                return self._unclear
        return self._no_path if found is None else found

    def _entries_of(self, host: bytes) -> list[Entry]:
        """The applications of a host, in the order they are tried."""
        known = self._known.get(host)
        if known is not None:
            return known
        name = host_name(host)
        entries = list(self._exact.get(name, ()))
        for suffix, below in self._wild:
            if len(name) > len(suffix) and name.endswith(suffix):
                entries += below
        entries += self._everywhere
        if len(host) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[host] = entries
        return entries


def _longest_first(entry: Entry) -> int:
    return -len(entry.prefix)


def _most_exact_first(item: tuple[bytes, list[Entry]]) -> int:
    return -len(item[0])


class Halves(Choice):
    """One site with two applications: WSGI answers, but for what is said to be the ASGI application's."""

    def __init__(
        self,
        wsgi: tuple[str, Gateway],
        asgi: tuple[str, Gateway],
        asgi_for: tuple[str, ...],
        root_path: str = "",
        mount: str = "",
    ) -> None:
        """``wsgi`` and ``asgi``: each with its name. ``asgi_for``: "websocket", and patterns of paths below the mount
        point: ``*`` stands for anything in one segment, at the end after a slash for all below.
        """
        super().__init__([wsgi, asgi])
        self._wsgi = wsgi[1]
        self._asgi = asgi[1]
        self._takes_websockets = "websocket" in asgi_for
        self._root = root_path.encode("utf-8")
        self._mount = mount.encode("utf-8")
        patterns = [pattern_of(each) for each in asgi_for if each != "websocket"]
        self._match: Callable[[bytes], Any] | None = None
        if patterns:
            self._match = re.compile(b"|".join(patterns), re.DOTALL).fullmatch
        self._unclear = Refusal(400)

    def gateway_of(self, request: Any) -> Gateway:
        head: RequestHead = request.head
        if head.upgrade is not None and self._takes_websockets and is_handshake(head):
            return self._asgi.gateway_of(request)
        if self._match is None:
            return self._wsgi.gateway_of(request)
        path = head.raw_path
        if is_plain(path):
            is_asgi = self._is_asgi(path)
        else:
            answers = {self._is_asgi(reading) for reading in readings(path)}
            if len(answers) > 1:
                return self._unclear
            is_asgi = True in answers
        return (self._asgi if is_asgi else self._wsgi).gateway_of(request)

    def _is_asgi(self, path: bytes) -> bool:
        path = without(without(path, self._root), self._mount)
        return self._match is not None and self._match(path) is not None


def pattern_of(text: str) -> bytes:
    """A pattern of paths as a regular expression over decoded bytes."""
    is_open = text.endswith("/*")
    body = text[: len(text) - 1] if is_open else text
    parts = [re.escape(part.encode("utf-8")) for part in body.split("*")]
    return b"[^/]*".join(parts) + (b".*" if is_open else b"")
