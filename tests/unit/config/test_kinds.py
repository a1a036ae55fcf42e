"""What values each kind takes, as text and from TOML, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from torana.config import kinds, server_kinds
from torana.config.kinds import Kind

READ: list[tuple[Kind, Any, Any]] = [
    (kinds.duration(), "5", 5.0),
    (kinds.duration(), "0.5", 0.5),
    (kinds.duration(), "30s", 30.0),
    (kinds.duration(), "2m", 120.0),
    (kinds.duration(), "1.5h", 5400.0),
    (kinds.duration(), "250ms", 0.25),
    (kinds.duration(), " 10 s ", 10.0),
    (kinds.duration(), 5, 5.0),
    (kinds.duration(), 0.25, 0.25),
    (kinds.duration(), "0", 0.0),
    (kinds.size(), "64k", 65536),
    (kinds.size(), "64K", 65536),
    (kinds.size(), "64kb", 65536),
    (kinds.size(), "100MiB", 100 * 1024 * 1024),
    (kinds.size(), "1g", 1 << 30),
    (kinds.size(), "0.5m", 1 << 19),
    (kinds.size(), "1000", 1000),
    (kinds.size(), "10 bytes", 10),
    (kinds.size(), 1000, 1000),
    (kinds.integer(), "12", 12),
    (kinds.integer(), 12, 12),
    (kinds.integer_or("auto", 0, 1, 9), "auto", 0),
    (kinds.integer_or("auto", 0, 1, 9), "9", 9),
    (kinds.switch(), "on", True),
    (kinds.switch(), "FALSE", False),
    (kinds.switch(), "0", False),
    (kinds.switch(), True, True),
    (kinds.choice("auto", "1", "2"), 2, "2"),
    (kinds.choice("asgi", also={"asgi3": "asgi"}), "ASGI3", "asgi"),
    (kinds.octal(), "022", 0o022),
    (kinds.octal(), "0o600", 0o600),
    (kinds.many(kinds.text()), "a, b,,c", ("a", "b", "c")),
    (kinds.many(kinds.text()), ["a,b", "c"], ("a", "b", "c")),
    (kinds.many(kinds.text()), "", ()),
    (kinds.many(kinds.integer()), 3, (3,)),
    (server_kinds.address(), "[::1]:80", "[::1]:80"),
    (server_kinds.address(), "unix:/run/x", "unix:/run/x"),
    (server_kinds.address(), "fd:3", "fd:3"),
    (server_kinds.address(), "systemd:web", "systemd:web"),
    (server_kinds.network(), "10.0.0.0/8", "10.0.0.0/8"),
    (server_kinds.network(), "::1", "::1"),
    (server_kinds.network(), "unix:", "unix"),
    (server_kinds.network(), "*", "*"),
    (server_kinds.response_field(), "X-Frame-Options:  DENY ", ("X-Frame-Options", "DENY")),
    (server_kinds.response_field(), "X-Empty:", ("X-Empty", "")),
    (server_kinds.certificate(), "a.pem", ("a.pem", None)),
    (server_kinds.certificate(), "a.pem:a.key", ("a.pem", "a.key")),
    (server_kinds.certificate(), {"certfile": "a.pem", "keyfile": "a.key"}, ("a.pem", "a.key")),
    (server_kinds.mount_point(), "/api/", "/api"),
    (server_kinds.mount_point(), "/", ""),
]


@pytest.mark.parametrize(("kind", "raw", "value"), READ, ids=[f"{kind.name} {raw!r}" for kind, raw, _ in READ])
def test_a_kind_reads(kind: Kind, raw: Any, value: Any) -> None:
    read = kind.read(raw)
    assert read == value
    assert type(read) is type(value)


REFUSED: list[tuple[Kind, Any]] = [
    *[(kinds.duration(), raw) for raw in ("", "soon", "-1", "1e3", "nan", "inf", "5 weeks", "٣", True, [5], None, -1)],
    *[(kinds.duration(), raw) for raw in ("9999999h", float("inf"), float("nan"))],
    (kinds.duration(least=0.001), "0"),
    *[(kinds.size(), raw) for raw in ("", "big", "-1", "1.5", "0.3k", "5t", "٣", 1.5, True, None, -1, "9" * 400)],
    *[(kinds.size(64, 128), raw) for raw in (63, "129")],
    *[(kinds.integer(1, 5), raw) for raw in (0, 6, "x", "1.5", 1.5, True, "", None, "٣")],
    *[(kinds.integer_or("auto", 0, 1, 9), raw) for raw in ("0", 0, "Auto", True)],
    *[(kinds.switch(), raw) for raw in ("", "maybe", 1, None)],
    *[(kinds.choice("a", "b"), raw) for raw in ("c", "", True, 1, None)],
    *[(kinds.octal(), raw) for raw in ("9", "1777", "", 18, True)],
    *[(kinds.text(), raw) for raw in (1, True, "a\nb", "a\0b", None)],
    (kinds.path(), ""),
    *[(server_kinds.address(), raw) for raw in ("host", "::1:80", "1.2.3:80", "unix:", "fd:x", "h:70000", True, 1.5)],
    *[(server_kinds.network(), raw) for raw in ("10.0.0.1/8", "example.org", "", 5)],
    *[
        (server_kinds.response_field(), raw)
        for raw in ("NoColon", "Bad Name: x", ": x", "X: a\r\nY: b", "X: a\x7f", "X: €", 5)
    ],
    *[
        (server_kinds.response_field(), raw)
        for raw in ("Content-Length: 5", "connection: close", "Transfer-Encoding: chunked")
    ],
    *[(server_kinds.certificate(), raw) for raw in ("", ":k", 5, {}, {"certfile": 5}, {"certfile": "a", "key": "b"})],
    *[(server_kinds.mount_point(), raw) for raw in ("api", "/a b", "/a?b", "/a#b", "/a\n", 5)],
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw"), REFUSED, ids=[f"{kind.name} {raw!r}" for kind, raw in REFUSED])
def test_a_kind_refuses(kind: Kind, raw: Any) -> None:
    with pytest.raises(ValueError):
        kind.read(raw)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (kinds.duration(), 90.0, "90s"),
        (kinds.duration(), 7200.0, "2h"),
        (kinds.duration(), 0.25, "0.25s"),
        (kinds.size(), 65536, "64KiB"),
        (kinds.size(), 1000, "1000"),
        (kinds.size(), 0, "0"),
        (kinds.switch(), False, "false"),
        (kinds.octal(), 0o22, "022"),
        (kinds.integer_or("auto", 0, 1, 9), 0, "auto"),
        (kinds.many(kinds.text()), (), "none"),
        (kinds.many(server_kinds.response_field()), (("A", "b"),), "A: b"),
    ],
)
def test_a_value_is_shown_so_that_it_can_be_typed(kind: Kind, value: Any, text: str) -> None:
    assert kind.show(value) == text
