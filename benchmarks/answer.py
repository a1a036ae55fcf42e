"""Asks a server twice by a strict client, before any number is taken: right status, right body."""

from __future__ import annotations

import http.client
import ssl

from benchmarks.spawn import Running, ServerFailedError
from benchmarks.works import Work


def connect(port: int, client: ssl.SSLContext | None) -> http.client.HTTPConnection:
    """A connection to loopback, with TLS if a context is given."""
    if client is not None:
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=client)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=10)


def check(server: Running, work: Work, client: ssl.SSLContext | None) -> bool:
    """Whether the connection is kept; ServerFailedError unless two requests are both answered as `work` says."""
    connection = connect(int(server.launch.port), client if work.has_tls else None)
    try:
        for attempt in ("first", "second"):
            _check_once(connection, work, attempt)
        return connection.sock is not None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServerFailedError(f"{type(error).__name__}: {error}; {server.output()}") from error
    finally:
        connection.close()


def _check_once(connection: http.client.HTTPConnection, work: Work, attempt: str) -> None:
    connection.request("POST" if work.body else "GET", work.path, body=work.body or None)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ServerFailedError(f"{attempt} answer has status {response.status}")
    if not work.is_right(body):
        raise ServerFailedError(f"{attempt} answer has a wrong body of {len(body)} bytes: {body[:60]!r}")
