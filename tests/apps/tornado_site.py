"""A Tornado application that answers what ``test_tornado`` asks; parts of Tornado's own demos among it.

It prints lines that begin with ``note:`` when something happens that no client sees.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
import os
import time
import uuid
from typing import Any

import tornado.gen
import tornado.httputil
import tornado.ioloop
import tornado.iostream
import tornado.template
import tornado.web
import tornado.websocket
import tornado.wsgi

FILES = os.environ.get("SITE_FILES", ".")
PIECE = bytes(range(256)) * 256  # 64 KiB
WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")
STARTED: list[str] = []
TICKS: list[float] = []


def note(text: str) -> None:
    print("note: " + text + "\n", end="", flush=True)


class Base(tornado.web.RequestHandler):
    """What several need."""

    @property
    def token(self) -> str:
        return self.get_query_argument("token", "")

    def on_connection_close(self) -> None:
        super().on_connection_close()
        note(f"gone {self.token}")


class Hello(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write("Hello, world!")

    def head(self) -> None:
        self.set_header("X-Method", "head")


class Describe(tornado.web.RequestHandler):
    def get(self) -> None:
        request = self.request
        assert request.connection is not None
        context = request.connection.context  # type: ignore[attr-defined]
        self.write(
            {
                "method": request.method,
                "uri": request.uri,
                "path": request.path,
                "query": {name: self.get_query_arguments(name) for name in request.query_arguments},
                "version": request.version,
                "host": request.host,
                "host_name": request.host_name,
                "url": request.full_url(),
                "remote_ip": request.remote_ip,
                "protocol": request.protocol,
                "address": list(context.address),
                "cookies": {name: morsel.value for name, morsel in request.cookies.items()},
                "several": request.headers.get_list("X-Several"),
                "agent": request.headers.get("user-agent"),
                "latin": request.headers.get("X-Latin"),
                "certificate": request.get_ssl_certificate(),
                "loop": type(asyncio.get_running_loop()).__module__.split(".")[0],
                "is_current": tornado.ioloop.IOLoop.current().asyncio_loop is asyncio.get_running_loop(),
                "started": STARTED,
                "who": WHO.get(),
                "closed": request.connection.stream.closed(),  # type: ignore[attr-defined]
            }
        )
        WHO.set(self.get_query_argument("who", "somebody"))

    options = get


class Echo(tornado.web.RequestHandler):
    def post(self) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        self.write(self.request.body)

    put = post


@tornado.web.stream_request_body
class Digest(Base):
    """Takes its body in pieces, slowly if it is told to."""

    def initialize(self) -> None:
        self.sum = hashlib.sha256()
        self.count = self.pieces = 0
        self.busy = False

    async def prepare(self) -> None:
        if "refuse" in self.request.query_arguments:
            self.set_status(403)
            self.finish("not wanted")
            return
        if "most" in self.request.query_arguments:
            self.request.connection.set_max_body_size(int(self.get_query_argument("most")))  # type: ignore[union-attr]
        await asyncio.sleep(0)
        note(f"prepared {self.token}")

    async def data_received(self, chunk: bytes) -> None:
        assert not self.busy, "a piece came before the one before was taken"
        self.busy = True
        if "fail" in self.request.query_arguments:
            raise RuntimeError("broken on purpose")
        await asyncio.sleep(float(self.get_query_argument("slow", "0")))
        self.sum.update(chunk)
        self.count += len(chunk)
        self.pieces += 1
        self.busy = False
        note(f"piece {self.token} {self.count}")

    def post(self) -> None:
        self.write({"sha256": self.sum.hexdigest(), "count": self.count, "pieces": self.pieces})


class Form(tornado.web.RequestHandler):
    def post(self) -> None:
        files = {
            name: [[f.filename, f.content_type, hashlib.sha256(f.body).hexdigest()] for f in found]
            for name, found in self.request.files.items()
        }
        self.write({"text": self.get_body_argument("text", None), "files": files})


class Streamed(Base):
    """As many pieces as asked for, without a length or with one, each flushed."""

    async def get(self, count: str) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        if "sized" in self.request.query_arguments:
            self.set_header("Content-Length", str(int(count) * len(PIECE)))
        try:
            for number in range(int(count)):
                self.write(PIECE)
                await self.flush()
                if number % 64 == 0:
                    note(f"sent {self.token} {number}")
        except tornado.iostream.StreamClosedError:
            note(f"closed {self.token}")
            raise


class Doors(Base):
    """Sends one piece, waits until another request opens the door, sends the other."""

    doors: dict[str, asyncio.Event] = {}

    async def get(self) -> None:
        door = self.doors.setdefault(self.token, asyncio.Event())
        self.write("first\n")
        await self.flush()
        await door.wait()
        self.finish("second\n")

    def post(self) -> None:
        self.doors.pop(self.token).set()


class LongPoll(Base):
    """Waits until its client has left."""

    async def get(self) -> None:
        self.left = asyncio.Event()
        note(f"waits {self.token}")
        await self.left.wait()
        note(f"over {self.token}")

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.left.set()


class Failing(tornado.web.RequestHandler):
    async def get(self, how: str) -> None:
        if how == "error":
            raise RuntimeError("broken on purpose")
        if how == "status":
            raise tornado.web.HTTPError(403, reason="Not You")
        if how == "finish":
            self.set_status(202)
            raise tornado.web.Finish("enough")
        if how == "late":
            self.write("a")
            await self.flush()
            raise RuntimeError("broken on purpose")
        if how in ("short", "long", "short-flushed", "long-flushed"):
            self.set_header("Content-Length", "10")
            self.write("12345")
            if how.endswith("flushed"):
                await self.flush()
            if how.startswith("long"):
                self.write("1234567890")


class Answers(tornado.web.RequestHandler):
    async def get(self, kind: str) -> None:
        if kind == "redirect":
            self.redirect("/", status=303)
        elif kind == "cookies":
            self.set_cookie("a", "1")
            # Its name until 6.2.
            getattr(self, "set_signed_cookie", self.set_secure_cookie)("b", "zwei")
        elif kind == "nothing":
            self.set_status(204)
        elif kind == "later":
            asyncio.get_running_loop().call_later(0.01, self.finish, "later")
            self._auto_finish = False
        elif kind == "bytes":
            self.set_header("X-Bytes", b"caf\xc3\xa9")
            self.set_header("X-Text", "plain")
        elif kind == "close":
            self.set_header("Connection", "close")
        elif kind == "phrase":
            self.set_status(200, "Fine Indeed")
        elif kind == "compressed":
            self.set_header("Content-Type", "text/plain")
            for _ in range(3):
                self.write("compress me " * 200)
                await self.flush()
        self.finish() if kind in ("bytes", "phrase") else None


class Coroutine(tornado.web.RequestHandler):
    @tornado.gen.coroutine
    def get(self) -> Any:
        yield tornado.gen.sleep(0.001)
        found = yield [self.double(n) for n in range(3)]
        self.write(json.dumps(found))

    @tornado.gen.coroutine
    def double(self, number: int) -> Any:
        yield tornado.gen.moment
        return number * 2


class Signed(tornado.web.RequestHandler):
    def get(self) -> None:
        value = getattr(self, "get_signed_cookie", self.get_secure_cookie)("b")
        self.write(value or b"none")


class XsrfForm(tornado.web.RequestHandler):
    """A page with a form that only who has seen it can send."""

    PAGE = tornado.template.Template('<form method="post">{% raw form %}<input name="text"></form>')

    def get(self) -> None:
        self.write(self.PAGE.generate(form=self.xsrf_form_html()))

    def post(self) -> None:
        self.check_xsrf_cookie()
        self.write("taken: " + self.get_body_argument("text"))


class Detach(tornado.web.RequestHandler):
    async def get(self) -> None:
        stream = self.detach()
        await stream.write(b"HTTP/1.1 200 OK\r\n\r\n")
        stream.close()


class Ticks(tornado.web.RequestHandler):
    async def get(self) -> None:
        known = len(TICKS)
        end = time.monotonic() + 10
        while len(TICKS) < known + 2 and time.monotonic() < end:
            await asyncio.sleep(0.005)
        self.write(str(len(TICKS) - known))


# Tornado's chat demo, without its page: messages are kept, and who has seen all waits for the next one.


class Buffer:
    def __init__(self) -> None:
        self.condition = asyncio.Condition()
        self.messages: list[dict[str, str]] = []

    def since(self, cursor: str | None) -> list[dict[str, str]]:
        for index, message in enumerate(self.messages):
            if message["id"] == cursor:
                return self.messages[index + 1 :]
        return list(self.messages)


CHAT = Buffer()


class NewMessage(tornado.web.RequestHandler):
    async def post(self) -> None:
        message = {"id": str(uuid.uuid4()), "body": self.get_argument("body")}
        CHAT.messages.append(message)
        async with CHAT.condition:
            CHAT.condition.notify_all()
        self.write(message)


class Updates(tornado.web.RequestHandler):
    async def post(self) -> None:
        cursor = self.get_argument("cursor", None)
        messages = CHAT.since(cursor)
        while not messages:
            async with CHAT.condition:
                self.waiting = asyncio.ensure_future(CHAT.condition.wait())
                try:
                    await self.waiting
                except asyncio.CancelledError:
                    return
            messages = CHAT.since(cursor)
        self.write({"messages": messages})

    def on_connection_close(self) -> None:
        self.waiting.cancel()


# WebSockets


class Socket(tornado.websocket.WebSocketHandler):
    """What the others begin with."""

    def check_origin(self, origin: str) -> bool:
        return origin.endswith("good.example")

    @property
    def token(self) -> str:
        return self.get_query_argument("token", "")

    def on_close(self) -> None:
        note(f"closed {self.token} {self.close_code} {self.close_reason}")

    def on_pong(self, data: bytes) -> None:
        note(f"pong {self.token} {data!r}")

    def on_message(self, message: str | bytes) -> Any:
        raise NotImplementedError


class EchoSocket(Socket):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


class DeflatedSocket(EchoSocket):
    def get_compression_options(self) -> dict[str, Any]:
        return {}


class TalkingSocket(Socket):
    """Speaks first, and does what it is told."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "two" if "two" in subprotocols else None

    def prepare(self) -> None:
        self.set_header("X-Served-By", "torana")

    async def open(self) -> None:
        await self.write_message({"remote": self.request.remote_ip, "chosen": self.selected_subprotocol})

    async def on_message(self, message: str | bytes) -> None:
        if message == "close":
            self.close(4001, "told so")
        elif message == "silent":
            self.close()
        elif message == "fail":
            raise RuntimeError("broken on purpose")
        elif message == "slow":
            await asyncio.sleep(0.05)
            await self.write_message("slow")
        elif message == "ping":
            self.ping(b"data")
        elif message == "flood":
            for _ in range(2000):
                await self.write_message("x" * 10_000)
        else:
            await self.write_message(message)


class GuardedSocket(EchoSocket):
    def prepare(self) -> None:
        self.set_status(403)
        self.finish("not you")


class SmallSocket(EchoSocket):
    @property
    def max_message_size(self) -> int:
        return 1000


class Heartbeat(Socket):
    """Pings as often as it is told; newer Tornados wait for a pong no longer than until the next ping."""

    @property
    def ping_interval(self) -> float:
        return float(self.get_query_argument("every", "0.05"))

    @property
    def ping_timeout(self) -> float:
        return 4 * self.ping_interval

    def on_message(self, message: str | bytes) -> None:
        """Only pongs are wanted."""


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode(), environ["wsgi.input"].read()]


async def start() -> None:
    await asyncio.sleep(0)
    STARTED.append("async")
    WHO.set("starter")


def start_ticking() -> None:
    STARTED.append("plain")
    tornado.ioloop.PeriodicCallback(lambda: TICKS.append(time.monotonic()), 5).start()


async def stop() -> None:
    note("shut down")


def make_app(**settings: Any) -> tornado.web.Application:
    return tornado.web.Application(
        [
            ("/", Hello),
            ("/describe.*", Describe),
            ("/echo", Echo),
            ("/digest", Digest),
            ("/form", Form),
            ("/stream/([0-9]+)", Streamed),
            ("/doors", Doors),
            ("/wait", LongPoll),
            ("/fail/(.*)", Failing),
            ("/answer/(.*)", Answers),
            ("/coroutine", Coroutine),
            ("/signed", Signed),
            ("/xsrf", XsrfForm),
            ("/detach", Detach),
            ("/ticks", Ticks),
            ("/chat/new", NewMessage),
            ("/chat/updates", Updates),
            ("/files/(.*)", tornado.web.StaticFileHandler, {"path": FILES}),
            ("/wsgi/.*", tornado.web.FallbackHandler, {"fallback": tornado.wsgi.WSGIContainer(wsgi)}),
            ("/ws/echo", EchoSocket),
            ("/ws/deflated", DeflatedSocket),
            ("/ws/talk", TalkingSocket),
            ("/ws/guarded", GuardedSocket),
            ("/ws/small", SmallSocket),
            ("/ws/heartbeat", Heartbeat),
        ],
        cookie_secret="for tests only",
        compress_response=True,
        on_startup=[start, start_ticking],
        on_drain=lambda: note("drains"),
        on_shutdown=[stop],
        **settings,
    )


app = make_app()
