"""Reads the call stacks `perf script` prints and adds them up: by symbol, by kind of code, and by Torana's floors.

A sample's *kind* is where the processor was; its *owner* is the nearest Torana module above that, so that the kernel's
and the interpreter's time is charged to the room that asked for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_FRAME = re.compile(r"^\s+(?P<address>[0-9a-f]+) (?P<symbol>.*) \((?P<object>.*)\)$")
_ROOM = re.compile(r"/torana/((?:\w+/)*\w+)\.[\w-]*\.?so$")
_NO_OWNER = "application, event loop and the rest"

# The first part that is found in the object's path names the kind.
_KINDS = (
    ("[kernel", "kernel"),
    ("[unknown]", "unknown"),
    ("vdso", "clock"),
    ("_asyncio", "asyncio"),
    ("uvloop", "uvloop"),
    ("libssl", "TLS"),
    ("libcrypto", "TLS"),
    ("_ssl.", "TLS"),
    ("_socket.", "socket module"),
    ("select.", "select module"),
    ("site-packages/", "other extension"),
    ("libpython", "interpreter"),
    ("bin/python", "interpreter"),
    ("libc.", "C library"),
    ("libc-", "C library"),
)


@dataclass(frozen=True)
class Frame:
    """One level of a stack; the first of a stack is the innermost."""

    symbol: str
    shared_object: str


@dataclass
class Counts:
    """Samples by what they were found in."""

    total: int = 0
    symbols: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    owners: Counter[str] = field(default_factory=Counter)


def parse(script: str) -> Iterator[list[Frame]]:
    """Yield one stack per sample of `perf script -F comm,ip,sym,dso` output."""
    stack: list[Frame] = []
    for line in script.splitlines():
        match = _FRAME.match(line)
        if match:
            stack.append(Frame(match["symbol"], match["object"]))
        elif stack:
            yield stack
            stack = []
    if stack:
        yield stack


def kind_of(frame: Frame) -> str:
    """What sort of code the frame is."""
    if _ROOM.search(frame.shared_object):
        return "torana"
    for part, kind in _KINDS:
        if part in frame.shared_object:
            return kind
    return "other library"


def owner_of(stack: Iterable[Frame]) -> str:
    """The innermost Torana module of the stack, as its path below `torana/`."""
    for frame in stack:
        match = _ROOM.search(frame.shared_object)
        if match:
            return match[1]
    return _NO_OWNER


def count(stacks: Iterable[list[Frame]]) -> Counts:
    """Add all stacks up."""
    counts = Counts()
    for stack in stacks:
        counts.total += 1
        counts.symbols[(readable(stack[0].symbol), kind_of(stack[0]))] += 1
        counts.kinds[kind_of(stack[0])] += 1
        counts.owners[owner_of(stack)] += 1
    return counts


def readable(symbol: str) -> str:
    """Cython's mangled name as the dotted one: each part is preceded by its length."""
    start = symbol.find("_6torana_")
    if not symbol.startswith("__pyx_") or start < 0:
        return symbol
    parts, rest = [], symbol[start + 1 :]
    while True:
        match = re.match(r"(\d+)", rest)
        if not match:
            break
        length = int(match[1])
        name = rest[match.end() : match.end() + length]
        if len(name) < length:
            break
        parts.append(name)
        rest = rest[match.end() + length :].removeprefix("_")
    return ".".join([*parts, rest] if rest else parts)


def tables(counts: Counts, request_us: float, top: int) -> str:
    """Three lists with shares and microseconds per request."""
    floors: Counter[str] = Counter()
    for owner, samples in counts.owners.items():
        floors[owner.partition("/")[0] if "/" in owner else owner] += samples
    text = [_table("by floor, with all that the floor called", counts, floors.items(), request_us, top)]
    text.append(_table("by room, with all that the room called", counts, counts.owners.items(), request_us, top))
    text.append(_table("by kind of code", counts, counts.kinds.items(), request_us, top))
    named = {f"{symbol}  [{kind}]": samples for (symbol, kind), samples in counts.symbols.items()}
    text.append(_table("by symbol", counts, named.items(), request_us, top))
    return "\n".join(text)


def _table(title: str, counts: Counts, items: Iterable[tuple[str, int]], request_us: float, top: int) -> str:
    lines = [f"-- {title}", "   share  us/request"]
    for name, samples in sorted(items, key=lambda item: -item[1])[:top]:
        share = samples / max(1, counts.total)
        lines.append(f"  {share:6.1%}  {share * request_us:10.2f}  {name}")
    return "\n".join(lines) + "\n"
