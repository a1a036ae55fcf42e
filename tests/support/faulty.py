"""An application that fails in every way there is, when it is asked to; and what tells that it has.

Lives here: the application (ASGI and WSGI) and waiting for its deeds. Never here: a server, what must follow.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.support.supervised import until

#: Answers "NUMBER PID TEXT" for /NUMBER, which is what ``tests.support.load`` expects; /do/DEED/... does a deed first,
#: after noting it down, and /later/SECONDS and /stream take their time without harm.
SITE = """
import asyncio, collections, ctypes, itertools, os, re, signal, socket, sys, threading, time

BOOT_S = float(os.environ.get("BOOT_S", "0"))
NOTES = os.open("notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
lock = threading.Lock()
kept = []

def note(deed):
    os.write(NOTES, f"{deed} {os.getpid()}\\n".encode())

def spin(seconds="inf"):
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        pass

def sleep_in_the_loop(seconds="60"):
    time.sleep(float(seconds))

def match_for_ever():
    re.match("(a+)+$", "a" * 60 + "b")

def stay_in_c():
    collections.deque(itertools.repeat(None), maxlen=0)

def hold_the_interpreter(seconds):
    ctypes.PyDLL(None).usleep(int(float(seconds) * 1e6))

def touch_nothing():
    ctypes.string_at(0)

def give_up():
    os.abort()

def leave(code):
    os._exit(int(code))

def leave_a_thread():
    thread = threading.Thread(target=sys.exit, args=(9,), name="leaver")
    thread.start()
    thread.join()

def send_myself(name):
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(5)

def grow(mebibytes):
    kept.append(b"x" * (int(mebibytes) << 20))

def wait_for_myself():
    with lock, lock:
        pass

def have_children(count):
    # They outlive us, end with all kinds of codes, and hold what they got from us until then.
    for code in range(int(count)):
        if os.fork() == 0:
            if os.fork() == 0:
                note("orphan")
                time.sleep(1)
                os._exit(code % 256)
            os._exit(0)
        os.wait()
    os._exit(5)

def have_child():
    if os.fork() == 0:
        os.closerange(0, 3)  # the log ends with the server
        note("child")
        time.sleep(60)
        os._exit(0)

def do(path):
    _, _, deed, *words = path.split("/")
    note(deed)
    globals()[deed](*words)

def answer(path):
    return b"%d" % os.getpid() if path == "/pid" else f"{path[1:]} {os.getpid()} text".encode()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
    path = scope["path"]
    while (await receive()).get("more_body"):
        pass
    if path.startswith("/do/"):
        do(path)
    if path.startswith("/later/"):
        note("later")
        await asyncio.sleep(float(path[7:]))
    fields = [(b"content-type", b"text/plain")]
    if path.startswith("/stream"):
        note("stream")
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        try:
            for number in itertools.count():
                await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % number, "more_body": True})
                await asyncio.sleep(0.1)
        except BaseException as error:
            note("told")
            raise
    body = answer(path)
    fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/do/"):
        do(path)
    body = answer(path)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

if os.path.exists("broken"):
    note("broken")
    os._exit(6)
time.sleep(BOOT_S)
"""


class Faulty:
    """The application in a folder, and what it has noted there."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._notes = place / "notes"
        self._notes.touch(mode=0o666)
        self._notes.chmod(0o666)
        (place / "site_one.py").write_text(SITE)

    def pids(self, deed: str) -> list[int]:
        """The processes that have begun a deed, in that order."""
        words = (line.split() for line in self._notes.read_text().splitlines())
        return [int(pid) for name, pid in words if name == deed]

    def done(self, deed: str, count: int = 1) -> int:
        """Wait until a deed was begun so often; by whom, the last time."""
        until(lambda: len(self.pids(deed)) >= count, f"{count} x {deed}")
        return self.pids(deed)[-1]

    def break_(self) -> None:
        """From now on a worker that starts ends at once."""
        (self.place / "broken").touch()

    def mend(self) -> None:
        """A worker may start again."""
        (self.place / "broken").unlink()


class Asked:
    """A connection of its own with a request under way."""

    def __init__(self, address: tuple[str, int], path: str) -> None:
        self._sock = socket.create_connection(address, timeout=30)
        self._sock.sendall(f"GET {path} HTTP/1.1\r\nHost: faulty\r\nConnection: close\r\n\r\n".encode())

    def answer(self) -> bytes:
        """All that comes until the server closes, or has gone."""
        received = bytearray()
        with self._sock, contextlib.suppress(ConnectionError):
            while part := self._sock.recv(65536):
                received += part
        return bytes(received)

    def close(self) -> None:
        """Give up."""
        self._sock.close()


@contextlib.contextmanager
def asking(address: tuple[str, int], *paths: str) -> Iterator[list[Asked]]:
    """Requests that are under way while the block runs."""
    asked: list[Asked] = []
    try:
        for path in paths:
            asked.append(Asked(address, path))
        yield asked
    finally:
        for one in asked:
            one.close()
