"""What supervisor and workers say to each other, and what is said at the control socket. ``process``."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

import msgspec

from tests.fuzz.target import Target, Verdict, cuts
from torana.base.errors import ToranaError
from torana.process.ask import _answer
from torana.process.channel import LINE_BYTES, Channel, ChannelClosed
from torana.process.control import Control


def _heard(pieces: list[bytes]) -> Verdict:
    """The messages of a channel, and what the next end would hear if they were said again."""
    ours, theirs = Channel.pair()
    with closing(ours), closing(theirs):
        found = []
        for piece in pieces:
            for start in range(0, len(piece), LINE_BYTES):
                theirs._sock.send(piece[start : start + LINE_BYTES])
                found += ours.receive()
        theirs.close()
        try:
            found += ours.receive()
        except ChannelClosed:
            found.append(({"say": "closed"}, []))
    assert all(fds == [] for _, fds in found)
    return [message for message, _ in found]


def _said_again(messages: list[Any]) -> list[Any]:
    ours, theirs = Channel.pair()
    with closing(ours), closing(theirs):
        found = []
        for message in messages[:20]:
            theirs.send(message)
            found += ours.receive()
    return [message for message, _ in found]


def _run(data: bytes) -> Verdict:
    messages = _heard([data] if data else [])
    for pieces in cuts(data):
        assert _heard(pieces) == messages, "the cuts of the bytes changed what was heard"
    assert isinstance(messages, list)
    short = [message for message in messages if len(repr(message)) < 5000]
    assert _said_again(short) == short[:20], "what was heard cannot be said again"
    return messages


MESSAGES = Target(
    "channel",
    _run,
    (
        (b'{"say":"ready","policy":"any"}\n', b'{"say":"stopped"}\n'),
        (b'{"say":"failed","code":3,"text":"caf\\u00e9 \\ud83d\\ude00"}\n', b"no message\n", b'{"say":"worn"}\n'),
        (b'{"fds":1}\n', b'{"fds":-1,"say":null}\n', b'{"fds":1e400}\n', b'{"fds":true}\n', b"[]\n"),
        (b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}\n", b'{"say":"stop"}\n'),
        (b"x" * 70_000, b"\n", b'{"say":"retiring"}\n'),
        (b'{"a":1,"a":2,"":{"b":[1.5,-0,1e5,"\\u0000"]}}\n', b"\xff\n", b'{"s":"\\ud800"}\n'),
    ),
    (
        b"\n",
        b'"',
        b"{",
        b"}",
        b"[",
        b",",
        b":",
        b"\\u",
        b"\\ud800",
        b"null",
        b'"fds":',
        b"1e999",
        b"18446744073709551616",
    ),
    share=300,
)


def _asked(data: bytes) -> Verdict:
    """What a server answers to ``data`` at its control socket, and what it took for a request."""
    asked: list[Any] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.append({key: value for key, value in request.items() if key != "token"})
        return {"ok": True}

    with tempfile.TemporaryDirectory() as folder, closing(Control(str(Path(folder, "c")), answer)) as control:
        with socket(AF_UNIX, SOCK_STREAM) as client:
            client.setblocking(False)
            client.connect(control.path)
            control.ready()
            client.send(data[:8000])
            for _ in range(4):
                control.ready()
            try:
                said = client.recv(65536)
            except BlockingIOError:
                said = b""
            control.ready()
    assert len(asked) <= 1
    if said:
        assert said.endswith(b"\n") and type(msgspec.json.decode(said)) is dict
    return asked, said


def _run_control(data: bytes) -> Verdict:
    """Both sides: the same bytes as a request, and as the answer that a command waits for."""
    verdict = _asked(data) if data else ""
    ours, theirs = Channel.pair()
    with closing(ours), closing(theirs):
        theirs._sock.send(data[:60_000])
        theirs.close()
        ours._sock.settimeout(5.0)
        try:
            said: Verdict = _answer(ours._sock)
        except (ToranaError, OSError) as error:
            said = str(error)
    return verdict, said


CONTROL = Target(
    "control",
    _run_control,
    (
        (b'{"do":"status"}\n',),
        (b'{"do":"scale","workers":4}\n',),
        (b'{"do":"stop","now":true}\n', b'{"do":"status"}\n'),
        (b'{"do":"dump","worker":0}\n',),
        (b'{"do":"reload","extra":1}\n',),
        (b'{"ok":false,"why":"\\n"}\n',),
        (b'{"do":', b"[" * 3000, b"}\n"),
        (b"x" * 5000,),
    ),
    (
        b"\n",
        b'"',
        b"{",
        b"}",
        b'"do":',
        b'"scale"',
        b'"workers":',
        b"0",
        b"4097",
        b"-1",
        b"1.0",
        b"null",
        b"\xff",
        b"\\ud800",
    ),
    share=100,
)
