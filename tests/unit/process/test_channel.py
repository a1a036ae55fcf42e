"""Messages between supervisor and worker: whole, in order, with their descriptors, and never more than a bound."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from torana.process.channel import LINE_BYTES, MOST_FDS, MOST_WAITING, Channel, ChannelClosed, ChannelFull

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, Channel]]:
    """The other side's socket, for what no channel would send."""
    sock, theirs = socket.socketpair()
    channel = Channel(theirs)
    yield sock, channel
    sock.close()
    channel.close()


def messages(channel: Channel) -> list[dict[str, object]]:
    return [message for message, _ in channel.receive()]


def test_messages_arrive_in_order(pair: Pair) -> None:
    ours, theirs = pair
    for number in range(100):
        ours.send({"do": "x", "number": number})
    assert [message["number"] for message in messages(theirs)] == list(range(100))
    assert messages(theirs) == []


def test_both_directions(pair: Pair) -> None:
    ours, theirs = pair
    ours.send({"do": "stop"})
    theirs.send({"say": "stopped"})
    assert messages(theirs) == [{"do": "stop"}]
    assert messages(ours) == [{"say": "stopped"}]


def test_descriptors_come_with_their_message(pair: Pair) -> None:
    ours, theirs = pair
    first, second = os.pipe()
    ours.send({"do": "nothing"})
    ours.send({"do": "adopt"}, [first])
    ours.send({"do": "between"})
    ours.send({"do": "adopt"}, [second])
    heard = theirs.receive()
    os.close(first)
    os.close(second)
    assert [(message, len(fds)) for message, fds in heard] == [
        ({"do": "nothing"}, 0), ({"do": "adopt"}, 1), ({"do": "between"}, 0), ({"do": "adopt"}, 1),
    ]  # fmt: skip
    (reader,), (writer,) = heard[1][1], heard[3][1]
    assert not os.get_inheritable(reader)
    os.write(writer, b"through")
    assert os.read(reader, 10) == b"through"
    os.close(reader)
    os.close(writer)


def test_the_end_is_told_after_the_last_words(pair: Pair) -> None:
    ours, theirs = pair
    ours.send({"say": "stopped"})
    ours.close()
    assert messages(theirs) == [{"say": "stopped"}]
    with pytest.raises(ChannelClosed):
        theirs.receive()


def test_sending_to_a_side_that_is_gone_says_nothing(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    ours.send({"do": "stop"})
    assert not ours.has_waiting
    with pytest.raises(ChannelClosed):
        ours.receive()


def test_a_side_that_does_not_read_never_blocks_us(pair: Pair) -> None:
    ours, theirs = pair
    text = "x" * 8000
    sent = 0
    while not ours.has_waiting:
        ours.send({"number": sent, "text": text})
        sent += 1
    with pytest.raises(ChannelFull):
        for _ in range(MOST_WAITING + 1):
            ours.send({"number": sent, "text": text})
            sent += 1
    heard: list[dict[str, object]] = []
    while len(heard) < sent:
        heard += messages(theirs)
        ours.flush()
    assert [message["number"] for message in heard] == list(range(sent))
    assert not ours.has_waiting


def test_descriptors_survive_the_wait_for_a_slow_side(pair: Pair) -> None:
    ours, theirs = pair
    while not ours.has_waiting:
        ours.send({"text": "x" * 8000})
    reader, writer = os.pipe()
    ours.send({"do": "adopt"}, [writer])
    heard = theirs.receive()
    while not any(fds for _, fds in heard):
        ours.flush()
        heard = theirs.receive()
    os.close(writer)
    (passed,) = next(fds for _, fds in heard if fds)
    os.write(passed, b"!")
    assert os.read(reader, 1) == b"!"
    os.close(passed)
    os.close(reader)


def test_a_long_text_keeps_its_beginning_and_its_end(pair: Pair) -> None:
    ours, theirs = pair
    ours.send({"say": "failed", "text": "first line\n" + "\0" * 500_000 + "last line"})
    (message,) = messages(theirs)
    text = str(message["text"])
    assert text.startswith("first line\n") and text.endswith("last line") and len(text) < LINE_BYTES


def test_a_path_that_is_no_text_is_shown(pair: Pair) -> None:
    ours, theirs = pair
    ours.send({"text": b"/srv/\xff".decode("utf-8", "surrogateescape")})
    assert messages(theirs) == [{"text": "/srv/\\udcff"}]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_in_pieces(raw: tuple[socket.socket, Channel], size: int) -> None:
    sock, channel = raw
    data = b'{"say":"ready"}\n{"say":"worn","why":"x"}\n'
    heard = []
    for start in range(0, len(data), size):
        sock.send(data[start : start + size])
        heard += messages(channel)
    assert heard == [{"say": "ready"}, {"say": "worn", "why": "x"}]


def test_what_is_no_message_is_passed_over(raw: tuple[socket.socket, Channel]) -> None:
    sock, channel = raw
    sock.send(
        b"\n[]\n1\nnull\n{\n\xff\xfe\n"
        + b'{"\x8b":1}\n'
        + b"[" * 10_000
        + b'\n{"fds":7,"say":"a"}\n{"fds":"x","say":"b"}\n'
    )
    assert channel.receive() == [({"say": "a"}, []), ({"say": "b"}, [])]


def test_a_line_without_end_is_thrown_away_and_the_next_is_heard(raw: tuple[socket.socket, Channel]) -> None:
    sock, channel = raw
    for _ in range(10):
        sock.send(b"x" * 20_000)
        assert channel.receive() == []
    sock.send(b'rest\n{"say":"ready"}\n')
    assert messages(channel) == [{"say": "ready"}]


def test_descriptors_that_nobody_asked_for_are_closed_with_the_channel(raw: tuple[socket.socket, Channel]) -> None:
    sock, channel = raw
    reader, writer = os.pipe()
    socket.send_fds(sock, [b'{"say":"ready"}\n'], [writer])
    os.close(writer)
    assert channel.receive() == [({"say": "ready"}, [])]
    channel.close()
    assert os.read(reader, 1) == b"", "a copy of the other end is still open"
    os.close(reader)


def test_descriptors_that_nobody_asked_for_are_bounded(raw: tuple[socket.socket, Channel]) -> None:
    """Whoever speaks to us cannot fill our table of descriptors."""
    sock, channel = raw
    reader, writer = os.pipe()
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        socket.send_fds(sock, [b'{"say":"hello"}\n'], [writer] * 100)
        assert messages(channel) == [{"say": "hello"}]
    assert len(os.listdir("/dev/fd")) <= before + MOST_FDS
    socket.send_fds(sock, [b'{"say":"ready","fds":1}\n'], [writer])
    assert messages(channel) == [{"say": "ready"}]
    os.close(reader)
    os.close(writer)


def test_the_end_can_be_seen_without_taking_anything(pair: Pair) -> None:
    ours, theirs = pair
    assert not theirs.is_alone()
    ours.send({"say": "stopped"})
    assert not theirs.is_alone()
    ours.close()
    assert theirs.is_alone()
    assert messages(theirs) == [{"say": "stopped"}]
    assert theirs.is_alone()
