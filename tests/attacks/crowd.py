"""Thousands of clients in one process: ``python -m tests.attacks.crowd`` reads plans from its standard input.

An epoll loop of its own with timers in a heap, so that few cycles are the attacker's. When each client of each plan
has had its first connection, or a while has passed, it prints "ready"; when its standard input ends it stops, closes
all, and prints how often what happened, as JSON, one count a plan. Never here: what a client does (``moves``), a
server, a verdict.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import json
import os
import resource
import select
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: Clients come from several addresses of the loopback: one has but 28,000 ports.
_SOURCES = 8
#: Bind to an address and let ``connect`` choose the port (ip(7)).
_BIND_ADDRESS_NO_PORT = 24
#: How long plans may take until every client has had its connection.
_READY_S = 8.0
#: So many leave at a time, and so long after the others. Who wants to leave in a storm makes that his move.
_LEAVING = 20
_LEAVING_S = 0.005
#: Connections begun before anybody else gets a turn.
_BATCH = 128
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Plan:
    """So many clients that all make the same move."""

    #: A name in ``moves.MOVES``, and what it wants to know.
    move: str
    clients: int
    words: dict[str, Any] = field(default_factory=dict)
    #: Connections begun in a second.
    pace: float = 4000.0
    #: Whether a client whose connection has ended comes again, and after how long.
    comes_again: bool = True
    again_s: float = 0.05
    receive_buffer_bytes: int = 0


class Client:
    """One connection of a crowd; moves say what it does."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.words = group.plan.words
        self.sock: Any = None
        self.fd = -1
        self.is_connected = False
        #: Ends this client's timers of earlier times.
        self.generation = 0
        #: What is of interest besides room for what is being said.
        self.interest = select.EPOLLIN
        self._unsent = memoryview(b"")
        self._is_waiting = False

    def begin(self) -> None:
        """The connection stands."""

    def readable(self) -> None:
        """Something has come; by default it is counted and thrown away."""
        self.swallow()

    def writable(self) -> None:
        """There is room for more."""
        if self._is_waiting:
            self._go_on()

    def due(self) -> None:
        """A time that ``wait`` has set has come."""

    def swallow(self, size: int = PIECE_BYTES) -> bytes:
        """Read and count; the end of the connection ends the client."""
        try:
            data: bytes = self.sock.recv(size)
        except BlockingIOError:
            return b""
        except OSError:
            self.group.ended(self, "reset")
            return b""
        count = self.group.count
        if not data:
            self.group.ended(self, "closed")
            return b""
        count["bytes read"] += len(data)
        if data.startswith(b"HTTP/1.1 "):
            count[f"status {data[9:12].decode('ascii', 'replace')}"] += 1
        return data

    def said(self) -> None:
        """All that ``say`` was given has been sent."""

    def say(self, data: bytes | memoryview) -> None:
        """Send all of it, as there is room; then ``said`` is called. One thing at a time."""
        self._unsent = memoryview(data)
        self._go_on()

    def _go_on(self) -> None:
        try:
            sent: int = self.sock.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.group.ended(self, "reset")
            return
        self.group.count["bytes sent"] += sent
        self._unsent = self._unsent[sent:]
        if len(self._unsent) == 0:
            if self._is_waiting:
                self._is_waiting = False
                self.listen_for(self.interest)
            self.said()
        elif not self._is_waiting:
            self._is_waiting = True
            self.listen_for(self.interest | select.EPOLLOUT)

    def wait(self, delay_s: float) -> None:
        """Call ``due`` after so long."""
        self.group.crowd.after(delay_s, self)

    def listen_for(self, events: int) -> None:
        """Which events are of interest from now on."""
        self.group.crowd.poll.modify(self.fd, events)


class Group:
    """The clients of one plan, and what became of them."""

    def __init__(self, crowd: Crowd, plan: Plan, made: type[Client]) -> None:
        self.crowd = crowd
        self.plan = plan
        self.count: Counter[str] = Counter()
        self.clients = [made(self) for _ in range(plan.clients)]
        #: (when, order, client): who wants to connect.
        self.outside: list[tuple[float, int, Client]] = [(0.0, at, one) for at, one in enumerate(self.clients)]
        self._order = itertools.count(plan.clients)
        self._allowance = 0.0
        self._looked_at = time.monotonic()

    @property
    def is_inside(self) -> bool:
        """Whether each client has had a connection once."""
        return self.count["connected"] >= self.plan.clients

    def let_in(self, now: float) -> None:
        """Begin as many connections as the pace allows."""
        self._allowance = min(_BATCH, self._allowance + (now - self._looked_at) * self.plan.pace)
        self._looked_at = now
        while self._allowance >= 1 and self.outside and self.outside[0][0] <= now:
            self._allowance -= 1
            self._connect(heapq.heappop(self.outside)[2])

    def ended(self, client: Client, how: str) -> None:
        """The connection is over; the client comes again if the plan says so."""
        if client.sock is None:
            return
        self.count[how] += 1
        self.crowd.forget(client)
        if self.plan.comes_again:
            again_at = time.monotonic() + self.plan.again_s
            heapq.heappush(self.outside, (again_at, next(self._order), client))

    def _connect(self, client: Client) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        if self.plan.receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.plan.receive_buffer_bytes)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((f"127.0.1.{1 + self.count['begun'] % _SOURCES}", 0))
        self.count["begun"] += 1
        refusal = sock.connect_ex(self.crowd.address)
        client.sock = sock
        client.fd = sock.fileno()
        client.is_connected = False
        self.crowd.watch(client)
        if refusal not in (0, errno.EINPROGRESS):
            self.ended(client, "refused")


class Crowd:
    """All groups of this process."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.poll = select.epoll()
        self.groups: list[Group] = []
        self._by_fd: dict[int, Client] = {}
        self._times: list[tuple[float, int, int, Client]] = []
        self._order = itertools.count()

    def watch(self, client: Client) -> None:
        """From the beginning of a connection on."""
        self._by_fd[client.fd] = client
        self.poll.register(client.fd, select.EPOLLOUT)

    def forget(self, client: Client) -> None:
        """Close; its timers are void."""
        self._by_fd.pop(client.fd, None)
        client.sock.close()
        client.sock = None
        client.generation += 1

    def after(self, delay_s: float, client: Client) -> None:
        """A timer for one connection."""
        at = time.monotonic() + delay_s
        heapq.heappush(self._times, (at, next(self._order), client.generation, client))

    def run(self, stop_fd: int) -> None:
        """Until ``stop_fd`` is readable; says when all are inside."""
        self.poll.register(stop_fd, select.EPOLLIN)
        began, is_ready = time.monotonic(), False
        while True:
            now = time.monotonic()
            for group in self.groups:
                group.let_in(now)
            if not is_ready and (now - began > _READY_S or all(group.is_inside for group in self.groups)):
                is_ready = True
                print("ready", flush=True)
            self._tell_due(now)
            for fd, events in self.poll.poll(0.002, 512):
                if fd == stop_fd:
                    return
                client = self._by_fd.get(fd)
                if client is not None:
                    self._tell(client, events)

    def _tell_due(self, now: float) -> None:
        times = self._times
        while times and times[0][0] <= now:
            _, _, generation, client = heapq.heappop(times)
            if generation == client.generation and client.sock is not None:
                client.due()

    def _tell(self, client: Client, events: int) -> None:
        group = client.group
        if not client.is_connected:
            if client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or events & select.EPOLLHUP:
                group.ended(client, "refused")
                return
            client.is_connected = True
            client._is_waiting = False
            group.count["connected"] += 1
            self.poll.modify(client.fd, client.interest)
            client.begin()
            return
        if events & select.EPOLLIN:
            client.readable()
        elif events & (select.EPOLLERR | select.EPOLLHUP):
            group.ended(client, "reset")
        if events & select.EPOLLOUT and client.sock is not None:
            client.writable()

    def close(self) -> None:
        """All connections, no quicker than they came; and what became of them."""
        for group in self.groups:
            group.count["held at the end"] = sum(one.is_connected and one.sock is not None for one in group.clients)
        for number, client in enumerate(list(self._by_fd.values())):
            if number % _LEAVING == 0:
                time.sleep(_LEAVING_S)
            self.forget(client)


def main() -> None:
    """Read one line of plans, play them, print the counts."""
    from tests.attacks.moves import MOVES

    said = json.loads(sys.stdin.readline())
    # Attackers have computers of their own; here they must not be quicker than the one they attack.
    os.nice(said["nice"])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(tuple(said["address"]))
    for words in said["plans"]:
        plan = Plan(**words)
        crowd.groups.append(Group(crowd, plan, MOVES[plan.move]))
    crowd.run(sys.stdin.fileno())
    crowd.close()
    print(json.dumps([group.count for group in crowd.groups]), flush=True)


if __name__ == "__main__":
    main()
