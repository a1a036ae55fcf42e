"""A request without body as aiohttp's own parser would tell of it, made from the head that was parsed already.

What aiohttp makes of such a head is plain: there is one way to read it. Everything of which that cannot be said (fields
that frame, upgrade, encode or repeat, targets with rare bytes, rare methods, long heads) is left to aiohttp's parser:
``plain_message`` gives None, and the request goes by bytes. Never here: what a request means, bodies.
"""

from __future__ import annotations

from typing import Any

from aiohttp import hdrs, http
from multidict import CIMultiDict, CIMultiDictProxy, istr
from yarl import URL

from torana.base.bytescan import NAME, TARGET, TEXT, span
from torana.gateway.readings import target_below
from torana.wire.events import RequestHead

#: Methods that aiohttp's parser knows by the same names; those that take a body are told that there is none.
_METHODS = {"GET": False, "HEAD": False, "DELETE": False, "OPTIONS": False, "POST": True, "PUT": True, "PATCH": True}

#: What is longer, or more, is aiohttp's to judge: bytes of a request line or field line, fields of a head.
LONGEST_LINE = 8190
MOST_FIELDS = 64
#: Of a target or a value, so that its line is not longer.
_LONGEST = LONGEST_LINE - 128

#: Fields of the connection or its framing, which stand for nothing in a request without body.
_DROPPED = ("content-length", "http2-settings", "keep-alive", "proxy-connection", "upgrade")
#: What more than one reading, or aiohttp's own verdict, hangs on. "close": a Connection field may name it.
_UNUSUAL = ("te", "transfer-encoding", "content-encoding", "expect", "close", "sec-websocket-key1")
_OPTIONS = (b"keep-alive", b"close", b"Keep-Alive", b"Close")

# What a name stands for, when it is not the name that aiohttp has for it.
_IS_DROPPED = 0
_IS_UNUSUAL = 1
_IS_CONNECTION = 2

#: Names that peers make up are kept ready too, as long as they are short; in number bounded, for they are hostile.
_MOST_KEPT = 512
_LONGEST_KEPT = 64

#: Fields of a client's last request are kept up to this size; bytes. As long as its connection, so for how many waits.
_MOST_REMEMBERED = 2048

_HTTP_1_1 = http.HttpVersion11
_NAMES: dict[bytes, Any] = {name.lower().encode("ascii"): name for name in vars(hdrs).values() if type(name) is istr}
_NAMES.update(dict.fromkeys((name.encode("ascii") for name in _DROPPED), _IS_DROPPED))
_NAMES.update(dict.fromkeys((name.encode("ascii") for name in _UNUSUAL), _IS_UNUSUAL))
_NAMES[b"connection"] = _IS_CONNECTION
_others: dict[bytes, Any] = {}
#: Paths as text and as URL, by their bytes; URLs never change.
_paths: dict[bytes, tuple[str, Any]] = {}
_NO_BODY = (b"content-length", b"0")
_NO_BODY_TEXT = (hdrs.CONTENT_LENGTH, "0")


class Memory:
    """What was made of the fields of a connection's last request: most clients repeat them with each."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] | None = None
        self.takes_body = False
        #: Both can be used again: neither can be changed.
        self.told: tuple[Any, Any] | None = None


def plain_message(head: RequestHead, prefixes: tuple[bytes, ...], message_type: Any, memory: Memory) -> Any:
    """aiohttp's message for a request that has no body; None if its parser is to be asked.

    ``prefixes``: as of ``InnerExchange``. ``message_type``: aiohttp's class of messages. ``memory``: the connection's.
    """
    takes_body = _METHODS.get(head.method)
    if takes_body is None:
        return None
    target = head.target
    for prefix in prefixes:
        target = target_below(target, prefix)
    where = _where(target)
    if where is None:
        return None
    fields = head.fields
    if memory.fields is not None and memory.takes_body == takes_body and memory.fields == fields:
        told = memory.told
    else:
        told = _fields(fields, takes_body, memory)
    if told is None:
        return None
    path, url = where
    raw, headers = told
    # Neither closing, compressed, upgrading nor chunked: there is nothing of the kind in what is plain.
    return message_type(head.method, path, _HTTP_1_1, headers, raw, False, None, False, False, url)


def _where(target: bytes) -> tuple[str, Any] | None:
    """A target as text and as URL; None when it is none of the plain ones."""
    found = _paths.get(target)
    if found is not None:
        return found
    size = len(target)
    if size > _LONGEST or size == 0 or target[0] != 0x2F or span(TARGET, target, 0, size) != size:
        return None
    text = target.decode("ascii")
    path, mark, query = text.partition("?")
    # As aiohttp's parser does; there is no fragment, for "#" is no byte of a target.
    found = (text, URL.build(path=path, query_string=query, fragment="", encoded=True))
    if not mark and size <= _LONGEST_KEPT:
        if len(_paths) >= _MOST_KEPT:
            _paths.clear()
        _paths[target] = found
    return found


def _fields(fields: list[tuple[bytes, bytes]], takes_body: bool, memory: Memory) -> tuple[Any, Any] | None:
    """The fields as bytes, and as aiohttp's headers; None when they are not all plain."""
    memory.fields = None
    weight = 0
    if len(fields) > MOST_FIELDS:
        return None
    raw = []
    told = []
    names = []
    has_host = False
    for field in fields:
        name, value = field
        size = len(value)
        weight += size + len(name)
        known = _NAMES.get(name)
        if known is None:
            known = _other(name)
            if known is None:
                return None
        elif type(known) is int:
            if known == _IS_UNUSUAL or (known == _IS_CONNECTION and value not in _OPTIONS):
                return None
            continue
        if size > _LONGEST or span(TEXT, value, 0, size) != size:
            return None
        if known is _HOST:
            has_host = True
        raw.append(field)
        names.append(known)
        told.append((known, value.decode("utf-8", "surrogateescape")))
    if not has_host or (len(names) > 1 and len(set(names)) != len(names)):
        return None
    if takes_body:
        raw.append(_NO_BODY)
        told.append(_NO_BODY_TEXT)
    found = (tuple(raw), CIMultiDictProxy(CIMultiDict(told)))
    if weight <= _MOST_REMEMBERED:
        # A copy: the list is the exchange's.
        memory.fields, memory.takes_body, memory.told = list(fields), takes_body, found
    return found


_HOST = hdrs.HOST


def _other(name: bytes) -> Any:
    """A name that aiohttp has no constant for; None when it is no name."""
    found = _others.get(name)
    if found is None:
        size = len(name)
        raw = name
        if size == 0 or size > _LONGEST_KEPT:
            return None
        for i in range(size):
            # Bit 4: upper case, which no parser of ours leaves in a name.
            if not NAME[raw[i]] or NAME[raw[i]] & 4:
                return None
        found = istr(name.decode("ascii"))
        if len(_others) >= _MOST_KEPT:
            _others.clear()
        _others[name] = found
    return found
