"""Kinds of value that only a server has: addresses, networks, response fields, certificates, a mount point.

Reads text, never the network: a host name stays a name until the listener resolves it.
"""

from __future__ import annotations

import re
from typing import Any

from torana.base.errors import ConfigError
from torana.config.kinds import Kind

#: RFC 9110 section 5.6.2: what a field name may hold.
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
#: Field values: visible characters, blanks and tabs, and what Latin-1 has beyond ASCII (RFC 9110 section 5.5).
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: Fields that frame a message or steer a connection; the server alone writes them.
_FRAMING = frozenset({"connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"})
_PATH_BYTES = re.compile(r"/[^\x00-\x20\x7f?#]*")


def address() -> Kind:
    """An address to listen on, kept as it was typed."""

    def read(value: Any) -> str:
        from torana.net.address import parse_address  # only here: it costs imports that most kinds never need

        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise ValueError("")
        try:
            parse_address(str(value))
        except ConfigError as error:
            raise ValueError(str(error).partition("; accepted")[0].partition(": ")[2]) from None
        return str(value)

    return Kind("address", "HOST:PORT, [V6]:PORT, unix:PATH, fd:N or systemd[:NAME]", read, "ADDRESS")


def network() -> Kind:
    """A client address or network that is trusted, "unix" for peers on unix sockets, "*" for everybody."""

    def read(value: Any) -> str:
        import ipaddress

        if not isinstance(value, str):
            raise ValueError("")
        if value in ("*", "unix", "unix:"):
            return value.rstrip(":")
        try:
            network = ipaddress.ip_network(value)
        except ValueError as error:
            # "10.0.0.1/8" has host bits set: the nearest right spelling is worth more than the rule.
            raise ValueError(str(error) if "host bits" in str(error) else "") from None
        return str(network.network_address) if "/" not in value else str(network)

    return Kind("network", "an address, a network such as 10.0.0.0/8, unix, or *", read, "NETWORK")


def response_field() -> Kind:
    """One field added to each response, "Name: value"."""

    def read(value: Any) -> tuple[str, str]:
        if not isinstance(value, str):
            raise ValueError("")
        name, colon, content = value.partition(":")
        content = content.strip(" \t")
        if not colon or not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(content):
            raise ValueError("")
        if name.lower() in _FRAMING:
            raise ValueError(f"the server itself writes {name}")
        return name, content

    return Kind("field", "'Name: value', without control characters", read, "FIELD", show=": ".join)


def certificate() -> Kind:
    """One more certificate: "CERT[:KEY]", or a table with ``certfile`` and ``keyfile``."""

    def read(value: Any) -> tuple[str, str | None]:
        if isinstance(value, dict):
            return _read_certificate_table(value)
        if not isinstance(value, str):
            raise ValueError("")
        certfile, _, keyfile = value.partition(":")
        if not certfile:
            raise ValueError("the certificate is missing")
        return certfile, keyfile or None

    def show(pair: tuple[str, str | None]) -> str:
        return ":".join(part for part in pair if part)

    accepts = "CERT[:KEY], or a table with certfile and keyfile"
    return Kind("certificate", accepts, read, "CERT[:KEY]", show=show)


def _read_certificate_table(table: dict[str, Any]) -> tuple[str, str | None]:
    strange = sorted(table.keys() - {"certfile", "keyfile"})
    if strange:
        raise ValueError(f"a certificate has no {strange[0]!r}")
    certfile, keyfile = table.get("certfile"), table.get("keyfile")
    if not isinstance(certfile, str) or not certfile or not isinstance(keyfile, (str, type(None))):
        raise ValueError("certfile must be a path, and keyfile a path if it is given")
    return certfile, keyfile


def mount_point() -> Kind:
    """The path under which the application is mounted: "" or "/prefix", never with a closing slash."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("")
        mount = value.rstrip("/")
        if mount and not _PATH_BYTES.fullmatch(mount):
            raise ValueError("it must begin with a slash and hold no blank, ? or #")
        return mount

    return Kind("mount point", "a path such as /api", read, "PATH", show=lambda value: value or '""')
