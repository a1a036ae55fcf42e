"""Sessions stay with their worker: by cookie, field, query and address, over every kind of connection, whatever becomes
of the workers meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.curl import curl
from tests.support.http2 import PREFACE, settings
from tests.support.inprocess import Client
from tests.support.multiplexed import Http2Client
from tests.support.raw import Connection
from tests.support.server import Server
from tests.support.sessions import ask, keeping, told, told_by, workers_by_session
from tests.support.supervised import children_of, send, until, wait_for_replacement
from tests.support.websocket_raw import BINARY, TEXT, RawSocket, frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

NAMES = [f"session-{i}" for i in range(24)]
QUERY = "/?s={}"
BIG = os.urandom(300_000)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    trustme = pytest.importorskip("trustme")
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    made.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return tmp_path / "ca.pem"


def is_kept(server: Server, template: str = QUERY, *, field: bool = False) -> dict[str, int]:
    """Every session has one worker, and every worker has sessions."""
    first = workers_by_session(server, template, NAMES, field=field)
    assert workers_by_session(server, template, NAMES, field=field) == first
    assert set(first.values()) == children_of(server.pid)
    return first


# What names a session


def test_a_part_of_the_query_keeps_a_session(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        owners = is_kept(server)
        assert "Sessions stay with their worker, by query s" in server.log
        # Only the first of a name counts, and only the whole name.
        for target in ("/?xs={0}x&s={0}&s=other", "/?a=b&s={0}", "/path?s={0}&"):
            assert workers_by_session(server, target, NAMES) == owners
        # Who says nothing is served where he comes.
        assert len({ask(server).pid for _ in range(40)}) > 1


def test_a_field_keeps_a_session_and_what_the_application_calls_it_is_learned(tmp_path: Path) -> None:
    with keeping(tmp_path, "header:X-Session") as server:
        is_kept(server, "X-Session: {}", field=True)
        for i in range(30):
            pid = ask(server, f"/named/by-the-application-{i}").pid
            for _ in range(3):
                assert ask(server, "/", f"X-Session: by-the-application-{i}").pid == pid


def test_what_an_answer_begins_with_is_learned(tmp_path: Path) -> None:
    with keeping(tmp_path, "socketio") as server:
        for _ in range(12):
            with Connection(server.address) as connection:
                first = connection.ask("GET", "/socketio")
                sid = json.loads(first.body[1:])["sid"]
                # Who else has said something on this connection, before the session goes on here or elsewhere.
                told(connection.ask("GET", "/"))
                pid = told(connection.ask("GET", f"/?EIO=4&sid={sid}")).pid
            assert {ask(server, f"/?sid={sid}").pid for _ in range(8)} == {pid}


def test_the_address_of_the_client_keeps_a_session(tmp_path: Path) -> None:
    with keeping(tmp_path, "client") as server:
        assert len({ask(server).pid for _ in range(20)}) == 1
        # As trusted hops tell it; of IPv6 the network.
        found = {}
        for i in range(24):
            pids = {ask(server, "/", f"X-Forwarded-For: 203.0.113.{i}").pid for _ in range(3)}
            assert len(pids) == 1
            found[i] = pids.pop()
        assert set(found.values()) == children_of(server.pid)
        inside = {ask(server, "/", f"X-Forwarded-For: 2001:db8:1:2::{i:x}").pid for i in range(1, 9)}
        assert len(inside) == 1


def test_a_cookie_leads_back_to_whoever_answered_first(tmp_path: Path) -> None:
    with keeping(tmp_path, "cookie") as server:
        owners: dict[str, int] = {}
        until(lambda: note_cookie(server, owners) and set(owners.values()) == children_of(server.pid), "all have some")
        for cookie, pid in owners.items():
            for _ in range(3):
                found = ask(server, "/", f"Cookie: a=b; {cookie}; c=d")
                assert (found.pid, found.cookie) == (pid, None)
        with Connection(server.address) as connection:
            field = connection.ask("GET", "/").get("set-cookie")
            assert field is not None
            assert re.fullmatch(rb"torana_worker=\d+\.[\w-]{22}; Path=/; HttpOnly; SameSite=Lax", field)
            # What a cache may give to everybody has no cookie.
            assert connection.ask("GET", "/public").get("set-cookie") is None


def note_cookie(server: Server, owners: dict[str, int]) -> bool:
    found = ask(server)
    assert found.cookie is not None
    owners[found.cookie] = found.pid
    return True


@pytest.mark.parametrize(
    "value",
    [
        "", ".", "0.", "x" * 5000, "0.short", "-1.AAAAAAAAAAAAAAAAAAAAAA", "00.AAAAAAAAAAAAAAAAAAAAAA",
        "99999.AAAAAAAAAAAAAAAAAAAAAA", "1.AAAAAAAAAAA AAAAAAAAAA", "1.AAAAAAAAAAAAAAAAAAAAA\u00e9",
        '"1.AAAAAAAAAAAAAAAAAAAAAA"',
        "1_0.AAAAAAAAAAAAAAAAAAAAAA", "+1.AAAAAAAAAAAAAAAAAAAAAA", "\u0661.AAAAAAAAAAAAAAAAAAAAAA",
    ],
    ids=lambda value: repr(value[:14]),
)  # fmt: skip
def test_a_cookie_that_is_none_of_ours_counts_as_absent(cookie_server: Server, value: str) -> None:
    with Connection(cookie_server.address) as connection:
        cookie = f"torana_worker={value}".encode()
        connection.send(b"GET / HTTP/1.1\r\nHost: t\r\nCookie: " + cookie + b"\r\n\r\n")
        assert told(connection.read()).cookie is not None


@pytest.fixture(scope="module")
def cookie_server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with keeping(tmp_path_factory.mktemp("cookie"), "cookie:torana_worker", workers=2) as server:
        yield server


def test_a_cookie_of_a_slot_that_is_not_there_is_replaced(cookie_server: Server) -> None:
    gone = "torana_worker=77.AAAAAAAAAAAAAAAAAAAAAA"
    found = {(f.pid, f.cookie) for f in (ask(cookie_server, "/", f"Cookie: {gone}") for _ in range(10))}
    assert len(found) == 1
    pid, cookie = found.pop()
    assert cookie is not None and cookie.endswith(".AAAAAAAAAAAAAAAAAAAAAA")
    assert {ask(cookie_server, "/", f"Cookie: {cookie}").pid for _ in range(10)} == {pid}


def test_a_session_named_beyond_all_bounds_is_none(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s", workers=2) as server:
        for target in ("/?s=" + "x" * 300, "/?s=", "/?s", "/?&&&s=&", "/?" + "s=" * 500):
            assert ask(server, target).size == 0
        for _ in range(10):
            assert ask(server, "/?s=" + "%ff%00" * 20).pid == ask(server, "/?s=" + "%ff%00" * 20).pid


# Connections that are passed on


def test_a_kept_connection_serves_sessions_of_all_workers(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        owners = is_kept(server)
        with Connection(server.address) as connection:
            me = connection.socket.getsockname()
            for name in NAMES * 3:
                found = told(connection.ask("POST", QUERY.format(name), body=b"x" * 1000))
                assert (found.pid, found.size, found.client) == (owners[name], 1000, me)


def test_requests_sent_at_once_are_answered_in_order_by_their_workers(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        owners = is_kept(server)
        with Connection(server.address) as connection:
            connection.send(b"".join(
                b"POST /%d?s=%s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s"
                % (i, name.encode(), 7 * i, b"x" * 7 * i)
                for i, name in enumerate(NAMES)
            ))  # fmt: skip
            for i, name in enumerate(NAMES):
                found = told(connection.read())
                assert (found.pid, found.size, found.more["path"]) == (owners[name], 7 * i, f"/{i}")


def test_a_head_that_comes_byte_by_byte_and_a_body_beyond_one_message(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        owners = is_kept(server)
        body = BIG[:100_000]
        for name in NAMES[:6]:
            with Connection(server.address) as connection:
                head = f"POST /?s={name} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                for i in range(len(head) - 1):
                    connection.send(head[i : i + 1])
                connection.send(head[-1:] + body)
                found = told(connection.read())
                assert (found.pid, found.md5) == (owners[name], hashlib.md5(body).hexdigest())
                # Chunked, with the last bytes of it before the next request.
                chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50_000], body[50_000:]))
                request = f"POST /?s={NAMES[7]} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                connection.send(
                    request + chunks + b"0\r\n\r\nGET /?s=" + name.encode() + b" HTTP/1.1\r\nHost: t\r\n\r\n"
                )
                found = told(connection.read())
                assert (found.pid, found.md5) == (owners[NAMES[7]], hashlib.md5(body).hexdigest())
                assert told(connection.read()).pid == owners[name]


def test_who_waits_for_continue_gets_it_from_the_worker_of_his_session(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        owners = is_kept(server)
        for name in NAMES[:8]:
            with Connection(server.address) as connection:
                connection.request("POST", QUERY.format(name), "Expect: 100-continue", "Content-Length: 5")
                assert connection.read(skip_interim=False).status == 100
                connection.send(b"12345")
                assert told(connection.read()).pid == owners[name]


def test_a_proxys_header_goes_with_the_connection(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s", "--proxy-protocol", workers=3) as server:
        for name in NAMES[:12]:
            with Connection(server.address) as connection:
                connection.send(b"PROXY TCP4 203.0.113.9 192.0.2.1 1234 80\r\n")
                for _ in range(2):
                    found = told(connection.ask("GET", QUERY.format(name)))
                    assert found.client == ("203.0.113.9", 1234)


def test_over_a_unix_socket(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s", "--bind", "unix:the.sock", "--bind", "127.0.0.1:0") as server:
        path = str(tmp_path / "the.sock")
        found = {name: {ask(path, QUERY.format(name)).pid for _ in range(4)} for name in NAMES}
        assert all(len(pids) == 1 for pids in found.values())
        assert {pid for pids in found.values() for pid in pids} == children_of(server.pid)
        assert workers_by_session(server, QUERY, NAMES) == {name: pids.pop() for name, pids in found.items()}


def test_a_websocket_is_opened_by_the_worker_of_its_session(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        owners = is_kept(server)
        for name in NAMES[:8]:
            with RawSocket(server.address) as connection:
                answer = connection.open(f"/ws?s={name}", then=frame(TEXT, b"at once"))
                assert answer.status == 101
                assert int(connection.read_frame().payload) == owners[name]
                assert connection.read_frame().payload == b"at once"
                connection.send(frame(BINARY, BIG))
                assert connection.read_frame().payload == BIG


def test_the_log_has_each_request_once(tmp_path: Path, authority: Path) -> None:
    certificate = ("--certfile", str(tmp_path / "server.pem"))
    for flags, scheme in (((), "http"), (certificate, "https")):
        with keeping(tmp_path, "query:s", "--access-log-format", "LINE %(r)s %(s)s", *flags, log=True) as server:
            origin = f"{scheme}://127.0.0.1:{server.address[1]}"
            for i, name in enumerate(NAMES):
                curl("--cacert", str(authority), f"{origin}/{i}?s={name}")
            until(lambda: server.log.count("LINE ") >= len(NAMES), "all are logged")
            lines = Counter(re.findall(r"LINE GET /(\d+)\?", server.log))
            assert lines == Counter(str(i) for i in range(len(NAMES)))


# Connections that cannot be passed on


def tls_to(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


def test_over_tls_a_request_is_relayed(tmp_path: Path, authority: Path) -> None:
    with keeping(tmp_path, "query:s", "--certfile", str(tmp_path / "server.pem")) as server:
        owners: dict[str, int] = {}
        for _ in range(3):
            with Connection(server.address, tls=tls_to(authority)) as connection:
                me = connection.socket.getsockname()
                for name in NAMES:
                    found = told(connection.ask("POST", QUERY.format(name), body=BIG))
                    assert owners.setdefault(name, found.pid) == found.pid
                    assert (found.md5, found.client) == (hashlib.md5(BIG).hexdigest(), me)
                    assert found.scheme == "https"
                assert connection.ask("HEAD", QUERY.format(NAMES[0])).status == 200
                large = connection.ask("GET", f"/large/40?s={NAMES[1]}")
                assert large.body == b"".join(bytes([i]) * 65536 for i in range(40))
        assert set(owners.values()) == children_of(server.pid)


def test_over_tls_a_request_without_host_is_answered_wherever_it_came_to(tmp_path: Path, authority: Path) -> None:
    with keeping(tmp_path, "query:s", "--certfile", str(tmp_path / "server.pem")) as server:
        for name in NAMES:
            with Connection(server.address, tls=tls_to(authority)) as connection:
                connection.send(b"GET " + QUERY.format(name).encode() + b" HTTP/1.0\r\n\r\n")
                assert connection.read().status == 200


def test_over_tls_the_cookie_is_for_tls_only(tmp_path: Path, authority: Path) -> None:
    with keeping(tmp_path, "cookie", "--certfile", str(tmp_path / "server.pem")) as server:
        for _ in range(8):
            with Connection(server.address, tls=tls_to(authority)) as connection:
                first = connection.ask("GET", "/")
                assert (first.get("set-cookie") or b"").endswith(b"; SameSite=Lax; Secure")
                found = told(first)
            for _ in range(4):
                with Connection(server.address, tls=tls_to(authority)) as connection:
                    again = told(connection.ask("GET", "/", f"Cookie: {found.cookie}"))
                    assert (again.pid, again.cookie) == (found.pid, None)


@pytest.mark.parametrize("is_tls", [True, False], ids=["tls", "plain"])
def test_over_http2_each_stream_goes_its_own_way(tmp_path: Path, authority: Path, is_tls: bool) -> None:
    flags = ("--certfile", str(tmp_path / "server.pem")) if is_tls else ()
    with keeping(tmp_path, "query:s", *flags) as server:
        kind = ("--cacert", str(authority), "--http2") if is_tls else ("--http2-prior-knowledge",)
        owners: dict[str, int] = {}
        for _ in range(3):
            for name in NAMES:
                posted = curl(*kind, "--data-binary", "@-", f"{server.origin}{QUERY.format(name)}", data=BIG)
                found = told_by(posted.body)
                assert owners.setdefault(name, found.pid) == found.pid
                assert found.md5 == hashlib.md5(BIG).hexdigest()
        assert set(owners.values()) == children_of(server.pid)

        async def at_once() -> None:
            client = await connected(server.address, authority if is_tls else None)
            streams = {await client.get(b"/?s=" + name.encode()): name for name in NAMES}
            await client.answered(*streams)
            for stream, name in streams.items():
                assert told_by(client.body(stream)).pid == owners[name]
            client.client.close()

        if not is_tls:
            asyncio.run(asyncio.wait_for(at_once(), 20))


async def connected(address: tuple[str, int], authority: Path | None) -> Http2Client:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, address)
    client = Http2Client(Client(sock))
    await client.send(PREFACE, settings())
    return client


def test_a_websocket_over_tls_is_relayed(tmp_path: Path, authority: Path) -> None:
    with keeping(tmp_path, "query:s", "--certfile", str(tmp_path / "server.pem")) as server:
        pids = set()
        for name in NAMES[:8]:
            with Connection(server.address, tls=tls_to(authority)) as connection:
                owner = told(connection.ask("GET", QUERY.format(name))).pid
            with RawSocket(server.address, tls=tls_to(authority)) as connection:
                assert connection.open(f"/ws?s={name}", then=frame(TEXT, b"at once")).status == 101
                assert int(connection.read_frame().payload) == owner
                assert connection.read_frame().payload == b"at once"
                connection.send(frame(BINARY, BIG))
                assert connection.read_frame().payload == BIG
                pids.add(owner)
        assert len(pids) > 1


def test_a_websocket_over_http2_is_relayed(tmp_path: Path) -> None:
    from tests.support.http2 import data, headers

    with keeping(tmp_path, "query:s") as server:
        owners = is_kept(server)

        async def converse() -> None:
            client = await connected(server.address, None)
            for name in NAMES[:8]:
                stream = client.number()
                fields = [
                    (b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"),
                    (b":authority", b"t"), (b":path", b"/ws?s=" + name.encode()), (b"sec-websocket-version", b"13"),
                ]  # fmt: skip
                await client.send(headers(stream, fields, is_end=False))
                pid = str(owners[name]).encode()
                await client.until(lambda s=stream, p=pid: client.body(s) == b"\x81" + bytes([len(p)]) + p)
                assert client.status(stream) == 200
                await client.send(data(stream, frame(TEXT, b"hello")))
                await client.until(lambda s=stream: client.body(s).endswith(b"\x81\x05hello"))
            client.client.close()

        asyncio.run(asyncio.wait_for(converse(), 20))


def test_the_application_hears_that_a_relayed_client_has_left(tmp_path: Path, authority: Path) -> None:
    with keeping(tmp_path, "query:s", "--certfile", str(tmp_path / "server.pem")) as server:
        for count, name in enumerate(NAMES[:6], 1):
            with Connection(server.address, tls=tls_to(authority)) as connection:
                connection.request("GET", f"/wait?s={name}")
                connection.read_until(b"begun")
            until(lambda c=count: server.log.count("GONE /wait") == c, "the application hears of it")


def test_a_client_that_reads_slowly_gets_all_of_a_relayed_answer(tmp_path: Path, authority: Path) -> None:
    with keeping(tmp_path, "query:s", "--certfile", str(tmp_path / "server.pem")) as server:
        for name in NAMES[:4]:
            with Connection(server.address, tls=tls_to(authority), receive_buffer_bytes=8192) as connection:
                connection.request("GET", f"/large/100?s={name}", "Connection: close")
                # More waits than all buffers on the way hold, and nobody reads.
                time.sleep(0.3)
                answer = connection.read()
                assert answer.body == b"".join(bytes([i]) * 65536 for i in range(100))


# What becomes of the workers


class Clients:
    """Threads that ask for sessions again and again, and note who answers and what fails."""

    def __init__(self, server: Server, names: list[str]) -> None:
        self.answers: dict[str, list[int]] = {name: [] for name in names}
        self.failures: list[str] = []
        self._server = server
        self._is_over = False
        self._threads = [threading.Thread(target=self._run, args=(name, i % 2 == 0)) for i, name in enumerate(names)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join(40)

    def _run(self, name: str, is_kept: bool) -> None:
        while not self._is_over:
            try:
                with Connection(self._server.address) as connection:
                    for _ in range(20 if is_kept else 1):
                        answer = connection.ask("GET", QUERY.format(name))
                        self.answers[name].append(told(answer).pid)
                        if self._is_over or (answer.get("connection") or b"").lower() == b"close":
                            break
                        time.sleep(0.003)
            except Exception as error:
                self.failures.append(f"{name}: {type(error).__name__}: {error}")

    def more(self, count: int = 10) -> None:
        """Wait until every session has got more answers."""
        goal = {name: len(pids) + count for name, pids in self.answers.items()}
        until(lambda: all(len(self.answers[name]) >= goal[name] for name in goal), "more answers", 40)


def owners_now(clients: Clients) -> dict[str, int]:
    return {name: pids[-1] for name, pids in clients.answers.items()}


def test_a_recycled_worker_moves_its_own_sessions_and_no_request_is_lost(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        before = is_kept(server)
        old = sorted(children_of(server.pid))[1]
        mark = server.mark()
        with Clients(server, NAMES[:12]) as clients:
            clients.more()
            os.kill(old, signal.SIGTERM)
            server.wait_for_log(f"(pid {old}) retires", since=mark)
            until(lambda: old not in children_of(server.pid), "the old one has ended")
            clients.more()
        assert not clients.failures, clients.failures
        after = is_kept(server)
        (new,) = children_of(server.pid) - set(before.values())
        assert after == {name: new if pid == old else pid for name, pid in before.items()}
        for name, pids in clients.answers.items():
            assert set(pids) <= {before[name], after[name]}


def test_a_killed_worker_costs_only_its_own_sessions_and_what_it_was_at(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        before = is_kept(server)
        old = sorted(children_of(server.pid))[2]
        mark = server.mark()
        names = [name for name in NAMES if before[name] != old][:6] + [name for name in NAMES if before[name] == old][
            :4
        ]
        with Clients(server, names) as clients:
            clients.more()
            os.kill(old, signal.SIGKILL)
            wait_for_replacement(server, mark)
            clients.more()
        # One request at a time for each session; and what the kernel had given to that worker is lost with it.
        own = [failure for failure in clients.failures if before[failure.partition(":")[0]] == old]
        assert len(own) <= 4 and len(clients.failures) <= 10, clients.failures
        after = is_kept(server)
        (new,) = children_of(server.pid) - set(before.values())
        assert after == {name: new if pid == old else pid for name, pid in before.items()}
        for name in names:
            if before[name] != old:
                assert set(clients.answers[name]) == {before[name]}


def test_scaling_moves_no_more_than_it_must(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s", workers=3) as server:
        before = is_kept(server)
        with Clients(server, NAMES[:10]) as clients:
            clients.more()
            mark = send(server, signal.SIGTTIN)
            wait_for_replacement(server, mark)
            clients.more()
            (fourth,) = children_of(server.pid) - set(before.values())
            grown = is_kept(server)
            assert grown == {n: fourth if grown[n] == fourth else pid for n, pid in before.items()}
            assert 0 < list(grown.values()).count(fourth) < len(NAMES) / 2
            send(server, signal.SIGTTOU)
            until(lambda: fourth not in children_of(server.pid), "the fourth has ended")
            clients.more()
        assert not clients.failures, clients.failures
        assert is_kept(server) == before


def test_a_cookie_survives_scaling_and_a_reload(tmp_path: Path) -> None:
    with keeping(tmp_path, "cookie", workers=2) as server:
        cookies = {found.cookie: found.pid for found in (ask(server) for _ in range(20))}
        mark = send(server, signal.SIGTTIN)
        wait_for_replacement(server, mark)
        for cookie, pid in cookies.items():
            assert ask(server, "/", f"Cookie: {cookie}").pid == pid
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        moved: dict[int, int] = {}
        for cookie, pid in cookies.items():
            new = ask(server, "/", f"Cookie: {cookie}").pid
            assert moved.setdefault(pid, new) == new
        assert len(set(moved.values())) == len(moved)


def test_a_stop_answers_what_is_on_its_way(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        is_kept(server)
        results: list[str] = []

        def slow(name: str) -> None:
            results.append("ok" if ask(server, f"/slow0.7?s={name}").size == 0 else "?")

        threads = [threading.Thread(target=slow, args=(name,)) for name in NAMES]
        for thread in threads:
            thread.start()
        until(lambda: server.log.count("SLOW") == len(NAMES), "all have begun")
        os.kill(server.pid, signal.SIGTERM)
        for thread in threads:
            thread.join(20)
        assert results == ["ok"] * len(NAMES)


def test_preloaded_workers_keep_sessions_too(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s", "--preload") as server:
        until(lambda: len(children_of(server.pid)) == 5, "four workers and a zygote")
        first = workers_by_session(server, QUERY, NAMES)
        assert workers_by_session(server, QUERY, NAMES) == first
        assert len(set(first.values())) == 4


def heir_of(server: Server, file: Path) -> int:
    """The program that has taken over, which says so before it writes its pid file."""
    until(lambda: int(file.read_text()) != server.pid, "the pid file is the heir's")
    return int(file.read_text())


def test_the_next_program_keeps_sessions_of_its_own(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s", "--pid", "the.pid", expect_exit=None) as server:
        is_kept(server)
        with Clients(server, NAMES[:6]) as clients:
            clients.more()
            mark = send(server, signal.SIGUSR2)
            server.wait_for_log("has taken over from", since=mark)
            server.process.wait(30)
            clients.more()
        heir = heir_of(server, tmp_path / "the.pid")
        try:
            assert not clients.failures, clients.failures
            first = workers_by_session(server, QUERY, NAMES)
            assert workers_by_session(server, QUERY, NAMES) == first
            assert set(first.values()) == children_of(heir)
        finally:
            os.kill(heir, signal.SIGTERM)
            until(lambda: not Path(f"/proc/{heir}").exists(), "the heir ends")


def test_what_was_on_its_way_to_a_worker_is_answered_at_the_takeover(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s", "--pid", "the.pid", expect_exit=None) as server:
        owners = is_kept(server)
        still = max(owners.values())
        name = next(name for name, pid in owners.items() if pid == still)
        elsewhere = next(name for name, pid in owners.items() if pid != still)
        try:
            with contextlib.ExitStack() as stack:
                # All are with another before it stands still: with connections in its queue it would count as stalled
                # after some seconds, and what lies before its door would be for others.
                waiting = [stack.enter_context(Connection(server.address)) for _ in range(24)]
                for connection in waiting:
                    assert told(connection.ask("GET", QUERY.format(elsewhere))).pid == owners[elsewhere]
                os.kill(still, signal.SIGSTOP)
                for connection in waiting:
                    connection.request("GET", QUERY.format(name))
                mark = send(server, signal.SIGUSR2)
                server.wait_for_log(f"(pid {still}) retires", since=mark)
                until(lambda: children_of(server.pid) & set(owners.values()) == {still}, "the others end")
                os.kill(still, signal.SIGCONT)
                assert {told(connection.read()).pid for connection in waiting} & {still}
        finally:
            os.kill(still, signal.SIGCONT)
            server.process.wait(30)
            heir = heir_of(server, tmp_path / "the.pid")
            os.kill(heir, signal.SIGTERM)
            until(lambda: not Path(f"/proc/{heir}").exists(), "the heir ends")


@pytest.mark.parametrize("is_tls", [False, True], ids=["passed", "relayed"])
def test_no_descriptor_is_left_behind(tmp_path: Path, authority: Path, is_tls: bool) -> None:
    flags = ("--certfile", str(tmp_path / "server.pem")) if is_tls else ()
    tls = tls_to(authority) if is_tls else None
    with keeping(tmp_path, "query:s", *flags) as server:

        def files() -> dict[int, int]:
            return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in children_of(server.pid)}

        def burst(count: int) -> None:
            for i in range(count):
                with contextlib.closing(Connection(server.address, tls=tls)) as connection:
                    for name in (NAMES[i % 24], NAMES[(i + 5) % 24]):
                        assert connection.ask("POST", QUERY.format(name), body=BIG[:60_000]).status == 200

        quiet = files()
        burst(120)
        # What an interpreter or a library opens once, and no more.
        until(lambda: all(count <= quiet[pid] + 2 for pid, count in files().items()), f"as few as {quiet}", 10)


def test_a_burst_of_connections_for_one_session_is_all_delivered(tmp_path: Path) -> None:
    with keeping(tmp_path, "query:s") as server:
        owner = ask(server, "/?s=one").pid
        connections = [Connection(server.address) for _ in range(400)]
        try:
            for connection in connections:
                connection.request("POST", "/?s=one", body=b"x" * 3000)
            assert {told(connection.read()).pid for connection in connections} == {owner}
        finally:
            for connection in connections:
                connection.close()


@pytest.mark.parametrize("flags", [("--workers", "1"), ()], ids=["one worker", "no supervisor"])
def test_one_worker_has_nothing_to_keep(tmp_path: Path, flags: tuple[str, ...]) -> None:
    from tests.support.server import running
    from tests.support.sessions import SITE

    (tmp_path / "site_sessions.py").write_text(SITE)
    with running("site_sessions:app", "--affinity", "cookie", *flags, cwd=tmp_path) as server:
        assert ask(server).size == 0
        assert "has nothing to do: there is one worker" in server.log
