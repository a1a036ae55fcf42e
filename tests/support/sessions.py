"""A site whose answers tell which worker made them, and clients that ask it in the name of a session.

Lives here: the application, its answers as values, servers of several workers that keep sessions apart. Never here:
what is done to the workers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.raw import Answer, Connection
from tests.support.server import Server, running

SITE = """
import asyncio, hashlib, json, os
DELAY_S = float(os.environ.get("BOOT_S", "0"))

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await asyncio.sleep(DELAY_S)
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await converse(scope, receive, send)
        return
    size, digest, more = 0, hashlib.md5(), True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            print("GONE", scope["path"], flush=True)
            return
        size += len(event.get("body", b""))
        digest.update(event.get("body", b""))
        more = event.get("more_body", False)
    fields = [(b"content-type", b"application/json")]
    if scope["path"].startswith("/named/"):
        fields.append((b"x-session", scope["path"][7:].encode()))
    if scope["path"] == "/public":
        fields.append((b"cache-control", b"public, max-age=60"))
    if scope["path"] == "/wait":
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        print("GONE", scope["path"], flush=True)
        return
    if scope["path"].startswith("/slow"):
        os.write(1, b"SLOW\\n")
        await asyncio.sleep(float(scope["path"][5:]))
    if scope["path"].startswith("/large/"):
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for i in range(int(scope["path"][7:])):
            await send({"type": "http.response.body", "body": bytes([i & 255]) * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    told = {"pid": os.getpid(), "size": size, "md5": digest.hexdigest(), "client": scope["client"],
            "scheme": scope["scheme"], "path": scope["path"], "method": scope["method"],
            "forwarded": [v.decode() for n, v in scope["headers"] if n == b"x-forwarded-for"]}
    if scope["path"] == "/files":
        told["files"] = len(os.listdir("/proc/self/fd"))
    if scope["path"] == "/socketio":
        body = b'0{"sid":"' + os.urandom(10).hex().encode() + b'","upgrades":[]}'
    else:
        body = json.dumps(told).encode()
    fields.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})

async def converse(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": str(os.getpid())})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        if "text" in event and event["text"] is not None:
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
"""


@dataclass
class Told:
    """What an answer tells."""

    pid: int
    size: int
    md5: str
    client: tuple[str, int] | None
    scheme: str
    cookie: str | None
    more: dict[str, Any]


def told(answer: Answer) -> Told:
    """Of an answer that must be one of the site's."""
    assert answer.status == 200, answer
    return told_by(answer.body, answer.get("set-cookie"))


def told_by(body: bytes, set_cookie: bytes | None = None) -> Told:
    """Of a body, and the cookie that came with it."""
    said = json.loads(body)
    cookie = None if set_cookie is None else set_cookie.decode().partition(";")[0]
    client = tuple(said["client"]) if said["client"] else None
    return Told(said["pid"], said["size"], said["md5"], client, said["scheme"], cookie, said)


def ask(server: Server | tuple[str, int] | str, target: str = "/", *fields: str, body: bytes | None = None) -> Told:
    """Ask on a connection of its own."""
    address = server.address if isinstance(server, Server) else server
    with Connection(address) as connection:
        method = "GET" if body is None else "POST"
        return told(connection.ask(method, target, "Connection: close", *fields, body=body))


@contextlib.contextmanager
def keeping(
    place: Path, affinity: str, *flags: str, workers: int = 4, log: bool = False, **more: Any
) -> Iterator[Server]:
    """Serve the site with several workers while the block runs, from the moment all of them are ready."""
    (place / "site_sessions.py").write_text(SITE)
    flags = ("--workers", str(workers), "--affinity", affinity, "--log-level", "debug", *flags)
    if not log:
        flags = (*flags, "--no-access-log")
    with running("site_sessions:app", *flags, cwd=place, **more) as server:
        server.wait_for_log("All workers")
        try:
            yield server
        except AssertionError as error:
            error.add_note(f"The log ends:\n{server.log[-6000:]}")
            raise


def workers_by_session(server: Server, template: str, names: list[str], *, field: bool = False) -> dict[str, int]:
    """Which worker each session has; ``template`` makes a target or (``field``) a field of a name."""
    found = {}
    for name in names:
        said = template.format(name)
        found[name] = (ask(server, "/", said) if field else ask(server, said)).pid
    return found
