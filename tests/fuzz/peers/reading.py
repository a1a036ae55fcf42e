"""What was read of a connection, by whomever, and the comparison."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.peers.differences import is_known

Fields = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """A request, or a message of a WebSocket (then ``head`` is its kind)."""

    head: Any
    body: bytearray = field(default_factory=bytearray)
    trailers: Fields = field(default_factory=list)
    is_whole: bool = False


@dataclass
class Reading:
    """Messages in order; ``fault``: why nothing more was read, "" as long as more may come."""

    messages: list[Message] = field(default_factory=list)
    fault: str = ""
    #: No fault, but this reader looks at nothing more: the connection is closing, or speaks something else.
    is_over: bool = False


def compare(peer: str, data: bytes, ours: Reading, theirs: Reading) -> None:
    """Raise ``AssertionError`` unless the peer read what we took, or it is known why it did not."""
    for place, message in enumerate(ours.messages):
        if not (message.is_whole or not ours.fault or place < len(ours.messages) - 1):
            break  # Begun, then refused: nobody acts on it.
        if place >= len(theirs.messages):
            why = theirs.fault or ("its reading is over" if theirs.is_over else "")
            if not why and message.is_whole:
                why = "it waits for more"
            assert not why or is_known(peer, why, data, message), f"{peer} does not take what we take: {why}; {message}"
            return
        other = theirs.messages[place]
        if not _is_same(message, other):
            assert is_known(peer, "differs", data, message), (
                f"{peer} reads another message: ours {message}, its {other}"
            )
            return
        if message.is_whole and not other.is_whole:
            why = theirs.fault or "it waits for more"
            assert is_known(peer, why, data, message), f"{peer} does not see the end: {why}; {message}"
            return
    if not ours.fault and not ours.is_over and not theirs.is_over:
        last = ours.messages[-1] if ours.messages else None
        if theirs.fault:
            # We may wait for the end of a line that is wrong already; but what we took must stand.
            return
        assert len(theirs.messages) <= len(ours.messages) or is_known(peer, "one more", data, last), (
            f"{peer} reads more messages than we do: {theirs.messages[len(ours.messages) :]}"
        )


def _is_same(ours: Message, theirs: Message) -> bool:
    if ours.head != theirs.head:
        return False
    if ours.is_whole and theirs.is_whole:
        return ours.body == theirs.body and ours.trailers == theirs.trailers
    return ours.body.startswith(theirs.body) or theirs.body.startswith(ours.body)


def head_of(method: bytes, target: bytes, fields: Iterable[tuple[bytes, bytes]]) -> Any:
    """What is compared of a request's head; ``fields`` have lower-case names."""
    kept = [(name, _value(name, value)) for name, value in fields if is_kept(name)]
    hosts = [value.lower() for name, value in kept if name == b"host"]
    cookies = b"; ".join(value for name, value in kept if name == b"cookie")
    return method, target, hosts[:1], cookies, [one for one in kept if one[0] not in (b"host", b"cookie")]


def _value(name: bytes, value: bytes) -> bytes:
    """Without white space around it, and case where it has none."""
    return value.strip(b" \t").lower() if name == b"transfer-encoding" else value.strip(b" \t")


def is_kept(name: bytes) -> bool:
    """Whether we show applications a field of this name at all (threats G-075, httpoxy)."""
    return b"_" not in name and b"." not in name and name != b"proxy"
