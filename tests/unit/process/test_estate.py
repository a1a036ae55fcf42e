"""Which sockets of another program are kept, and what is opened anew."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from torana.base.errors import BindError
from torana.net.options import ListenOptions
from torana.process.estate import Estate, Heirloom
from torana.process.slots import Slots

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets of one port are spread on Linux only")


class Old:
    """The slots of the program that is replaced."""

    def __init__(self, *binds: str, count: int = 2) -> None:
        self.slots = Slots(ListenOptions(binds), is_spread=True)
        self.slots.grow(count)

    def leave(self) -> Estate:
        return Estate(
            [Heirloom(slot, one.bind, os.dup(one.fileno()), one.file) for slot, row in self.slots.rows() for one in row]
        )

    def inodes(self) -> list[list[int]]:
        return [[inode(one.fileno()) for one in self.slots.listeners(slot)] for slot in range(len(self.slots))]

    @property
    def port(self) -> int:
        return self.slots.listeners(0)[0].address.port


def inode(fd: int) -> int:
    return os.fstat(fd).st_ino


@pytest.fixture
def opened() -> Iterator[list[Slots]]:
    all_slots: list[Slots] = []
    yield all_slots
    for slots in all_slots:
        slots.close()


def old(opened: list[Slots], *binds: str, count: int = 2) -> Old:
    made = Old(*binds, count=count)
    opened.append(made.slots)
    return made


def new(opened: list[Slots], estate: Estate, *binds: str) -> Slots:
    slots = Slots(ListenOptions(binds), is_spread=True, estate=estate)
    opened.append(slots)
    return slots


def inodes(slots: Slots) -> list[list[int]]:
    return [[inode(one.fileno()) for one in slots.listeners(slot)] for slot in range(len(slots))]


def test_every_slot_keeps_its_socket(opened: list[Slots], tmp_path: Path) -> None:
    binds = ("127.0.0.1:0", f"unix:{tmp_path}/s")
    before = old(opened, *binds, count=3)
    after = new(opened, before.leave(), *binds)
    assert len(after) == 3
    assert inodes(after) == before.inodes()
    assert after.addresses == before.slots.addresses
    after.grow(4)
    assert after.own(3)[0].address.port == before.port


def test_who_waits_in_a_queue_waits_for_the_new_program(opened: list[Slots]) -> None:
    before = old(opened, "127.0.0.1:0")
    clients = [socket.create_connection(("127.0.0.1", before.port)) for _ in range(20)]
    after = new(opened, before.leave(), "127.0.0.1:0")
    before.slots.close()
    taken = [sock for slot in (0, 1) for sock, _ in after.own(slot)[0].accept_batch(100)[0]]
    assert len(taken) == 20
    for sock in [*clients, *taken]:
        sock.close()


def test_an_address_in_other_words_is_the_same(opened: list[Slots], tmp_path: Path) -> None:
    before = old(opened, "127.0.0.1:0", f"unix:{tmp_path}/s")
    after = new(opened, before.leave(), f"unix://{tmp_path}/s", f"127.0.0.1:{before.port}")
    assert [sorted(row) for row in inodes(after)] == [sorted(row) for row in before.inodes()]


def test_a_new_address_is_opened_and_an_old_one_closed(opened: list[Slots], tmp_path: Path) -> None:
    before = old(opened, "127.0.0.1:0", f"unix:{tmp_path}/a")
    estate = before.leave()
    after = new(opened, estate, f"127.0.0.1:{before.port}", f"unix:{tmp_path}/b")
    assert after.addresses == [f"http://127.0.0.1:{before.port}", f"unix:{tmp_path}/b"]
    assert estate.files == []
    before.slots.leave_files(estate.files)
    before.slots.close()
    assert not (tmp_path / "a").exists() and (tmp_path / "b").exists()


def test_every_interface_instead_of_one(opened: list[Slots]) -> None:
    before = old(opened, "127.0.0.1:0")
    after = new(opened, before.leave(), f"0.0.0.0:{before.port}")
    assert [len(after.own(slot)) for slot in (0, 1)] == [1, 1]
    before.slots.close()
    with socket.create_connection(("127.0.0.1", before.port)):
        pass


def test_the_file_of_a_unix_socket_changes_hands(opened: list[Slots], tmp_path: Path) -> None:
    bind = f"unix:{tmp_path}/s"
    before = old(opened, bind)
    estate = before.leave()
    after = new(opened, estate, bind)
    assert estate.files == [f"{tmp_path}/s"]
    failed = new(opened, before.leave(), bind)
    failed.close()
    assert (tmp_path / "s").exists(), "a program that never led has removed the file"
    before.slots.leave_files(estate.files)
    before.slots.close()
    assert (tmp_path / "s").exists()
    estate.own_files()
    after.close()
    assert not (tmp_path / "s").exists()


def test_a_unix_socket_that_nobody_can_reach_is_opened_anew(opened: list[Slots], tmp_path: Path) -> None:
    bind = f"unix:{tmp_path}/s"
    before = old(opened, bind)
    (tmp_path / "s").unlink()
    after = new(opened, before.leave(), bind)
    assert inodes(after)[0] != before.inodes()[0]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/s")


def test_a_descriptor_that_was_inherited(opened: list[Slots]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        bind = f"fd:{os.dup(given.fileno())}"
        before = old(opened, bind)
        after = new(opened, before.leave(), bind)
        assert inodes(after)[0] == before.inodes()[0] and after.own(0) == []


def test_systemd_passes_its_sockets_once(opened: list[Slots]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        estate = Estate([Heirloom(-1, "systemd:web", os.dup(given.fileno()))])
        after = new(opened, estate, "systemd:web")
        assert inodes(after) == [[inode(given.fileno())]]
        with pytest.raises(BindError, match="systemd passed no sockets"):
            Slots(ListenOptions(("systemd:web",)), estate=Estate([]))


def test_what_is_not_asked_for_is_closed(opened: list[Slots], tmp_path: Path) -> None:
    before = old(opened, "127.0.0.1:0", count=2)
    estate = before.leave()
    fds = [one.fd for one in estate._left]
    new(opened, estate, f"unix:{tmp_path}/s")
    for fd in fds:
        with pytest.raises(OSError):
            os.fstat(fd)


def test_a_failure_closes_what_was_opened(opened: list[Slots]) -> None:
    before = old(opened, "127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as other:
        estate = before.leave()
        with pytest.raises(BindError, match="in use"):
            new(opened, estate, "127.0.0.1:0", f"127.0.0.1:{other.getsockname()[1]}")
        estate.close()
    with socket.create_connection(("127.0.0.1", before.port)):
        pass
