"""Who the client is when a proxy speaks for it: X-Forwarded-* and Forwarded (RFC 7239), from trusted hops only.

Each element of such a list was written by the hop to its right, the last one by our peer. The list is walked from
right to left for as long as the writer is trusted; nothing a stranger wrote is ever believed (G-073).
Never here: which names belong to the forwarding fields (``base/forwarding.py``), sockets, logging.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, TypeVar

from torana.base.endpoints import Endpoints
from torana.base.errors import ConfigError
from torana.base.forwarding import is_forwarding
from torana.wire.events import Fields, WireError

#: A list with more elements, or a field with more bytes, is refused (L40).
MAX_ELEMENTS = 32
MAX_BYTES = 2048

_T = TypeVar("_T")

#: Ways to choose the family of fields that is believed.
FAMILIES = ("auto", "forwarded", "x-forwarded")

_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}
#: Fields of the X-Forwarded family that say something we understand.
_X_FAMILY = frozenset(
    b"x-forwarded-" + name for name in (b"for", b"proto", b"protocol", b"scheme", b"ssl", b"host", b"port")
)
#: Older ways of saying the scheme, with the values that mean something in them; all must agree.
_OLDER_SCHEMES: dict[bytes, dict[bytes, str]] = {
    b"x-forwarded-protocol": {**_SCHEMES, b"ssl": "https"},
    b"x-forwarded-scheme": _SCHEMES,
    b"x-forwarded-ssl": {b"on": "https", b"off": "http"},
}
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rb"(" + _TOKEN + rb")=(?:(" + _TOKEN + rb')|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")')
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PORT = re.compile(rb"[0-9]{1,5}")
_PREFIX = re.compile(rb"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")

#: Trusted or not, remembered for this many hosts.
_REMEMBERED = 1024


class Applied(NamedTuple):
    """What a request looks like once its forwarding fields were judged."""

    endpoints: Endpoints
    fields: Fields
    #: Path under which a trusted proxy serves us, without the slash at its end; "" when none was said.
    prefix: str
    #: Names of the fields that were removed because nobody trusted sent them, in order, each once.
    ignored: tuple[bytes, ...]


class _Hop(NamedTuple):
    """One element of a forwarding list. ``client`` None: the element names nobody that could be followed."""

    client: tuple[str, int] | None
    scheme: str | None
    host: bytes | None


class Trust:
    """The peers that may speak for clients, as ``--forwarded-allow-ips`` names them."""

    def __init__(
        self, allow: tuple[str, ...], *, family: str = "auto", takes_host: bool = False, takes_prefix: bool = False
    ) -> None:
        """``allow``: addresses, networks, "unix" or "*".

        ``family``: which fields are believed; "auto" takes what is there and refuses two that contradict each other.
        ``takes_host``, ``takes_prefix``: believe the forwarded host and port, the prefix. Off by default: most proxies
        pass on what a client wrote there, so that only a deployer can know.
        Raises ``ConfigError``.
        """
        if family not in FAMILIES:
            raise ConfigError(f"forwarded_family {family!r}: accepted are {', '.join(FAMILIES)}")
        self._family = family
        self._takes_host = takes_host
        self._takes_prefix = takes_prefix
        self._trusts_all = False
        self._trusts_unix = False
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for text in allow:
            self._allow(text.strip(" \t"))
        self._known: dict[str, bool] = {}

    def _allow(self, text: str) -> None:
        if text == "*":
            self._trusts_all = True
        elif text in ("unix", "unix:"):
            self._trusts_unix = True
        else:
            try:
                self._networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                raise ConfigError(
                    f'forwarded_allow_ips: {text!r} is not an address, a network, "unix" or "*" ({error})'
                ) from None

    def is_trusted(self, host: str | None, is_unix: bool = False) -> bool:
        """Whether a peer may speak for others; ``host`` is None when it has no address."""
        if self._trusts_all:
            return True
        if host is None:
            return is_unix and self._trusts_unix
        found = self._known.get(host)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[host] = self._is_listed(host)
        return found

    def _is_listed(self, host: str) -> bool:
        address = _ip(host)
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )

    def apply(self, endpoints: Endpoints, fields: Fields) -> Applied:
        """Judge the forwarding fields of one request; call it only if the request has some.

        ``endpoints.client`` None means a unix socket. Raises ``WireError`` (400) where trusted hops contradict
        themselves or each other, or say too much.
        """
        client = endpoints.client
        if not self.is_trusted(None if client is None else client[0], client is None):
            return _without_forwarding(endpoints, fields)
        hop, fields = self._believed(endpoints, fields)
        prefix = _prefix(fields) if self._takes_prefix else ""
        if hop is None:
            return Applied(endpoints, fields, prefix, ())
        server = endpoints.server
        if self._takes_host and hop.host is not None:
            fields, server = _with_host(fields, hop.host, hop.scheme or endpoints.scheme)
        applied = Endpoints(hop.client, server, hop.scheme or endpoints.scheme, endpoints.tls)
        return Applied(applied, fields, prefix, ())

    def _believed(self, endpoints: Endpoints, fields: Fields) -> tuple[_Hop | None, Fields]:
        """What the chosen family says, None if it says nothing; and the fields without the other family."""
        peer = endpoints.client
        standard = [value for name, value in fields if name == b"forwarded"]
        has_others = any(name in _X_FAMILY for name, _ in fields)
        if self._family == "forwarded" or (self._family == "auto" and not has_others):
            kept = [field for field in fields if field[0] not in _X_FAMILY] if has_others else fields
            return (self._walk(peer, _standard_hops(standard)) if standard else None), kept
        if self._family == "x-forwarded" or not standard:
            kept = [field for field in fields if field[0] != b"forwarded"] if standard else fields
            return (self._walk(peer, _x_hops(fields)) if has_others else None), kept
        # Both are there, and a proxy that writes one may have let pass what a client wrote in the other.
        first, second = self._walk(peer, _standard_hops(standard)), self._walk(peer, _x_hops(fields))
        hosts = [None if hop.client is None else hop.client[0] for hop in (first, second)]
        if hosts[0] != hosts[1] or (first.scheme or endpoints.scheme) != (second.scheme or endpoints.scheme):
            raise WireError(400, "forwarded-families-conflict", "forwarded_family")
        return _Hop(first.client, first.scheme, first.host if first.host == second.host else None), fields

    def _walk(self, client: tuple[str, int] | None, hops: list[_Hop]) -> _Hop:
        """The furthest client that trusted hops vouch for, with what they say of the scheme and host it used."""
        scheme: str | None = None
        host: bytes | None = None
        for hop in reversed(hops):
            # Its writer is trusted: our peer to begin with, then the client of the element before.
            scheme = hop.scheme or scheme
            host = hop.host or host
            if hop.client is None:
                break
            client = hop.client
            if not self.is_trusted(client[0]):
                break
        return _Hop(client, scheme, host)


def ignored_sentence(host: str | None, names: tuple[bytes, ...]) -> str:
    """The one line for the log when an untrusted peer sends forwarding fields."""
    shown = ", ".join(name.decode("ascii", "backslashreplace").title() for name in names[:4])
    peer = "a unix socket" if host is None else host
    cure = "unix" if host is None else "it"
    return f"{shown} from untrusted peer {peer} ignored: if it is your proxy, add {cure} to --forwarded-allow-ips"


def _without_forwarding(endpoints: Endpoints, fields: Fields) -> Applied:
    kept: Fields = []
    names: dict[bytes, None] = {}
    for field in fields:
        if is_forwarding(field[0]):
            names[field[0]] = None
        else:
            kept.append(field)
    return Applied(endpoints, kept, "", tuple(names))


def _agree(first: str | None, second: str | None) -> bool:
    return first is None or second is None or first == second


def _values(fields: Fields, wanted: bytes) -> list[bytes]:
    """The elements of a list field over all its lines, in order (RFC 9110 section 5.3)."""
    lines = [value for name, value in fields if name == wanted]
    if not lines:
        return []
    return _elements(b",".join(lines), wanted)


def _elements(text: bytes, name: bytes) -> list[bytes]:
    if len(text) > MAX_BYTES or text.count(b",") >= MAX_ELEMENTS:
        raise WireError(400, f"{name.decode('ascii')}-too-long")
    return [element.strip(b" \t") for element in text.split(b",")]


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    # An IPv4 address in IPv6 clothes is the IPv4 address, also for the list of trusted networks.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _node(text: bytes) -> tuple[str, int] | None:
    """An address with or without port and brackets; None for "unknown", "_hidden" and whatever is no address."""
    host, port = text, b""
    if text[:1] == b"[":
        host, closing, port = text[1:].partition(b"]")
        if not closing or (port and port[:1] != b":"):
            return None
        port, is_v6 = port[1:] if port else b"", True
        if text.endswith(b":"):
            return None
    elif text.count(b":") == 1:
        host, _, port = text.partition(b":")
        is_v6 = False
        if not port:
            return None
    else:
        is_v6 = b":" in text
    address = _ip(host.decode("ascii", "replace")) if len(host) <= 64 and b"%" not in host else None
    if address is None or (b":" in host) != is_v6:
        return None
    # RFC 7239 also allows a hidden port ("_name").
    # ASCII digits, as the pattern says.
    number = int(port) if _PORT.fullmatch(port) else 0 if not port or port[:1] == b"_" else -1
    return (str(address), number) if 0 <= number <= 65535 else None


# --- the X-Forwarded family


def _x_hops(fields: Fields) -> list[_Hop]:
    clients = [_node(element) for element in _values(fields, b"x-forwarded-for")]
    schemes = _x_schemes(fields, len(clients))
    hosts = _aligned([_host(value) for value in _values(fields, b"x-forwarded-host")], len(clients))
    ports = _values(fields, b"x-forwarded-port")
    if not clients:
        # A proxy may tell the scheme and leave the client out.
        return [_Hop(None, schemes[0], _joined(hosts[0], ports))]
    return [
        _Hop(client, scheme, _joined(host, ports))
        for client, scheme, host in zip(clients, schemes, hosts, strict=True)
    ]  # fmt: skip


def _x_schemes(fields: Fields, count: int) -> list[str | None]:
    """The scheme for each element of X-Forwarded-For; those said in several ways must agree."""
    said = [_SCHEMES.get(value.lower()) for value in _values(fields, b"x-forwarded-proto")]
    if len(said) > 1 and len(said) != count and len(set(said)) > 1:
        raise WireError(400, "forwarded-scheme-conflict")
    schemes = _aligned(said, count)
    for name, meanings in _OLDER_SCHEMES.items():
        for value in _values(fields, name):
            older = meanings.get(value.lower())
            if not all(_agree(scheme, older) for scheme in schemes):
                raise WireError(400, "forwarded-scheme-conflict")
            schemes = [scheme or older for scheme in schemes]
    return schemes


def _aligned(values: list[_T | None], count: int) -> list[_T | None]:
    """One value an element: paired if there are as many, else the last one, which our peer wrote or let pass."""
    count = max(count, 1)
    if len(values) == count:
        return list(values)
    return [values[-1] if values else None] * count


def _host(value: bytes) -> bytes | None:
    return value if len(value) <= 255 and _HOST.fullmatch(value) else None


def _joined(host: bytes | None, ports: list[bytes]) -> bytes | None:
    """The host with the forwarded port, unless it has one or the port is nonsense."""
    if host is None or not ports or b":" in host.rpartition(b"]")[2]:
        return host
    port = ports[-1]
    is_port = _PORT.fullmatch(port) is not None and 0 < int(port) <= 65535  # ASCII digits, as the pattern says
    return host + b":" + port if is_port else host


def _prefix(fields: Fields) -> str:
    """X-Forwarded-Prefix of our peer, if it is a path that can be trusted to be one."""
    values = _values(fields, b"x-forwarded-prefix")
    if not values or not _PREFIX.fullmatch(values[-1]) or b"//" in values[-1]:
        return ""
    path = values[-1].rstrip(b"/").decode("ascii")
    return "" if any(part in (".", "..") for part in path.split("/")) else path


def _with_host(fields: Fields, host: bytes, scheme: str) -> tuple[Fields, tuple[str, int | None]]:
    """The fields with another Host, and the server that it names."""
    name, _, port = host.rpartition(b":") if b":" in host.rpartition(b"]")[2] else (host, b"", b"")
    kept = [(b"host", host) if field[0] == b"host" else field for field in fields]
    if not any(field[0] == b"host" for field in fields):
        kept.insert(0, (b"host", host))
    number = int(port) if port else 443 if scheme == "https" else 80  # ASCII digits, by _HOST and _joined
    return kept, (name.strip(b"[]").decode("ascii"), number)


# --- RFC 7239


def _standard_hops(lines: list[bytes]) -> list[_Hop]:
    """The elements of Forwarded; none at all if any of it is malformed (its writers cannot be told apart then)."""
    text = b",".join(lines)
    if len(text) > MAX_BYTES:
        raise WireError(400, "forwarded-too-long")
    hops: list[_Hop] = []
    pairs: dict[bytes, bytes] = {}
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in b" \t":
            at += 1
        match = _PAIR.match(text, at)
        if match is not None:
            name = match[1].lower()
            if name in pairs:
                return []
            pairs[name] = match[2] if match[3] is None else re.sub(rb"\\(.)", rb"\1", match[3], flags=re.DOTALL)
            at = match.end()
        while at < end and text[at] in b" \t":
            at += 1
        if at < end and text[at] not in b",;":
            return []
        if at >= end or text[at] == ord(","):
            # Empty elements are legal in lists and mean nothing (RFC 9110 section 5.6.1).
            if pairs:
                hops.append(_standard_hop(pairs))
                pairs = {}
            if len(hops) > MAX_ELEMENTS:
                raise WireError(400, "forwarded-too-long")
            if at >= end:
                return hops
        at += 1


def _standard_hop(pairs: dict[bytes, bytes]) -> _Hop:
    node = pairs.get(b"for", b"")
    # An IPv6 address must stand in brackets here (RFC 7239 section 6.1).
    client = None if node[:1] != b"[" and node.count(b":") > 1 else _node(node)
    return _Hop(client, _SCHEMES.get(pairs.get(b"proto", b"").lower()), _host(pairs.get(b"host", b"")))
