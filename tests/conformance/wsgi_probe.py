"""A WSGI application that reports what it was given, and misbehaves on demand.

/do/NAME runs the case of that name below; every other path is answered by a description of the environ in JSON.
What cannot be told in a response is written to wsgi.errors as "note: TOKEN JSON"; the query string is the token.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Case = Callable[[Environ, StartResponse], Any]

CASES: dict[str, Case] = {}
OK = "200 OK"
calls = 0
released = threading.Event()
late_write: Callable[[bytes], None] | None = None


def case(function: Case) -> Case:
    """Make a function reachable as /do/NAME."""
    CASES[function.__name__] = function
    return function


def note(environ: Environ, what: object) -> None:
    """Tell the test, through the server's log."""
    environ["wsgi.errors"].write(f"note: {environ['QUERY_STRING']} {json.dumps(what)}\n")
    environ["wsgi.errors"].flush()


def app(*arguments: Any, **named: Any) -> Any:
    """The application: exactly two positional arguments."""
    global calls
    assert len(arguments) == 2 and not named, (arguments, named)
    environ, start_response = arguments
    calls += 1
    path = environ["PATH_INFO"]
    if path.startswith("/do/"):
        return CASES[path.split("/")[2]](environ, start_response)
    return answer(start_response, describe(environ))


def answer(start_response: StartResponse, what: object) -> list[bytes]:
    """A whole response with JSON in it."""
    content = json.dumps(what).encode()
    start_response(OK, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]


def describe(environ: Environ) -> Environ:
    """The environ, its types, and the body."""
    body = environ["wsgi.input"].read()
    return {
        "environ": {key: value for key, value in environ.items() if type(value) in (str, bool, tuple)},
        "types": {key: type(value).__qualname__ for key, value in environ.items()},
        "environ_type": type(environ).__qualname__,
        "highest": max(ord(letter) for value in environ.values() if type(value) is str for letter in value or "a"),
        "body": body.decode("latin-1"),
        "again": environ["wsgi.input"].read().decode("latin-1"),
        "calls": calls,
    }


class Body:
    """An iterable that tells when it is closed, and in which thread; hostile to being looked at."""

    def __init__(self, environ: Environ, blocks: Iterable[bytes], name: str = "closed") -> None:
        self._environ, self._blocks, self._name = environ, iter(blocks), name
        self._thread: int | None = None
        self._times = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._thread = threading.get_ident()
        return next(self._blocks)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            note(self._environ, {"looked at": name})
        raise AttributeError(name)

    def close(self) -> None:
        """Called once, by the server."""
        self._times += 1
        same = self._thread in (None, threading.get_ident())
        note(self._environ, {self._name: self._times, "same_thread": same})


class ClosingList(list[bytes]):
    """A list that has close()."""

    environ: Environ

    def close(self) -> None:
        """Called once, by the server."""
        note(self.environ, {"closed": 1, "same_thread": True})


# environ


@case
def clear(environ: Environ, start_response: StartResponse) -> Any:
    """environ may even be cleared."""
    environ.clear()
    start_response(OK, [])
    return [b"cleared"]


@case
def spoil(environ: Environ, start_response: StartResponse) -> Any:
    environ["spoilt"] = "1"
    environ["wsgi.version"] = (9, 9)
    start_response(OK, [])
    return [b"spoilt"]


@case
def errors(environ: Environ, start_response: StartResponse) -> Any:
    """wsgi.errors takes any text."""
    stream = environ["wsgi.errors"]
    stream.write(f'note: {environ["QUERY_STRING"]} "\u20ac \U0001f600 \udcff"\n')
    stream.writelines(["one ", "two\n"])
    stream.flush()
    start_response(OK, [])
    return [b"written"]


# input


@case
def read_ways(environ: Environ, start_response: StartResponse) -> Any:
    """The methods of wsgi.input, chosen by the path."""
    stream, way = environ["wsgi.input"], environ["PATH_INFO"].split("/")[3]
    ways: dict[str, Callable[[], list[bytes]]] = {
        "read": lambda: [stream.read(), stream.read(), stream.read(5)],
        "minus": lambda: [stream.read(-1), stream.read(-1)],
        "none": lambda: [stream.read(None), stream.read(None)],
        "sized": lambda: [stream.read(3), stream.read(0), stream.read(4), stream.read(100), stream.read(100)],
        "readline": lambda: [stream.readline() for _ in range(5)],
        "readline_sized": lambda: [stream.readline(2), stream.readline(), stream.readline(100), stream.readline(2)],
        "readlines": lambda: stream.readlines(),
        "readlines_hint": lambda: [b"".join([*stream.readlines(1), *stream.readlines()])],
        "iterate": lambda: list(stream),
        "mixed": lambda: [stream.read(1), stream.readline(), next(iter(stream)), stream.read()],
        "buffered": lambda: [io.BufferedReader(stream).read()],
    }
    return answer(start_response, [part.decode() for part in ways[way]()])


@case
def read_exact(environ: Environ, start_response: StartResponse) -> Any:
    """One read of as much as the query says."""
    return answer(start_response, len(environ["wsgi.input"].read(int(environ["QUERY_STRING"]))))


@case
def unread(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [("Content-Length", "6")])
    return [b"unread"]


# start_response


@case
def bad_start(environ: Environ, start_response: StartResponse) -> Any:
    """start_response raises for the call named by the query; a right response still goes out."""
    status, headers = BAD_STARTS[environ["QUERY_STRING"].replace("+", " ")]
    try:
        start_response(status, headers)
    except Exception as error:
        start_response(OK, [("X-Outcome", "raised")], sys.exc_info())
        return [" ".join(kind.__name__ for kind in type(error).__mro__).encode()]
    return [b"taken"]


def _some_exc_info() -> Any:
    try:
        raise RuntimeError("replaced")
    except RuntimeError:
        return sys.exc_info()


BAD_STARTS: dict[str, tuple[Any, Any]] = {
    "status int": (200, []),
    "status bytes": (b"200 OK", []),
    "status CRLF": ("200 OK\r\nSet-Cookie: evil=1", []),
    "status control": ("200 O\x01K", []),
    "status text": ("OK", []),
    "status two digits": ("20 OK", []),
    "status 1xx": ("103 Early Hints", []),
    "status euro": ("200 \u20ac", []),
    "headers None": (OK, None),
    "header bytes": (OK, [(b"X-A", b"1")]),
    "header value int": (OK, [("X-A", 1)]),
    "header of three": (OK, [("X-A", "1", "2")]),
    "header name blank": (OK, [("X A", "1")]),
    "header name colon": (OK, [("X-A:", "1")]),
    "header name empty": (OK, [("", "1")]),
    "header CRLF": (OK, [("X-A", "1\r\nSet-Cookie: evil=1")]),
    "header LF": (OK, [("X-A", "1\n2")]),
    "header control": (OK, [("X-A", "1\x01")]),
    "header euro": (OK, [("X-A", "\u20ac")]),
    "hop Connection": (OK, [("Connection", "close")]),
    "hop Keep-Alive": (OK, [("Keep-Alive", "timeout=5")]),
    "hop TE": (OK, [("TE", "trailers")]),
    "hop Transfer-Encoding": (OK, [("Transfer-Encoding", "chunked")]),
    "hop Upgrade": (OK, [("Upgrade", "h2c")]),
    "length text": (OK, [("Content-Length", "abc")]),
    "length negative": (OK, [("Content-Length", "-1")]),
    "two lengths": (OK, [("Content-Length", "1"), ("Content-Length", "2")]),
}


@case
def start_forms(environ: Environ, start_response: StartResponse) -> Any:
    """Reason, Latin-1, doubles, order."""
    write = start_response(
        "299 Ol\xe9 ja",
        [
            ("X-One", "1"),
            ("Set-Cookie", "a=1"),
            ("X-Two", "\xe9"),
            ("Set-Cookie", "b=2"),
            ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("SERVER", "mine"),
        ],
    )
    assert callable(write)
    return [b"x"]


@case
def no_reason(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200", [])
    return [b"x"]


@case
def start_late(environ: Environ, start_response: StartResponse) -> Any:
    """A generator starts the response at its first step; empty blocks send nothing."""
    yield b""
    note(environ, "nothing sent")
    released.wait(10)
    yield b""
    start_response("201 Created", [])
    yield b"late"


@case
def empty_first(environ: Environ, start_response: StartResponse) -> Any:
    """The head is held back over empty blocks, so that it can still be replaced."""
    start_response(OK, [("X-First", "1")])
    yield b""
    start_response("503 Busy", [("X-Second", "1")], _some_exc_info())
    yield b"busy"


@case
def start_twice(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    try:
        start_response(OK, [])
        return [b"taken"]
    except Exception:
        return [b"raised"]


@case
def replace(environ: Environ, start_response: StartResponse) -> Any:
    """With exc_info and nothing sent, status and headers are replaced."""
    start_response(OK, [("X-First", "1"), ("Content-Length", "1000")])
    start_response("500 Mine", [("X-Second", "1")], _some_exc_info())
    return [b"mine"]


@case
def replace_late(environ: Environ, start_response: StartResponse) -> Any:
    """With exc_info and the head sent, the given exception is raised."""
    start_response(OK, [])
    yield b"first"
    try:
        start_response("500 Mine", [], _some_exc_info())
        note(environ, "taken")
    except RuntimeError as error:
        note(environ, f"raised {error}")
        raise


@case
def never_start(environ: Environ, start_response: StartResponse) -> Any:
    return [b"body without a start"]


@case
def return_none(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])


@case
def return_text(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    return ["text"]


@case
def return_bytes(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    return b"bare bytes"


# the iterable


@case
def forms(environ: Environ, start_response: StartResponse) -> Any:
    """Every kind of iterable: /do/forms/KIND."""
    start_response(OK, [])

    class Sequence:
        def __getitem__(self, index: int) -> bytes:
            return (b"a", b"b", b"c")[index]

    class Sized:
        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"abc"])

    kinds: dict[str, Callable[[], Any]] = {
        "list": lambda: [b"a", b"b", b"c"],
        "tuple": lambda: (b"abc",),
        "generator": lambda: (b for b in [b"a", b"bc"]),
        "sequence": Sequence,
        "sized": Sized,
        "iterator": lambda: iter([b"ab", b"c"]),
        "set": lambda: {b"abc"},
        "gaps": lambda: [b"", b"a", b"", b"b", b"", b"c", b""],
    }
    return kinds[environ["PATH_INFO"].split("/")[3]]()


@case
def one_block(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    return [b"only one"]


@case
def no_block(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    return []


@case
def binary(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    return [b"\r\n\n\r\x00\xff", bytes(range(256))]


@case
def closing(environ: Environ, start_response: StartResponse) -> Any:
    """close() is called once: /do/closing/HOW."""
    how = environ["PATH_INFO"].split("/")[3]
    status = "304 Not Modified" if how == "304" else OK
    if how == "unstarted":
        return Body(environ, [b"x"])
    start_response(status, [("Content-Length", "3")] if how == "short" else [])
    if how in ("list1", "list2"):
        body = ClosingList([b"x"] if how == "list1" else [b"x", b"y"])
        body.environ = environ
        return body
    if how == "fail":
        return Body(environ, fail_after(environ, b"a"))
    if how == "endless":
        return Body(environ, endless())
    if how == "empty":
        return Body(environ, [])
    return Body(environ, [b"a", b"b", b"c", b"d", b"e"])


def fail_after(environ: Environ, block: bytes) -> Iterator[bytes]:
    yield block
    raise RuntimeError(f"deliberate {environ['QUERY_STRING']}")


def endless() -> Iterator[bytes]:
    while True:
        yield b"tick\n"
        time.sleep(0.005)


@case
def close_fails(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])

    class Failing(list[bytes]):
        def close(self) -> None:
            raise RuntimeError(f"deliberate {environ['QUERY_STRING']}")

    return Failing([b"whole"])


@case
def at_once(environ: Environ, start_response: StartResponse) -> Any:
    """The first block goes out before the next is asked for."""
    released.clear()
    start_response(OK, [])
    yield b"first"
    note(environ, "waiting")
    released.wait(10)
    yield b"second"


@case
def let_go(environ: Environ, start_response: StartResponse) -> Any:
    released.set()
    start_response(OK, [])
    return [b"done"]


@case
def counted(environ: Environ, start_response: StartResponse) -> Any:
    """Content-Length 3, three blocks: how many are asked for?"""
    start_response(OK, [("Content-Length", "3")])

    def blocks() -> Iterator[bytes]:
        asked = 0
        try:
            for block in (b"he", b"llo", b"zzz", b"zzz", b"zzz"):
                asked += 1
                yield block
        finally:
            note(environ, {"asked": asked})

    return blocks()


@case
def too_little(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [("Content-Length", "10")])
    return [b"01234"]


@case
def unknown_length(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    return iter([b"part 0 ", b"part 1 ", b"part 2 "])


@case
def bodiless(environ: Environ, start_response: StartResponse) -> Any:
    """A status that has no body, given one all the same: /do/bodiless/STATUS?cl,parts."""
    wish = environ["QUERY_STRING"]
    start_response(f"{environ['PATH_INFO'].split('/')[3]} Some", [("Content-Length", "10")] if "cl" in wish else [])
    return iter([b"01234", b"56789"]) if "parts" in wish else [b"0123456789"]


# write()


@case
def writes(environ: Environ, start_response: StartResponse) -> Any:
    write = start_response(OK, [])
    assert write(b"one ") is None
    write(b"")
    write(b"two ")
    return [b"three"] if "then" in environ["PATH_INFO"] else []


@case
def write_text(environ: Environ, start_response: StartResponse) -> Any:
    write = start_response(OK, [])
    try:
        write("text")
        return [b"taken"]
    except Exception:
        return [b"raised"]


@case
def write_too_much(environ: Environ, start_response: StartResponse) -> Any:
    write = start_response(OK, [("Content-Length", "4")])
    write(b"four")
    try:
        write(b"more")
        note(environ, "taken")
    except Exception:
        note(environ, "raised")
    return []


@case
def write_late(environ: Environ, start_response: StartResponse) -> Any:
    """Keep write() and use it after the request ended."""
    global late_write
    if late_write is None:
        late_write = start_response(OK, [])
        return [b"kept"]
    try:
        late_write(b"ghost")
        outcome = "taken"
    except Exception:
        outcome = "raised"
    late_write = None
    return answer(start_response, outcome)


# failing


@case
def fail_first(environ: Environ, start_response: StartResponse) -> Any:
    raise RuntimeError(f"deliberate {environ['QUERY_STRING']}")


@case
def fail_after_start(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [("X-Mine", "1")])
    raise RuntimeError(f"deliberate {environ['QUERY_STRING']}")


@case
def fail_at_next(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [("X-Mine", "1")])
    return fail_after(environ, b"")


@case
def fail_in_body(environ: Environ, start_response: StartResponse) -> Any:
    start_response(OK, [])
    return fail_after(environ, b"partial")


@case
def exits(environ: Environ, start_response: StartResponse) -> Any:
    """SystemExit and the like: /do/exits/NAME."""
    raise {
        "SystemExit": SystemExit(7),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "GeneratorExit": GeneratorExit(),
        "StopIteration": StopIteration(),
    }[environ["PATH_INFO"].split("/")[3]]


# file_wrapper


class Watched(io.BytesIO):
    """A file without a descriptor that tells when it is read and closed."""

    environ: Environ

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as BytesIO does."""
        note(self.environ, "read")
        return super().read(size)

    def close(self) -> None:
        """Close once."""
        if not self.closed:
            note(self.environ, "closed")
        super().close()


@case
def file_wrapper(environ: Environ, start_response: StartResponse) -> Any:
    """/do/file_wrapper/HOW."""
    how = environ["PATH_INFO"].split("/")[3]
    wrapper = environ["wsgi.file_wrapper"]
    if how in ("memory", "unused"):
        file = Watched(bytes(range(256)) * 1000)
        file.environ = environ
        wrapped = wrapper(file, 8192)
        if how == "unused":
            return answer(start_response, "not the file")
        start_response(OK, [])
        return wrapped
    real = open(os.environ["PROBE_FILE"], "rb")  # noqa: SIM115 - the wrapper closes it
    fields = {"length": [("Content-Length", "20")], "304": []}.get(how, [])
    start_response("304 Not Modified" if how == "304" else OK, fields)
    if how in ("seek", "length"):
        real.seek(10)
    if how == "middleware":
        return (bytes(block).swapcase() for block in wrapper(real))
    if how == "truncated":
        size = os.path.getsize(os.environ["PROBE_FILE"])
        start_response(OK, [("Content-Length", str(size + 100))], _some_exc_info())
    if how == "text":
        # What is on offer is the raw file under a text layer's buffer, with data already taken from it.
        real.read(5)
    return wrapper(real)


@case
def overlap(environ: Environ, start_response: StartResponse) -> Any:
    """Say whether another thread could run meanwhile."""
    released.clear()
    note(environ, "waiting")
    happened = released.wait(10)
    return answer(start_response, happened)
