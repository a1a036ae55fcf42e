"""Where to listen: the text a user types becomes a frozen ``Address``, and an address becomes text again.

Here: reading and writing of addresses, nothing else. Never here: sockets, names looked up, the environment.
"""

from __future__ import annotations

import ipaddress
import re
from enum import Enum

from msgspec import Struct

from torana.base.errors import ConfigError

#: What a bind string may be, for error messages.
ACCEPTED = "HOST:PORT, [V6]:PORT, :PORT, PORT, unix:PATH, fd:N or systemd[:NAME]"

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
#: Longest path of a unix socket in bytes without its closing NUL (``sun_path``: 108 on Linux, 104 on the BSDs).
UNIX_PATH_BYTES = 103


class Kind(Enum):
    """What an address leads to."""

    TCP = "tcp"
    UNIX = "unix"
    #: A descriptor that was open before we started.
    FD = "fd"
    #: Descriptors handed over by systemd socket activation, all or those of one name.
    SYSTEMD = "systemd"


class Address(Struct, frozen=True):
    """One place to listen on, as the user meant it or as the kernel gave it.

    ``host`` and ``port`` belong to TCP (host "" is every interface), ``path`` to unix sockets (a leading NUL is
    Linux's abstract namespace, typed "@"), ``fd`` to inherited descriptors, ``name`` to systemd ("" is all).
    """

    kind: Kind
    host: str = ""
    port: int = 0
    path: str = ""
    fd: int = -1
    name: str = ""

    def describe(self, *, is_tls: bool = False) -> str:
        """The address as a URL that can be shown and, for TCP, clicked."""
        if self.kind is Kind.UNIX:
            return "unix:" + ("@" + self.path[1:] if self.path.startswith("\0") else self.path)
        if self.kind is Kind.FD:
            return f"fd:{self.fd}"
        if self.kind is Kind.SYSTEMD:
            return f"systemd:{self.name}" if self.name else "systemd"
        host = self.host or "0.0.0.0"
        return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read one bind string; a ``ConfigError`` says what is wrong with it and what is accepted."""
    if not text or text != text.strip() or not text.isprintable():
        raise ConfigError(f"bind {text!r}: empty, or with blanks or unprintable characters; accepted: {ACCEPTED}")
    if text.startswith("unix:"):
        return _unix(text)
    if text.startswith("fd:"):
        return _descriptor(text)
    if text == "systemd" or text.startswith("systemd:"):
        return Address(Kind.SYSTEMD, name=text[8:])
    if text.startswith("["):
        return _bracketed(text)
    return _host_and_port(text)


def _unix(text: str) -> Address:
    path = text[5:]
    # "unix:///run/x" is how a URL would say it; "unix://run/x" would be a relative path nobody meant.
    if path.startswith("//"):
        path = path[2:]
        if not path.startswith("/"):
            raise ConfigError(f"bind {text!r}: after unix:// an absolute path must follow")
    if path in ("", "@") or path.endswith("/"):
        raise ConfigError(f"bind {text!r}: after unix: the path of a socket file must follow")
    if len(path.encode("utf-8", "surrogateescape")) > UNIX_PATH_BYTES:
        raise ConfigError(f"bind {text!r}: the path is longer than the {UNIX_PATH_BYTES} bytes a unix socket may have")
    return Address(Kind.UNIX, path="\0" + path[1:] if path.startswith("@") else path)


def _descriptor(text: str) -> Address:
    number = text[3:]
    if not _PORT.fullmatch(number):
        raise ConfigError(f"bind {text!r}: after fd: the number of an open descriptor must follow")
    return Address(Kind.FD, fd=int(number))


def _bracketed(text: str) -> Address:
    host, closing, port = text[1:].partition("]")
    if not closing or not port.startswith(":"):
        raise ConfigError(f"bind {text!r}: an IPv6 address is written [ADDRESS]:PORT")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise ConfigError(f"bind {text!r}: {host!r} is not an IPv6 address") from None
    return Address(Kind.TCP, host=host, port=_port(text, port[1:]))


def _host_and_port(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon:
        if _PORT.fullmatch(text):
            # A bare port must not put anything on the open network by accident; ":PORT" says "everywhere".
            return Address(Kind.TCP, host="127.0.0.1", port=_port(text, text))
        raise ConfigError(f"bind {text!r}: the port is missing; accepted: {ACCEPTED}")
    if ":" in host:
        raise ConfigError(f"bind {text!r}: an IPv6 address needs brackets, as in [{host}]:{port}")
    if host and host != "*":
        _check_host(text, host)
    return Address(Kind.TCP, host="" if host == "*" else host, port=_port(text, port))


def _check_host(text: str, host: str) -> None:
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise ConfigError(f"bind {text!r}: {host!r} is neither an IP address nor a host name")
    if host.replace(".", "").isdigit():
        # "1.2.3" or "010.0.0.1" would be read by the resolver in ways that surprise.
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ConfigError(f"bind {text!r}: {host!r} is not an IPv4 address") from None


def _port(text: str, port: str) -> int:
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ConfigError(f"bind {text!r}: {port!r} is not a port number from 0 to 65535")
    return int(port)
