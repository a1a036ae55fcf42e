"""What one case of the corpus is, and the names its modules share."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Must never be parsed after a refusal.
CANARY = b"GET /canary HTTP/1.1\r\nHost: t\r\n\r\n"
assert len(CANARY) == 0x21


@dataclass(frozen=True)
class Request:
    """A request that must come out, as far as the case cares: None means "whatever"."""

    method: str = "GET"
    path: bytes = b"/"
    body: bytes = b""
    fields: list[tuple[bytes, bytes]] | None = None
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """``requests`` come out in this order; then ``status`` (0: no refusal, more requests may follow)."""

    id: str
    data: bytes
    status: int
    requests: tuple[Request, ...] = ()
    reason: str | None = None


def refused(
    id: str, data: bytes, status: int = 400, reason: str | None = None, *,
    after: int = 0, served: tuple[Request, ...] = (),
) -> Case:  # fmt: skip
    """Refused; ``served``: requests before it that were whole; ``after``: those of which only the head came out."""
    return Case(id, data, status, served + (Request("*", b"*"),) * after, reason)


def accepted(id: str, data: bytes, *requests: Request) -> Case:
    """Accepted: exactly these requests, and what follows the data is the next one."""
    return Case(id, data, 0, requests)


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """``POST /a`` to host t with these field lines."""
    return b"".join([b"POST /a HTTP/1.1\r\nHost: t\r\n", *(line + b"\r\n" for line in lines), b"\r\n", body])


def get(*lines: bytes, target: bytes = b"/", version: bytes = b"1.1") -> bytes:
    """``GET`` with exactly these field lines."""
    start = b"GET " + target + b" HTTP/" + version + b"\r\n"
    return b"".join([start, *(line + b"\r\n" for line in lines), b"\r\n"])


def chunked(body: bytes) -> bytes:
    """A chunked POST with this raw body."""
    return post(b"Transfer-Encoding: chunked", body=body)
