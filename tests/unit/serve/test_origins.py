"""Which pages may open a WebSocket (threat G-058)."""

from __future__ import annotations

import pytest

from torana.serve.origins import Origins

# Origin, Host, the scheme by which the request came, whether it may without any setting.
TABLE = [
    ("http://t", "t", "http", True),
    ("http://T", "t", "http", True),
    ("http://t", "T", "http", True),
    ("http://t:80", "t", "http", True),
    ("http://t", "t:80", "http", True),
    ("http://t:8000", "t:8000", "http", True),
    ("https://t", "t", "https", True),
    ("https://t:443", "t", "https", True),
    ("https://t", "t:443", "https", True),
    ("https://t:8443", "t:8443", "https", True),
    ("https://[::1]:8443", "[::1]:8443", "https", True),
    ("https://[::1]", "[::1]", "https", True),
    # TLS ended at a proxy that does not say so.
    ("https://t", "t", "http", True),
    ("https://t", "t:443", "http", True),
    # Somebody else.
    ("https://evil", "t", "https", False),
    ("https://t.evil", "t", "https", False),
    ("https://evil.t", "t", "https", False),
    ("https://tt", "t", "https", False),
    ("https://t@evil", "t", "https", False),
    ("https://t:8443", "t", "https", False),
    ("https://t", "t:8443", "https", False),
    ("http://t", "t", "https", False),
    ("http://t", "t:443", "http", False),
    ("http://t:81", "t", "http", False),
    ("https://[::1]:1", "[::1]:2", "https", False),
    ("null", "t", "https", False),
    ("null", "null", "https", False),
    ("", "t", "https", False),
    ("t", "t", "https", False),
    ("https://", "t", "https", False),
    ("https://", "", "https", False),
    ("file://", "t", "https", False),
    ("ftp://t", "t", "https", False),
    ("chrome-extension://abc", "abc", "https", False),
    ("https://t, https://t", "t", "https", False),
    ("https://t https://evil", "t", "https", False),
    ("https://t/path", "t", "https", False),
]


def allows(origins: Origins, origin: str, host: str, scheme: str) -> bool:
    return origins.allows([(b"host", host.encode()), (b"origin", origin.encode())], scheme)


@pytest.mark.parametrize(("origin", "host", "scheme", "may"), TABLE)
def test_without_a_setting_only_the_same_host_and_port_may(origin: str, host: str, scheme: str, may: bool) -> None:
    assert allows(Origins(), origin, host, scheme) is may


def test_clients_that_are_no_browsers_say_none_and_may() -> None:
    assert Origins().allows([(b"host", b"t")], "https")


def test_two_origins_are_none() -> None:
    assert not Origins().allows([(b"host", b"t"), (b"origin", b"http://t"), (b"origin", b"http://t")], "http")
    assert not Origins(("http://x",)).allows([(b"origin", b"http://x"), (b"origin", b"http://x")], "http")


@pytest.mark.parametrize("listed", ["https://friend.example", "HTTPS://Friend.Example:443/", "https://friend.example/"])
def test_those_that_are_listed_may_too(listed: str) -> None:
    origins = Origins((listed, "null", "chrome-extension://abc"))
    assert allows(origins, "https://friend.example", "t", "https")
    assert allows(origins, "null", "t", "https")
    assert allows(origins, "chrome-extension://abc", "t", "https")
    assert allows(origins, "https://t", "t", "https")
    assert not allows(origins, "https://friend.example:8443", "t", "https")
    assert not allows(origins, "http://friend.example", "t", "https")
    assert not allows(origins, "https://friend.example.evil", "t", "https")


def test_a_star_lets_everybody() -> None:
    assert all(allows(Origins(("*",)), origin, host, scheme) for origin, host, scheme, _ in TABLE)
