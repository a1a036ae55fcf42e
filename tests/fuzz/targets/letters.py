"""What one worker leaves in another's mailbox. ``serve/affinity/letters``."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tests.fuzz.target import Target, Verdict
from torana.base.endpoints import Endpoints
from torana.serve.affinity.letters import Letter, NoLetter, unpack


@contextmanager
def _descriptors(count: int, enclosed: bytes) -> Iterator[list[int]]:
    """A connection's descriptor, and those of a file or two. Whoever takes them closes them."""
    ours, theirs = socket.socketpair()
    fds = [theirs.detach()]
    for _ in range(count - 1):
        fd = os.memfd_create("letter") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
        os.write(fd, enclosed)
        fds.append(fd)
    with ours:
        yield fds[:count] if count else []
        if not count:
            os.close(fds[0])


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _run(data: bytes) -> Verdict:
    """The first byte says how many descriptors come with it; the rest is the message."""
    count = data[0] % 4 if data else 0
    message = data[1:]
    with _descriptors(count, message[:100]) as fds:
        numbers = list(fds)
        try:
            letter = unpack(memoryview(message), list(fds))
        except NoLetter:
            assert not any(map(_is_open, numbers)), "the descriptors of what is no letter stay open"
            return "no letter"
        ends = letter.endpoints
        assert not any(map(_is_open, numbers[1:]))
        verdict = (ends.client, ends.server, ends.scheme, ends.tls, letter.served, letter.hops, letter.is_relay)
        body = letter.data
        again = _again(letter)
        assert again == (verdict, body), "a letter that is passed on says something else"
        assert not any(map(_is_open, numbers))
    return verdict, body


def _again(letter: Letter) -> Verdict:
    """What the next worker reads when the letter is posted once more."""
    message, fds = letter.pack()
    copies = [os.dup(fd) for fd in fds]
    letter.close()
    other = unpack(message, copies)
    ends = other.endpoints
    verdict = (ends.client, ends.server, ends.scheme, ends.tls, other.served, other.hops, other.is_relay)
    other.close()
    return verdict, other.data


def _letter(data: bytes, ends: Endpoints, **facts: bool) -> bytes:
    one, two = socket.socketpair()
    with one:
        letter = Letter(two, ends, data, served=3, hops=1, is_relay=facts.get("is_relay", False))
        message, _ = letter.pack()
        letter.close()
    return message


def _raw(*facts: object) -> bytes:
    packed = msgspec.msgpack.encode(facts)
    return len(packed).to_bytes(4, "little") + packed


_ENDS = Endpoints(("192.0.2.1", 5000), ("198.51.100.1", 443), "https", {"tls_version": 772, "client_cert_chain": []})
_UNIX = Endpoints(None, ("/run/x", None), "http")

LETTER = Target(
    "letters",
    _run,
    (
        (b"\x01", _letter(b"GET / HTTP/1.1\r\n\r\n", _ENDS)),
        (b"\x02", _letter(b"", _UNIX, is_relay=True)),
        (b"\x02", _raw(None, None, "http", 1, None, 0, 0, False, 10)),
        (b"\x01", _raw(None, None, "http", 99, None, 0, 0, False, 0)),
        (b"\x02", _raw(("a", 1), ("b", None), "", 1, {}, -1, 1 << 40, True, 1 << 62)),
        (b"\x03", _raw(None, None, "http", 1 << 70 >> 8, None, 0, 0, False, 0)),
        (b"\x00", b"\x04\x00\x00\x00abcd"),
    ),
    (
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"\xc0",
        b"\x99",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xd3\x80",
        b"\x80",
    ),
    share=300,
)
