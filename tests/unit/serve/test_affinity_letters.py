"""Letters between workers: what arrives is what was sent, descriptors have one owner, what is no letter is nothing."""

from __future__ import annotations

import array
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Iterator

import pytest

from torana.base.endpoints import Endpoints
from torana.net.clock import Clock
from torana.net.poller import WRITE, Poller
from torana.serve.affinity import mail
from torana.serve.affinity.letters import Letter, NoLetter, unpack
from torana.serve.affinity.mail import Mailbox, Postbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    # What earlier tests have left shall not be closed meanwhile.
    gc.collect()
    before = files()
    yield
    assert files() == before


class Watching(Poller):
    """A poller that only notes what is asked of it."""

    def __init__(self) -> None:
        Poller.__init__(self, Clock())
        self.watching: dict[int, int] = {}

    def _add(self, fd: int, events: int) -> None:
        self.watching[fd] = events

    def _change(self, fd: int, events: int) -> None:
        self.watching[fd] = events

    def _remove(self, fd: int) -> None:
        del self.watching[fd]


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def letter(data: bytes = b"GET / HTTP/1.1\r\n\r\n", **more: object) -> tuple[Letter, socket.socket]:
    """A letter with one end of a pair, and the other end."""
    ours, theirs = socket.socketpair()
    tls = {"tls_version": 0x0304, "client_cert_chain": ["x"], "client_cert_name": None}
    ends = Endpoints(("192.0.2.1", 1234), ("/the.sock", None), "https", tls)
    return Letter(theirs, ends, data, served=3, hops=1, is_relay=False), ours


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n\0\xff", os.urandom(16 * 1024), os.urandom(300_000)])
def test_what_arrives_is_what_was_sent(data: bytes) -> None:
    arrived: list[Letter] = []
    with pair() as (out, put_in):
        poller = Watching()
        returned: list[Letter] = []
        postbox = Postbox(put_in, poller, returned.append)
        mailbox = Mailbox(out, poller, arrived.append, lambda: False)
        mailbox.open()
        sent, client = letter(data)
        with client:
            postbox.post(sent)
            assert sent.sock is None
            mailbox.ready(1)
            (got,) = arrived
            assert (got.data, got.served, got.hops, got.is_relay, returned) == (data, 3, 1, False, [])
            ends = got.endpoints
            assert (ends.client, ends.server, ends.scheme) == (("192.0.2.1", 1234), ("/the.sock", None), "https")
            assert ends.tls == {"tls_version": 0x0304, "client_cert_chain": ["x"], "client_cert_name": None}
            client.send(b"hello")
            with got.take() as sock:
                assert sock.recv(9) == b"hello"
                assert not sock.getblocking()


def test_what_a_mailbox_does_not_take_waits_and_then_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_MOST_WAITING", 3)
    with pair() as (out, put_in), contextlib.ExitStack() as clients:
        put_in.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        poller = Watching()
        returned: list[Letter] = []
        arrived: list[Letter] = []
        postbox = Postbox(put_in, poller, returned.append)
        count = 0
        while not returned:
            sent, client = letter(b"%d" % count + bytes(1000))
            clients.enter_context(client)
            postbox.post(sent)
            count += 1
            assert count < 100
        # Three wait, the fourth came back at once.
        assert poller.watching == {put_in.fileno(): WRITE}
        assert postbox.deadline > 0
        mailbox = Mailbox(out, poller, arrived.append, lambda: False)
        mailbox.open()
        mailbox.ready(1)
        postbox.ready(WRITE)
        mailbox.ready(1)
        assert [got.data[:2].strip(b"\0") for got in arrived] == [b"%d" % i for i in range(count - 1)]
        assert put_in.fileno() not in poller.watching and postbox.deadline == 0
        for got in (*arrived, *returned):
            got.close()


def test_who_waits_too_long_is_served_by_whoever_he_came_to() -> None:
    with pair() as (_, put_in), contextlib.ExitStack() as clients:
        put_in.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        poller = Watching()
        returned: list[Letter] = []
        postbox = Postbox(put_in, poller, returned.append)
        while not postbox.deadline:
            sent, client = letter(bytes(1000))
            clients.enter_context(client)
            postbox.post(sent)
        poller.clock.now = postbox.deadline + 1
        postbox.expired(poller.clock.now)
        assert returned == [sent]
        assert not poller.watching
        # Nobody waits any more who is about to leave.
        postbox.recall()
        more, client = letter(bytes(1000))
        clients.enter_context(client)
        postbox.post(more)
        assert returned == [sent, more]
        for got in returned:
            got.close()


def test_a_mailbox_that_nobody_holds_returns_all() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        ours.close()
        returned: list[Letter] = []
        postbox = Postbox(theirs, Watching(), returned.append)
        sent, client = letter()
        with client:
            postbox.post(sent)
            assert returned == [sent]
            sent.close()


@pytest.mark.parametrize(
    "message",
    [
        b"", b"\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\0\0\0", b"\x01\0\0\0\xc0", b"\x05\0\0\0\x98\1\2\3\4",
        b"\x20\0\0\0" + bytes(32), os.urandom(500),
    ],
)  # fmt: skip
def test_what_is_no_letter_is_thrown_away_with_its_descriptors(message: bytes) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with pytest.raises(NoLetter):
        unpack(message, [reader])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


def test_an_enclosure_that_is_too_short_is_none() -> None:
    sent, client = letter(bytes(100_000))
    with client:
        message, fds = sent.pack()
        os.ftruncate(fds[1], 10)
        with pytest.raises(NoLetter, match="too short"):
            unpack(message, [os.dup(fd) for fd in fds])
        with pytest.raises(NoLetter, match="missing"):
            unpack(message, [os.dup(fds[0])])
        sent.close()


def test_bad_messages_are_counted_and_the_next_letter_arrives() -> None:
    arrived: list[Letter] = []
    with pair() as (out, put_in):
        mailbox = Mailbox(out, Watching(), arrived.append, lambda: False)
        mailbox.open()
        put_in.send(b"nonsense")
        reader, writer = os.pipe()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [reader, writer]))]
        put_in.sendmsg([b"more of it"], rights)
        os.close(reader)
        os.close(writer)
        sent, client = letter()
        with client:
            Postbox(put_in, Watching(), arrived.append).post(sent)
            mailbox.ready(1)
            assert (mailbox.bad, [got.data for got in arrived]) == (2, [b"GET / HTTP/1.1\r\n\r\n"])
            arrived[0].close()
