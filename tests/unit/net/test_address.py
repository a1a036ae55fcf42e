"""What a user may type after --bind, and what is said about the rest."""

from __future__ import annotations

import pytest

from torana.base.errors import ConfigError
from torana.net.address import Address, Kind, parse_address

LEGAL = {
    "127.0.0.1:8000": Address(Kind.TCP, host="127.0.0.1", port=8000),
    "0.0.0.0:0": Address(Kind.TCP, host="0.0.0.0", port=0),
    ":8000": Address(Kind.TCP, host="", port=8000),
    "*:8000": Address(Kind.TCP, host="", port=8000),
    "8000": Address(Kind.TCP, host="127.0.0.1", port=8000),
    "localhost:80": Address(Kind.TCP, host="localhost", port=80),
    "web-1.example.org.:443": Address(Kind.TCP, host="web-1.example.org.", port=443),
    "[::1]:8000": Address(Kind.TCP, host="::1", port=8000),
    "[::]:65535": Address(Kind.TCP, host="::", port=65535),
    "[fe80::1%eth0]:1": Address(Kind.TCP, host="fe80::1%eth0", port=1),
    "unix:/run/a.sock": Address(Kind.UNIX, path="/run/a.sock"),
    "unix:///run/a.sock": Address(Kind.UNIX, path="/run/a.sock"),
    "unix:a.sock": Address(Kind.UNIX, path="a.sock"),
    "unix:@name": Address(Kind.UNIX, path="\0name"),
    "fd:3": Address(Kind.FD, fd=3),
    "systemd": Address(Kind.SYSTEMD),
    "systemd:web": Address(Kind.SYSTEMD, name="web"),
}

NONSENSE = [
    "", " :80", "host", "host:", "host:http", "host:65536", "host:-1", "host:+1", "host:\u0661", "::1:80", "::1",
    "[::1]", "[::1]80", "[::1:80", "[1.2.3.4]:80", "[]:80", "1.2.3:80", "1.2.3.256:80", "010.0.0.1:80", "a b:80",
    "-a:80", "a..b:80", "http://127.0.0.1:80", "a/b:80", "unix:", "unix:/", "unix:@", "unix://run/a.sock", "unix:/run/",
    "unix:/" + "a" * 110, "fd:", "fd:x", "fd:-1", "a\x00b:80", "a\n:80", "h" * 64 + ":80", "x@y:80",
]  # fmt: skip


@pytest.mark.parametrize("text", LEGAL)
def test_legal_addresses_are_read(text: str) -> None:
    assert parse_address(text) == LEGAL[text]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        (":8000", "http://0.0.0.0:8000"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("unix:@name", "unix:@name"),
        ("fd:3", "fd:3"),
        ("systemd", "systemd"),
        ("systemd:web", "systemd:web"),
    ],
)
def test_addresses_are_shown_as_urls(text: str, shown: str) -> None:
    assert parse_address(text).describe() == shown


def test_tls_is_shown_in_the_scheme() -> None:
    assert parse_address("127.0.0.1:8443").describe(is_tls=True) == "https://127.0.0.1:8443"


def test_an_address_is_a_value() -> None:
    assert len({parse_address("fd:3"), parse_address("fd:3")}) == 1
