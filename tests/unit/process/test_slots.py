"""Listening sockets for every slot: one address, a queue each, nobody else on it, and no queue lost."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from torana.base.errors import BindError
from torana.net.options import ListenOptions
from torana.process.slots import Slots

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections over sockets")


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots(ListenOptions(("127.0.0.1:0",)))
    yield made
    made.close()


def port_of(slots: Slots) -> int:
    return int(slots.addresses[0].rpartition(":")[2])


def accepted_by(slots: Slots, count: int) -> Counter[int]:
    """How many of so many connections come to the queue of each slot."""
    taken: Counter[int] = Counter()
    everywhere = [listener for slot in range(len(slots)) for listener in slots.own(slot)]
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port_of(slots))):
            # The client's side may be done a moment before ours.
            select.select(everywhere, [], [], 5)
            for slot in range(len(slots)):
                for listener in slots.own(slot):
                    connections, _ = listener.accept_batch(10)
                    for sock, _ in connections:
                        sock.close()
                        taken[slot] += 1
    return taken


def test_one_slot_to_begin_with(slots: Slots) -> None:
    assert len(slots) == 1
    assert len(slots.listeners(0)) == 1


@linux
def test_connections_are_spread_over_all_slots(slots: Slots) -> None:
    slots.grow(4)
    assert len({listener.fileno() for slot in range(4) for listener in slots.listeners(slot)}) == 4
    assert len(slots.addresses) == 1
    taken = accepted_by(slots, 400)
    assert sum(taken.values()) == 400
    assert min(taken[slot] for slot in range(4)) > 50


@linux
def test_growing_later_takes_nothing_away(slots: Slots) -> None:
    slots.grow(2)
    before = [slots.listeners(slot)[0].fileno() for slot in range(2)]
    slots.grow(4)
    slots.grow(1)
    assert len(slots) == 4
    assert [slots.listeners(slot)[0].fileno() for slot in range(2)] == before
    assert len(accepted_by(slots, 300)) == 4


def test_an_address_in_use_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BindError, match="in use"):
            Slots(ListenOptions((f"127.0.0.1:{other.getsockname()[1]}",)))


@linux
def test_an_address_of_another_server_of_this_kind_is_refused(slots: Slots) -> None:
    slots.grow(2)
    with pytest.raises(BindError, match="in use"):
        Slots(ListenOptions((f"127.0.0.1:{port_of(slots)}",)))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_each_address_has_a_socket_in_each_slot() -> None:
    try:
        slots = Slots(ListenOptions(("127.0.0.1:0", "[::1]:0")), is_spread=True)
    except BindError:
        pytest.skip("this machine has no ::1")
    slots.grow(3)
    try:
        for slot in range(3):
            families = [listener.sock.family for listener in slots.listeners(slot)]
            assert families == [socket.AF_INET, socket.AF_INET6]
            assert [listener.describe() for listener in slots.listeners(slot)] == slots.addresses
    finally:
        slots.close()


def test_a_unix_socket_is_shared_and_its_file_removed_once(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    slots = Slots(ListenOptions((f"unix:{path}", "127.0.0.1:0")))
    slots.grow(3)
    shared = {listener.fileno() for slot in range(3) for listener in slots.listeners(slot) if listener.is_unix}
    assert len(shared) == 1
    assert all(not listener.is_unix for slot in range(3) for listener in slots.own(slot))
    assert slots.addresses[0] == f"unix:{path}"
    assert path.exists()
    slots.close()
    assert not path.exists()


def test_an_inherited_socket_is_shared() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    fd = sock.detach()
    slots = Slots(ListenOptions((f"fd:{fd}",)))
    slots.grow(3)
    assert {listener.fileno() for slot in range(3) for listener in slots.listeners(slot)} == {fd}
    assert slots.own(1) == []
    slots.close()


def test_where_the_kernel_does_not_spread_all_is_shared() -> None:
    slots = Slots(ListenOptions(("127.0.0.1:0",)), is_spread=False)
    slots.grow(3)
    assert len({listener.fileno() for slot in range(3) for listener in slots.listeners(slot)}) == 1
    assert slots.own(2) == []
    slots.close()


@linux
def test_a_slot_without_a_socket_of_its_own_shares_the_first(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("torana.process.slots._bound_sibling", fail)
    slots.grow(2)
    assert slots.own(1) == []
    assert slots.listeners(1) == slots.listeners(0)


@linux
def test_a_worker_keeps_the_sockets_of_its_slot_only() -> None:
    slots = Slots(ListenOptions(("127.0.0.1:0",)))
    slots.grow(3)
    kept, others = slots.listeners(1), [slots.listeners(0)[0].fileno(), slots.listeners(2)[0].fileno()]
    slots.leave_to(1)
    assert kept[0].fileno() >= 0
    for fd in others:
        with pytest.raises(OSError):
            os.fstat(fd)
    kept[0].close()
