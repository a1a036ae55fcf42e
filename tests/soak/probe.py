"""A healthy client in a process of its own, whose waits are those of everybody who does no harm.

``python -m tests.soak.probe NAME=HOST:PORT[:CERTIFICATE] ...`` writes a JSON line a window and server, until its
standard input ends. Lives here: small requests at an even pace, quantiles. Never here: judgement.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import sys
import threading
import time

PERIOD_S = 0.05
WINDOW_S = 10.0


def quantile(ordered: list[float], share: float) -> float:
    """Of a list in order: the smallest value that is not less than so many of them."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def watch(name: str, host: str, port: int, certificate: str, is_over: threading.Event) -> None:
    """Ask one server until it is over."""
    waits_ms: list[float] = []
    errors: list[str] = []
    connection = connect(host, port, certificate)
    window_end_s = time.monotonic() + WINDOW_S
    number = 0
    while not is_over.wait(PERIOD_S):
        number += 1
        begin_s = time.monotonic()
        try:
            connection.request("GET", f"/hello/{number}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or not body.startswith(b"%d " % number):
                errors.append(f"{answer.status} {body[:60]!r} to {number}")
        except (OSError, http.client.HTTPException) as error:
            errors.append(f"{type(error).__name__}: {error}")
            connection.close()
        waits_ms.append((time.monotonic() - begin_s) * 1000)
        if time.monotonic() >= window_end_s:
            tell(name, waits_ms, errors)
            waits_ms, errors, window_end_s = [], [], time.monotonic() + WINDOW_S
    if waits_ms:
        tell(name, waits_ms, errors)
    connection.close()


def connect(host: str, port: int, certificate: str) -> http.client.HTTPConnection:
    """A connection that is made at its first request, and anew whenever the server closes it."""
    if not certificate:
        return http.client.HTTPConnection(host, port, timeout=30)
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=30, context=context)


def tell(name: str, waits_ms: list[float], errors: list[str]) -> None:
    """One line."""
    ordered = sorted(waits_ms)
    waits = {"p50": quantile(ordered, 0.5), "p99": quantile(ordered, 0.99), "worst": ordered[-1]}
    told = {"at_s": time.monotonic(), "server": name, "count": len(ordered), "errors": errors}
    told |= {share: round(wait_ms, 2) for share, wait_ms in waits.items()}
    os.write(1, json.dumps(told).encode() + b"\n")


def main(words: list[str]) -> None:
    """One thread a server."""
    is_over = threading.Event()
    threads = []
    for word in words:
        name, _, rest = word.partition("=")
        host, port, certificate = [*rest.split(":", 2), ""][:3]
        threads.append(threading.Thread(target=watch, args=(name, host, int(port), certificate, is_over)))
    for thread in threads:
        thread.start()
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    is_over.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1:])
