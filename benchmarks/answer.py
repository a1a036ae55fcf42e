"""Asks a server twice by a strict client, before any number is taken: right status, right body, right echo."""

from __future__ import annotations

import http.client
import ssl
import subprocess

from benchmarks import websocket_client, websocket_load
from benchmarks.servers import HTTP_2, WEBSOCKET
from benchmarks.spawn import Running, ServerFailedError
from benchmarks.works import Work

_TIMEOUT_S = 10.0
_CURL_LIMIT_S = 60


def connect(port: int, client: ssl.SSLContext | None) -> http.client.HTTPConnection:
    """A connection to loopback, with TLS if a context is given."""
    if client is not None:
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=_TIMEOUT_S, context=client)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)


def check(server: Running, work: Work, client: ssl.SSLContext | None) -> bool:
    """Whether the connection is kept; ServerFailedError unless two requests are both answered as `work` says."""
    port = int(server.launch.port)
    try:
        if work.language == HTTP_2:
            return _check_http2(port, work)
        if work.language == WEBSOCKET:
            return _check_websocket(port, work)
        return _check_http1(port, work, client)
    except (OSError, http.client.HTTPException, ValueError, subprocess.SubprocessError) as error:
        raise ServerFailedError(f"{type(error).__name__}: {error}; {server.output()}") from error


def _check_http1(port: int, work: Work, client: ssl.SSLContext | None) -> bool:
    connection = connect(port, client if work.has_tls else None)
    try:
        for attempt in ("first", "second"):
            connection.request("POST" if work.body else "GET", work.path, body=work.body or None)
            response = connection.getresponse()
            _judge(work, attempt, response.status, response.read())
        return connection.sock is not None
    finally:
        connection.close()


def _judge(work: Work, attempt: str, status: int, body: bytes) -> None:
    if status != 200:
        raise ServerFailedError(f"{attempt} answer has status {status}")
    if not work.is_right(body):
        raise ServerFailedError(f"{attempt} answer has a wrong body of {len(body)} bytes: {body[:60]!r}")


def _check_http2(port: int, work: Work) -> bool:
    """By curl, for Python's own client does not speak it; whether the connection is kept is not looked at."""
    command = ["curl", "-q", "-sS", "--noproxy", "*", "--http2-prior-knowledge", "--max-time", str(_CURL_LIMIT_S)]
    command += ["-w", "%{stderr}%{http_code} %{http_version}", f"http://127.0.0.1:{port}{work.path}"]
    if work.body:
        command += ["-H", "Expect:", "--data-binary", "@-"]
    for attempt in ("first", "second"):
        done = subprocess.run(command, input=work.body or None, capture_output=True, timeout=_CURL_LIMIT_S, check=False)
        status, _, version = done.stderr.decode(errors="replace").partition(" ")
        if done.returncode != 0 or version != "2":
            raise ServerFailedError(f"{attempt} answer: curl ended with {done.returncode}: {done.stderr[-200:]!r}")
        _judge(work, attempt, int(status), done.stdout)
    return True


def _check_websocket(port: int, work: Work) -> bool:
    """Two echoes on one socket, byte for byte."""
    payload = bytes(97 + number % 26 for number in range(work.message_bytes))
    wanted = websocket_load.reply(payload, work.is_text)
    with websocket_client.connect("127.0.0.1", port, work.path) as one:
        for attempt in ("first", "second"):
            one.sendall(websocket_load.frame(payload, work.is_text))
            echo = websocket_client.receive(one, len(wanted))
            if echo != wanted:
                raise ServerFailedError(f"{attempt} echo is wrong: {echo[:60]!r}")
    return True
